"""A batch of images is decoded as a whole, or one by one if that fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image

from riffusion_ext.convert.decode import decode_all
from riffusion_ext.spectrogram import codec
from riffusion_ext.spectrogram.settings import DecodeSettings


class StopNowError(Exception):
    """Raised by a caller to stop."""


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of decoded batches; batches of several images and images 2 px wide fail."""
    sizes: list[int] = []

    def fake(images: Sequence[Image.Image], _settings: object, *, progress: Any = None) -> list[Any]:
        sizes.append(len(images))
        if progress is not None:
            progress(0.5)
        if len(images) > 1 or images[0].width == 2:
            raise MemoryError(f"{len(images)} images")
        return [images[0].width]

    monkeypatch.setattr(codec, "images_to_audio", fake)
    return sizes


def images(*widths: int) -> list[Image.Image]:
    return [Image.new("L", (width, 1)) for width in widths]


def test_empty_list_decodes_no_batch(batches: list[int]) -> None:
    assert decode_all([], DecodeSettings()) == []
    assert batches == []


def test_failing_image_does_not_affect_the_others(batches: list[int]) -> None:
    failures: list[Exception] = []
    sounds = decode_all(images(1, 2, 3), DecodeSettings(), on_failure=failures.append)
    assert batches == [3, 1, 1, 1]
    assert (sounds[0], sounds[2]) == (1, 3)
    assert isinstance(sounds[1], MemoryError)
    assert [str(error) for error in failures] == ["3 images"]


def test_progress_covers_the_whole_batch_during_single_retries(batches: list[int]) -> None:
    told: list[float] = []
    decode_all(images(1, 3), DecodeSettings(), progress=told.append)
    assert told == [0.5, 0.0, 0.25, 0.5, 0.75]


def test_error_to_let_through_is_raised(batches: list[int]) -> None:
    def stop(share: float) -> None:
        if share == 0.25:
            raise StopNowError

    with pytest.raises(StopNowError):
        decode_all(images(1, 3), DecodeSettings(), progress=stop, propagate=(StopNowError,))
    assert batches == [2, 1]
