"""Scores: interpolation between keyframes, and parsing of their text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.score.keyframes import Keyframe, Score, power_curve
from riffusion_ext.generate.score.parser import format_score, parse_score
from riffusion_ext.generate.score.timecode import format_time, parse_time

words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="\\-#"), min_size=1)
prompts = st.lists(words, max_size=5).map(" ".join)
seconds = st.floats(0.01, 600.0, allow_subnormal=False)
keyframes = st.builds(
    Keyframe,
    prompt=prompts,
    negative=prompts,
    seed=st.integers(-1, 2**32 - 1),
    denoise=st.floats(0, 1, allow_subnormal=False),
    cfg=st.floats(1, 30),
    seconds=seconds,
) | st.builds(Keyframe, prompt=prompts, bars=st.floats(0.01, 100.0))
scores = st.lists(keyframes, min_size=1, max_size=5).map(lambda items: Score(tuple(items), bpm=120.0))


@settings(deadline=None)
@given(scores)
def test_score_text_round_trips(score: Score) -> None:
    assert parse_score(format_score(score), bpm=120.0) == score


@settings(deadline=None)
@given(scores, st.floats(-10.0, 3000.0), st.floats(0.1, 5.0))
def test_interpolated_values_lie_between_the_keyframes(score: Score, time: float, power: float) -> None:
    score = Score(score.keyframes, score.bpm, power=power)
    moment = score.at(time)
    assert 0.0 <= moment.alpha <= 1.0
    for name in ("denoise", "cfg"):
        low, high = sorted((getattr(moment.a, name), getattr(moment.b, name)))
        assert low - 1e-4 <= getattr(moment, name) <= high + 1e-4


@settings(deadline=None)
@given(scores)
def test_keyframes_are_reached_at_their_start(score: Score) -> None:
    for start, keyframe in zip(score.starts, score.keyframes, strict=False):
        moment = score.at(start)
        assert moment.a is keyframe
        assert moment.alpha == 0.0
    end = score.at(score.seconds + 1.0)
    assert end.a is end.b is score.keyframes[-1]


@settings(deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.1, 8.0))
def test_power_curve_is_symmetric_and_keeps_its_ends(share: float, power: float) -> None:
    assert power_curve(share, power) + power_curve(1.0 - share, power) == pytest.approx(1.0)
    assert (power_curve(0.0, power), power_curve(0.5, power), power_curve(1.0, power)) == (0.0, 0.5, 1.0)
    assert power_curve(share, 1.0) == pytest.approx(share)


def test_last_keyframe_of_zero_length_is_the_end_of_the_transition() -> None:
    score = Score((Keyframe("a", seconds=10.0), Keyframe("b", cfg=9.0, seconds=0.0)))
    for time in (10.0, 11.0):
        moment = score.at(time)
        assert (moment.a.prompt, moment.b.prompt, moment.alpha, moment.cfg) == ("a", "b", 1.0, 9.0)


def test_looped_score_returns_to_the_first_keyframe() -> None:
    score = Score((Keyframe("a", seconds=10.0), Keyframe("b", seconds=10.0)), loop=True)
    moment = score.at(15.0)
    assert (moment.a.prompt, moment.b.prompt, moment.alpha) == ("b", "a", 0.5)


def test_bars_are_counted_by_the_tempo() -> None:
    score = Score((Keyframe("a", bars=8), Keyframe("b", bars=4)), bpm=120, beats_per_bar=3)
    assert score.starts == (0.0, 12.0, 18.0)
    assert score.samples(44100) == 18 * 44100


@settings(deadline=None)
@given(scores, st.integers(0, 2**32 - 1))
def test_settled_score_has_all_seeds_and_keeps_given_ones(score: Score, seed: int) -> None:
    settled = score.resolve_seeds(seed)
    assert all(keyframe.seed >= 0 for keyframe in settled.keyframes)
    assert settled.resolve_seeds() == settled
    current = seed
    for before, after in zip(score.keyframes, settled.keyframes, strict=True):
        current = current if before.seed == -1 else before.seed
        assert after.seed == current


def test_score_lines_are_parsed_in_the_forms_that_users_type() -> None:
    score = parse_score(
        """
        # the beginning
        8 bars | funky sax, upbeat -- vocals, choir | seed 42 | Denoise 0.6 | cfg=7
        0:20 | [jazz|soul] piano, (warm:1.2) | CFG: 9
        1 bar | a\\|b -- | seed -1
        12.5 s |
        """,
        bpm=100,
    )
    a, b, c, d = score.keyframes
    assert a == Keyframe("funky sax, upbeat", "vocals, choir", 42, 0.6, 7.0, bars=8.0)
    assert b == Keyframe("[jazz|soul] piano, (warm:1.2)", cfg=9.0, seconds=20.0)
    assert c == Keyframe("a|b", bars=1.0)
    assert d == Keyframe("", seconds=12.5)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("jazz", "line 2: 'jazz' is no keyframe"),
        ("soon | jazz", "line 2: 'soon' is no duration"),
        ("0:10 | jazz | loud", "line 2: 'loud' is not understood"),
        ("0:10 | jazz | seed x", "line 2: seed must be a whole number, got 'x'"),
        ("0:10 | jazz | denoise 2", "line 2: denoise must lie between 0 and 1, got 2"),
        ("0:10 | jazz | cfg 7 | cfg 8", "line 2: cfg is given twice"),
        ("0:10 | jazz | seed -5", "line 2: a seed must lie"),
        ("0:10 | jazz | cfg nan", "line 2: cfg must be a number from 1 to 30, got 'nan'"),
    ],
)
def test_invalid_lines_are_named(line: str, words: str) -> None:
    with pytest.raises(RiffusionError, match=words):
        parse_score(f"0:10 | fine\n{line}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no keyframe"),
        ("8 bars | jazz", "tempo is needed"),
        ("0:00 | a\n0:10 | b", "keyframe 1 lasts 0"),
        ("0:00 | a", "length of the song"),
        ("4:00:00 | a", "duration in seconds"),
    ],
)
def test_invalid_scores_are_refused(text: str, words: str) -> None:
    with pytest.raises(RiffusionError, match=words):
        parse_score(text)


@settings(deadline=None)
@given(st.floats(0.0, 20000.0, allow_subnormal=False))
def test_time_text_round_trips(time: float) -> None:
    assert parse_time(format_time(time)) == time


@pytest.mark.parametrize(
    ("text", "time"), [("90", 90), ("1:30", 90), (" 0:07.5 ", 7.5), ("1:00:01", 3601), (".5s", 0.5)]
)
def test_times_are_parsed_in_the_forms_that_users_type(text: str, time: float) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize("text", ["", "1:", "-5", "a", "1:2:3:4", "nan", "1e3"])
def test_invalid_times_are_refused(text: str) -> None:
    with pytest.raises(RiffusionError, match="is no time"):
        parse_time(text)
