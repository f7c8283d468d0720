"""Write a clip to a sound file, with its recipe in the tags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import write_audio
from riffusion_ext.metadata import audio_tags
from riffusion_ext.params import SpectrogramParams

__all__ = ["save_clip"]


def save_clip(
    clip: AudioClip,
    path: Path,
    params: SpectrogramParams,
    *,
    max_value: float | None = None,
    title: str = "",
    recipe: Mapping[str, object] = {},
    subtype: str = "pcm16",
    loop: tuple[int, int] | None = None,
) -> Path:
    """Write a clip, with its title and its recipe in the tags.

    Parameters
    ----------
    clip
        The sound.
    path
        Sound file to write; the suffix selects the format.
    params
        Parameters of the spectrogram image that the sound was made from.
    max_value
        Magnitude of black, if the image records it.
    title
        Title tag; empty for none.
    recipe
        JSON-serialisable values that the comment holds besides the parameters.
    subtype, loop
        See :func:`~riffusion_ext.audio.io.write_audio`.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    RiffusionError
        The file cannot be written, or the recipe has numbers that are not finite.
    """
    tags = audio_tags(params, max_value=max_value, title=title, comment_extra=recipe)
    return write_audio(clip, path, subtype=subtype, tags=tags, loop=loop)
