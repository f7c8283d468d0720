"""Sound files: read, write, and the texts they carry.

WAV needs nothing but numpy; FLAC, OGG and MP3 need the package soundfile; what neither can read is left to ffmpeg.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from riffusion_ext.audio.clip import AudioClip, check_clip_format
from riffusion_ext.audio.formats import ffmpeg, id3, soundfile_io
from riffusion_ext.audio.formats.wav import UnsupportedError, read_layout, read_wav, write_wav
from riffusion_ext.audio.integrity.truncation import add_file_notes
from riffusion_ext.audio.tags import check_tags
from riffusion_ext.errors import AudioError
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.files.regular import open_regular

__all__ = [
    "FORMATS",
    "SUBTYPES",
    "available_formats",
    "file_head",
    "read_audio",
    "read_tags",
    "sound_length",
    "sound_shape",
    "write_audio",
]

FORMATS = ("wav", "flac", "ogg", "mp3")
"""Formats that can be written, by the suffix of their files."""

SUBTYPES = ("pcm16", "pcm24", "float")
"""How samples are kept in WAV and FLAC files."""


def available_formats() -> tuple[str, ...]:
    """Return those of :data:`FORMATS` that can be written here; ``("wav",)`` without soundfile."""
    soundfile = soundfile_io.load()
    known = soundfile.available_formats() if soundfile else {}
    return tuple(form for form in FORMATS if form == "wav" or soundfile_io.CODECS[form] in known)


def read_audio(path: str | PathLike[str], *, start: float = 0.0, duration: float | None = None) -> AudioClip:
    """Read a sound file. What it holds decides how, not its suffix.

    Parameters
    ----------
    path
        Any WAV of PCM or float samples; with soundfile, whatever libsndfile knows; with ffmpeg on PATH, the rest,
        but for playlists.
    start, duration
        The part to read, in seconds; None for all that follows. A part that passes the end stops there.

    Raises
    ------
    AudioError
        The file is missing or cannot be read, the part starts past its end, it holds more than 8 channels or many
        samples that are no sound (:mod:`riffusion_ext.audio.integrity.repair`; few are repaired, which the clip's
        notes tell, as they do what is missing in the file: :mod:`riffusion_ext.audio.integrity.truncation`), or it
        needs more memory than is allowed.
    """
    path = Path(path)
    if not (math.isfinite(start) and start >= 0):
        raise AudioError(f"the start must be 0 s or later, got {start:g} s")
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise AudioError(f"the duration must be longer than 0 s, got {duration:g} s")
    reasons: list[str] = []
    is_wav = file_head(path)[:4] == b"RIFF"
    for reader in (_read_wav_file, soundfile_io.read, ffmpeg.read) if is_wav else (soundfile_io.read, ffmpeg.read):
        try:
            clip = reader(path, start=start, duration=duration)
            reached_end = duration is None or clip.duration < duration - 0.5 / clip.sample_rate
            seconds = start + clip.duration if reached_end else None
            return add_file_notes(clip, path, seconds, filled=reader is not ffmpeg.read)
        except UnsupportedError as error:
            reasons.append(str(error))
        except AudioError as error:
            raise AudioError(f"{path} cannot be read: {error}") from error
        except OSError as error:
            raise AudioError(f"{path} cannot be read: {error.strerror or error}") from error
    raise AudioError(f"{path} cannot be read: {'; '.join(reasons)}")


def sound_length(path: str | PathLike[str]) -> float:
    """Return how long a sound file is, in seconds, without reading all of it where its header tells.

    Raises
    ------
    AudioError
        As :func:`read_audio`.
    """
    path = Path(path)
    try:
        if file_head(path)[:4] == b"RIFF":
            with open_regular(path) as file:
                layout = read_layout(file)
            return layout.frames / layout.sample_rate
        return soundfile_io.length(path)
    except UnsupportedError:
        return read_audio(path).duration
    except (AudioError, OSError) as error:
        raise _with_path(path, error) from error


def sound_shape(path: str | PathLike[str]) -> tuple[int, int, int] | None:
    """Return frames, channels and sample rate of a sound file by its header; None where the header does not tell.

    Raises
    ------
    AudioError
        The file is missing or cannot be opened, or no clip has its channels or its rate.
    """
    path = Path(path)
    is_wav = file_head(path)[:4] == b"RIFF"
    try:
        if is_wav:
            with open_regular(path) as file:
                layout = read_layout(file)
            shape = layout.frames, layout.channels, layout.sample_rate
        else:
            shape = soundfile_io.shape(path)
        check_clip_format(*shape[1:])
        return shape
    except UnsupportedError:
        return None
    except (AudioError, OSError) as error:
        raise _with_path(path, error) from error


def _with_path(path: Path, error: AudioError | OSError) -> AudioError:
    """Return an error that names the file, unless it does already."""
    reason = getattr(error, "strerror", None) or str(error)
    return AudioError(reason if str(path) in reason else f"{path} cannot be read: {reason}")


def _read_wav_file(path: Path, *, start: float = 0.0, duration: float | None = None) -> AudioClip:
    with open_regular(path) as file:
        return read_wav(file, start=start, duration=duration)


def file_head(path: Path) -> bytes:
    """Return the first bytes of a file, or say why there are none."""
    try:
        with open_regular(path) as file:
            head = file.read(12)
    except (FileNotFoundError, NotADirectoryError):
        raise AudioError(f"no such file: {path}") from None
    except IsADirectoryError:
        raise AudioError(f"{path} is a folder, not a sound file") from None
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror or error}") from error
    if not head:
        raise AudioError(f"{path} cannot be read: the file is empty")
    return head


def read_tags(path: str | PathLike[str]) -> dict[str, str]:
    """Read what a sound file says about itself.

    Returns
    -------
    dict
        Texts by name, of :data:`~riffusion_ext.audio.tags.TAG_NAMES`; those that are absent or empty are left out.

    Raises
    ------
    AudioError
        The file is missing, or is no sound file that can be opened. Tags are not read through ffmpeg.
    """
    path = Path(path)
    head = file_head(path)
    try:
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            with open_regular(path) as file:
                return read_layout(file).tags
        if head[:3] == b"ID3":
            with open_regular(path) as file:
                return id3.read_tag(file)
        return soundfile_io.read_strings(path)
    except UnsupportedError as error:
        raise AudioError(f"the tags of {path} cannot be read: {error}") from error
    except (AudioError, OSError) as error:
        raise _with_path(path, error) from error


def write_audio(
    clip: AudioClip,
    path: str | PathLike[str],
    *,
    subtype: str = "pcm16",
    tags: Mapping[str, str] | None = None,
    loop: tuple[int, int] | None = None,
) -> Path:
    """Write a sound file, whole or not at all.

    Parameters
    ----------
    clip
        At least one sample. Whole numbers are rounded; what passes full scale is clipped, except in a WAV of floats,
        which keeps it. MP3 holds one or two channels, and a rate that it does not have becomes 44.1 or 48 kHz.
    path
        Its suffix chooses the format; missing folders are made; a file of that name is replaced.
    subtype
        ``"pcm16"``, ``"pcm24"`` or ``"float"``, for WAV and FLAC (which has no floats and takes 24 bits instead).
    tags
        Texts by name, of :data:`~riffusion_ext.audio.tags.TAG_NAMES`.
    loop
        For WAV: first sample of the part that samplers repeat, and the one behind its last.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    AudioError
        The suffix, subtype or a tag is unknown, the format is not available or cannot hold the clip, or the file
        cannot be written. A file that was there before is then still there, unchanged.
    """
    path = Path(path)
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        known = ", ".join("." + name for name in FORMATS)
        raise AudioError(f"the suffix of a sound file must be one of {known}, got {path.suffix!r} in {path}")
    if subtype not in SUBTYPES:
        raise AudioError(f"the subtype must be one of {', '.join(SUBTYPES)}, got {subtype!r}")
    texts = check_tags(tags)
    _check_loop(loop, clip, form)
    if not clip.samples.shape[1]:
        raise AudioError(f"there is no sound to write to {path}: the clip has no samples")
    AudioClip(clip.samples, clip.sample_rate)  # checks again: an array can change after the clip was made

    def write(file: BinaryIO) -> None:
        if form == "wav":
            write_wav(file, clip, subtype=subtype, tags=texts, loop=loop)
        else:
            file.write(soundfile_io.encode(clip, form, subtype=subtype, tags=texts))

    return write_atomically(path, write, error_type=AudioError)


def _check_loop(loop: tuple[int, int] | None, clip: AudioClip, form: str) -> None:
    if loop is None:
        return
    if form != "wav":
        raise AudioError(f"only WAV files can say where they are repeated, not .{form}")
    if not 0 <= loop[0] < loop[1] <= clip.samples.shape[1]:
        raise AudioError(
            f"a loop must lie within the {clip.samples.shape[1]} samples of its clip, got {loop[0]} to {loop[1]}"
        )
