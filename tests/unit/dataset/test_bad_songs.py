"""Unusable files and folders are reported in one line each and affect nothing else."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip, write_audio
from riffusion_ext.cli import main
from riffusion_ext.dataset.pipeline import BuildResult, build
from riffusion_ext.dataset.settings import CurateSettings, DatasetSettings, SliceSettings
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError
from tests.unit.dataset.conftest import MakeSong


def failures(built: BuildResult, root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): why for path, why in built.failed}


@pytest.fixture
def good(tmp_path: Path, make_song: MakeSong) -> Path:
    """Return a folder with one good song."""
    make_song(tmp_path / "songs" / "good.wav", 2.0)
    return tmp_path / "songs"


def not_a_number(path: Path) -> None:
    write_audio(AudioClip(np.full((1, 8000), 0.1, np.float32), 8000), path, subtype="float")
    data = bytearray(path.read_bytes())
    data[-4000:] = np.full(1000, np.nan, np.float32).tobytes()
    path.write_bytes(bytes(data))


def cut_off(path: Path, make_song: MakeSong) -> None:
    whole = make_song(path, 3.0)
    whole.write_bytes(whole.read_bytes()[:30])


def damaged(path: Path, make_song: MakeSong) -> None:
    data = bytearray(make_song(path, 3.0).read_bytes())
    data[200:] = bytes(len(data) - 200)
    path.write_bytes(bytes(data))


BAD: dict[str, tuple[str, Callable[[Path, MakeSong], object], str]] = {
    "empty": ("a.wav", lambda path, make: path.write_bytes(b""), "empty"),
    "text": ("a.mp3", lambda path, make: path.write_text("this is no music\n" * 40), "cannot be read"),
    "protected": ("a.m4a", lambda path, make: path.write_bytes(os.urandom(5000)), "cannot be read"),
    "cut off": ("a.wav", cut_off, "cannot be read"),
    "damaged": ("a.flac", damaged, "cannot be read"),
    "no number": ("a.wav", lambda path, make: not_a_number(path), "finite"),
    "no samples": ("a.wav", lambda path, make: path.write_bytes(b"RIFF\4\0\0\0WAVE"), "cannot be read"),
    "dangling link": ("a.ogg", lambda path, make: path.symlink_to("nowhere.ogg"), "no such file|No such file"),
}


@pytest.mark.parametrize("kind", list(BAD))
def test_bad_file_is_reported_in_one_line_and_the_others_are_used(
    kind: str, good: Path, tmp_path: Path, make_song: MakeSong, capsys: pytest.CaptureFixture[str]
) -> None:
    name, make, words = BAD[kind]
    make(good / name, make_song)
    out = tmp_path / "out"
    arguments = ["dataset", str(good), str(out), "--columns", "64", "-j", "1", "--no-sheet", "--verify", "0"]
    assert main(arguments) == 1
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("failed: ")]
    assert len(lines) == 1
    assert any(word in lines[0] for word in words.split("|")), lines
    assert lines[0].count(str(good / name)) == 1, "the file is named once"
    assert "Traceback" not in captured.err
    assert not re.search(r"\w(Error|Exception)", lines[0]), "a sentence, not the name of an exception"
    assert "1 song, " in captured.out
    assert "1 file could not be used, or not wholly: see above" in captured.out
    assert list((out / "pictures").glob("good_*.png"))


def test_only_bad_files_give_an_empty_set_and_a_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tree: Callable[[Path], dict[str, bytes]]
) -> None:
    (tmp_path / "songs").mkdir()
    for number in range(3):
        (tmp_path / "songs" / f"{number}.mp3").write_text("no")
    assert main(["dataset", str(tmp_path / "songs"), str(tmp_path / "out"), "-j", "1"]) == 1
    captured = capsys.readouterr()
    assert sum(line.startswith("failed: ") for line in captured.err.splitlines()) == 3
    assert "3 files could not be used" in captured.out
    assert "no window was kept" in captured.out
    assert not list((tmp_path / "out").glob("pictures/*"))


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_song_with_a_gap_is_reported_and_keeps_its_length(
    suffix: str, good: Path, tmp_path: Path, make_song: MakeSong, narrow: DatasetSettings
) -> None:
    path = make_song(good / f"hole.{suffix}", 9.0)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + data[len(data) * 7 // 10 :])
    built = build(good, tmp_path / "out", narrow, jobs=1)
    songs = {song.name: song for song in built.manifest.songs}
    assert songs[f"hole.{suffix}"].duration == pytest.approx(9.0, abs=0.01)
    ((failed, reason),) = built.failed
    assert failed == path
    assert "lacks " in reason
    assert not any("lacks" in note for note in built.notes), "it is reported once"


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_truncated_song_is_reported_and_used_up_to_its_end(
    cut: float, suffix: str, good: Path, tmp_path: Path, make_song: MakeSong, narrow: DatasetSettings
) -> None:
    path = make_song(good / f"short.{suffix}", 5.0)
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])
    built = build(good, tmp_path / "out", narrow, jobs=1)
    songs = {song.name: song for song in built.manifest.songs}
    assert "good.wav" in songs
    assert failures(built, good).keys() == {f"short.{suffix}"}
    if f"short.{suffix}" in songs:
        assert 0 < songs[f"short.{suffix}"].duration < 5.0
        assert re.search(r"breaks off after \d\.\d ", built.failed[0][1])
    again = build(good, tmp_path / "out", narrow, jobs=1)
    assert again.failed == built.failed


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (192000, 6), (11025, 2), (96000, 1)])
def test_other_rates_and_channels_are_used(
    rate: int, channels: int, tmp_path: Path, make_song: MakeSong, narrow: DatasetSettings
) -> None:
    make_song(tmp_path / "songs" / "a.wav", 1.5, rate=rate, channels=channels)
    built = build(tmp_path / "songs", tmp_path / "out", narrow, jobs=1)
    assert not built.failed
    (song,) = built.manifest.songs
    assert (song.sample_rate, song.channels) == (rate, channels)
    assert len(built.manifest.kept) == 2


def test_large_offset_is_a_reason_to_leave_a_window_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    wave = 0.01 * rng.standard_normal((1, 3 * 22050)) + 0.5
    write_audio(AudioClip(wave.astype(np.float32), 22050), tmp_path / "songs" / "a.wav")
    settings = DatasetSettings(SliceSettings(columns=128), CurateSettings(transition=None))
    built = build(tmp_path / "songs", tmp_path / "out", settings, jobs=1)
    assert built.manifest.counts() == {"broken": 2}
    (text,) = {reason["text"] for window in built.manifest.windows for reason in window.reasons}
    assert re.match(r"an offset from zero, or what lies under 20 Hz, is [23]\d dB above the rest", text)


def test_song_shorter_than_a_window_is_noted_and_no_failure(
    tmp_path: Path, make_song: MakeSong, capsys: pytest.CaptureFixture[str]
) -> None:
    make_song(tmp_path / "songs" / "jingle.wav", 3.0)
    out = tmp_path / "out"
    assert main(["dataset", str(tmp_path / "songs"), str(out), "-j", "1"]) == 0
    said = capsys.readouterr().out
    assert "0 windows" in said
    assert "note: nothing of jingle.wav is used: its 3.0 s hold no window of 5.1 s" in said
    assert main(["dataset", str(tmp_path / "songs"), str(out), "-j", "1", "--last", "pad", "--transition", "off"]) == 0
    assert ": 1 window\n" in capsys.readouterr().out


# --- folders ---------------------------------------------------------------------------------------------------------


def test_missing_songs_are_reported_and_no_folder_is_created(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset", str(tmp_path / "no"), str(tmp_path / "out")]) == 1
    assert f"no such file or folder: {tmp_path / 'no'}" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["dataset", str(tmp_path / "empty"), str(tmp_path / "out")]) == 1
    assert f"no sound files in {tmp_path / 'empty'}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists(), "no folder is created"


def test_unreadable_folder_is_reported_in_one_line(
    good: Path, tmp_path: Path, narrow: DatasetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (good / "closed").mkdir()
    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "closed" or Path(path) == tmp_path / "alone":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    built = build(good, tmp_path / "out", narrow, jobs=1)
    assert failures(built, good) == {"closed": "the folder cannot be read: Permission denied"}
    assert len(built.manifest.songs) == 1
    (tmp_path / "alone").mkdir()
    with pytest.raises(
        RiffusionError, match=r"no sound files in .*alone: the folder cannot be read: Permission denied"
    ):
        build(tmp_path / "alone", tmp_path / "out", narrow, jobs=1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_file_and_folder_without_permission_are_reported(good: Path, tmp_path: Path, narrow: DatasetSettings) -> None:
    shutil.copy(good / "good.wav", good / "closed.wav")
    (good / "closed.wav").chmod(0)
    (good / "folder").mkdir(mode=0)
    try:
        built = build(good, tmp_path / "out", narrow, jobs=1)
    finally:
        (good / "folder").chmod(0o700)
    found = failures(built, good)
    assert found.keys() == {"closed.wav", "folder"}
    assert all("Permission denied" in why for why in found.values())


def test_unreadable_file_is_reported_in_one_line(
    good: Path, tmp_path: Path, narrow: DatasetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(good / "good.wav", good / "closed.wav")
    opened = os.open

    def closed(path: str | Path, *args: int, **options: int) -> int:
        if Path(path).name == "closed.wav":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", closed)
    built = build(good, tmp_path / "out", narrow, jobs=1)
    assert failures(built, good) == {"closed.wav": f"Permission denied: {good / 'closed.wav'}"}


def test_training_set_inside_the_song_folder_is_not_used_as_songs(good: Path, narrow: DatasetSettings) -> None:
    settings = replace(narrow, export=replace(narrow.export, formats=("dreambooth", "audio")))
    first = build(good, good / "out", settings, jobs=1)
    assert list((good / "out" / "audio").glob("*.wav"))
    second = build(good, good / "out", settings, jobs=1)
    assert second.manifest == first.manifest
    assert second.resumed == second.songs == 1


def test_the_folder_of_the_songs_is_not_taken_for_the_training_set(
    good: Path, narrow: DatasetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(good.iterdir())
    for out in (good, good / "." / "x" / ".."):
        with pytest.raises(RiffusionError, match="needs a folder of its own"):
            build(good, out, narrow, jobs=1)
    assert sorted(good.iterdir()) == before


def test_second_run_into_the_same_folder_is_refused(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], narrow: DatasetSettings
) -> None:
    with Store(tmp_path / "out").locked():
        assert main(["dataset", str(good), str(tmp_path / "out"), "-j", "1"]) == 1
    assert "another run is working in" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_file_in_the_place_of_the_output_folder_is_reported(
    out: str, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["dataset", str(good), str(tmp_path / out), "-j", "1"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "cannot be written to" in lines[0]
    assert (tmp_path / "file").read_text() == "mine"


class Full:
    """A disk with room for a number of files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        write = Path.open

        def opened(path: Path, mode: str = "r", *args: object, **options: object) -> object:
            if "x" in mode:
                self.room -= 1
                if self.room < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            return write(path, mode, *args, **options)

        monkeypatch.setattr(Path, "open", opened)


@pytest.mark.parametrize("room", [0, 1, 3, 4, 5, 6, 8, 9, 11])
def test_full_disk_is_reported_and_the_next_run_completes_the_set(
    room: int,
    good: Path,
    tmp_path: Path,
    make_song: MakeSong,
    narrow: DatasetSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tree: Callable[[Path], dict[str, bytes]],
) -> None:
    make_song(good / "second.wav", 1.4, seed=6)
    arguments = ["--columns", "64", "-j", "1", "--no-sheet", "--verify", "0", "--transition", "off"]
    with monkeypatch.context() as patch:
        Full(patch, room)
        assert main(["dataset", str(good), str(tmp_path / "out"), *arguments]) == 1
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if "disk is full" in line]
    assert lines, said
    assert "Traceback" not in said.err
    assert not [path for path in (tmp_path / "out").rglob(".*") if path.is_file()]
    assert main(["dataset", str(good), str(tmp_path / "out"), *arguments]) == 0
    assert main(["dataset", str(good), str(tmp_path / "whole"), *arguments]) == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.skipif(os.name == "nt", reason="systems differ in what they take for a name")
@pytest.mark.parametrize(
    "name",
    [
        "名前 🎵.wav",
        'quo\'te "double" $HOME `x` & <b>.wav',
        "new\nline.wav",
        "-rf.wav",
        "x" * 240 + ".wav",
        os.fsdecode(b"latin\xe9\xff.wav"),
        "%s{title}.wav",
        " .wav",
    ],
)
def test_songs_with_odd_names_are_processed(
    name: str, tmp_path: Path, make_song: MakeSong, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = make_song(tmp_path / "plain.wav", 2.0)
    for folder in ("one", "two"):
        (tmp_path / "songs" / folder).mkdir(parents=True)
        os.link(plain, tmp_path / "songs" / folder / name)
    out = tmp_path / "out"
    code = main(
        [
            *("dataset", str(tmp_path / "songs"), str(out), "--columns", "64", "-j", "1", "--duplicate", "off"),
            *("--transition", "off", "--sounds", "0", "--verify", "2", "--caption", "{title|file}, {folder}"),
        ]
    )
    said = capsys.readouterr()
    assert code == 0, said.err
    images = sorted((out / "pictures").glob("*.png"))
    assert len(images) == 6, "three windows of each"
    assert all(path.with_suffix(".txt").read_text("utf-8").strip() for path in images)
    assert "problem" not in said.out, "the songs are found again to compare with"
    settings = DatasetSettings(SliceSettings(columns=64), CurateSettings(transition=None, duplicate=None))
    again = build(tmp_path / "songs", out, settings, jobs=1)
    assert again.resumed == 2
    (out / "contact-sheet.html").read_text("utf-8")
