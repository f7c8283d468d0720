"""Joining clips: exact lengths, and equal power in the fades."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.audio import LEVELS, RAW, AudioClip, apply_level, join, join_at_level
from riffusion_ext.errors import AudioError

RATE = 8000
lengths = st.lists(st.integers(0, 3000), min_size=1, max_size=6)
crossfades = st.floats(0, 0.5)


def constant(value: float, length: int, channels: int = 1, rate: int = RATE) -> AudioClip:
    return AudioClip(np.full((channels, length), value, np.float32), rate)


def noise(length: int, seed: int) -> AudioClip:
    return AudioClip(np.random.default_rng(seed).standard_normal((1, length)).astype(np.float32), RATE)


def overlaps_of(lengths: list[int], crossfade: float) -> list[int]:
    there = [length for length in lengths if length]
    return [min(round(crossfade * RATE), min(a, b) // 2) for a, b in pairwise(there)]


@given(lengths, crossfades)
def test_length_is_the_sum_less_the_crossfades(lengths: list[int], crossfade: float) -> None:
    joined = join([constant(0.5, length) for length in lengths], crossfade=crossfade)
    assert joined.samples.shape == (1, sum(lengths) - sum(overlaps_of(lengths, crossfade)))


@given(st.integers(2, 8), st.integers(1, 500))
def test_length_of_equal_long_clips_is_exact(count: int, samples: int) -> None:
    joined = join([constant(0.5, 1000)] * count, crossfade=samples / RATE)
    assert joined.samples.shape[1] == 1000 * count - (count - 1) * samples


@given(lengths)
def test_joining_without_crossfade_keeps_every_sample(lengths: list[int]) -> None:
    clips = [noise(length, seed) for seed, length in enumerate(lengths)]
    joined = join(clips)
    np.testing.assert_array_equal(joined.samples, np.concatenate([clip.samples for clip in clips], axis=1))


@given(lengths, crossfades)
def test_samples_outside_the_fades_are_unchanged(lengths: list[int], crossfade: float) -> None:
    clips = [noise(length, seed) for seed, length in enumerate(lengths) if length]
    joined = join([*clips, noise(0, 0)], crossfade=crossfade).samples
    overlaps = [0, *overlaps_of(lengths, crossfade), 0]
    position = 0
    for clip, before, after in zip(clips, overlaps, overlaps[1:], strict=False):
        length = clip.samples.shape[1]
        position -= before
        inner = slice(position + before, position + length - after)
        np.testing.assert_array_equal(joined[:, inner], clip.samples[:, before : length - after])
        position += length


@pytest.mark.parametrize("samples", [1, 2, 100, 401])
def test_the_fades_have_equal_power(samples: int) -> None:
    on, off = constant(1.0, 1000), constant(0.0, 1000)
    fading_out = join([on, off], crossfade=samples / RATE).samples[0, 1000 - samples : 1000].astype(np.float64)
    fading_in = join([off, on], crossfade=samples / RATE).samples[0, 1000 - samples : 1000].astype(np.float64)
    np.testing.assert_allclose(fading_out**2 + fading_in**2, 1, atol=1e-6)
    np.testing.assert_allclose(fading_out, fading_in[::-1], atol=1e-6)
    assert (np.diff(fading_in) > 0).all()
    assert 0 < fading_in[0] <= fading_in[-1] < 1
    both = join([on, on], crossfade=samples / RATE).samples[0, 1000 - samples : 1000]
    np.testing.assert_allclose(both, fading_in + fading_out, atol=1e-6)


def test_noise_keeps_its_loudness_through_the_fade() -> None:
    joined = join([noise(80000, 1), noise(80000, 2)], crossfade=4.0).samples[0]
    inside = math.sqrt((joined[48000:80000] ** 2).mean())
    assert 20 * math.log10(inside) == pytest.approx(0, abs=0.15)


def test_a_fade_longer_than_a_clip_takes_half_of_it() -> None:
    joined = join([constant(1, 1000), constant(0, 100), constant(1, 1000)], crossfade=10.0).samples[0]
    assert len(joined) == 2100 - 2 * 50
    assert (joined[:950] == 1).all()
    assert (joined[1050:] == 1).all()
    assert 0 < joined[951:1049].min() < 0.1


@given(st.integers(1, 2000), st.integers(1, 6))
def test_single_clip_is_unchanged_and_empty_clips_are_skipped(length: int, empty: int) -> None:
    clip = noise(length, 0)
    for clips in ([clip], [*[noise(0, 0)] * empty, clip], [clip, *[noise(0, 0)] * empty]):
        np.testing.assert_array_equal(join(clips, crossfade=0.1).samples, clip.samples)
    assert join([noise(0, 0)] * empty, crossfade=0.1).samples.shape == (1, 0)


def test_mono_joined_to_stereo_plays_on_both_channels() -> None:
    stereo = AudioClip(np.stack([np.full(100, 0.25), np.full(100, -0.5)]).astype(np.float32), RATE)
    for clips in ([constant(0.5, 100), stereo], [stereo, constant(0.5, 100)]):
        joined = join(clips).samples
        assert joined.shape == (2, 200)
        mono = joined[:, :100] if clips[1] is stereo else joined[:, 100:]
        assert (mono == 0.5).all()
        np.testing.assert_array_equal(joined[:, 100:] if clips[1] is stereo else joined[:, :100], stereo.samples)


def test_joined_clip_has_the_sample_rate_of_the_first() -> None:
    joined = join([constant(0.5, 800), constant(0.5, 4410, rate=44100)], crossfade=0.01)
    assert joined.sample_rate == RATE
    assert joined.samples.shape == (1, 800 + 800 - 80)


def test_joining_does_not_change_its_inputs() -> None:
    clips = [constant(1, 100), constant(1, 100)]
    join(clips, crossfade=0.005)
    assert all((clip.samples == 1).all() for clip in clips)


@pytest.mark.parametrize("crossfade", [-0.1, math.nan, math.inf])
def test_invalid_crossfades_are_refused(crossfade: float) -> None:
    with pytest.raises(AudioError, match="0 s or longer"):
        join([constant(1, 10)], crossfade=crossfade)


def test_joining_no_clips_is_refused() -> None:
    with pytest.raises(AudioError, match="no clip"):
        join([])


@pytest.mark.parametrize("level", LEVELS)
def test_joined_clips_get_one_level_below_full_scale(level: str) -> None:
    loud, soft = constant(3.0, 4000), constant(0.03, 4000)
    whole = join_at_level([loud, loud, soft], level, crossfade=0.1)
    assert whole.peak <= 1.0
    assert whole.samples[0, 0] / whole.samples[0, -1] == pytest.approx(100, rel=1e-3) or level == "loudness"


def test_level_raw_changes_nothing() -> None:
    clip = constant(3.0, 100)
    assert apply_level(clip, RAW) is clip
    assert RAW not in LEVELS


# --- bodies ----------------------------------------------------------------------------------------------------------

loops = st.lists(
    st.tuples(st.integers(0, 800), st.integers(40, 1500), st.integers(0, 800)), min_size=1, max_size=5
)  # samples before, in and after the body


@given(loops, crossfades)
def test_total_length_is_that_of_the_bodies_for_any_crossfade(
    parts: list[tuple[int, int, int]], crossfade: float
) -> None:
    clips = [constant(0.5, sum(part)) for part in parts]
    bodies = [(before / RATE, body / RATE) for before, body, _ in parts]
    assert join(clips, crossfade=crossfade, bodies=bodies).samples.shape == (1, sum(body for _, body, _ in parts))


@given(loops, crossfades)
def test_middle_of_a_joined_body_keeps_its_position(parts: list[tuple[int, int, int]], crossfade: float) -> None:
    clips = [noise(sum(part), seed) for seed, part in enumerate(parts)]
    bodies = [(before / RATE, body / RATE) for before, body, _ in parts]
    joined = join(clips, crossfade=crossfade, bodies=bodies).samples
    position = 0
    for clip, (before, body, _) in zip(clips, parts, strict=True):
        middle = body // 2  # fades reach to it at most
        np.testing.assert_array_equal(joined[:, position + middle], clip.samples[:, before + middle])
        position += body


@given(loops)
def test_bodies_without_crossfade_are_cut_exactly(parts: list[tuple[int, int, int]]) -> None:
    clips = [noise(sum(part), seed) for seed, part in enumerate(parts)]
    bodies = [(before / RATE, body / RATE) for before, body, _ in parts]
    cut = [clip.samples[:, part[0] : part[0] + part[1]] for clip, part in zip(clips, parts, strict=True)]
    np.testing.assert_array_equal(join(clips, bodies=bodies).samples, np.concatenate(cut, axis=1))


@given(st.integers(0, 400), st.integers(0, 400), st.integers(1, 400))
def test_fade_is_limited_by_the_sound_around_the_cut(after: int, before: int, wanted: int) -> None:
    on = constant(1.0, 1000 + after)
    off = constant(0.0, before + 1000)
    bodies = [(0.0, 1000 / RATE), (before / RATE, 1000 / RATE)]
    joined = join([on, off], crossfade=wanted / RATE, bodies=bodies).samples[0]
    fading = np.flatnonzero((joined > 0) & (joined < 1))
    length = min(wanted, after + before)
    assert len(fading) == length
    if length:
        assert (fading[0] <= 1000, fading[-1] >= 999) == (True, True)
        assert 1000 - fading[0] <= before
        assert fading[-1] - 999 <= after


def test_fade_is_centred_on_the_cut() -> None:
    bodies = [(0.1, 0.2), (0.1, 0.2)]
    joined = join([constant(1.0, 3200), constant(0.0, 3200)], crossfade=400 / RATE, bodies=bodies).samples[0]
    fading = np.flatnonzero((joined > 0) & (joined < 1))
    assert (fading[0], fading[-1]) == (1600 - 200, 1600 + 199)


@given(lengths, crossfades)
def test_bodies_of_none_join_the_whole_clips(lengths: list[int], crossfade: float) -> None:
    clips = [noise(length, seed) for seed, length in enumerate(lengths)]
    plain = join(clips, crossfade=crossfade)
    np.testing.assert_array_equal(join(clips, crossfade=crossfade, bodies=[None] * len(clips)).samples, plain.samples)


def test_loop_next_to_a_whole_clip_keeps_its_duration() -> None:
    whole, loop = constant(0.5, 4000), constant(0.5, 4000)
    body = (500 / RATE, 3000 / RATE)
    joined = join([loop, whole, loop], crossfade=200 / RATE, bodies=[body, None, body])
    assert joined.samples.shape[1] == 3000 + (4000 - 100 - 100) + 3000  # half of each fade lies in the whole clip


@pytest.mark.parametrize("body", [(-0.1, 0.1), (0.0, 0.0), (0.1, 0.2), (float("nan"), 0.1)])
def test_a_body_outside_its_clip_is_refused(body: tuple[float, float]) -> None:
    with pytest.raises(AudioError, match=r"body.*0\.125 s"):
        join([constant(0.5, 1000)], bodies=[body])
