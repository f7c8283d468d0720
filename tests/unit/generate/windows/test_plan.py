"""Window plans: every column of a song of any length is covered once."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.generate.windows.blend import weights_of
from riffusion_ext.generate.windows.plan import Plan, plan_plain, plan_riff, plan_song
from riffusion_ext.params import PRESETS

PARAMS = PRESETS["riffusion-v1"]
RATE, HOP = PARAMS.sample_rate, PARAMS.hop_length

widths = st.integers(1, 16).map(lambda n: 64 * n)
lengths = st.one_of(st.floats(0.02, 30.0), st.floats(0.02, 1500.0))
tempos = st.one_of(st.integers(40, 240).map(float), st.floats(40.0, 240.0))


def score_of(seconds: float, **values: object) -> Score:
    return Score((Keyframe("a", seed=7, seconds=seconds / 2), Keyframe("b", seed=9, seconds=seconds / 2)), **values)


def check_cover(plan: Plan) -> None:
    """Check that columns cover all samples, that windows cover all columns, and that their weights sum to 1."""
    windows = plan.windows
    assert [window.number for window in windows] == list(range(len(windows)))
    assert windows[0].first == 0
    assert windows[0].start == 0
    assert plan.columns - 2 < max(plan.samples / HOP, 1) <= plan.columns - 1
    for one, other in pairwise(windows):
        assert one.last == other.first
    for window in windows:
        assert window.start <= window.first < window.last <= window.end
    total = np.zeros(windows[-1].end)
    covered = np.zeros(windows[-1].end, int)
    for window in windows:
        weights = weights_of(plan, window.number)
        assert weights.shape == (window.width,)
        assert weights.min() >= 0
        total[window.start : window.end] += weights
        covered[window.start : window.end] += weights > 0
    np.testing.assert_array_equal(total[: plan.columns], 1.0)
    assert covered.max() <= 2
    assert not total[plan.columns :].any()


@settings(deadline=None)
@given(seconds=lengths, width=widths, share=st.floats(0.0, 1.0))
def test_windows_of_a_song_cover_it(seconds: float, width: int, share: float) -> None:
    overlap = max(16, int(share * width / 2) // 16 * 16)
    plan = plan_song(score_of(seconds), PARAMS, width=width, overlap=overlap)
    check_cover(plan)
    assert plan.samples == max(1, round(seconds * RATE))
    assert all(plan.fade(number) == overlap for number in range(len(plan.windows) - 2))


@settings(deadline=None)
@given(seconds=lengths, width=widths)
def test_windows_side_by_side_cover_a_song(seconds: float, width: int) -> None:
    plan = plan_plain(score_of(seconds), PARAMS, width=width)
    check_cover(plan)
    assert all(plan.fade(number) == 0 for number in range(len(plan.windows) - 1))


@pytest.mark.parametrize("seconds", [5.0, 8.0, 20.48, 61.3])
def test_plain_windows_go_from_one_prompt_to_the_other_in_even_steps(seconds: float) -> None:
    """Like the original, whose steps are ``linspace(0, 1, count)``."""
    score = Score((Keyframe("a", seed=7, seconds=seconds), Keyframe("b", seed=9, seconds=0.0)))
    alphas = [window.moment.alpha for window in plan_plain(score, PARAMS).windows]
    np.testing.assert_allclose(alphas, np.linspace(0, 1, len(alphas)), atol=1e-5)


@settings(deadline=None)
@example(samples=99 * 441, width=64, share=1.0)  # three windows would overlap without shorter fades
@given(samples=st.one_of(st.integers(1, 100_000), st.integers(1, 60_000_000)), width=widths, share=st.floats(0.0, 1.0))
def test_windows_of_a_riff_cover_every_sample(samples: int, width: int, share: float) -> None:
    overlap = int(share * width / 2)
    plan = plan_riff(samples, PARAMS, score_of(10.0).at, width=width, overlap=overlap)
    check_cover(plan)
    assert plan.samples == samples
    # The last window ends with the song, so that no model sees padding.
    assert plan.windows[-1].end == max(plan.columns, width)
    for one, other in pairwise(plan.windows):
        assert one.end - other.start >= overlap
        assert plan.fade(one.number) <= overlap


@settings(deadline=None)
@given(
    total=st.integers(1, 3_000_000), start=st.floats(0.0, 80.0), duration=st.one_of(st.none(), st.floats(0.01, 100.0))
)
def test_part_of_a_song_starts_on_its_sample(total: int, start: float, duration: float | None) -> None:
    if round(start * RATE) >= total:
        with pytest.raises(RiffusionError, match="start must lie within"):
            plan_riff(total, PARAMS, score_of(1.0).at, start=start, duration=duration)
        return
    plan = plan_riff(total, PARAMS, score_of(1.0).at, start=start, duration=duration)
    check_cover(plan)
    assert plan.first_sample == round(start * RATE)
    rest = total - plan.first_sample
    assert plan.samples == (rest if duration is None else max(1, min(rest, round(duration * RATE))))


@settings(deadline=None)
@given(bars=st.integers(1, 200), bpm=tempos, beats=st.integers(2, 7), rate=st.sampled_from([22050, 44100, 48000]))
def test_bars_have_their_exact_length(bars: int, bpm: float, beats: int, rate: int) -> None:
    first = max(1, bars // 3)
    keyframes = (Keyframe("a", bars=first), Keyframe("b", bars=bars - first))
    score = Score(keyframes, bpm=bpm, beats_per_bar=beats)
    params = dataclasses.replace(PARAMS, sample_rate=rate)
    plan = plan_plain(score, params)
    assert plan.samples == round(bars * beats * 60 / bpm * rate)
    assert params.samples_of_columns(plan.columns) >= plan.samples


@settings(deadline=None)
@given(seconds=st.floats(0.5, 300.0), width=widths)
def test_windows_of_the_second_pass_depend_on_their_first_pass_neighbours(seconds: float, width: int) -> None:
    plan = plan_song(score_of(seconds), PARAMS, width=width, overlap=max(16, width // 4))
    for window in plan.windows:
        needs = plan.needs(window)
        assert window.pass_ == window.number % 2
        assert all(plan.windows[number].pass_ == 0 for number in needs)
        if window.pass_ == 0:
            assert needs == ()
            continue
        before = plan.windows[window.number - 1]
        assert before.end - window.start == window.known_left
        if window.number + 1 < len(plan.windows):
            assert window.end - plan.windows[window.number + 1].start == window.known_right
            assert needs == (window.number - 1, window.number + 1)
        else:
            assert (window.known_right, needs) == (0, (window.number - 1,))


@settings(deadline=None)
@given(seconds=st.floats(0.5, 120.0), count=st.integers(1, 20))
def test_head_is_the_playable_part_of_the_first_windows(seconds: float, count: int) -> None:
    plan = plan_song(score_of(seconds), PARAMS)
    head = plan.head(count)
    check_cover(head) if count < len(plan.windows) else None
    assert len(head.windows) == min(count, len(plan.windows))
    assert head.samples <= plan.samples
    assert head.samples == plan.samples or head.samples == PARAMS.samples_of_columns(head.windows[-1].end)


def test_different_plans_have_different_json() -> None:
    """Finished work is found by the JSON of its plan."""
    score = Score((Keyframe('ä [a|b] "q"', "no", 3, bars=8), Keyframe("b", bars=7.5)), bpm=97.3).resolve_seeds(4)
    plan = plan_song(score, PARAMS, known_start=64)
    others = [
        plan_song(score, PARAMS),
        plan_song(score, PARAMS, known_start=64, overlap=64),
        plan_song(score, PARAMS.replace(min_frequency=10), known_start=64),
        plan_song(dataclasses.replace(score, power=2.0), PARAMS, known_start=64),
        plan_song(dataclasses.replace(score, bpm=97.4), PARAMS, known_start=64),
        plan_song(dataclasses.replace(score, loop=True), PARAMS, known_start=64),
    ]
    assert plan_song(score, PARAMS, known_start=64).to_json() == plan.to_json()
    assert plan.to_json() not in [other.to_json() for other in others]


def test_seeds_follow_the_seed_mode() -> None:
    still = Score((Keyframe("a", seed=5, seconds=60.0),))
    moving = Score((Keyframe("a", seed=5, seconds=60.0), Keyframe("b", seed=8, seconds=0.0)))

    def noise(score: Score, seeds: str) -> list[tuple[int, int]]:
        return [window.seeds for window in plan_song(score, PARAMS, seeds=seeds).windows]

    assert set(noise(still, "fixed")) == {(5, 5)}
    assert noise(still, "auto") == noise(still, "new") == [(5 + n, 5 + n) for n in range(len(noise(still, "new")))]
    assert set(noise(moving, "auto")) == {(5, 8)}
    top = Score((Keyframe("a", seed=2**32 - 1, seconds=20.0),))
    assert noise(top, "new")[1] == (0, 0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"width": 500}, "width of a window"),
        ({"overlap": 8}, "overlap must be a multiple of 16"),
        ({"overlap": 272}, "between 16 and 256"),
        ({"overlap": 100}, "overlap"),
        ({"seeds": "any"}, "auto, fixed, new"),
        ({"known_start": 256}, "known columns"),
    ],
)
def test_impossible_plans_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(RiffusionError, match=words):
        plan_song(score_of(10.0), PARAMS, **values)
