"""Errors whose message is one clear sentence for the user."""

from __future__ import annotations

__all__ = ["AudioError", "ImageError", "RiffusionError"]


class RiffusionError(ValueError):
    """An input of the user cannot be used; the message says what and why."""


class ImageError(RiffusionError):
    """An image cannot be read, or is not a spectrogram."""


class AudioError(RiffusionError):
    """An audio file cannot be read or written."""
