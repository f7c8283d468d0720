"""Blending windows into one spectrogram of constant level, as a whole and in pieces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.generate.windows.blend import (
    GAIN_PENALTY_RIFF,
    GAIN_PENALTY_SONG,
    BlendedSpectrogram,
    WindowMeasurements,
)
from riffusion_ext.generate.windows.plan import Plan, plan_plain, plan_riff, plan_song
from riffusion_ext.generate.windows.segments import plan_part
from riffusion_ext.metadata import TEXT_KEY, record_text
from riffusion_ext.spectrogram.image import mel_to_image
from tests.unit.small import SMALL

SCORE = Score((Keyframe("a", seed=1, seconds=6.0),))


def with_record(image: Image.Image, max_value: float) -> Image.Image:
    image.info[TEXT_KEY] = record_text(SMALL, max_value)
    return image


def noise_mel(columns: int, seed: int = 0) -> np.ndarray:
    """Return magnitudes of noise of constant level."""
    rng = np.random.default_rng(seed)
    return (1e5 * rng.rayleigh(1.0, (1, columns, SMALL.num_frequencies))).astype(np.float32)


def cut(mel: np.ndarray, plan: Plan, blacks: list[float], told: list[float]) -> Callable[[int], Image.Image]:
    """Return a function that reads images of the windows, encoded with some max_values and recording others."""

    def read_image(number: int) -> Image.Image:
        window = plan.windows[number]
        part = mel[:, window.start : window.end]
        part = np.pad(part, ((0, 0), (0, window.width - part.shape[1]), (0, 0)))
        return with_record(mel_to_image(part, SMALL, blacks[number]), told[number])

    return read_image


def decibels(mel: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.square(mel, dtype=np.float64).mean(axis=(0, 2)))


@settings(deadline=None, max_examples=25)
@given(st.floats(0.1, 12.0), st.integers(1, 4), st.data())
def test_blending_windows_of_one_sound_restores_it(seconds: float, width: int, data: st.DataObject) -> None:
    plan = plan_riff(round(seconds * 8000), SMALL, SCORE.at, width=64 * width, overlap=24)
    mel = noise_mel(plan.columns)
    blacks = data.draw(st.lists(st.floats(6e5, 4e6), min_size=len(plan.windows), max_size=len(plan.windows)))
    woven = BlendedSpectrogram(plan, cut(mel, plan, blacks, blacks), gain_penalty=GAIN_PENALTY_RIFF)
    np.testing.assert_allclose(woven.gains, 1.0, atol=0.02)
    whole = woven.mel(0, plan.columns)
    np.testing.assert_allclose(decibels(whole), decibels(mel), atol=0.35)  # an image has discrete levels


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 700), st.integers(1, 700))
def test_blended_pieces_equal_the_whole(start: int, length: int) -> None:
    plan = plan_song(SCORE, SMALL, width=128, overlap=32)
    woven = BlendedSpectrogram(plan, cut(noise_mel(plan.columns), plan, [2e6] * 99, [2e6] * 99))
    start = min(start, plan.columns - 1)
    stop = min(start + length, plan.columns)
    np.testing.assert_array_equal(woven.mel(start, stop), woven.mel(0, plan.columns)[:, start:stop])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from(["song", "riff"]))
def test_gains_equalise_windows_with_wrong_levels(seed: int, kind: str) -> None:
    """A model does not know the max_value, so its windows may differ by several decibels."""
    if kind == "song":
        plan = plan_song(SCORE, SMALL, width=128, overlap=32)
    else:
        plan = plan_riff(48000, SMALL, SCORE.at, width=128, overlap=32)
    count = len(plan.windows)
    rng = np.random.default_rng(seed)
    told = list(1e6 * 10 ** (rng.uniform(-3, 3, count) / 20))
    mel = noise_mel(plan.columns)
    woven = BlendedSpectrogram(plan, cut(mel, plan, [1.5e6] * count, told), gain_penalty=GAIN_PENALTY_SONG)
    level = decibels(woven.mel(0, plan.columns)) - decibels(mel)
    assert np.ptp(level) < 0.5
    assert abs(level.mean() - 20 * np.log10(1e6 / 1.5e6)) < 3.5  # and it is the mean level of the windows


def test_level_errors_do_not_accumulate_over_a_long_song() -> None:
    """Every window gets louder towards its end, so each seam requests half a decibel in the same direction."""
    plan = plan_riff(8000 * 600, SMALL, SCORE.at, width=256, overlap=32)
    grey = np.rint(np.linspace(120, 100, 256)).astype(np.uint8)
    image = with_record(Image.fromarray(np.repeat(grey[None], 64, axis=0)).convert("RGB"), 1e6)
    assert len(plan.windows) > 200
    gains = 20 * np.log10(BlendedSpectrogram(plan, lambda number: image, gain_penalty=GAIN_PENALTY_RIFF).gains)
    assert np.ptp(gains) > 1
    assert np.abs(gains).max() < 12
    assert np.abs(gains[50:-50]).max() < 0.1


def test_content_of_one_window_does_not_count_as_level_difference() -> None:
    """A window that is softer in its middle agrees in level with its neighbours at the seams."""
    plan = plan_song(SCORE, SMALL, width=128, overlap=32)
    loud = 60 * np.ones(128)
    softer = np.concatenate([np.linspace(60, 150, 40), np.full(48, 150), np.linspace(150, 60, 40)])

    def read_image(number: int) -> Image.Image:
        row = np.rint(softer if number % 2 else loud).astype(np.uint8)
        return with_record(Image.fromarray(np.repeat(row[None], 64, axis=0)).convert("RGB"), 1e6)

    gains = 20 * np.log10(BlendedSpectrogram(plan, read_image).gains)
    assert np.ptp(gains) < 4  # 9 dB if all shared columns were compared


def test_silence_has_no_level_to_match() -> None:
    plan = plan_song(SCORE, SMALL, width=128, overlap=32)
    white = with_record(Image.new("RGB", (128, 64), "white"), 1e6)
    loud = with_record(Image.new("RGB", (128, 64), (50, 50, 50)), 1e6)
    woven = BlendedSpectrogram(plan, lambda number: loud if number == 2 else white)
    assert woven.gains == (1.0,) * len(plan.windows)
    assert not BlendedSpectrogram(plan, lambda number: white).mel(0, plan.columns).any()


def test_level_correction_between_windows_is_bounded() -> None:
    """A quiet window beside a loud one is corrected by a bounded amount only."""
    plan = plan_riff(100 * 80 + 64 * 80, SMALL, SCORE.at, width=128, overlap=32)
    quiet, loud = (with_record(Image.new("RGB", (128, 64), (level,) * 3), 1e6) for level in (200, 20))
    woven = BlendedSpectrogram(plan, lambda number: loud if number else quiet)
    assert 20 * np.log10(max(woven.gains) / min(woven.gains)) < 12.5


def test_plain_windows_keep_their_levels() -> None:
    plan = plan_plain(SCORE, SMALL, width=128)
    one, other = (with_record(Image.new("RGB", (128, 64), (100, 100, 100)), max_value) for max_value in (1e6, 2e6))
    woven = BlendedSpectrogram(plan, lambda number: other if number % 2 else one)
    mel = woven.mel(0, plan.columns)
    assert mel[0, 127, 0] * 2 == pytest.approx(mel[0, 128, 0])
    assert woven.source().max_value == 2e6


def test_seams_of_unrelated_windows_are_as_loud_as_the_rest() -> None:
    plan = plan_riff(8000 * 20, SMALL, SCORE.at, width=256, overlap=64)
    mels = {window.number: noise_mel(256, seed=window.number) for window in plan.windows}
    woven = BlendedSpectrogram(plan, lambda number: with_record(mel_to_image(mels[number], SMALL, 1e6), 1e6))
    level = decibels(woven.mel(0, plan.columns))
    seams = np.zeros(plan.columns, bool)
    for window in plan.windows[:-1]:
        half = plan.fade(window.number) // 2
        seams[window.last - half : window.last + half] = True
    mean = [10 * np.log10((10 ** (level[chosen] / 10)).mean()) for chosen in (seams, ~seams)]
    assert abs(mean[0] - mean[1]) < 1.0


def test_only_a_few_window_images_are_kept_in_memory() -> None:
    plan = plan_riff(8000 * 60, SMALL, SCORE.at, width=128, overlap=32)
    opened: list[int] = []
    image = with_record(Image.new("RGB", (128, 64), (100, 100, 100)), 1e6)

    def read_image(number: int) -> Image.Image:
        opened.append(number)
        return image

    woven = BlendedSpectrogram(plan, read_image, gains=[1.0] * len(plan.windows))
    for start in range(0, plan.columns - 100, 100):
        woven.mel(start, start + 100)
    assert opened == sorted(opened)  # each once, from left to right
    assert len(woven._sources) <= 4


def test_images_of_another_size_are_refused() -> None:
    plan = plan_song(SCORE, SMALL, width=128, overlap=32)
    with pytest.raises(RiffusionError, match="window 1 is 64 x 64, it should be 128 x 64"):
        BlendedSpectrogram(plan, lambda number: Image.new("RGB", (64, 64)))
    with pytest.raises(RiffusionError, match="need as many gains"):
        BlendedSpectrogram(plan, lambda number: Image.new("RGB", (128, 64)), gains=[1.0])


def test_measured_levels_are_not_read_again() -> None:
    plan = plan_song(SCORE, SMALL, width=64, overlap=16)
    count = len(plan.windows)
    opened: list[int] = []
    images = cut(noise_mel(plan.columns), plan, [1.5e6] * count, [1e6 * (1.5 + n % 3) for n in range(count)])

    def read_image(number: int) -> Image.Image:
        opened.append(number)
        return images(number)

    measured = WindowMeasurements()
    part = plan_part(plan, 2, 5)
    BlendedSpectrogram(part, lambda number: read_image(2 + number), measured=measured, first=2)
    assert sorted(set(opened)) == [2, 3, 4]
    opened.clear()
    BlendedSpectrogram(plan, read_image, measured=measured)
    assert 3 not in opened, "both of its seams and its max_value are known"
    opened.clear()
    again = BlendedSpectrogram(plan, read_image, measured=measured)
    again.source()
    assert not opened
    fresh = BlendedSpectrogram(plan, images)
    assert again.gains == fresh.gains
    assert again.source().max_value == fresh.source().max_value
    assert np.array_equal(again.mel(0, plan.columns), fresh.mel(0, plan.columns))


def test_playable_part_has_its_own_gains() -> None:
    """Fades of a truncated song may be longer than those of the whole."""
    plan = plan_song(SCORE, SMALL, width=64, overlap=32)
    count = len(plan.windows)
    images = cut(noise_mel(plan.columns), plan, [1.5e6] * count, [1e6 * (1.5 + n % 3) for n in range(count)])
    measured = WindowMeasurements()
    for number in range(1, count + 1):
        head = plan.head(number)
        assert BlendedSpectrogram(head, images, measured=measured).gains == BlendedSpectrogram(head, images).gains
