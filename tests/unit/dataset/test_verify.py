"""Verification: images that do not sound like their songs are reported."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.dataset.manifest import Manifest, WindowEntry
from riffusion_ext.dataset.pipeline import build
from riffusion_ext.dataset.settings import CurateSettings, DatasetSettings, SliceSettings
from riffusion_ext.dataset.store import Store
from riffusion_ext.dataset.verify import Check, sample_windows, summarize, verify
from riffusion_ext.metadata import read_record, save_image
from riffusion_ext.params import PRESETS
from tests.unit.dataset.conftest import MakeSong


def write_songs(folder: Path, make_song: MakeSong) -> Path:
    make_song(folder / "a.wav", 6.0, seed=1, channels=2, rate=48000)
    make_song(folder / "b.wav", 6.0, seed=2)
    return folder


@pytest.fixture
def songs(tmp_path: Path, make_song: MakeSong) -> Path:
    return write_songs(tmp_path / "songs", make_song)


def made(songs: Path, out: Path, **slicing: object) -> tuple[Store, Manifest]:
    settings = DatasetSettings(
        SliceSettings(**{"columns": 256, **slicing}), CurateSettings(transition=None, duplicate=None)
    )
    return Store(out), build(songs, out, settings, jobs=1).manifest


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory, make_song: MakeSong) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    write_songs(folder / "songs", make_song)
    made(folder / "songs", folder / "out")
    return folder


@pytest.fixture
def plain(made_once: Path, tmp_path: Path) -> tuple[Store, Manifest]:
    """Return a training set of both songs."""
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    return made(tmp_path / "songs", tmp_path / "out")  # everything exists, so nothing is drawn


def checks(store: Store, windows: list[WindowEntry]) -> list[Check]:
    return list(verify(store, windows))


@pytest.mark.parametrize(
    "slicing",
    [{}, {"scale": "song"}, {"last": "pad"}, {"overlap": 0.5}, {"params": PRESETS["20khz-stereo"]}],
    ids=["plain", "song", "pad", "overlap", "stereo"],
)
def test_good_images_pass_verification(slicing: dict[str, object], songs: Path, tmp_path: Path) -> None:
    store, manifest = made(songs, tmp_path / "out", **slicing)
    for check in checks(store, manifest.kept):
        assert check.problem == ""
        assert abs(check.level_db) < 1.5
        assert check.error < 4
        assert check.other < 1, "it matches its part of the song"
        assert check.clipped == 0


def redraw(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the pixels of an image and keep its metadata."""
    with Image.open(path) as image:
        record = read_record(image)
        values = change(np.asarray(image, np.int16)).clip(0, 255).astype(np.uint8)
    assert record.params is not None
    save_image(Image.fromarray(values), path, record.params, record.max_value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values + 40, "softer than the song"),
        (lambda values: values // 2, "louder than the song"),
        (lambda values: values[:, ::-1], "it is not that part of the song"),
        (lambda values: np.roll(values, 40, axis=0), "it is not that part of the song"),
    ],
    ids=["lighter", "darker", "backwards", "higher"],
)
def test_changed_image_is_reported(
    change: Callable[[np.ndarray], np.ndarray], words: str, plain: tuple[Store, Manifest]
) -> None:
    store, manifest = plain
    first, second = manifest.kept[:2]
    redraw(store.images / first.file, change)
    bad, good = checks(store, [first, second])
    assert words in bad.problem
    assert good.problem == ""


def test_image_of_another_song_is_reported(plain: tuple[Store, Manifest]) -> None:
    store, manifest = plain
    one = next(window for window in manifest.kept if window.song == "a.wav")
    two = next(window for window in manifest.kept if window.song == "b.wav")
    shutil.copy(store.images / two.file, store.images / one.file)
    (check,) = checks(store, [one])
    assert "it is not that part of the song, from which it differs by" in check.problem
    assert "with a problem" in summarize([check])


def test_windows_that_cannot_be_verified_give_a_reason(plain: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, manifest = plain
    gone, damaged, away = manifest.kept[0], manifest.kept[1], manifest.kept[-1]
    (store.images / gone.file).unlink()
    (store.images / damaged.file).write_bytes(b"no image")
    (tmp_path / "songs" / away.song).unlink()
    found = checks(store, [gone, damaged, away])
    assert [check.file for check in found] == [gone.file, damaged.file, away.file]
    assert all(check.problem for check in found)
    assert away.song in found[2].problem
    assert summarize(found) == "none of 3 images can be heard"


def test_verified_sample_is_spread_over_the_kept_windows(songs: Path, tmp_path: Path) -> None:
    _, manifest = made(songs, tmp_path / "out", columns=64)
    kept = manifest.kept
    assert sample_windows(manifest, 0) == []
    assert sample_windows(manifest, 1) == [kept[0]]
    assert sample_windows(manifest, 3) == [kept[0], kept[round((len(kept) - 1) / 2)], kept[-1]]
    assert sample_windows(manifest, 1000) == kept
    assert sample_windows(Manifest({}), 8) == []


def test_checks_are_summarised_in_one_line() -> None:
    good = Check("a.png", level_db=0.4, error=1.2)
    assert summarize([good]) == ("1 image: level +0.4 dB, drawn again 1.2 of 255 levels off, nothing clipped")
    loud = Check("b.png", level_db=5.0, error=1.4, clipped=0.02, problem="5.0 dB louder than the song")
    assert summarize([good, loud, good]).endswith("up to 2.00% clipped; 1 with a problem")
    assert summarize([good, loud, good]).startswith("3 images: level +0.4 dB")
