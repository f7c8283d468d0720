"""The reference engine: the original recipe, if torchaudio is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from riffusion_ext.errors import ImageError, RiffusionError
from riffusion_ext.spectrogram import SpectrogramParams
from riffusion_ext.spectrogram.codec import (
    DecodeSettings,
    audio_to_image,
    available_engines,
    image_to_audio,
    images_to_audio,
    song_to_audio,
)
from riffusion_ext.spectrogram.inversion import reference


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Fake the installed versions."""

    def choose(**versions: str | None) -> None:
        def version(name: str) -> str | None:
            if name not in versions:
                raise metadata.PackageNotFoundError(name)
            return versions[name]

        monkeypatch.setattr(metadata, "version", version)
        available_engines.cache_clear()

    yield choose
    available_engines.cache_clear()


@pytest.mark.parametrize(
    ("versions", "available"),
    [
        ({"torch": "2.1.2", "torchaudio": "2.1.2"}, True),
        ({"torch": "2.1.2+cu121", "torchaudio": "2.1.2+cpu"}, True),
        ({"torch": "2.1.2", "torchaudio": "2.11.0"}, False),
        ({"torch": "2.1.2"}, False),
        ({"torchaudio": "2.1.2"}, False),
        ({"torch": "2.1.2", "torchaudio": None}, False),  # the remains of an interrupted installation
    ],
)
def test_reference_engine_is_offered_when_torchaudio_matches_torch(
    installed: Callable[..., None], versions: dict[str, str | None], available: bool
) -> None:
    installed(**versions)
    assert available_engines() == (("fast", "best", "reference") if available else ("fast", "best"))


def test_reference_engine_without_torchaudio_raises_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, small: SpectrogramParams
) -> None:
    monkeypatch.setitem(sys.modules, "torchaudio.transforms", None)
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    with pytest.raises(RiffusionError, match="needs torchaudio, which cannot be imported"):
        reference.invert(torch.ones(1, 40, 96), small, 0)


def test_reference_engine_equals_the_original_recipe(torchaudio: Any, tune: Any, small: SpectrogramParams) -> None:
    image = audio_to_image(tune(1.0, rate=16000), small)
    settings = DecodeSettings(engine="reference", level="recorded", params=small, seed=7)
    ours = image_to_audio(image.image, settings).clip.samples[0]

    levels = np.asarray(image.image)[::-1, :, 0].astype(np.float32)
    mel = torch.from_numpy(((255 - levels) / 255) ** 4 * np.float32(image.max_value))
    unmel = torchaudio.transforms.InverseMelScale(1601, 96, 16000, 0, 5000, norm=None, mel_scale="htk")
    griffin_lim = torchaudio.transforms.GriffinLim(3200, 32, 1600, 160, power=1.0, momentum=0.99)
    torch.manual_seed(7)
    theirs = griffin_lim(unmel(mel)).numpy() / 32768
    assert ours == pytest.approx(theirs, abs=1e-3 * np.abs(theirs).max())


def test_seed_determines_the_result_and_global_random_state_is_kept(
    torchaudio: Any, tune: Any, small: SpectrogramParams
) -> None:
    image = audio_to_image(tune(0.6, rate=16000), small).image

    def decode(seed: int) -> np.ndarray:
        return image_to_audio(image, DecodeSettings(engine="reference", params=small, seed=seed)).clip.samples

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = decode(1)
    assert torch.equal(torch.rand(3), expected)
    assert np.array_equal(decode(1), first)
    assert not np.array_equal(decode(2), first)


@pytest.mark.parametrize("columns", [2, 3, 11, 12, 13, 40])
def test_length_of_narrow_images_is_exact(torchaudio: Any, columns: int, small: SpectrogramParams) -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (96, columns), dtype=np.uint8))
    decoded = image_to_audio(image, DecodeSettings(engine="reference", params=small))
    assert decoded.clip.samples.shape == (1, (columns - 1) * 160)


def test_too_wide_image_does_not_affect_the_others(
    torchaudio: Any, monkeypatch: pytest.MonkeyPatch, small: SpectrogramParams
) -> None:
    monkeypatch.setattr(reference, "MAX_COLUMNS", 40)
    images = [Image.new("L", (width, 96), 90) for width in (30, 41, 40)]
    settings = DecodeSettings(engine="reference", params=small)
    done: list[float] = []
    narrow, wide, edge = images_to_audio(images, settings, progress=done.append)
    assert not isinstance(narrow, ImageError)
    assert not isinstance(edge, ImageError)
    assert isinstance(wide, ImageError)
    assert "up to 40 columns wide, this one has 41" in str(wide)
    assert done[-1] == pytest.approx(1.0)
    with pytest.raises(ImageError, match="this one has 70"):
        song_to_audio([images[0], images[2]], settings)


def test_non_finite_result_is_an_error_of_that_image(
    torchaudio: Any, monkeypatch: pytest.MonkeyPatch, small: SpectrogramParams
) -> None:
    monkeypatch.setattr(
        torchaudio.transforms.GriffinLim, "forward", lambda self, mel: torch.full((1, 6240), float("nan"))
    )
    (result,) = images_to_audio([Image.new("L", (40, 96), 90)], DecodeSettings(engine="reference", params=small))
    assert isinstance(result, ImageError)
    assert "finds no sound" in str(result)
