"""Levels and the limiter: properties for any sound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from riffusion_ext.audio import LEVELS, AudioClip, apply_level
from riffusion_ext.audio import level as effects
from riffusion_ext.audio.level import CEILING, limit
from riffusion_ext.errors import AudioError

RATE = 8000
REACH = round(0.04 * RATE) + 8
"""Samples around a peak that the limiter may touch: 20 ms of minimum and 20 ms of mean, and rounding."""

every_level = pytest.mark.parametrize("level", LEVELS)


def decibels(value: float) -> float:
    return 20 * math.log10(value)


@st.composite
def sounds(draw: st.DrawFn) -> AudioClip:
    """Draw noise with a few spikes at any level, longer than the reach of the limiter."""
    channels, length = draw(st.integers(1, 3)), draw(st.integers(1, 3000))
    noise = np.random.default_rng(draw(st.integers(0, 2**32))).standard_normal((channels, length))
    for place in draw(st.lists(st.integers(0, length - 1), max_size=4)):
        noise[draw(st.integers(0, channels - 1)), place] *= draw(st.floats(1, 200))
    return AudioClip((noise * 10 ** draw(st.floats(-6, 1))).astype(np.float32), RATE)


@every_level
@given(sounds())
def test_levelled_samples_stay_below_the_ceiling_and_keep_their_length(level: str, clip: AudioClip) -> None:
    before = clip.samples.copy()
    out = apply_level(clip, level)
    assert out.samples.shape == clip.samples.shape
    assert out.sample_rate == RATE
    assert out.peak <= (1.0 if level == "recorded" else CEILING + 1e-7)
    np.testing.assert_array_equal(clip.samples, before)


@every_level
@given(sounds())
def test_channels_keep_their_balance_and_signs(level: str, clip: AudioClip) -> None:
    out = apply_level(clip, level).samples.astype(np.float64)
    # One gain for all channels at each moment: the products across channels agree.
    for channel in range(1, clip.channels):
        across = out[0] * clip.samples[channel], out[channel] * clip.samples[0]
        np.testing.assert_allclose(*across, rtol=1e-5, atol=1e-6 * clip.peak)
    assert (out * clip.samples >= 0).all()


@every_level
@pytest.mark.parametrize("length", [0, 1, 5000])
def test_silence_stays_silence(level: str, length: int) -> None:
    out = apply_level(AudioClip(np.zeros((2, length), np.float32), RATE), level)
    assert out.samples.shape == (2, length)
    assert not out.samples.any()


@pytest.mark.parametrize("level", ["peak", "loudness"])
def test_inaudible_samples_are_not_amplified(level: str) -> None:
    dust = AudioClip(np.full((1, 100), 1e-30, np.float32), RATE)
    assert apply_level(dust, level).peak < 1e-20


@pytest.mark.parametrize("level", ["peak", "loudness"])
@settings(max_examples=25)
@given(clip=sounds(), db=st.floats(-60, 60))
def test_levelled_sound_does_not_depend_on_the_input_level(level: str, clip: AudioClip, db: float) -> None:
    one, other = apply_level(clip, level), apply_level(clip.gain_db(db), level)
    np.testing.assert_allclose(one.samples, other.samples, atol=1e-4)


@given(sounds())
def test_peak_scales_everything_to_the_ceiling(clip: AudioClip) -> None:
    out = apply_level(clip, "peak")
    assert out.peak == pytest.approx(CEILING, rel=1e-6)
    np.testing.assert_allclose(out.samples * clip.peak, clip.samples * CEILING, atol=1e-6 * clip.peak)


@pytest.mark.parametrize("scale", [1e-11, 1e30])
def test_extremely_small_and_large_samples_are_levelled(scale: float) -> None:
    wave = np.sin(np.arange(RATE) / 10)[None] * scale
    for level in ("peak", "loudness"):
        assert 0.3 < apply_level(AudioClip(wave.astype(np.float32), RATE), level).peak <= CEILING + 1e-7


@given(sounds())
def test_recorded_changes_only_sound_above_full_scale(clip: AudioClip) -> None:
    out = apply_level(clip, "recorded")
    if clip.peak <= 1:
        np.testing.assert_array_equal(out.samples, clip.samples)
    else:
        assert out.peak == 1.0
        np.testing.assert_allclose(out.samples * clip.peak, clip.samples, rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", ["sine", "noise", "bass and hits", "chord"])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_target_loudness_is_reached(kind: str, channels: int, rate: int) -> None:
    random = np.random.default_rng(3)
    time = np.arange(3 * rate) / rate
    wave = {
        "sine": np.sin(2 * np.pi * 220 * time),
        "noise": random.standard_normal(len(time)),
        "bass and hits": np.sin(2 * np.pi * 60 * time)
        + 6 * random.standard_normal(len(time)) * np.exp(-40 * (time % 0.5)),
        "chord": sum(np.sin(2 * np.pi * note * time) for note in (110, 277, 330, 415, 554)) * (1 + (time % 1 < 0.3)),
    }[kind]
    stereo = np.stack([wave, 0.9 * wave])[:channels].astype(np.float32)
    out = apply_level(AudioClip(stereo, rate), "loudness")
    assert decibels(out.rms) == pytest.approx(-12, abs=1.0)
    assert out.peak <= CEILING + 1e-7


def test_loudness_without_peaks_applies_a_constant_gain() -> None:
    wave = np.sin(np.arange(RATE) / 10)[None].astype(np.float32)
    out = apply_level(AudioClip(wave, RATE), "loudness")
    np.testing.assert_allclose(out.samples, wave * (out.peak / np.abs(wave).max()), atol=1e-6)
    assert decibels(out.rms) == pytest.approx(-12, abs=0.01)


def test_a_lone_click_stays_under_the_ceiling() -> None:
    click = np.zeros((1, RATE), np.float32)
    click[0, RATE // 2] = 1.0
    out = apply_level(AudioClip(click, RATE), "loudness")
    assert CEILING - 1e-3 < out.peak <= CEILING + 1e-7


def test_limiter_does_not_change_quiet_sound() -> None:
    clip = AudioClip(np.random.default_rng(0).uniform(-0.9, 0.9, (2, 5000)).astype(np.float32), RATE)
    np.testing.assert_array_equal(limit(clip).samples, clip.samples)


@given(sounds())
def test_limiter_changes_samples_near_peaks_only(clip: AudioClip) -> None:
    loud = np.flatnonzero((np.abs(clip.samples) > CEILING).any(axis=0))
    near = np.zeros(clip.samples.shape[1], bool)
    for place in loud:
        near[max(0, place - REACH) : place + REACH + 1] = True
    np.testing.assert_array_equal(limit(clip).samples[:, ~near], clip.samples[:, ~near])


@given(sounds(), st.floats(0.05, 2))
def test_limiter_only_attenuates(clip: AudioClip, ceiling: float) -> None:
    out = limit(clip, ceiling=ceiling)
    assert out.peak <= ceiling * (1 + 1e-6)
    assert (np.abs(out.samples) <= np.abs(clip.samples)).all()


def test_limiter_gain_is_smooth() -> None:
    """The gain around a peak falls and rises over milliseconds, not from sample to sample."""
    wave = np.full((1, 44100), 0.5, np.float32)
    wave[0, 22050] = 2.0
    gain = (limit(AudioClip(wave, 44100)).samples / wave)[0]
    assert gain[22050] == pytest.approx(CEILING / 2, rel=1e-5)
    assert np.abs(np.diff(gain)).max() < 0.002
    assert np.abs(np.diff(gain, 2)).max() < 1e-5
    np.testing.assert_allclose(gain[22050 - 2000 : 22050], gain[22051 : 22051 + 2000][::-1], atol=1e-6)


def test_limiter_does_not_distort_a_low_tone() -> None:
    """A steady 30 Hz sine far over the ceiling stays a sine."""
    wave = 3 * np.sin(2 * np.pi * 30 * np.arange(44100) / 44100)
    out = limit(AudioClip(wave[None].astype(np.float32), 44100)).samples[0, 4410:-4410].astype(np.float64)
    sine = wave[4410:-4410] * CEILING / 3
    assert 10 * math.log10(((out - sine) ** 2).mean() / (sine**2).mean()) < -60


@given(arrays(np.float32, (2, 900), elements=st.floats(-3, 3, width=32)), st.integers(50, 1000))
def test_block_size_does_not_change_the_limiter(array: np.ndarray, block: int) -> None:
    clip = AudioClip(array, RATE)
    whole = limit(clip).samples
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effects, "_BLOCK", block)
        np.testing.assert_allclose(limit(clip).samples, whole, atol=1e-6)


@pytest.mark.parametrize("ceiling", [0, -1, math.nan, math.inf])
def test_invalid_ceilings_are_refused(ceiling: float) -> None:
    with pytest.raises(AudioError, match="ceiling must be above 0"):
        limit(AudioClip(np.ones((1, 3), np.float32), RATE), ceiling=ceiling)


def test_unknown_level_is_refused() -> None:
    with pytest.raises(AudioError, match="peak, loudness, recorded, got 'loud'"):
        apply_level(AudioClip(np.ones((1, 3), np.float32), RATE), "loud")
