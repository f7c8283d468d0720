"""Estimates of memory and work for images and their sound are upper bounds for all parameters."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.audio import AudioClip
from riffusion_ext.audio.workload import Allowance, allowance
from riffusion_ext.errors import ImageError, RiffusionError
from riffusion_ext.generate.loop import Loop, LoopSettings
from riffusion_ext.generate.riff import Riff, RiffSettings
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.generate.song import Song, SongSettings
from riffusion_ext.spectrogram import PRESETS, SpectrogramParams, codec, mel
from riffusion_ext.spectrogram.codec import audio_to_image, image_to_audio, images_to_audio, song_to_audio
from riffusion_ext.spectrogram.inversion.stream import SoundStream
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.spectrogram.stft import frame_grid
from riffusion_ext.spectrogram.workload import _filter_bytes, decode_workload, encode_workload

V1 = PRESETS["riffusion-v1"]
HUGE = V1.replace(sample_rate=192000, stereo=True, max_frequency=20000)
LITTLE = Allowance(memory=300e6)


@st.composite
def all_params(draw: st.DrawFn) -> SpectrogramParams:
    """Draw any valid parameters."""
    rate = draw(st.integers(8000, 192000))
    step = draw(st.floats(1, 100))
    window = min(step * draw(st.floats(2, 100)), 1000.0, 19000 / rate * 1000)
    lowest = draw(st.integers(0, 3000))
    try:
        return SpectrogramParams(
            sample_rate=rate,
            stereo=draw(st.booleans()),
            step_size_ms=min(step, window / 2),  # type: ignore[arg-type]
            window_duration_ms=window,  # type: ignore[arg-type]
            padded_duration_ms=min(window * draw(st.floats(1, 8)), 2000.0, 131000 / rate * 1000),  # type: ignore[arg-type]
            num_frequencies=draw(st.integers(16, 4096)),
            min_frequency=lowest,
            max_frequency=draw(st.integers(lowest + 100, rate // 2)),
        )
    except RiffusionError:
        assume(False)
        raise


@settings(max_examples=100, deadline=None)
@given(params=all_params(), columns=st.integers(2, 10**12), more=st.integers(0, 10**12))
def test_estimates_grow_with_the_work_and_never_overflow(params: SpectrogramParams, columns: int, more: int) -> None:
    for small, large in (
        (decode_workload(params, columns), decode_workload(params, columns + more)),
        (decode_workload(params, columns), decode_workload(params, columns, images=2)),
        (encode_workload(params, columns / 100), encode_workload(params, (columns + more) / 100)),
    ):
        assert 0 < small.memory <= large.memory
        assert 0 < small.products <= large.products
    assert decode_workload(params, columns).memory >= 4 * params.samples_of_columns(columns) * params.channels
    assert encode_workload(params, columns / 100).memory >= 4 * params.channels * params.num_frequencies


@settings(max_examples=15, deadline=None)
@given(params=all_params())
def test_filters_never_exceed_their_memory_estimate(params: SpectrogramParams) -> None:
    params = params.replace(num_frequencies=min(params.num_frequencies, 40_000_000 // params.n_fft))
    grid = frame_grid(params, 2, torch.device("cpu"))
    for spacing, bins in ((params.sample_rate / params.n_fft, params.n_fft // 2 + 1), (grid.spacing, grid.bins)):
        made = mel.MelProjection(params, spacing, torch.device("cpu"))
        held = sum(4 * (forward.numel() + back.numel()) for _, _, forward, back in made._strips)
        assert held <= _filter_bytes(params, bins)


MEASURE = """
import json, sys
import numpy as np, torch
from PIL import Image
import scipy.signal
from riffusion_ext.audio import AudioClip
from riffusion_ext.spectrogram import SpectrogramParams, codec
from riffusion_ext.spectrogram.workload import encode_workload, decode_workload

torch.set_num_threads(1)
kind, size, values = json.loads(sys.argv[1])
params = SpectrogramParams(**values)
noise = np.random.default_rng(0)
small = codec.audio_to_image(AudioClip(np.zeros((1, 44100), np.float32), 44100)).image
codec.image_to_audio(small)
sound = AudioClip(noise.uniform(-1, 1, (1, size * 8000)).astype(np.float32), 8000)
image = Image.fromarray(noise.integers(0, 256, (params.num_frequencies, size, 3), dtype=np.uint8))

def peak():
    lines = open("/proc/self/status").readlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024

open("/proc/self/clear_refs", "w").write("5")
before = peak()
if kind == "draw":
    codec.audio_to_image(sound, params)
    said = encode_workload(params, size).memory
else:
    codec.image_to_audio(image, codec.DecodeSettings(params=params))
    said = decode_workload(params, size, pixels=image.width * image.height).memory
print(json.dumps([peak() - before, said]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory a process had at most")
@pytest.mark.parametrize(
    ("kind", "size", "values"),
    [
        ("draw", 60, {}),
        ("draw", 30, {"sample_rate": 192000, "stereo": True, "max_frequency": 20000}),
        ("draw", 10, {"num_frequencies": 2048, "step_size_ms": 1}),
        ("invert", 2000, {}),
        ("invert", 200, {"sample_rate": 192000, "max_frequency": 96000}),
        ("invert", 1000, {"num_frequencies": 2048, "step_size_ms": 1}),
        ("invert", 1500, {"num_frequencies": 16, "sample_rate": 8000, "max_frequency": 4000, "step_size_ms": 100,
                          "window_duration_ms": 1000, "padded_duration_ms": 1000}),
    ],
)  # fmt: skip
def test_processes_never_exceed_their_memory_estimate(kind: str, size: int, values: dict[str, int]) -> None:
    command = [sys.executable, "-c", MEASURE, json.dumps([kind, size, values])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    needed, said = json.loads(done.stdout)
    assert needed <= said


def nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the work began")

    for name in ("mel_spectrogram", "mel_pieces", "reconstruct_long", "fit_pieces"):
        monkeypatch.setattr(codec, name, refuse)


def test_every_entry_point_refuses_oversized_work_before_starting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    nothing_is_computed(monkeypatch)
    sound = AudioClip(np.zeros((1, 1_200_000), np.float32), 1000)
    wide = Image.new("L", (20000, 16), "white")
    settings = DecodeSettings(params=HUGE.replace(num_frequencies=16))
    scores = Score((Keyframe("a", seed=1, seconds=10000.0),))
    with allowance(LITTLE):
        for work in (
            lambda: audio_to_image(sound, HUGE),
            lambda: image_to_audio(wide, settings),
            lambda: song_to_audio([wide], settings),
            lambda: Song(SongSettings(scores, params=HUGE), tmp_path),  # type: ignore[arg-type]
            lambda: Riff(sound, RiffSettings((Keyframe("a", seed=1, seconds=1.0),), params=V1), tmp_path),  # type: ignore[arg-type]
            lambda: Loop(LoopSettings("a", seed=1, params=HUGE), tmp_path),  # type: ignore[arg-type]
            lambda: SoundStream(HUGE),
        ):
            with pytest.raises(RiffusionError, match=r"needs up to [\d.,]+ [GM]B of memory, 300 MB are allowed"):
                work()
        (result,) = images_to_audio([wide], settings)
        assert isinstance(result, ImageError)


def test_song_of_three_hours_is_allowed_with_16_gb(tmp_path: object) -> None:
    score = Score((Keyframe("a", seed=1, seconds=3 * 3600.0),))
    with allowance(Allowance(memory=12.8e9)):  # of a machine with 16 GB
        assert Song(SongSettings(score), tmp_path).plan.windows  # type: ignore[arg-type]


def test_long_sound_encoded_in_pieces_equals_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 100_000)).astype(np.float32)
    clip = AudioClip(noise, 22050)
    whole = audio_to_image(clip, PRESETS["20khz-stereo"])
    monkeypatch.setattr(codec, "MAX_WHOLE_SAMPLES", 0)
    monkeypatch.setattr(codec, "_PIECE_SAMPLES", 20_000)
    pieces = audio_to_image(clip, PRESETS["20khz-stereo"])
    assert pieces.max_value == pytest.approx(whole.max_value, rel=1e-5)
    assert np.abs(np.asarray(pieces.image, int) - np.asarray(whole.image, int)).max() <= 1


@pytest.mark.parametrize("level", [1e30, 3e38])
def test_non_finite_magnitudes_are_refused(level: float) -> None:
    clip = AudioClip(np.full((1, 8820), level, np.float32) * np.float32([1, -1] * 4410), 44100)
    with pytest.raises(RiffusionError, match="too loud"):
        audio_to_image(clip)


@pytest.mark.parametrize("level", [1e-30, 1e-38, 1e-45])
def test_inaudible_input_is_silence(level: float) -> None:
    clip = AudioClip(np.full((1, 8820), level, np.float32) * np.float32([1, -1] * 4410), 44100)
    image = audio_to_image(clip)
    assert np.asarray(image.image).min() == 255
    assert np.isfinite(image.max_value)
