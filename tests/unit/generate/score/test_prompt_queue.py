"""The queue of prompts of a live session."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.score.keyframes import Keyframe, Moment
from riffusion_ext.generate.score.prompt_queue import MAX_QUEUED, PromptQueue


def journey(travel: int = 4, seed: int = 7) -> PromptQueue:
    return PromptQueue(Keyframe("A", "hiss", seed, 0.6, 8.0, seconds=1.0), travel)


def told(moment: Moment) -> tuple[str, str, float]:
    return moment.a.prompt, moment.b.prompt, moment.alpha


def test_without_queued_prompts_only_the_seed_changes():
    way = journey(seed=2**32 - 2)
    moments = [way.next() for _ in range(5)]
    assert {told(moment) for moment in moments} == {("A", "A", 0.0)}
    assert [moment.a.seed for moment in moments] == [2**32 - 2, 2**32 - 1, 0, 1, 2]
    assert all(moment.is_constant and moment.a.negative == "hiss" for moment in moments)
    assert (moments[0].denoise, moments[0].cfg) == (0.6, 8.0)


@given(st.integers(1, 64), st.integers(1, 5))
def test_transition_takes_its_number_of_windows_and_ends_at_the_prompt(travel: int, count: int):
    way = journey(travel)
    way.next()
    for number in range(count):
        way.add(f"P{number}", "noise")
    before = "A"
    for number in range(count):
        leg = [way.next() for _ in range(travel)]
        assert [told(moment)[:2] for moment in leg] == [(before, f"P{number}")] * travel
        assert [moment.alpha for moment in leg] == [(step + 1) / travel for step in range(travel)]
        assert len({(moment.a.seed, moment.b.seed) for moment in leg}) == 1, "the seeds are interpolated too"
        assert leg[0].a.seed != leg[0].b.seed
        before = f"P{number}"
    after = way.next()
    assert told(after) == (before, before, 0.0)
    assert after.a.negative == "noise"
    assert after.a.seed == leg[0].b.seed + 1


def test_prompts_queued_during_a_transition_wait_for_its_end():
    way = journey(2)
    way.next()
    way.add("B")
    way.next()
    way.add("C")
    assert told(way.next()) == ("A", "B", 1.0)
    assert [wish.prompt for wish in way.queued] == ["C"]
    assert told(way.next()) == ("B", "C", 0.5)


def test_first_window_has_the_first_prompt():
    way = journey()
    way.add("B")
    assert told(way.next()) == ("A", "A", 0.0)
    assert told(way.next()) == ("A", "B", 0.25)


def test_dropped_prompt_is_skipped():
    way = journey(1)
    way.next()
    first, second, third = way.add("same"), way.add("same"), way.add(" other ")
    assert way.drop(second.key)
    assert not way.drop(second.key)
    assert not way.drop(999)
    assert [wish.key for wish in way.queued] == [first.key, third.key]
    assert [told(way.next())[1] for _ in range(2)] == ["same", "other"]


def test_invalid_prompt_changes_are_refused_with_a_sentence():
    for travel in (0, 65):
        with pytest.raises(RiffusionError, match="a transition takes 1 to 64 windows"):
            journey(travel)
    way = journey()
    with pytest.raises(RiffusionError, match="Write a prompt"):
        way.add("  ")
    for _ in range(MAX_QUEUED):
        way.add("x")
    with pytest.raises(RiffusionError, match="wait already"):
        way.add("x")
