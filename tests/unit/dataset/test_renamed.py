"""Decisions about a song are kept when it is renamed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip, write_audio
from riffusion_ext.dataset.pipeline import build
from riffusion_ext.dataset.settings import DatasetSettings


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def texts(out: Path) -> list[str]:
    return sorted(path.read_text("utf-8") for path in (out / "pictures").glob("*.txt"))


def test_edited_caption_follows_its_renamed_song(collection: Path, out: Path, narrow: DatasetSettings) -> None:
    build(collection, out, narrow)
    first = min((out / "pictures").glob("*.txt"))
    first.write_text("a caption of my own", "utf-8")
    song = next(path for path in sorted(collection.rglob("*")) if path.stem == first.stem.rsplit("_", 2)[0])
    song.rename(song.with_name("another name" + song.suffix))
    built = build(collection, out, narrow)
    assert texts(out).count("a caption of my own") == 1
    assert any("is called another name" in note and "1 window" in note for note in built.notes), built.notes
    again = build(collection, out, narrow)
    assert texts(out).count("a caption of my own") == 1
    assert not any("is called" in note for note in again.notes)


def test_rejected_window_of_a_renamed_song_stays_rejected(collection: Path, out: Path, narrow: DatasetSettings) -> None:
    from riffusion_ext.dataset.review import Decision, decide

    built = build(collection, out, narrow)
    window = built.manifest.kept[0]
    decide(out, {window.file: Decision(keep=False)})
    song = collection / window.song
    song.rename(song.with_name("another name" + song.suffix))
    manifest = build(collection, out, narrow).manifest
    there = [item for item in manifest.windows if item.start == window.start and "another name" in item.song]
    assert [(item.kept, item.decided) for item in there] == [(False, True)]


def test_copy_of_a_song_does_not_inherit_decisions(collection: Path, out: Path, narrow: DatasetSettings) -> None:
    build(collection, out, narrow)
    first = min((out / "pictures").glob("*.txt"))
    first.write_text("a caption of my own", "utf-8")
    song = next(path for path in sorted(collection.rglob("*")) if path.stem == first.stem.rsplit("_", 2)[0])
    song.with_name("copy" + song.suffix).write_bytes(song.read_bytes())
    built = build(collection, out, narrow)
    assert not any("is called" in note for note in built.notes)


def test_table_rows_that_match_no_song_are_noted(collection: Path, out: Path, narrow: DatasetSettings) -> None:
    song = next(path for path in sorted(collection.iterdir()) if path.is_file())
    rows = ["file,caption", f"{song.name},known", "gone.mp3,x", "gone too.mp3,y"]
    (collection / "captions.csv").write_text("\n".join(rows), "utf-8")
    built = build(collection, out, narrow)
    assert f"captions.csv in {collection}: 2 rows match no song: gone.mp3, gone too.mp3" in built.notes


def test_silent_song_is_reported_like_any_other(tmp_path: Path, out: Path, narrow: DatasetSettings) -> None:
    songs = tmp_path / "songs"
    write_audio(AudioClip(np.zeros((1, 8000 * 8), np.float32), 8000), songs / "silent.wav")
    for _ in range(2):  # the second reads the record of the first
        manifest = build(songs, out, narrow, jobs=1).manifest
        assert [song.loudness for song in manifest.songs] == [None]
        assert manifest.windows
        assert {reason["kind"] for window in manifest.windows for reason in window.reasons} >= {"silence"}
