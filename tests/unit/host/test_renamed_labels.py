"""Defaults that users stored under labels of earlier versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("default")  # deprecations in gradio's dependencies

from riffusion_ext.host.renamed_labels import OLD_CHOICES, OLD_LABELS, apply_stored_defaults, read_stored  # noqa: E402

OLD_FILE = {
    "riffusion/Channels/value": "auto",
    "riffusion/Cut/value": "One wide picture",
    "riffusion/Denoising of beat or picture/maximum": 0.8,
    "riffusion/Denoising of beat or picture/value": 0.55,
    "riffusion/Mix anew, without painting/visible": False,
    "riffusion/Picture file/value": "webp",
    "riffusion/Seconds painted ahead/value": 31,
    "riffusion/Turn into pictures/visible": True,
    "riffusion/What is painted/value": "stereo",
    "riffusion/Width of a picture/value": 1024,
}


def tab() -> Any:
    from riffusion_ext.ui.pages.tab import build_tab
    from tests.unit.ui.studio import Studio

    return build_tab(Studio().context(Path(), send=lambda *_: None, send_text=lambda *_: None))


def with_label(blocks: Any, label: str) -> list[Any]:
    import gradio as gr

    return [
        block
        for block in blocks.blocks.values()
        if (getattr(block, "label", None) or (isinstance(block, gr.Button) and block.value)) == label
    ]


def test_defaults_of_an_old_ui_config_are_applied(tmp_path: Path) -> None:
    path = tmp_path / "ui-config.json"
    path.write_text(json.dumps(OLD_FILE))
    before = path.read_bytes()
    blocks = tab()
    apply_stored_defaults(blocks, read_stored(path), "riffusion")
    for label, field, value in (
        ("Channels to generate", "value", "stereo"),
        ("Cut", "value", "One wide image"),
        ("Denoising strength of beat or init image", "maximum", 0.8),
        ("Denoising strength of beat or init image", "value", 0.55),
        ("Image file", "value", "webp"),
        ("Image width", "value", 1024),
        ("Remix without generating", "visible", False),
        ("Seconds generated ahead", "value", 31),
    ):
        found = with_label(blocks, label)
        assert found, label
        assert [getattr(block, field) for block in found] == [value] * len(found), label
    assert path.read_bytes() == before


def test_default_under_the_new_label_wins() -> None:
    blocks = tab()
    usual = with_label(blocks, "Seconds generated ahead")[0].value
    apply_stored_defaults(
        blocks, {"riffusion/Seconds painted ahead/value": 31, "riffusion/Seconds generated ahead/value": 7}, "riffusion"
    )
    assert with_label(blocks, "Seconds generated ahead")[0].value == usual, "the webui itself applies the new one"


@pytest.mark.parametrize(
    ("key", "value"),
    [("Picture file", "tiff"), ("Picture file", None), ("Seconds painted ahead", "x"), ("Seconds painted ahead", True)],
)
def test_invalid_stored_default_is_ignored(key: str, value: Any) -> None:
    def values(stored: dict[str, Any]) -> list[Any]:
        blocks = tab()
        apply_stored_defaults(blocks, stored, "riffusion")
        return [getattr(block, "value", None) for block in blocks.blocks.values() if hasattr(block, "label")]

    assert str(values({f"riffusion/{key}/value": value})) == str(values({}))


@pytest.mark.parametrize("text", ["", "[]", "{", "\0"])
def test_unreadable_ui_config_has_no_defaults(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ui-config.json"
    assert read_stored(path) == {}
    path.write_text(text)
    assert read_stored(path) == {}


def test_every_new_label_and_choice_is_on_a_page() -> None:
    blocks = tab()
    for label in OLD_LABELS:
        assert with_label(blocks, label), label
    choices = {choice for block in blocks.blocks.values() for choice in getattr(block, "choices", None) or ()}
    names = {choice[0] if isinstance(choice, tuple) else choice for choice in choices}
    assert set(OLD_CHOICES.values()) <= names
    for old in (*OLD_LABELS.values(), *OLD_CHOICES):
        assert not with_label(blocks, old)
        assert old not in names
