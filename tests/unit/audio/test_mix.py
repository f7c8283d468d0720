"""Mixing keeps sounds aligned to the sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import AudioClip
from riffusion_ext.audio.mix import LAWS, double, dry_wet
from riffusion_ext.errors import AudioError


def noise(seed: int, *, seconds: float = 1.0, channels: int = 1, rate: int = 8000) -> AudioClip:
    wave = np.random.default_rng(seed).standard_normal((channels, round(seconds * rate)))
    return AudioClip((0.1 * wave).astype(np.float32), rate)


@pytest.mark.parametrize("law", LAWS)
def test_shares_0_and_1_return_the_inputs(law: str) -> None:
    dry, wet = noise(1), noise(2)
    for share, expected in ((0.0, dry), (1.0, wet)):
        np.testing.assert_array_equal(dry_wet(dry, wet, share, law=law).samples, expected.samples)
        np.testing.assert_array_equal(
            dry_wet(dry, wet, lambda t, s=share: t * 0 + s, law=law).samples, expected.samples
        )


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 1))
def test_equal_power_keeps_the_power_of_unrelated_sounds(share: float) -> None:
    mixed = dry_wet(noise(1, seconds=8), noise(2, seconds=8), share)
    assert 20 * np.log10(mixed.rms / 0.1) == pytest.approx(0, abs=0.2)


@settings(deadline=None)
@given(st.floats(0, 1))
def test_linear_law_keeps_identical_sounds_unchanged(share: float) -> None:
    dry = noise(1)
    np.testing.assert_allclose(dry_wet(dry, dry, share, law="linear").samples, dry.samples, atol=1e-6)


def test_mixing_keeps_the_position_of_every_sample() -> None:
    click = np.zeros((1, 600_000), np.float32)
    places = [0, 1, 299_999, 262_144, 599_999]
    click[0, places] = 1.0
    silence = AudioClip(np.zeros_like(click), 44100)
    for pair in ((silence, AudioClip(click, 44100)), (AudioClip(click, 44100), silence)):
        mixed = dry_wet(*pair, lambda t: 0.25 + 0.5 * t / 14).samples
        assert np.flatnonzero(mixed[0]).tolist() == sorted(places)


def test_share_can_follow_a_curve() -> None:
    one = AudioClip(np.ones((1, 600_000), np.float32), 8000)
    zero = AudioClip(np.zeros((1, 600_000), np.float32), 8000)
    mixed = dry_wet(zero, one, lambda t: np.clip(t / 75, 0, 1), law="linear").samples[0]
    np.testing.assert_allclose(mixed, np.arange(600_000) / 600_000, atol=1e-6)


def test_mono_and_stereo_of_different_lengths_are_mixed() -> None:
    mixed = dry_wet(noise(1, channels=2), noise(2, seconds=0.5), 0.5, law="linear")
    assert mixed.samples.shape == (2, 8000)
    np.testing.assert_allclose(mixed.samples[:, 4000:], noise(1, channels=2).samples[:, 4000:] / 2)
    with pytest.raises(AudioError, match="8000 and 44100 Hz"):
        dry_wet(noise(1), noise(1, rate=44100), 0.5)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), lambda t: t + 2])
def test_shares_out_of_range_are_refused(share: float) -> None:
    with pytest.raises(AudioError, match="share of the wet sound must lie between 0 and 1"):
        dry_wet(noise(1), noise(2), share)


def test_unknown_law_is_refused() -> None:
    with pytest.raises(AudioError, match="equal-power, linear"):
        dry_wet(noise(1), noise(2), 0.5, law="best")


def test_doubling_pans_the_two_sounds_apart() -> None:
    one, other = noise(1), noise(2)
    wide = double(one, other).samples
    np.testing.assert_array_equal(wide, np.concatenate([one.samples, other.samples]))
    middle = double(one, other, width=0.0).samples
    np.testing.assert_allclose(middle[0], middle[1], atol=1e-6)
    mirrored = double(other, one, width=0.3).samples
    np.testing.assert_array_equal(double(one, other, width=0.3).samples, mirrored[::-1])
    with pytest.raises(AudioError, match="width must lie between 0 and 1"):
        double(one, other, width=2)


@settings(deadline=None)
@given(st.floats(0, 1))
def test_panning_keeps_the_power_of_each_sound(width: float) -> None:
    silence = AudioClip(np.zeros((1, 8000), np.float32), 8000)
    panned = double(noise(1), silence, width=width)
    assert np.square(panned.samples).sum() == pytest.approx(np.square(noise(1).samples).sum(), rel=1e-4)
