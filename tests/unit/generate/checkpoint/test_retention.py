"""Retention: windows of old finished songs are removed, and unfinished ones are kept."""

from __future__ import annotations

import os
from pathlib import Path

from riffusion_ext.generate.checkpoint.retention import MAX_FINISHED_FOLDERS, mark, remove_old
from riffusion_ext.generate.loop import Loop, LoopSettings
from riffusion_ext.generate.score.parser import parse_score
from riffusion_ext.generate.song import Song, SongSettings
from riffusion_ext.params import SpectrogramParams
from tests.unit.generate.fake_backends import FakeBackend, flat


def test_oldest_finished_folders_are_removed_first(tmp_path: Path) -> None:
    for number in range(6):
        folder = tmp_path / str(number)
        (folder / "windows").mkdir(parents=True)
        (folder / "windows" / "00000.png").write_bytes(b"x")
        if number != 1:
            mark(folder)
            os.utime(folder / "finished", (1000 + number, 1000 + number))
    mark(tmp_path / "0")  # used again
    remove_old(tmp_path, max_finished=2)
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "5"}
    remove_old(tmp_path / "nowhere")
    mark(tmp_path / "nowhere")


def test_only_the_windows_of_the_latest_songs_are_kept(tmp_path: Path, small: SpectrogramParams) -> None:
    songs = []
    for number in range(MAX_FINISHED_FOLDERS + 3):
        settings = SongSettings(parse_score(f"0:03 | {number} | seed 1"), width=128, overlap=32, params=small)
        song = Song(settings, tmp_path)
        list(song.generate(FakeBackend(flat(90), stop_after=1 if number == 0 else None)))
        songs.append(song)
    folders = [song.windows_folder for song in songs]
    there = [number for number, folder in enumerate(folders) if folder is not None and folder.exists()]
    assert there == [0, *range(3, MAX_FINISHED_FOLDERS + 3)]  # the first was stopped
    rest = FakeBackend(flat(90))
    list(Song(songs[0].settings, tmp_path).generate(rest))
    assert rest.generated == len(songs[0].plan.windows) - 1
    assert songs[-1].sound() is not None


def test_only_the_images_of_the_latest_loops_are_kept(tmp_path: Path, small: SpectrogramParams) -> None:
    for number in range(MAX_FINISHED_FOLDERS + 2):
        list(Loop(LoopSettings(str(number), bars=1, params=small), tmp_path).generate(FakeBackend(flat(90))))
    assert len(list(tmp_path.iterdir())) == MAX_FINISHED_FOLDERS


def test_retention_removes_previews_and_keeps_stopped_songs(tmp_path: Path, small: SpectrogramParams) -> None:
    settings = SongSettings(parse_score("0:05 | a | seed 1"), width=128, overlap=32, params=small)
    song = Song(settings, tmp_path)
    list(song.generate(FakeBackend(flat(90)), limit=1))
    list(song.generate(FakeBackend(flat(90), stop_after=1)))
    remove_old(tmp_path, max_finished=0)
    assert song.sound() is not None
    for limit in (1, None):
        list(song.generate(FakeBackend(flat(90)), limit=limit))
        assert len(list(tmp_path.iterdir())) == 1
        remove_old(tmp_path, max_finished=0)
        assert not list(tmp_path.iterdir())
