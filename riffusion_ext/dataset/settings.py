"""What a user chooses about a training set."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CaptionSettings", "ExportSettings"]


@dataclass(frozen=True)
class CaptionSettings:
    """How captions are made.

    Attributes
    ----------
    template
        Words and ``{names}``; see :func:`riffusion_ext.dataset.captions.caption_for`.
    trigger
        The word that the model will know this music by.
    replace
        Pairs of a text to find in the finished caption and the text that takes its place, in turn.
    """

    template: str = "{trigger}, {artist}, {title}, {genre}"
    trigger: str = ""
    replace: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ExportSettings:
    """What is written for which trainer.

    Attributes
    ----------
    formats
        Of ``"dreambooth"``, ``"kohya"``, ``"diffusers"`` and ``"audio"``.
    kohya_repeats, kohya_name
        The folder ``<repeats>_<name>``; without a name, the folder's own.
    audio_rate
        Samples a second of the audio chunks, in Hz; None for that of each song.
    audio_seconds
        Length of the audio chunks; None for that of each picture.
    """

    formats: tuple[str, ...] = ("dreambooth",)
    kohya_repeats: int = 10
    kohya_name: str = ""
    audio_rate: int | None = None
    audio_seconds: float | None = None
