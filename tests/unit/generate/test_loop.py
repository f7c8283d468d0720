"""Loops: exact length of their bars, and an inaudible wrap."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.audio import AudioClip, read_audio, read_tags, write_audio
from riffusion_ext.errors import AudioError, RiffusionError
from riffusion_ext.generate.checkpoint.recipe import read_record
from riffusion_ext.generate.checkpoint.runner import Progress
from riffusion_ext.generate.loop import Loop, LoopSettings, decode_loop, fit_loop
from riffusion_ext.metadata import parse_audio_comment
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.codec import audio_to_image
from riffusion_ext.spectrogram.image import mel_to_image
from riffusion_ext.spectrogram.settings import DecodeSettings
from tests.unit.generate.fake_backends import FakeBackend, as_it_is, by_seed

PARAMS = PRESETS["riffusion-v1"]
RAW = DecodeSettings(level="raw")


@settings(deadline=None)
@given(bars=st.integers(1, 8), bpm=st.floats(60, 200), beats=st.integers(2, 7))
def test_loop_length_is_fitted_to_an_image_width(bars: int, bpm: float, beats: int) -> None:
    seconds = bars * beats * 60 / bpm
    if seconds > 40:
        return
    fit = fit_loop(bars, bpm, beats_per_bar=beats)
    assert fit.samples == round(seconds * 44100)
    assert fit.width % 64 == 0
    assert abs(fit.width - fit.samples / 441) <= 32 or fit.width == 64
    assert abs(fit.stretch) < 0.002 or fit.width == 64
    assert fit.params.replace(step_size_ms=10) == PARAMS
    assert fit.params.hop_length == round(fit.samples / fit.width)


def circle(fit_params: SpectrogramParams, width: int, seed: int) -> Image.Image:
    """Return an image of notes and noise that wraps around."""
    rng = np.random.default_rng(seed)
    mel = 2e4 * rng.rayleigh(1.0, (1, width, fit_params.num_frequencies))
    for band in rng.integers(3, fit_params.num_frequencies - 3, 6):
        envelope = 0.6 + 0.4 * np.cos(2 * np.pi * (np.arange(width) / width * rng.integers(1, 4) + rng.random()))
        mel[0, :, band] += 6e5 * envelope
    image = mel_to_image(mel.astype(np.float32), fit_params, 1e6)
    return image


@pytest.mark.parametrize(("bars", "bpm"), [(1, 120.0), (2, 93.75), (1, 171.7), (0.25, 100.0), (4, 140.0)])
def test_wrap_of_a_loop_is_no_different_from_its_inside(small: SpectrogramParams, bars: float, bpm: float) -> None:
    fit = fit_loop(bars, bpm, params=small)
    image = circle(fit.params, fit.width, seed=3)
    loop = decode_loop(image, fit, RAW)
    assert loop.samples.shape == (1, round(bars * 240 / bpm * 8000))
    samples = loop.samples[0].astype(np.float64)
    steps = np.abs(np.diff(np.append(samples, samples[0])))
    assert steps[-1] <= np.percentile(steps[:-1], 99.9)  # the step over the wrap is like all others
    bends = np.abs(np.diff(np.concatenate([samples, samples[:2]]), 2))
    assert bends[-2:].max() <= np.percentile(bends[:-2], 99.9)
    level = [
        np.square(np.take(samples, range(start, start + 800), mode="wrap")).mean() for start in range(-800, 1, 100)
    ]
    assert 10 * np.log10(np.mean(level) / np.square(samples).mean()) == pytest.approx(0, abs=2)


@pytest.mark.parametrize(("bars", "bpm", "seed"), [(1, 120.0, 0), (1, 111.0, 2), (0.25, 100.0, 1)])
def test_tones_continue_through_the_wrap_without_a_click(
    small: SpectrogramParams, bars: float, bpm: float, seed: int
) -> None:
    """Above steady low tones there is only the energy of clicks; at the wrap it is no higher than elsewhere."""
    fit = fit_loop(bars, bpm, params=small)
    mel = np.zeros((1, fit.width, 64), np.float32)
    for band in np.random.default_rng(seed).integers(4, 16, 5):
        mel[0, :, band] = 6e5
        mel[0, :, [band - 1, band + 1]] = 2.5e5
    samples = decode_loop(mel_to_image(mel, fit.params, 1e6), fit, RAW).samples[0]

    def clicks(middle: int) -> float:
        part = np.take(samples, np.arange(middle - 80, middle + 80), mode="wrap") * np.hanning(160)
        return float(np.square(np.abs(np.fft.rfft(part))[54:]).sum())

    inside = [clicks(middle) for middle in range(160, len(samples) - 160, 80)]
    assert 10 * np.log10(clicks(0) / np.percentile(inside, 90)) < 3
    # Nor is there a click where the sound around the wrap was inserted.
    assert 10 * np.log10(max(inside) / np.percentile(inside, 90)) < 12
    around = [np.square(np.take(samples, range(start, start + 320), mode="wrap")).mean() for start in (-320, -160, 0)]
    assert 10 * np.log10(min(around) / np.square(samples).mean()) > -2


def test_columns_at_the_wrap_are_encoded_as_accurately_as_inside(small: SpectrogramParams) -> None:
    """Columns at the wrap are restored as accurately as those inside."""
    fit = fit_loop(2, 120.0 * 8000 / (8000 + 64), params=small)
    image = circle(fit.params, fit.width, seed=5)
    loop = decode_loop(image, fit, RAW)
    from scipy.signal import resample

    around = np.tile(resample(loop.samples[0], fit.width * fit.params.hop_length), 3)
    again = audio_to_image(AudioClip(around[None].astype(np.float32), 8000), fit.params, max_value=1e6 * 30).image
    scaled = np.asarray(again)[:, fit.width : 2 * fit.width, 0].astype(float)
    # The image has no record, so the default max_value applies, as in `again`.
    error = np.abs(scaled - np.asarray(image)[..., 0]).mean(axis=0)
    wrap = np.r_[error[:8], error[-8:]].mean()
    assert wrap <= 1.5 * error.mean()


def test_rolling_the_image_rolls_its_sound(small: SpectrogramParams) -> None:
    fit = fit_loop(1, 120.0, params=small)
    images = [circle(fit.params, fit.width, seed=1)]
    images.append(Image.fromarray(np.roll(np.asarray(images[0]), fit.width // 2, axis=1)))
    levels = []
    for image in images:
        samples = decode_loop(image, fit, RAW).samples[0]
        count = len(samples) // 16 * 16
        levels.append(10 * np.log10(np.square(samples[:count].reshape(16, -1)).mean(axis=1)))
    np.testing.assert_allclose(np.roll(levels[0], 8), levels[1], atol=1.5)


def test_loop_is_generated_in_one_request(tmp_path: Path, small: SpectrogramParams) -> None:
    backend = FakeBackend(by_seed)
    loop = Loop(LoopSettings("a", "b", bars=1, bpm=110.0, params=small), tmp_path)
    assert loop.sound() is None
    assert list(loop.generate(backend))[-1] == Progress(1, 1, 0.0)
    (request,) = backend.requests
    assert request.loop
    assert (request.width, request.height, request.denoise) == (loop.fit.width, 64, None)
    list(loop.generate(backend))
    assert backend.generated == 1
    clip = loop.sound()
    assert clip is not None
    assert clip.samples.shape[1] == round(240 / 110 * 8000)


def test_beat_of_a_loop_continues_through_the_wrap(tmp_path: Path, small: SpectrogramParams) -> None:
    backend = FakeBackend(as_it_is)
    loop = Loop(LoopSettings("a", bars=1, bpm=120.0, beat="four on the floor", params=small), tmp_path)
    list(loop.generate(backend))
    assert backend.requests[0].denoise == 0.75
    clip = loop.sound()
    assert clip is not None
    envelope = np.square(clip.samples[0]).reshape(-1, 400).mean(axis=1)  # 50 ms
    on_beat = envelope.reshape(4, 10)
    assert (on_beat[:, [0, 1, 9]].max(axis=1) > 3 * on_beat[:, 3:9].mean(axis=1)).all()
    # The attack of the first kick, split by the wrap, has the level of those inside.
    ends = np.concatenate([envelope[-2:], envelope[:3]])
    inside = np.concatenate([envelope[18:20], envelope[20:23]])
    assert abs(10 * np.log10(ends.max() / inside.max())) < 2.5


@pytest.mark.parametrize("bars", [1.5, 2.25])
def test_beat_of_a_loop_starts_with_a_bar(tmp_path: Path, small: SpectrogramParams, bars: float) -> None:
    """Even if the loop is not a whole number of bars, its first beat is the one with the kick."""
    backend = FakeBackend(as_it_is)
    loop = Loop(LoopSettings("a", bars=bars, bpm=100.0, beat="half time", params=small), tmp_path)
    list(loop.generate(backend))
    low = 255.0 - np.asarray(backend.requests[0].init)[-4:, :, 0]  # up to about 100 Hz
    beat = loop.fit.width / (4 * bars)
    levels = [low[:, round(n * beat) + 1 : round(n * beat) + 6].mean() for n in range(int(4 * bars))]
    assert [n for n, level in enumerate(levels) if level > 0.6 * max(levels)] == list(range(0, len(levels), 4))


@pytest.mark.parametrize("bpm", [20.0, 400.0])
def test_beat_images_exist_at_the_slowest_and_fastest_tempo(
    tmp_path: Path, small: SpectrogramParams, bpm: float
) -> None:
    for number in range(1, 8):
        bars = number * bpm / 320
        loop = Loop(LoopSettings("a", bars=bars, bpm=bpm, beat="backbeat", params=small), tmp_path)
        list(loop.generate(FakeBackend(as_it_is)))
        assert loop.image() is not None


def smpl_chunk(path: Path) -> tuple[int, ...]:
    data = path.read_bytes()
    position = 12
    while position < len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        if name == b"smpl":
            assert size == 60
            return struct.unpack_from("<15I", data, position + 8)
        position += 8 + size + size % 2
    raise AssertionError("no smpl chunk")


def test_files_store_their_loop_points(tmp_path: Path, small: SpectrogramParams) -> None:
    loop = Loop(LoopSettings("a", bars=1, bpm=110.0, params=small), tmp_path)
    list(loop.generate(FakeBackend(by_seed)))
    clip = loop.sound()
    assert clip is not None
    path = loop.write(tmp_path / "loop.wav", clip)
    samples = clip.samples.shape[1]
    fields = smpl_chunk(path)
    assert fields == (0, 0, 125000, 60, 0, 0, 0, 1, 0, 0, 0, 0, samples - 1, 0, 0)
    assert read_audio(path).samples.shape == clip.samples.shape
    comment = parse_audio_comment(read_tags(path)["comment"])
    assert comment is not None
    assert read_record(LoopSettings, comment["loop"]) == loop.settings
    flac = loop.write(tmp_path / "loop.flac", clip)
    assert read_audio(flac).samples.shape == clip.samples.shape


def test_invalid_loop_points_are_refused(tmp_path: Path) -> None:
    clip = AudioClip(np.zeros((1, 100), np.float32), 8000)
    with pytest.raises(AudioError, match="only WAV files"):
        write_audio(clip, tmp_path / "a.flac", loop=(0, 100))
    for points in ((0, 101), (-1, 5), (5, 5)):
        with pytest.raises(AudioError, match="within the 100 samples"):
            write_audio(clip, tmp_path / "a.wav", loop=points)


@pytest.mark.parametrize(
    ("bars", "bpm", "beats", "words"),
    [
        (0.1, 200.0, 4, "a loop must be 0.32 to 40.96 s long"),
        (100, 60.0, 4, "are 400.00 s"),
        (0, 100.0, 4, "more than 0 bars"),
        (1, 1000.0, 4, "tempo"),
        (1, 100.0, 0, "1 to 16 beats"),
    ],
)
def test_impossible_loops_are_refused(bars: float, bpm: float, beats: int, words: str) -> None:
    with pytest.raises(RiffusionError, match=words):
        fit_loop(bars, bpm, beats_per_bar=beats)


def test_images_of_another_width_are_refused(small: SpectrogramParams) -> None:
    with pytest.raises(RiffusionError, match="must be 192 columns wide, got 64"):
        decode_loop(Image.new("RGB", (64, 64)), fit_loop(1, 120.0, params=small), RAW)
