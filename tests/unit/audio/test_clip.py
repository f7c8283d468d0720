"""Audio clips: validation, mixing, resampling and slicing."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from riffusion_ext.audio import AudioClip
from riffusion_ext.errors import AudioError, RiffusionError

samples = arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.integers(1, 200)),
    elements=st.floats(-2, 2, width=32),
)


def sine(frequency: float, rate: int, seconds: float = 1.0) -> AudioClip:
    wave = np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)
    return AudioClip(wave[None].astype(np.float32), rate)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros(10, np.float32), r"\(10,\)"),
        (np.zeros((0, 10), np.float32), r"\(0, 10\)"),
        (np.zeros((9, 10), np.float32), r"\(9, 10\)"),
        (np.zeros((1, 2, 3), np.float32), r"\(1, 2, 3\)"),
        (np.zeros((1, 10)), "float64"),
        (np.zeros((1, 10), np.int16), "int16"),
        ([[0.0]], "list"),
    ],
)
def test_arrays_that_are_not_audio_are_refused(array: object, said: str) -> None:
    with pytest.raises(AudioError, match=said):
        AudioClip(array, 44100)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 500, -1])
def test_non_finite_samples_are_refused(bad: float, where: int) -> None:
    array = np.linspace(-1, 1, 1000, dtype=np.float32)[None].copy()
    array[0, where] = bad
    with pytest.raises(AudioError, match="finite"):
        AudioClip(array, 44100)


@pytest.mark.parametrize("rate", [0, -1, 999, 768001, 44100.0, "44100", None, True])
def test_invalid_sample_rates_are_refused(rate: object) -> None:
    with pytest.raises(AudioError, match="between 1000 and 768000"):
        AudioClip(np.zeros((1, 1), np.float32), rate)  # type: ignore[arg-type]


def test_numpy_sample_rate_becomes_a_plain_int() -> None:
    assert type(AudioClip(np.zeros((1, 1), np.float32), np.int64(44100)).sample_rate) is int  # type: ignore[arg-type]


def test_audio_error_is_a_riffusion_error() -> None:
    assert issubclass(AudioError, RiffusionError)


@given(samples)
def test_peak_and_rms_equal_their_definitions(array: np.ndarray) -> None:
    clip = AudioClip(array, 8000)
    exact = array.astype(np.float64)
    assert clip.peak == np.abs(exact).max()
    assert clip.rms == pytest.approx(np.sqrt((exact**2).mean()), abs=1e-12)
    assert clip.rms <= clip.peak + 1e-7
    assert clip.duration == array.shape[1] / 8000
    assert clip.channels == array.shape[0]


def test_rms_of_a_sine_and_of_an_empty_clip() -> None:
    assert sine(100, 8000).rms == pytest.approx(math.sqrt(0.5), abs=1e-6)
    nothing = AudioClip(np.zeros((2, 0), np.float32), 8000)
    assert (nothing.peak, nothing.rms, nothing.duration) == (0.0, 0.0, 0.0)


@given(samples)
def test_conversion_to_mono_and_stereo_agrees(array: np.ndarray) -> None:
    clip = AudioClip(array, 8000)
    mono, stereo = clip.to_mono(), clip.to_channels(2)
    assert mono.channels == 1
    assert stereo.channels == 2
    # A mix is never louder than the loudest channel, and keeps the length.
    assert stereo.peak <= clip.peak * (1 + 1e-6)
    assert mono.samples.shape[1] == stereo.samples.shape[1] == array.shape[1]
    np.testing.assert_allclose(mono.samples[0], stereo.samples.mean(axis=0), atol=1e-6)
    if clip.channels <= 2:
        np.testing.assert_array_equal(stereo.samples, np.broadcast_to(array, (2, array.shape[1])))


@pytest.mark.parametrize("channels", range(3, 9))
def test_surround_to_stereo_keeps_left_and_right(channels: int) -> None:
    array = np.zeros((channels, 4), np.float32)
    array[0] = 1.0
    left, right = AudioClip(array, 8000).to_channels(2).samples
    assert (left > 0).all()
    assert not right.any()
    mirrored = AudioClip(array[[1, 0, *range(2, channels)]], 8000).to_channels(2).samples
    np.testing.assert_array_equal(mirrored, np.stack([right, left]))


def test_surround_centre_goes_to_both_sides_and_lfe_is_dropped() -> None:
    array = np.zeros((6, 2), np.float32)
    array[2, 0], array[3, 1] = 1.0, 1.0
    stereo = AudioClip(array, 8000).to_channels(2).samples
    assert stereo[0, 0] == stereo[1, 0] > 0
    assert not stereo[:, 1].any()


def test_added_channels_are_silent() -> None:
    clip = AudioClip(np.array([[0.1, 0.2]], np.float32), 8000)
    assert clip.to_channels(4).samples.tolist() == clip.samples.tolist() * 2 + [[0.0, 0.0]] * 2


@pytest.mark.parametrize("n", [0, 9, -1])
def test_invalid_numbers_of_channels_are_refused(n: int) -> None:
    with pytest.raises(AudioError, match=f"1 to 8 channels, got {n}"):
        AudioClip(np.zeros((1, 1), np.float32), 8000).to_channels(n)


def test_reducing_surround_to_four_channels_is_refused() -> None:
    with pytest.raises(AudioError, match="6 channels"):
        AudioClip(np.zeros((6, 1), np.float32), 8000).to_channels(4)


@pytest.mark.parametrize(
    ("old", "new"), [(44100, 48000), (48000, 44100), (44100, 22050), (22050, 44100), (8000, 44101)]
)
def test_resampling_keeps_a_tone(old: int, new: int) -> None:
    out = sine(1000, old).resample(new)
    assert out.sample_rate == new
    assert out.samples.shape == (1, new)
    assert out.samples.dtype == np.float32
    error = (out.samples - sine(1000, new).samples)[0, new // 10 : -new // 10]
    assert np.abs(error).max() < 2e-4  # -74 dB


def test_resampling_keeps_the_common_band_and_suppresses_aliases() -> None:
    high = sine(19000, 48000).resample(44100)
    assert 20 * math.log10(high.rms / math.sqrt(0.5)) == pytest.approx(0, abs=0.1)
    for frequency in (12400, 15000, 20000):
        alias = sine(frequency, 48000).resample(24000)
        assert 20 * math.log10(alias.slice(0.1, 0.9).rms) < -70


@given(st.integers(0, 3000), st.sampled_from([8000, 11025, 44100]), st.sampled_from([8000, 12000, 44100]))
def test_resampled_length_is_rounded_up(length: int, old: int, new: int) -> None:
    out = AudioClip(np.zeros((2, length), np.float32), old).resample(new)
    assert out.samples.shape == (2, -(-length * new // old))


def test_resampling_to_the_same_rate_changes_nothing(tone) -> None:
    clip = tone(channels=2)
    np.testing.assert_array_equal(clip.resample(44100).samples, clip.samples)


@pytest.mark.slow
def test_ten_minutes_are_resampled_in_seconds() -> None:
    clip = AudioClip(np.zeros((2, 44100 * 600), np.float32), 44100)
    begun = time.process_time()
    clip.resample(48000)
    assert time.process_time() - begun < 30


def test_adjacent_slices_add_up_to_the_clip(tone) -> None:
    clip = tone(0.5, channels=2)
    parts = [clip.slice(0, 0.123), clip.slice(0.123, 0.4), clip.slice(0.4)]
    np.testing.assert_array_equal(np.concatenate([part.samples for part in parts], axis=1), clip.samples)
    assert clip.slice(0, 0.123).samples.shape[1] == round(0.123 * 44100)


def test_slices_end_with_the_clip(tone) -> None:
    clip = tone(0.5)
    assert clip.slice(0.4, 100).duration == pytest.approx(0.1)
    assert clip.slice(0.4, math.inf).duration == pytest.approx(0.1)
    assert clip.slice(100).duration == 0


@pytest.mark.parametrize(("start", "stop"), [(-0.1, 1), (0.3, 0.2), (math.nan, 1), (0, math.nan)])
def test_invalid_slices_are_refused(tone, start: float, stop: float) -> None:
    with pytest.raises(AudioError, match="slice"):
        tone().slice(start, stop)


def test_gain_in_decibels_scales_the_samples(tone) -> None:
    clip = tone()
    assert clip.gain_db(20).peak == pytest.approx(10 * clip.peak, rel=1e-6)
    np.testing.assert_allclose(clip.gain_db(-7).gain_db(7).samples, clip.samples, atol=1e-6)


def test_importing_audio_loads_no_heavy_package() -> None:
    code = (
        "import sys, riffusion_ext.audio; "
        "print(*(n for n in ('scipy', 'soundfile', 'torch', 'gradio') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
