"""Translations cover exactly the texts of the pages."""

from __future__ import annotations

import ast
import json
import re
from html import unescape
from pathlib import Path

import pytest

from riffusion_ext.host.images.send_to import TARGETS
from riffusion_ext.options.crop import CROP_CONTROLS
from riffusion_ext.options.sound import CONTROLS
from riffusion_ext.options.webui import OPTIONS as SETTINGS
from riffusion_ext.services.model_provider import BackendModel
from riffusion_ext.ui.layout.cropping_panel import PREVIEW
from riffusion_ext.ui.pages.live import RECORDING

ROOT = Path(__file__).resolve().parents[3]
LANGUAGES = sorted((ROOT / "localizations").glob("*.json"))


class ApplyStyles(BackendModel):
    """A model provider with prompt styles."""

    def styles(self) -> list[str]:
        return []


def test_translation_files_exist() -> None:
    assert len(LANGUAGES) >= 1


def _of_the_tab() -> set[str]:
    """Return the texts of the tab: those of its components, and the fixed messages in its source."""
    pytest.importorskip("gradio", exc_type=ImportError)
    from riffusion_ext.ui.pages.tab import build_tab
    from tests.unit.ui.studio import Studio

    found: set[str] = set()
    context = Studio().context(Path(), send=lambda *_: None, send_text=lambda *_: None, model=ApplyStyles(Studio))
    for block in build_tab(context).blocks.values():
        kind = type(block).__name__
        found.update(getattr(block, name, None) or "" for name in ("label", "info"))
        example = getattr(block, "placeholder", None) or ""
        # Paths, patterns and lines of a score are not translated.
        found.add("" if example[:1] in ("/", "*") or " | " in example else example)
        if kind in ("Radio", "CheckboxGroup"):
            found.update(label for label, _ in block.choices)
        if kind == "Button":
            found.add(block.value)
        if kind == "HTML":
            found.add(unescape(re.sub("<[^>]*>", "", block.value or "")))
    for file in (ROOT / "riffusion_ext" / "ui").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
                "message",
                "details",
            ):
                found.update(part.value for part in node.args[:1] if isinstance(part, ast.Constant))
    return found - {""}


def _visible() -> set[str]:
    """Return all our fixed texts on the host's page, except values of dropdowns, which the host does not translate."""
    shown = (*CONTROLS, *CROP_CONTROLS)
    texts = {item.label for item in shown} | {item.help for item in shown}
    texts |= {choice for item in CONTROLS if item.kind == "radio" for choice in item.choices}
    for item in SETTINGS:
        texts |= {item.label, *item.choices} | (
            {f"({item.help})"} if item.help else set()
        )  # the host puts it into parentheses
    return texts | _of_the_tab() | _of_the_scripts() | {"Download", PREVIEW, RECORDING, *TARGETS.values()}


def _of_the_scripts() -> set[str]:
    scripts = (path.read_text("utf-8") for path in (ROOT / "javascript").glob("*.js"))
    return {text for script in scripts for text in re.findall(r'\b(?:translated|say)\(\s*"([^"]+)"', script)}


@pytest.mark.filterwarnings("default")
def test_texts_of_the_tab_are_found() -> None:
    found = _of_the_tab()
    assert {"Inspect", "Convert to audio", "One song", "Whole song", "The clips appear here.", "png is exact."} <= found
    assert {"Choosing", "Check for silence", "sound chunks (WAV)", "music", "Previous page"} <= found


@pytest.mark.filterwarnings("default")  # deprecations in gradio's dependencies
@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_translations_cover_exactly_the_visible_strings(path: Path) -> None:
    texts = json.loads(path.read_text("utf-8"))
    wanted = _visible()
    assert sorted(wanted - set(texts)) == []
    assert sorted(set(texts) - wanted) == []
    assert all(isinstance(text, str) and text.strip() for text in texts.values())
