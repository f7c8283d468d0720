"""Init images of a song are drawn in one pass and bounded memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np

from riffusion_ext.audio import AudioClip
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.generate.windows.plan import plan_riff
from riffusion_ext.generate.windows.song_images import SongImages
from riffusion_ext.metadata import read_record
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.codec import audio_to_image
from tests.unit.generate.conftest import MakeSong

AT = Score((Keyframe("a", seconds=1.0),)).at


def test_windows_are_parts_of_the_whole_image(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    clip = song(45.0)
    plan = plan_riff(clip.samples.shape[1], small, AT, width=128, overlap=32)
    images = SongImages(tmp_path, plan, clip, None)
    images.draw()
    for window in plan.windows:
        whole = audio_to_image(clip, small, max_value=images.max_value(window.number)).image
        expected = np.asarray(whole)[:, window.start : window.end].astype(int)
        got = np.asarray(images.image(window.number)).astype(int)
        assert np.abs(got - expected).max() <= 1
        assert got.min() == 0


def test_only_damaged_song_images_are_drawn_again(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    clip = song(10.0)
    plan = plan_riff(clip.samples.shape[1], small, AT, width=128, overlap=32)
    SongImages(tmp_path, plan, clip, None).draw()
    paths = sorted(tmp_path.iterdir())
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
    paths[3].write_bytes(before[3][0][:-300])  # truncated
    SongImages(tmp_path, plan, clip, None).draw()
    assert [path.read_bytes() for path in paths] == [data for data, _ in before]
    assert [path.stat().st_mtime_ns == when for path, (_, when) in zip(paths, before, strict=True)].count(False) == 1


def test_memory_use_does_not_grow_with_the_song(tmp_path: Path, small: SpectrogramParams) -> None:
    peaks = []
    for seconds in (60, 240):
        noise = np.random.default_rng(0).standard_normal((1, seconds * 8000)).astype(np.float32)
        clip = AudioClip(0.1 * noise, 8000)
        plan = plan_riff(clip.samples.shape[1], small, AT, width=512, overlap=32)
        tracemalloc.start()
        SongImages(tmp_path / str(seconds), plan, clip, None).draw()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_max_value_is_read_without_the_pixels(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    clip = song(6.0)
    plan = plan_riff(clip.samples.shape[1], small, AT, width=128, overlap=32)
    drawn = SongImages(tmp_path, plan, clip, None)
    drawn.draw()
    expected = [read_record(drawn.image(window.number)).max_value for window in plan.windows]
    for path in tmp_path.glob("*.png"):
        data = path.read_bytes()
        path.write_bytes(data[: data.index(b"IDAT") + 4])
    assert [SongImages(tmp_path, plan, clip, None).max_value(window.number) for window in plan.windows] == expected
