"""Cutting images to whole bars, in time and without clicks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.analysis.image_beats import BeatFinder, ImageBeats
from riffusion_ext.audio import AudioClip
from riffusion_ext.convert.crop import (
    CROPS,
    Cropper,
    CropSettings,
    Cut,
    cut_at_beats,
    cut_at_width,
    cut_loop,
    darkness_of,
    fade_ends,
)
from riffusion_ext.convert.crop_preview import preview
from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.crop import CROP_CONTROLS, crop_settings
from riffusion_ext.params import PRESETS

from .conftest import RATE, drum_image, pulses

PARAMS = PRESETS["riffusion-v1"]
STEP = 0.01


def beats(period: float, first: float, columns: int = 512) -> ImageBeats:
    return ImageBeats(np.zeros(columns), 0.0, period, first)


def spectrogram(darkness: np.ndarray) -> Image.Image:
    return Image.fromarray((255 * (1 - darkness)).astype(np.uint8)).convert("RGB")


# --- where to cut ----------------------------------------------------------------------------------------------------


@given(st.floats(25, 150), st.floats(-0.03, 1.0), st.integers(1, 8), st.integers(100, 3000))
@example(period=50.0, share=1.0, rhythm=1, columns=100)
@settings(max_examples=300)
def test_cut_has_whole_bars_of_the_image(period: float, share: float, rhythm: int, columns: int) -> None:
    found = beats(period, share * period, columns)
    cut, why = cut_at_beats(found, rhythm, STEP)
    length = (columns - 1) * STEP
    most = math.floor(length * 1.005 / (rhythm * period * STEP))
    if cut is None:
        assert "longer than the image" in why
        assert most == 0
        return
    assert cut.bars == most  # starting on the beat loses no bar
    assert cut.beats == rhythm * cut.bars
    wanted = cut.beats * period * STEP
    assert cut.duration == pytest.approx(wanted, abs=0.0051 * length)
    assert cut.duration <= wanted + 1e-9
    assert cut.tempo == pytest.approx(60 * cut.beats / cut.duration)
    for start, duration in cut.bodies:
        assert start >= 0
        assert duration > 0
        assert start + duration <= length + 1e-9
    assert sum(duration for _, duration in cut.bodies) == pytest.approx(cut.duration)
    bar = rhythm * period * STEP
    early = (cut.start - found.first * STEP + bar / 2) % bar - bar / 2  # one bar earlier is also on the beat
    # It begins on the beat: later only where that lies before the image, earlier where the end is near.
    assert -0.05 <= early <= 0.03 * period * STEP + 1e-9


def test_image_already_cut_to_its_bars_keeps_them_all() -> None:
    # 8 beats of 63.9 columns are 511.2, a fifth of a column more than 512 columns sound.
    cut, _ = cut_at_beats(beats(63.9, -1.2), 4, STEP)
    assert cut is not None
    assert (cut.start, cut.bars) == (0.0, 2)
    assert cut.duration == pytest.approx(5.11)


def test_late_first_beat_wraps_the_cut_instead_of_losing_a_bar() -> None:
    cut, _ = cut_at_beats(beats(60.0, 40.0), 4, STEP)  # 2 bars are 480 columns: from 40 they pass the end at 511
    assert cut is not None
    assert cut.wrapped
    assert cut.bodies == [(pytest.approx(0.4), pytest.approx(4.4)), (0.0, pytest.approx(0.4))]
    cut, _ = cut_at_beats(beats(60.0, 30.0), 4, STEP)
    assert cut is not None
    assert not cut.wrapped
    assert cut.bodies == [(pytest.approx(0.3), pytest.approx(4.8))]


@given(st.integers(2, 2000), st.integers(2, 2000))
def test_fixed_cut_lasts_the_requested_number_of_steps(columns: int, width: int) -> None:
    cut = cut_at_width(columns, width, STEP)
    if width < columns - 1:
        assert cut is not None
        assert cut.bodies == [(0.0, pytest.approx(width * STEP))]  # not one column less: two of 200 are 4 s
    else:
        assert cut is None


# --- one image after the other --------------------------------------------------------------------------------------


def test_method_every_finds_a_beat_for_each_image() -> None:
    cropper = Cropper(CropSettings("every"))
    decisions = [cropper.decide(drum_image(bpm, phase), PARAMS) for bpm, phase in ((100, 0.1), (125, 0.3))]
    tempos = [decision.cut.tempo for decision in decisions if decision.cut]
    assert tempos == [pytest.approx(100, abs=0.3), pytest.approx(125, abs=0.3)]
    assert [decision.cut.start for decision in decisions if decision.cut] == [
        pytest.approx(0.1, abs=0.02),
        pytest.approx(0.3, abs=0.02),
    ]
    assert "2 bars of 4 beats" in decisions[0].notes[0]


def test_method_once_uses_the_first_image_with_a_beat() -> None:
    cropper = Cropper(CropSettings("once"))
    blank = cropper.decide(Image.new("RGB", (512, 512), "white"), PARAMS)
    assert blank.cut is None
    assert "heard whole" in blank.notes[0]
    first = cropper.decide(drum_image(100, 0.1), PARAMS)
    assert first.cut is not None
    other = cropper.decide(drum_image(125, 0.3), PARAMS)
    assert other.cut == first.cut
    assert other.beats is None
    narrow = cropper.decide(Image.new("RGB", (300, 512), "white"), PARAMS)
    assert narrow.cut is None
    assert "past its end at 2.99 s" in narrow.notes[0]


def test_method_none_analyses_no_image() -> None:
    decision = Cropper(CropSettings()).decide(Image.new("RGB", (0, 0)), PARAMS)
    assert (decision.cut, decision.beats, decision.notes) == (None, None, ())


def test_both_channels_of_a_stereo_image_are_analysed() -> None:
    dark = (255 * pulses(60.0, 10, rows=512)).astype(np.uint8)
    for side in (1, 2):
        pixels = np.full((512, 512, 3), 255, np.uint8)
        pixels[..., 0] = 0
        pixels[..., side] = 255 - dark
        decision = Cropper(CropSettings("every")).decide(Image.fromarray(pixels), PARAMS)
        assert decision.cut is not None
        assert decision.cut.tempo == pytest.approx(100, abs=0.5)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA"])
def test_images_of_any_mode_have_the_same_beat(mode: str) -> None:
    image = spectrogram(pulses(60.0, 10, rows=512)).convert(mode)
    decision = Cropper(CropSettings("every")).decide(image, PARAMS)
    assert decision.cut is not None
    assert decision.cut.tempo == pytest.approx(100, abs=0.5)


def test_darkness_ranges_from_0_to_1() -> None:
    darkness = darkness_of(Image.linear_gradient("L"))
    assert darkness.dtype == np.float32
    assert (darkness.min(), darkness.max()) == (0.0, 1.0)


# --- the sound -------------------------------------------------------------------------------------------------------


def sine(seconds: float, hertz: float) -> AudioClip:
    time = np.arange(round(seconds * RATE)) / RATE
    return AudioClip(np.sin(2 * np.pi * hertz * time).astype(np.float32)[None], RATE)


def steepest(samples: np.ndarray) -> float:
    return float(np.abs(np.diff(samples)).max())


@given(st.floats(0.0, 0.3), st.floats(0.05, 0.6), st.booleans())
@settings(max_examples=60, deadline=None)
def test_loop_has_its_length_and_no_click(start: float, duration: float, wrapped: bool) -> None:
    assume(not wrapped or 0.03 <= start < duration - 0.03)
    clip = sine(1.0, 317.0)
    loop = cut_loop(clip, Cut(start, duration, wrapped))
    assert loop.samples.shape[1] == pytest.approx(duration * RATE, abs=1.01)
    twice = np.tile(loop.samples[0], 2)
    # A jump from one phase to another is up to 2 high, and a sine of 317 Hz moves by 0.045 at most from sample to
    # sample; a fade of 5 ms between two phases adds a little.
    assert steepest(twice) < 0.08
    assert np.abs(twice).max() < 1.5


def test_wrapped_loop_ends_with_the_start_of_the_sound() -> None:
    ramp = AudioClip(np.linspace(0, 1, RATE, dtype=np.float32)[None], RATE)
    loop = cut_loop(ramp, Cut(0.4, 0.9, True)).samples[0]
    assert loop[RATE // 10] == pytest.approx(0.5, abs=1e-4)
    assert loop[RATE * 7 // 10] == pytest.approx(0.2, abs=1e-4)


def test_fade_changes_the_ends_only() -> None:
    clip = AudioClip(np.ones((2, 1000), np.float32), RATE)
    faded = fade_ends(clip).samples
    assert faded[:, [0, -1]].max() < 0.01
    assert (np.diff(faded[:, :220]) > 0).all()
    np.testing.assert_array_equal(faded[:, 221:-221], 1.0)
    assert fade_ends(AudioClip(np.ones((1, 3), np.float32), RATE)).samples.shape == (1, 3)
    assert clip.samples.min() == 1.0


# --- settings and preview --------------------------------------------------------------------------------------------


def test_crop_controls_agree_with_the_core() -> None:
    assert CROP_CONTROLS[0].choices == CROPS
    assert crop_settings({}) == CropSettings()
    given = {"crop": "Every", "crop_width": 300, "rhythm": 3, "threshold": None, "band_start": "0.5"}
    assert crop_settings(given) == CropSettings("every", 300, BeatFinder(rhythm=3, band_start=0.5))
    for item in CROP_CONTROLS:
        assert item.clean(item.default) == item.default
        if item.kind == "slider":
            for value in (item.minimum, item.maximum):
                crop_settings({item.id: value})
            with pytest.raises(RiffusionError, match=item.id):
                crop_settings({item.id: item.maximum + 1})


@pytest.mark.parametrize(("method", "width"), [("sometimes", 512), ("fixed", 1), ("fixed", 1 << 17)])
def test_invalid_crop_settings_are_refused(method: str, width: int) -> None:
    with pytest.raises(RiffusionError, match=r"none, fixed, once, every|between 2 and 65536"):
        CropSettings(method, width)


@pytest.mark.parametrize("method", ["fixed", "once", "every"])
def test_preview_marks_the_cut_and_the_beats(method: str) -> None:
    image = drum_image(100, 0.1)
    drawing, decision = preview(image, Cropper(CropSettings(method, 300)), PARAMS)
    assert decision.cut is not None
    assert drawing.mode == "RGB"
    assert drawing.width == image.width
    assert drawing.height > image.height
    drawn, plain = np.asarray(drawing).astype(int), np.asarray(image.convert("RGB")).astype(int)
    green = (drawn[5] == (5, 150, 105)).all(axis=1)
    ends = [round(100 * at) for at in (decision.cut.start, decision.cut.start + decision.cut.duration)]
    assert all(green[max(0, end - 2) : end + 3].any() for end in ends)
    red = (drawn[image.height + 1] == (220, 38, 38)).all(axis=1)
    assert red.sum() == (0 if method == "fixed" else len(decision.beats.columns if decision.beats else ()))
    unheard = slice(ends[1] + 4, None)
    assert (drawn[: image.height, unheard] >= plain[:, unheard] - 60).all()
    assert drawn[: image.height, unheard].mean() > plain[:, unheard].mean()


def test_image_without_a_beat_has_a_preview() -> None:
    drawing, decision = preview(Image.new("L", (64, 32), 255), Cropper(CropSettings("every")), PARAMS)
    assert decision.cut is None
    assert drawing.width == 64
