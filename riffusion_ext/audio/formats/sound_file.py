"""Interfaces of the objects that soundfile opens; soundfile itself has no type annotations."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["SoundReader", "SoundWriter"]


class SoundReader(Protocol):
    """An open sound file, as ``soundfile.SoundFile`` reads it."""

    @property
    def frames(self) -> int:
        """Number of frames."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def samplerate(self) -> int:
        """Sample rate in Hz."""

    @property
    def format(self) -> str:
        """Major format, such as ``"FLAC"``."""

    @property
    def subtype(self) -> str:
        """Sample format, such as ``"PCM_16"``."""

    def seekable(self) -> bool:
        """Return whether :meth:`seek` works."""

    def seek(self, frame: int, /) -> int:
        """Go to a frame."""

    def read(self, frames: int, dtype: str = ..., always_2d: bool = ...) -> npt.NDArray[np.float32]:
        """Read up to `frames` frames [n, channels]."""


class SoundWriter(AbstractContextManager["SoundWriter"], Protocol):
    """An open sound file, as ``soundfile.SoundFile`` writes it."""

    def write(self, data: npt.NDArray[np.int16] | npt.NDArray[np.int32] | npt.NDArray[np.float32], /) -> None:
        """Write frames [n, channels]."""
