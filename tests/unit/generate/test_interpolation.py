"""From one prompt to another in images that are kept in memory, rendered as songs are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio.io import read_tags
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.interpolation import (
    Interpolation,
    InterpolationSettings,
    PromptInput,
    fit_init_image,
    positions_of,
)
from riffusion_ext.metadata import audio_tags
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.progress import Stage
from riffusion_ext.services.rendering import render_piece, sound_of_piece
from riffusion_ext.spectrogram.codec import image_to_audio
from riffusion_ext.spectrogram.settings import DecodeSettings
from tests.unit.generate.fake_backends import FakeBackend, by_seed

WAY = InterpolationSettings(
    PromptInput("sax", seed=1, cfg=5.0), PromptInput("drums", seed=-1, cfg=9.0), width=64, height=64
)


@pytest.fixture
def decode(small: SpectrogramParams) -> DecodeSettings:
    """Return settings for the sound of small images."""
    return DecodeSettings(params=small)


def test_interpolation_is_generated_decoded_and_reported(small: SpectrogramParams, decode: DecodeSettings) -> None:
    counts: list[int] = []
    told: list[object] = []
    piece = Interpolation(WAY, positions_of(5), decode, on_image=counts.append)
    backend = FakeBackend(by_seed, max_batch=2)
    rendered = render_piece(piece, backend, batch=2, on_progress=told.append)
    assert (rendered.done, rendered.total, rendered.complete, piece.seed) == (5, 5, True, 1)
    assert [request.cfg for request in backend.requests] == [5.0, 6.0, 7.0, 8.0, 9.0]
    assert counts == [1, 2, 3, 4, 5]
    clip = sound_of_piece(piece, rendered, told.append)
    assert clip is not None
    assert clip.samples.shape[1] == (5 * 64 - 1) * small.hop_length
    assert {item.total for item in told if isinstance(item, Stage)} == {5}


def test_cancelled_interpolation_keeps_its_finished_images(decode: DecodeSettings) -> None:
    piece = Interpolation(WAY, positions_of(3), decode)
    backend = FakeBackend(by_seed, max_batch=1)
    rendered = render_piece(piece, backend, cancelled=lambda: backend.generated >= 1)
    assert (rendered.done, rendered.stopped, len(piece.images)) == (1, True, 1)
    assert sound_of_piece(piece, rendered) is not None


@pytest.mark.parametrize(("stop_after", "finished"), [(0, 0), (2, 2)])
def test_interrupt_in_the_backend_stops_an_interpolation(
    decode: DecodeSettings, stop_after: int, finished: int
) -> None:
    piece = Interpolation(WAY, positions_of(4), decode)
    rendered = render_piece(piece, FakeBackend(by_seed, max_batch=4, stop_after=stop_after), batch=4)
    assert (rendered.done, rendered.total, rendered.stopped, len(piece.images)) == (finished, 4, True, finished)
    assert (sound_of_piece(piece, rendered) is None) == (finished == 0)


def test_sound_is_none_before_the_first_image(decode: DecodeSettings) -> None:
    piece = Interpolation(WAY, [0.0], decode)
    assert piece.sound() is None


def test_sound_of_one_image_equals_that_of_the_codec(decode: DecodeSettings) -> None:
    piece = Interpolation(WAY, [0.5], decode)
    assert render_piece(piece, FakeBackend(by_seed)).complete
    clip = piece.sound()
    assert clip is not None
    assert np.array_equal(clip.samples, image_to_audio(piece.images[0], decode).clip.samples)


def test_file_records_the_parameters_but_no_recipe(
    small: SpectrogramParams, decode: DecodeSettings, tmp_path: Path
) -> None:
    piece = Interpolation(WAY, [0.0], decode)
    render_piece(piece, FakeBackend(by_seed))
    clip = piece.sound()
    assert clip is not None
    path = piece.write(tmp_path / "a.wav", clip, title="sax to drums")
    assert read_tags(path) == audio_tags(small, title="sax to drums")


def test_mask_without_an_init_image_is_refused(decode: DecodeSettings) -> None:
    settings = InterpolationSettings(WAY.start, WAY.end, mask=Image.new("L", (64, 64)))
    with pytest.raises(RiffusionError, match="init image"):
        Interpolation(settings, [0.0], decode)


@pytest.mark.parametrize(("count", "power"), [(0, 1.0), (2, 0.0), (2, float("nan"))])
def test_positions_out_of_range_are_refused(count: int, power: float) -> None:
    with pytest.raises(RiffusionError):
        positions_of(count, power)


@pytest.mark.parametrize(("size", "width"), [((130, 512), 128), ((40, 512), 64), ((200, 256), 192)])
def test_init_image_is_cropped_to_multiples_of_64_columns(size: tuple[int, int], width: int) -> None:
    assert fit_init_image(Image.new("L", size)).size == (width, 512)
