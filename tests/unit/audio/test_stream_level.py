"""The level of an endless sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.level import CEILING, limit, limit_reach
from riffusion_ext.audio.stream_level import LOUDNESS_DB, SLOPE_DB, StreamLevel

RATE = 8000


def levelled(samples: np.ndarray, cuts: list[int]) -> np.ndarray:
    level = StreamLevel(RATE, samples.shape[0])
    parts = np.split(samples, cuts, axis=1)
    return np.concatenate([level.add(part, last=part is parts[-1]) for part in parts], axis=1)


def tone(seconds: float, amplitude: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    wave: np.ndarray = (amplitude * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[None]
    return wave


def rms_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.square(samples, dtype=np.float64).mean()))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 9000), st.lists(st.integers(0, 9000), max_size=4), st.sampled_from([1e-6, 0.01, 1, 300]), st.data()
)
def test_levelled_stream_keeps_its_length_and_stays_below_the_ceiling(
    length: int, cuts: list[int], scale: float, data: st.DataObject
):
    seed = data.draw(st.integers(0, 99))
    samples = np.random.default_rng(seed).standard_normal((2, length)).astype(np.float32) * np.float32(scale)
    out = levelled(samples, sorted(min(cut, length) for cut in cuts))
    assert out.shape == samples.shape
    assert np.abs(out).max(initial=0) <= CEILING * 1.000001


def test_gain_starts_with_the_first_piece_and_changes_slowly():
    loud, soft = tone(4), tone(8, 0.03)
    out = levelled(np.concatenate([loud, soft], axis=1), [4 * RATE, 8 * RATE])
    assert rms_db(out[:, : 4 * RATE - 800]) == pytest.approx(LOUDNESS_DB, abs=0.2)
    fall = rms_db(out[:, 4 * RATE + 800 : 5 * RATE]) - LOUDNESS_DB
    assert fall == pytest.approx(-20, abs=1), "a soft passage stays soft at first"
    rise = rms_db(out[:, 11 * RATE :]) - rms_db(out[:, 4 * RATE + 800 : 5 * RATE])
    assert rise == pytest.approx(7 * SLOPE_DB, abs=0.5)


def test_gain_has_no_jump_at_piece_borders():
    wave = np.concatenate([tone(2), tone(2, 0.1), tone(2, 0.6)], axis=1)
    cuts = [RATE * n for n in range(1, 6)]
    out = levelled(wave, cuts)
    gain = out[:, 5::10] / np.where(np.abs(wave[:, 5::10]) > 0.01, wave[:, 5::10], np.nan)
    step_db = np.abs(np.diff(20 * np.log10(np.abs(gain[~np.isnan(gain)]))))
    assert step_db.max() < 0.02


@pytest.mark.parametrize("cut", [RATE, RATE + limit_reach(RATE) + 40])
def test_limiting_in_pieces_equals_limiting_the_whole(cut: int):
    """The border of the input or output pieces is right at a peak."""
    rng = np.random.default_rng(2)
    wave = (0.1 * rng.standard_normal((1, 3 * RATE))).astype(np.float32)
    wave[:, RATE - 3 : RATE + 3] = 5.0
    level = StreamLevel(RATE, 1)
    level._gain_db = 0.0
    first = wave[:, :cut] * level._gains(wave[:, :cut])
    second = wave[:, cut:] * level._gains(wave[:, cut:])
    whole = limit(AudioClip(np.concatenate([first, second], axis=1), RATE)).samples
    level = StreamLevel(RATE, 1)
    level._gain_db = 0.0
    pieces = [level.add(wave[:, :cut]), level.add(wave[:, cut:], last=True)]
    assert pieces[0].shape[1] == cut - limit_reach(RATE)
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-6)


def test_silence_stays_silence_and_does_not_change_the_gain():
    wave = np.concatenate([np.zeros((1, RATE), np.float32), tone(1), np.zeros((1, RATE), np.float32), tone(1)], axis=1)
    out = levelled(wave, [RATE, 2 * RATE, 3 * RATE])
    assert not out[:, : RATE - 400].any()
    assert rms_db(out[:, RATE + 400 : 2 * RATE - 400]) == pytest.approx(LOUDNESS_DB, abs=0.2)
    assert rms_db(out[:, 3 * RATE + 400 :]) == pytest.approx(LOUDNESS_DB, abs=0.2)
