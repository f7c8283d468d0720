"""Finding the songs in a folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from riffusion_ext.dataset.songs import Song, find_songs


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(folder: Path, **options: Path) -> list[str]:
    return [song.name for song in find_songs(folder, **options)[0]]


def test_folders_are_searched_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "10.mp3", "2.WAV", "B/1.flac", "a/3.ogg", "a/b/c.m4a")
    assert names(tmp_path) == ["2.WAV", "10.mp3", "a/3.ogg", "a/b/c.m4a", "B/1.flac"]


def test_the_order_does_not_depend_on_the_file_system(tmp_path: Path) -> None:
    touch(tmp_path / "x", "a.wav", "A.wav", "01.wav", "1.wav")
    touch(tmp_path / "y", "1.wav", "01.wav", "A.wav", "a.wav")
    assert names(tmp_path / "x") == names(tmp_path / "y")


def test_files_that_are_not_songs_are_skipped(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt", "a.png", "cover.jpg", ".hidden.wav", "._a.mp3", ".trash/b.wav", "mp3", "c.wav")
    assert names(tmp_path) == ["c.wav"]


def test_folder_may_be_named_like_a_song(tmp_path: Path) -> None:
    touch(tmp_path, "live.mp3/1.mp3")
    assert names(tmp_path) == ["live.mp3/1.mp3"]


def test_single_file_is_a_collection_with_any_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "take.raw")
    assert find_songs(tmp_path / "take.raw") == ([Song(tmp_path / "take.raw", "take.raw")], [])


def test_training_set_inside_the_collection_is_skipped(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "out/audio/a_1.wav", "out2/b.wav")
    assert names(tmp_path, leave_out=tmp_path / "out") == ["a.wav", "out2/b.wav"]
    assert names(tmp_path, leave_out=tmp_path / "out2" / ".." / "out") == ["a.wav", "out2/b.wav"]
    assert names(tmp_path, leave_out=tmp_path / "elsewhere") == ["a.wav", "out2/b.wav", "out/audio/a_1.wav"]


def test_other_training_sets_inside_the_collection_are_skipped(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "set/.riffusion/lock", "set/audio/a_1.wav", "b/set/.riffusion/lock", "b/set/c.wav")
    assert names(tmp_path) == ["a.wav"]
    assert names(tmp_path / "set") == ["audio/a_1.wav"], "unless it is the requested folder"


def test_links_to_songs_are_used_and_links_to_folders_do_not_loop(tmp_path: Path) -> None:
    touch(tmp_path / "store", "a.wav")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "b.wav").symlink_to(tmp_path / "store" / "a.wav")
    (tmp_path / "here" / "again").symlink_to(tmp_path / "here")
    assert names(tmp_path / "here") == ["b.wav"]


def test_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.wav", "closed/b.wav")
    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    songs, missing = find_songs(tmp_path)
    assert [song.name for song in songs] == ["a.wav"]
    assert missing == [(tmp_path / "closed", "the folder cannot be read: Permission denied")]


def test_digest_is_the_sha_256_of_the_file(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "a.wav").write_bytes(data)
    assert Song(tmp_path / "a.wav", "a.wav").digest() == hashlib.sha256(data).hexdigest()
