"""The Script in the fake SD.Next."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from riffusion_ext.metadata import read_record
from tests.contract.conftest import Bench
from tests.contract.fake_sdnext import FakeSdNext, user_comment


@pytest.fixture
def sdnext(tmp_path: Path) -> Iterator[Bench]:
    with FakeSdNext(tmp_path).installed() as host:
        rng = np.random.default_rng(0)
        host.image = lambda seed, size: Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
        from riffusion_ext.host import webui
        from riffusion_ext.host.script import RiffusionScript

        webui.register()
        host.callbacks.fire("on_ui_settings")
        yield Bench(host, RiffusionScript())


def _host() -> Any:
    return sys.modules["riffusion_ext.host.webui"].HOST


def test_clips_are_made_and_listed_outside_the_infotext(sdnext: Bench) -> None:
    processed, payload = sdnext.generate("Auto", batch_size=2, n_iter=2)
    assert [clip["seed"] for clip in payload["clips"]] == [1, 2, 3, 4]
    assert json.loads(processed.js())["extra_generation_params"]["riffusion"]["clips"] == payload["clips"]
    for text in processed.infotexts:
        assert "clips" not in text
        assert "Riffusion sound: Auto" in text
    assert sdnext.host.log == []


def test_later_jobs_of_a_script_have_no_clips_in_their_infotext(sdnext: Bench) -> None:
    p = sdnext.job()
    processed = sdnext.host.xyz(sdnext.script, p, [{"seed": 3}, {"seed": 4}], "On")
    assert not [text for text in processed.infotexts if "clips" in text]
    assert "riffusion" in processed.extra_generation_params


def test_errors_are_shown_and_logged(sdnext: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from riffusion_ext.host.images.audio_saver import AudioSaver

    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(AudioSaver, "run", fail)
    processed, payload = sdnext.generate("On")
    assert "the disk is full" in payload["messages"][0]["text"]
    assert "the disk is full" in processed.comments
    (line,) = sdnext.host.log
    assert "Traceback" in line


@pytest.mark.parametrize("errors", ["nothing", "raising"])
def test_reporting_never_raises(sdnext: Bench, monkeypatch: pytest.MonkeyPatch, errors: str) -> None:
    module = sys.modules["modules.errors"]
    monkeypatch.delattr(module, "log")
    if errors == "raising":
        monkeypatch.setattr(module, "report", lambda text: 1 / 0, raising=False)
    _host().report("a sentence")
    _host().report("a sentence", ValueError("why"))
    try:
        raise ValueError("why")
    except ValueError as error:
        _host().report("a sentence", error)


def test_output_folder_is_inside_that_of_the_host(sdnext: Bench) -> None:
    assert _host().output_folder() == sdnext.host.folder / "outputs" / "riffusion"


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_images_store_their_parameters(sdnext: Bench, ending: str) -> None:
    sdnext.host.opts.samples_format = ending
    _, payload = sdnext.generate({"mode": "On", "preset": "20khz-stereo"})
    (path,) = (sdnext.host.folder / "outputs").glob(f"*.{ending}")
    assert payload["clips"][0]["picture"] == path.name
    with Image.open(path) as image:
        record = read_record(image)
        text = image.info.get("parameters") or image.getexif().get_ifd(0x8769)[0x9286][8:].decode("utf-16-be")
    assert record.source == ("text" if ending == "png" else "exif")
    assert (record.params.max_frequency, record.params.stereo, record.max_value) == (20000, True, None)
    assert text.startswith("funky bass\n"), "the host's own text is unchanged"


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_parameters_are_not_stored_when_infotext_is_disabled(sdnext: Bench, ending: str) -> None:
    sdnext.host.opts.samples_format, sdnext.host.opts.image_metadata = ending, False
    sdnext.generate("On")
    (path,) = (sdnext.host.folder / "outputs").glob(f"*.{ending}")
    with Image.open(path) as image:
        assert read_record(image).source == "none"


def test_interrupted_job_gets_no_sound(sdnext: Bench) -> None:
    sdnext.host.mid_run = lambda _: setattr(sdnext.host.state, "interrupted", True)
    processed, payload = sdnext.generate("On")
    assert len(processed.images) == 1
    assert payload["clips"] == []


def test_checkpoint_is_recognised_by_its_name(sdnext: Bench) -> None:
    known, name = _host().checkpoint_is_riffusion()
    assert (known, name) == (True, "riffusion-tiny")


def _pages() -> Any:
    from riffusion_ext.host import webui

    ((tab, _, _),) = webui._add_tab()
    return tab


def _said(tab: gr.Blocks, elem_id: str) -> list[str]:
    return [str(block.value) for block in tab.blocks.values() if getattr(block, "elem_id", None) == elem_id]


def test_songs_are_refused_in_one_sentence_without_a_path(sdnext: Bench) -> None:
    (why,) = _said(_pages(), "riffusion_song_why")
    assert "Songs, riffs, loops and live music cannot be made in this webui: it has no modules.call_queue" in why
    assert "/" not in why.replace("</", "")
    assert why.count(". ") == 0


def test_a_path_in_an_import_error_is_not_shown(sdnext: Bench) -> None:
    from riffusion_ext.host.webui import _missing_feature

    error = ImportError("cannot import name 'rng' from 'modules' (/home/me/sdnext/modules/__init__.py)", name="modules")
    assert _missing_feature(error) == "has no modules.rng"
    missing = ModuleNotFoundError("No module named 'modules.rng'", name="modules.rng")
    assert _missing_feature(missing) == "has no modules.rng"
    assert "/" not in _missing_feature(OSError("[Errno 2] No such file: '/home/me/secret'"))


@pytest.mark.parametrize("theme", ["Modern", "Standard", "None"])
def test_tab_shows_a_notice_under_modernui_only(sdnext: Bench, theme: str) -> None:
    sdnext.host.opts.theme_type = theme
    notices = _said(_pages(), "riffusion_notice")
    assert len(notices) == (theme == "Modern")
    assert all("Theme type: Standard" in notice for notice in notices)


def test_user_comment_equals_that_of_piexif() -> None:
    piexif = pytest.importorskip("piexif")
    pytest.importorskip("piexif.helper")
    text = piexif.helper.UserComment.dump("a prompt", encoding="unicode")
    assert piexif.dump({"Exif": {piexif.ExifIFD.UserComment: text}}) == user_comment("a prompt")
