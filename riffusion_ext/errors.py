"""Errors whose text is one clear sentence for the user."""

from __future__ import annotations

__all__ = ["AudioError", "ImageError", "RiffusionError"]


class RiffusionError(ValueError):
    """Something the user gave cannot be used; the message says what and why."""


class ImageError(RiffusionError):
    """An image cannot be read, or is no spectrogram that can be heard."""


class AudioError(RiffusionError):
    """A sound file cannot be read or written."""
