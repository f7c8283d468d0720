"""Curation: every window left out has a reason with the measured value and the limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.dataset.analysis.features import EMBEDDING, Features
from riffusion_ext.dataset.analysis.levels import BANDS, window_levels
from riffusion_ext.dataset.curation.curate import Reason, Verdict, curate
from riffusion_ext.dataset.settings import REASONS, CurateSettings
from riffusion_ext.errors import RiffusionError

COLUMNS = 512
LENIENT = CurateSettings(
    first=0, last=0, silence_db=None, transition=None, duplicate=None, clipping=None, broken=False, target=None
)


def good(count: int, seed: int = 0) -> Features:
    """Return windows without faults that differ from each other."""
    embedding = np.random.default_rng(seed).standard_normal((count, EMBEDDING))
    zeros = np.zeros(count, np.float32)
    return Features(
        level_db=zeros - 20,
        file_db=zeros - 20,
        mixed_db=zeros - 20,
        quiet=zeros,
        burst=zeros,
        transition=zeros,
        transition_at=zeros,
        clipped=zeros,
        dropout=zeros,
        rumble=zeros - 10,
        embedding=(embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).astype(np.float32),
        levels=np.zeros((count, 64, BANDS), np.uint8),
    )


def faulty(count: int, where: int, **values: float) -> Features:
    features = good(count)
    for name, value in values.items():
        array = getattr(features, name).copy()
        array[where] = value
        features = replace(features, **{name: array})
    return features


def judged(features: Features, settings: CurateSettings = LENIENT, songs: int = 1) -> list[Verdict]:
    """Judge adjacent windows, divided evenly among a number of songs."""
    each = -(-len(features) // songs)
    number = np.arange(len(features))
    return curate(features, number // each, COLUMNS * (number % each), COLUMNS, settings)


def kinds(verdict: Verdict) -> list[str]:
    return [reason.kind for reason in verdict.reasons]


# --- each reason ------------------------------------------------------------------------------------------------------

FAULTS = [
    (
        {"level_db": -63.27, "file_db": -61.0, "mixed_db": -61.0},
        {"silence_db": -50.0},
        Reason("silence", "its level is -63.3 dBFS, under -50 dBFS"),
    ),
    (
        {"level_db": -54.0, "file_db": -49.0, "mixed_db": -50.0},
        {"silence_db": -50.0},
        Reason("silence", "its level is -54.0 dBFS, under -50 dBFS"),
    ),
    (
        {"level_db": -120.0, "file_db": -18.12, "mixed_db": -96.3},
        {"silence_db": -50.0},
        Reason(
            "silence",
            "its level in the image is -120.0 dBFS, under -50 dBFS, though its file has -18.1: its channels cancel "
            "each other out when they are mixed",
        ),
    ),
    (
        {"level_db": -97.7, "file_db": -30.46, "mixed_db": -31.0},
        {"silence_db": -50.0},
        Reason(
            "silence",
            "its level in the image is -97.7 dBFS, under -50 dBFS, though its file has -30.5: all else is an offset "
            "from zero, or lies outside the image's range of frequencies",
        ),
    ),
    (
        {"quiet": 0.66},
        {"silence_db": -50.0},
        Reason("silence", "66% of it are pauses, more than 50%"),
    ),
    (
        {"burst": 0.58},
        {"silence_db": -50.0},
        Reason("silence", "the first 58% of it are nearly silent before the music bursts out, more than 35%"),
    ),
    (
        {"transition": 0.81, "transition_at": 2.344},
        {"transition": 0.6},
        Reason(
            "transition",
            "2.34 s into it the music changes as at a cut between two pieces: 0.81 on a scale to 1, more than 0.60",
        ),
    ),
    (
        {"clipped": 0.0123},
        {"clipping": 0.01},
        Reason("clipping", "1.23% of its samples are clipped, more than 1.00%"),
    ),
    (
        {"dropout": 0.25},
        {"broken": True},
        Reason("broken", "the sound drops out for 0.25 s, 0.03 s or longer"),
    ),
    (
        {"rumble": 23.4},
        {"broken": True},
        Reason(
            "broken",
            "an offset from zero, or what lies under 20 Hz, is 23 dB above the rest of its image, more than 20 dB",
        ),
    ),
]


@pytest.mark.parametrize(
    ("values", "check", "reason"),
    FAULTS,
    ids=[
        "soft",
        "softer in the image",
        "cancelled",
        "not shown",
        "pauses",
        "burst",
        "transition",
        "clipped",
        "dropout",
        "rumble",
    ],
)
def test_each_fault_gives_its_reason(values: dict[str, float], check: dict[str, float], reason: Reason) -> None:
    features = faulty(7, 3, **values)
    verdicts = judged(features, replace(LENIENT, **check))
    assert verdicts[3] == Verdict(False, (reason,))
    assert verdicts[:3] + verdicts[4:] == [Verdict(True)] * 6
    assert judged(features, LENIENT) == [Verdict(True)] * 7, "switched off"


@pytest.mark.parametrize(
    ("name", "limit", "setting"),
    [
        ("level_db", -50.0, {"silence_db": -50.0}),
        ("quiet", 0.5, {"silence_db": -50.0}),
        ("burst", 0.35, {"silence_db": -50.0}),
        ("transition", 0.5, {"transition": 0.5}),
        ("clipped", 0.25, {"clipping": 0.25}),
        ("rumble", 20.0, {"broken": True}),
        ("dropout", 0.02, {"broken": True}),
    ],
)
def test_values_at_the_limit_pass_and_beyond_it_fail(name: str, limit: float, setting: dict[str, float]) -> None:
    assert judged(faulty(3, 1, **{name: limit}), replace(LENIENT, **setting))[1].kept
    worse = limit - 0.5 if name == "level_db" else limit + 0.02
    assert not judged(faulty(3, 1, **{name: worse}), replace(LENIENT, **setting))[1].kept


def test_three_silent_columns_are_a_drop_out() -> None:
    assert not judged(faulty(3, 1, dropout=np.float32(3 * 0.01)), replace(LENIENT, broken=True))[1].kept
    assert not judged(faulty(3, 1, dropout=np.float32(3 * 441 / 44100)), replace(LENIENT, broken=True))[1].kept


def test_limit_0_rejects_any_fault_and_limit_1_none() -> None:
    features = faulty(4, 2, clipped=1e-4, transition=1e-4)
    assert kinds(judged(features, replace(LENIENT, clipping=0.0, transition=0.0))[2]) == ["transition", "clipping"]
    assert judged(features, replace(LENIENT, clipping=1.0, transition=1.0))[2].kept


def test_silent_window_has_one_reason() -> None:
    silent = faulty(3, 1, level_db=-120.0, file_db=-120.0, mixed_db=-120.0, quiet=1.0, rumble=30.0)
    assert judged(silent, replace(LENIENT, silence_db=-50.0, broken=True))[1].reasons == (
        Reason("silence", "its level is -120.0 dBFS, under -50 dBFS"),
    )


def test_window_with_several_faults_lists_all_reasons() -> None:
    features = faulty(9, 0, level_db=-70.0, transition=0.9, clipped=0.5, dropout=0.3)
    verdicts = judged(features, CurateSettings())
    assert kinds(verdicts[0]) == ["intro", "silence", "transition", "clipping", "broken"]
    assert set(kinds(verdicts[0])) <= set(REASONS)


# --- beginnings and endings -------------------------------------------------------------------------------------------


def test_first_and_last_windows_of_long_songs_are_left_out() -> None:
    settings = replace(LENIENT, first=2, last=1)
    verdicts = judged(good(14), settings, songs=2)
    assert [kinds(verdict) for verdict in verdicts[:7]] == [["intro"], ["intro"], [], [], [], [], ["ending"]]
    assert verdicts[:7] == verdicts[7:]
    assert verdicts[1].reasons[0].text == "it is number 2 of the song's first 2 windows, which are left out"
    assert verdicts[6].reasons[0].text == "it is the last window of the song, which is left out"


@given(count=st.integers(1, 40), first=st.integers(0, 6), last=st.integers(0, 6))
def test_short_songs_keep_their_first_and_last_windows(count: int, first: int, last: int) -> None:
    verdicts = judged(good(count), replace(LENIENT, first=first, last=last))
    expected = first + last if count > 2 * (first + last) else 0
    assert sum(not verdict.kept for verdict in verdicts) == expected
    if expected:
        assert all(kinds(verdict) == ["intro"] for verdict in verdicts[:first])
        assert all(kinds(verdict) == ["ending"] for verdict in verdicts[count - last :])


def test_first_and_last_windows_are_found_by_column_not_by_order() -> None:
    columns = COLUMNS * np.array([3, 1, 4, 0, 5, 2])
    verdicts = curate(good(6), np.full(6, 17), columns, COLUMNS, replace(LENIENT, first=1, last=1))
    assert [kinds(verdict) for verdict in verdicts] == [[], [], [], ["intro"], ["ending"], []]


# --- duplicates -------------------------------------------------------------------------------------------------------


def doubled(distance: float, count: int = 6) -> Features:
    """Return each window twice, the second at this distance."""
    features = good(count)
    other = np.roll(features.embedding, 1, axis=0)
    other -= (other * features.embedding).sum(axis=1, keepdims=True) * features.embedding
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    angle = 2 * np.arcsin(distance / 2)
    return Features.concatenate(
        [features, replace(features, embedding=np.cos(angle) * features.embedding + np.sin(angle) * other)]
    )


def test_duplicates_give_their_similarity_and_the_kept_window() -> None:
    verdicts = judged(doubled(0.12), replace(LENIENT, duplicate=0.8))
    assert [verdict.kept for verdict in verdicts] == [True] * 6 + [False] * 6
    assert [verdict.reasons for verdict in verdicts[6:]] == [
        (Reason("duplicate", "88% like another window, and 80% count as the same", other),) for other in range(6)
    ]


@pytest.mark.parametrize(("likeness", "kept"), [(0.8, 6), (0.88, 6), (0.9, 12), (1.0, 12), (0.0, 1), (None, 12)])
def test_duplicate_setting_determines_how_similar_windows_may_be(likeness: float | None, kept: int) -> None:
    features = doubled(0.1195)
    if likeness == 0.0:
        features = replace(features, embedding=np.abs(features.embedding))  # all closer than 1 to each other
    verdicts = judged(features, replace(LENIENT, duplicate=likeness))
    assert sum(verdict.kept for verdict in verdicts) == kept


def test_identical_windows_are_found_at_similarity_1() -> None:
    features = Features.concatenate([good(3), good(3)])
    verdicts = judged(features, replace(LENIENT, duplicate=1.0))
    assert [verdict.kept for verdict in verdicts] == [True] * 3 + [False] * 3
    assert verdicts[3].reasons[0].text == "100% like another window, and 100% count as the same"


def test_better_window_of_a_duplicate_pair_is_kept() -> None:
    features = doubled(0.1)
    for name, value in (("transition", 0.3), ("quiet", 0.2), ("clipped", 0.02)):
        array = getattr(features, name).copy()
        array[[0, 7]] = value
        verdicts = judged(replace(features, **{name: array}), replace(LENIENT, duplicate=0.8))
        assert [n for n, verdict in enumerate(verdicts) if verdict.kept] == [1, 2, 3, 4, 5, 6], name
        assert verdicts[0].reasons[0].other == 6


def test_all_windows_of_a_copied_song_are_the_ones_left_out() -> None:
    features = doubled(0.1)
    features.transition[:] = 0.02 + 0.02 * np.random.default_rng(1).random(12)
    verdicts = judged(features, replace(LENIENT, duplicate=0.8))
    assert [verdict.kept for verdict in verdicts] == [True] * 6 + [False] * 6


def test_excluded_windows_do_not_exclude_their_duplicates() -> None:
    features = doubled(0.1)
    level = features.level_db.copy()
    level[2] = -80
    verdicts = judged(replace(features, level_db=level), replace(LENIENT, duplicate=0.8, silence_db=-50.0))
    assert kinds(verdicts[2]) == ["silence"], "and not a duplicate as well"
    assert verdicts[8].kept
    intro = judged(doubled(0.1), replace(LENIENT, duplicate=0.8, first=1), songs=1)
    assert kinds(intro[0]) == ["intro"]
    assert intro[6].kept


def shifted_copy(columns: int, count: int = 3) -> tuple[Features, Features]:
    """Return windows of a song, and of a copy that starts a number of columns earlier in the music."""
    sketch = np.random.default_rng(7).normal(-40, 12, (COLUMNS * count // 16 + 64, 32)).repeat(16, axis=0)
    firsts = COLUMNS * np.arange(count) + columns
    song, copy = (
        replace(good(count, seed), levels=window_levels(sketch, firsts - seed * columns, COLUMNS)) for seed in (0, 1)
    )
    return song, copy


def test_shifted_copies_give_the_shared_part_and_the_offset() -> None:
    settings = replace(LENIENT, duplicate=0.8)
    verdicts = judged(Features.concatenate(shifted_copy(200)), settings, songs=2)
    assert [verdict.kept for verdict in verdicts] == [True] * 3 + [False] * 3
    text = "61% of it is the same recording as another window, which begins 2.00 s later"
    assert [verdict.reasons for verdict in verdicts[3:]] == [(Reason("duplicate", text, n),) for n in range(3)]
    within = judged(Features.concatenate(shifted_copy(200)), settings)
    assert all(verdict.kept for verdict in within), "within a song it counts as repetition"
    assert all(verdict.kept for verdict in judged(Features.concatenate(shifted_copy(200)), LENIENT, songs=2))
    exact = judged(Features.concatenate(shifted_copy(203)), replace(LENIENT, duplicate=1.0), songs=2)
    assert all(verdict.kept for verdict in exact), "with 1 only identical windows count"


def test_maximum_offset_of_shifted_copies_depends_on_the_step() -> None:
    features, song = Features.concatenate(shifted_copy(200)), np.repeat([0, 1], 3)
    first, settings = np.tile(COLUMNS * np.arange(3), 2), replace(LENIENT, duplicate=0.8)
    for step, kept in ((512, 3), (256, 6)):
        verdicts = curate(features, song, first, COLUMNS, settings, step=step, column_seconds=0.02)
        assert sum(verdict.kept for verdict in verdicts) == kept
        assert kept == 6 or "begins 4.00 s later" in verdicts[3].reasons[0].text


def test_overlapping_windows_of_a_song_are_no_duplicates() -> None:
    features = Features.concatenate([good(1)] * 8)
    verdicts = curate(
        features, np.repeat([0, 1], 4), np.tile(np.arange(4) * 256, 2), COLUMNS, replace(LENIENT, duplicate=0.8)
    )
    assert [verdict.kept for verdict in verdicts] == [True, True] + [False] * 6
    assert [verdict.reasons[0].other for verdict in verdicts[2:]] == [0, 0, 0, 0, 0, 0]


# --- target -----------------------------------------------------------------------------------------------------------


def test_target_is_chosen_from_the_good_windows() -> None:
    features = Features.concatenate([good(30), good(10)])
    level = features.level_db.copy()
    level[:5] = -90
    verdicts = judged(
        replace(features, level_db=level), replace(LENIENT, silence_db=-50.0, duplicate=0.8, target=12), songs=4
    )
    assert sum(verdict.kept for verdict in verdicts) == 12
    assert all(kinds(verdict) == ["silence"] for verdict in verdicts[:5])
    surplus = [verdict for verdict in verdicts if "surplus" in kinds(verdict)]
    assert surplus
    assert {verdict.reasons for verdict in surplus} == {
        (Reason("surplus", "30 windows are good and 12 are wanted; the chosen ones differ more from each other"),)
    }


def test_all_songs_get_their_share_of_a_target() -> None:
    song = np.repeat([0, 1], [30, 10])
    verdicts = curate(good(40), song, COLUMNS * np.arange(40), COLUMNS, replace(LENIENT, target=10))
    assert [sum(verdict.kept for verdict in part) for part in (verdicts[:30], verdicts[30:])] == [5, 5]


@pytest.mark.parametrize("target", [20, 21, 10_000_000])
def test_target_above_the_number_of_windows_keeps_all(target: int) -> None:
    assert judged(good(20), replace(LENIENT, target=target)) == [Verdict(True)] * 20


# --- the whole --------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), count=st.integers(0, 80), songs=st.integers(1, 6), target=st.integers(1, 60))
def test_curation_invariants_hold_for_any_windows(seed: int, count: int, songs: int, target: int) -> None:
    rng = np.random.default_rng(seed)
    features = good(count, seed)
    features.embedding[:] = features.embedding[rng.integers(0, max(count, 1), count)]
    for name in ("transition", "quiet", "rumble"):
        getattr(features, name)[:] = rng.beta(0.5, 4, count)
    settings = CurateSettings(target=target)
    song, first = rng.integers(0, songs, count), COLUMNS * rng.permutation(count)
    verdicts = curate(features, song, first, COLUMNS, settings)
    assert len(verdicts) == count
    assert curate(features, song, first, COLUMNS, settings) == verdicts
    assert sum(verdict.kept for verdict in verdicts) <= target
    chosen = {n for n, verdict in enumerate(verdicts) if verdict.kept or "surplus" in kinds(verdict)}
    for verdict in verdicts:
        assert verdict.kept == (not verdict.reasons)
        for reason in verdict.reasons:
            assert reason.kind in REASONS
            assert (reason.other is not None) == (reason.kind == "duplicate")
            assert reason.other is None or reason.other in chosen


def test_no_windows_give_no_verdicts() -> None:
    assert judged(Features.concatenate([]), CurateSettings(target=3)) == []


def test_single_good_window_is_kept() -> None:
    assert judged(good(1), CurateSettings(target=1)) == [Verdict(True)]


def test_set_without_good_windows_keeps_none() -> None:
    features = replace(good(5), level_db=np.full(5, -90, np.float32))
    assert [kinds(verdict)[-1] for verdict in judged(features, CurateSettings(target=2))] == ["silence"] * 5


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(RiffusionError, match="got 3, 2 and 3 of them"):
        curate(good(3), np.zeros(2, int), np.zeros(3, int), COLUMNS, LENIENT)
