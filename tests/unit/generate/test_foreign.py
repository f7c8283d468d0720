"""Window folders and settings records made by others."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from riffusion_ext.commands.shared.generation import _read_contents
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.checkpoint.recipe import host_values, read_record, records_in, to_record
from riffusion_ext.generate.checkpoint.runner import RenderFolder, RenderJob
from riffusion_ext.generate.live.settings import JamSettings
from riffusion_ext.generate.loop import LoopSettings
from riffusion_ext.generate.riff_settings import RiffSettings
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.generate.song import SongSettings
from riffusion_ext.generate.windows.plan import plan_song
from riffusion_ext.generate.windows.song_images import SongImages
from riffusion_ext.params import PRESETS
from riffusion_ext.ui.layout.resume_state import ResumeState

SCORE = Score((Keyframe("a", seconds=6.0), Keyframe("b", seconds=0.0))).resolve_seeds(1)
WEIRD: list[Any] = [None, True, -1, 0.5, 1e308, 10**400, "x", "9" * 400, [], [[]], {}, {"a": 1}, [None], float("nan")]
SETTINGS = [
    SongSettings(SCORE),
    RiffSettings((Keyframe("a", seconds=1.0), Keyframe("b", seconds=1.0))),
    LoopSettings("a"),
    JamSettings("a"),
]


def job() -> RenderJob:
    return RenderJob(
        plan_song(SCORE, PRESETS["riffusion-v1"]), lambda window, images: pytest.fail("asked"), lambda _: 1.0
    )


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
@pytest.mark.parametrize("link", ["work", "work/windows"])
def test_linked_window_folders_are_refused(link: str, tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "mine"
    (folder / link).parent.mkdir(parents=True)
    elsewhere.mkdir()
    leftover = elsewhere / f".{'0' * 12}.png"
    leftover.touch()
    (folder / link).symlink_to(elsewhere)
    with pytest.raises(RiffusionError, match="is a link to another place"):
        RenderFolder(folder / "work", job())
    assert list(elsewhere.iterdir()) == [leftover]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
@pytest.mark.parametrize("link", ["sources", "sources/1"])
def test_linked_source_folders_are_refused(link: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / f".{'0' * 12}.png").touch()
    (tmp_path / "mine" / link).parent.mkdir(parents=True)
    (tmp_path / "mine" / link).symlink_to(elsewhere)
    images = SongImages(tmp_path / "mine" / "sources" / "1", job().plan, None, None)  # type: ignore[arg-type]
    with pytest.raises(RiffusionError, match="is a link to another place"):
        images.draw()
    assert len(list(elsewhere.iterdir())) == 1


@pytest.mark.parametrize(
    "text", ["[" * 10**5, "9" * 5000, '{"a":' * 10**5, "", "\0"], ids=["deep", "long", "objects", "", "NUL"]
)
def test_invalid_plans_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "plan.json").write_text(text, "utf-8")
    assert RenderFolder(tmp_path / "work", job()).finished() == set()
    (tmp_path / "work" / "plan.json").unlink()
    (tmp_path / "work" / "plan.json").mkdir()
    with pytest.raises(RiffusionError):
        RenderFolder(tmp_path / "work", job())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "riffusion.json").write_text(text, "utf-8")
    with pytest.raises(RiffusionError):
        _read_contents(tmp_path / "other")


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: type(settings).__name__)
def test_records_with_values_of_any_type_are_read_or_refused(settings: Any) -> None:
    """Accepted values can be written and read again; all others raise RiffusionError."""
    whole = {item.name: getattr(settings, item.name) for item in fields(settings)}
    assert read_record(type(settings), to_record(settings)) == settings
    said = []
    for name in whole:
        for weird in WEIRD:
            try:
                made = read_record(type(settings), {**to_record(settings), name: weird})
            except RiffusionError as error:
                said.append(str(error))
            else:
                assert read_record(type(settings), json.loads(json.dumps(to_record(made)))) == made
    assert max(map(len, said)) < 400
    for weird in WEIRD:
        if weird != {}:
            with pytest.raises(RiffusionError):
                read_record(type(settings), weird)


@pytest.mark.parametrize("name", [item.name for item in fields(Keyframe)])
def test_keyframes_with_values_of_any_type_are_read_or_refused(name: str) -> None:
    for weird in WEIRD:
        with suppress(RiffusionError):
            read_record(SongSettings, {"score": {"keyframes": [{"prompt": "a", "seconds": 2.0, name: weird}]}})


def test_values_of_the_host_infotext_are_read() -> None:
    text = (
        "prompt, with: commas\nNegative prompt: a, b: c\nSteps: 30, Sampler: Euler a, CFG scale: 7, Size: 512x512, "
        'Model hash: 99a6eb51c1, Model: "a, \\"b\\": c", VAE: x.pt, Lora hashes: "a: 1, VAE: y", '
        "Clip skip: 2, Version: v1.10.1"
    )
    wanted = {"Model hash": "99a6eb51c1", "VAE": "x.pt", "Clip skip": "2", "Version": "v1.10.1"}
    assert host_values(text) == wanted
    assert host_values("Version: ") == {}


def test_records_in_malformed_texts_are_ignored() -> None:
    record = json.dumps(json.dumps({"a": 1}))
    assert records_in(f"Riffusion song: {record}") == {"song": {"a": 1}}
    assert records_in("Riffusion song: " + json.dumps("[" * 10**5)) == {}
    assert records_in("Riffusion song: " + json.dumps("9" * 10**4)) == {}
    assert records_in('Riffusion song: "' + "\\\\" * 10**6) == {}


@pytest.mark.parametrize("file", ["../x.png", "..", "/etc/x.png", "a\\..\\x", "C:x", None, 5, ["x"], "x\0", ""])
def test_resume_state_with_unsafe_image_names_is_refused(file: object, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    (folder / "pictures").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "x.png")
    (folder / "unfinished.json").write_text(json.dumps({"values": {}, "pictures": {"seed": file}}), "utf-8")
    with pytest.raises(RiffusionError, match="cannot be resumed"):
        ResumeState(folder).load()


@pytest.mark.parametrize(
    "text", ["[" * 10**5, "[]", '{"values": 5, "pictures": {}}', "9" * 5000, '{"values": {}, "pictures": [1]}']
)
def test_invalid_resume_state_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "unfinished.json").write_text(text, "utf-8")
    with pytest.raises(RiffusionError, match="cannot be resumed"):
        ResumeState(tmp_path).load()
