"""Init images: beats at their tempo, and tiled images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.analysis.beat_tracking import onset_strength
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.windows.init_images import PATTERNS, beat_clip, beat_image, tile_columns
from riffusion_ext.params import PRESETS, SpectrogramParams

PARAMS = PRESETS["riffusion-v1"]


@pytest.mark.parametrize("pattern", PATTERNS[1:])
def test_beat_images_have_the_size_and_range_of_the_model(pattern: str) -> None:
    image = beat_image(120, pattern, PARAMS)
    assert (image.mode, image.size) == ("RGB", (512, 512))
    again = beat_image(120, pattern, PARAMS)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(again))
    levels = np.asarray(image)[..., 0]
    assert levels.min() == 0
    assert 100 < levels.mean() < 250


@settings(deadline=None, max_examples=30)
@given(
    st.floats(60, 200), st.sampled_from(PATTERNS[1:]), st.integers(0, 400_000), st.integers(1, 9000), st.integers(1, 7)
)
def test_part_of_a_beat_clip_equals_the_whole_there(
    bpm: float, pattern: str, first: int, count: int, beats: int
) -> None:
    whole = beat_clip(bpm, pattern, 8000, first=max(first - 4000, 0), count=count + 4000, beats_per_bar=beats)
    part = beat_clip(bpm, pattern, 8000, first=first, count=count, beats_per_bar=beats)
    offset = first - max(first - 4000, 0)
    np.testing.assert_allclose(part.samples, whole.samples[:, offset : offset + count], atol=1e-6)


@pytest.mark.parametrize("bpm", [75.0, 112.4, 160.0])
def test_hits_are_on_the_beats(bpm: float) -> None:
    clip = beat_clip(bpm, "four on the floor", 8000, count=80_000)
    energy = np.square(clip.samples[0]).reshape(-1, 80).mean(axis=1)
    for beat in range(1, int(10 * bpm / 60)):
        column = beat * 60 / bpm * 100
        assert energy[int(column) : int(column) + 4].max() > 4 * energy[int(column) - 4 : int(column) - 1].max()


def test_patterns_give_different_images() -> None:
    images = [np.asarray(beat_image(120, pattern, PARAMS))[..., 0].astype(float) for pattern in PATTERNS[1:]]
    for number, one in enumerate(images):
        for other in images[number + 1 :]:
            assert np.abs(one - other).mean() > 2


def test_onsets_repeat_every_bar() -> None:
    levels = 255.0 - np.asarray(beat_image(120, "backbeat", PARAMS, width=832))[::-1, :, 0].T
    onsets = onset_strength(levels.reshape(832, 32, 16).mean(axis=2) / 255 * 60 - 60)
    assert np.corrcoef(onsets[20:400], onsets[220:600])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"pattern": "none"}, "four on the floor, backbeat"),
        ({"bpm": 5.0}, "between 20 and 400"),
        ({"beats_per_bar": 0}, "1 to 16 beats"),
    ],
)
def test_invalid_beats_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(RiffusionError, match=words):
        beat_image(**{"bpm": 120, "pattern": "backbeat", "params": PARAMS, **values})


@settings(deadline=None)
@given(st.integers(0, 5000), st.integers(1, 40).map(lambda n: 64 * n))
def test_tiled_image_repeats_at_any_offset_and_width(start: int, width: int) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 77), np.uint8))
    tile = np.asarray(tile_columns(image, start, width, 64))
    assert tile.shape == (64, width, 3)
    np.testing.assert_array_equal(tile[:, 0, 0], np.asarray(image)[:, start % 77])
    np.testing.assert_array_equal(tile[:, 77:], tile[:, :-77]) if width > 77 else None


def test_tiled_image_is_scaled_to_the_height(small: SpectrogramParams) -> None:
    assert tile_columns(Image.new("L", (10, 20)), 0, 64, small.num_frequencies).size == (64, 64)
