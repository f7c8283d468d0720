"""Read and write sound files and their tags.

WAV requires only numpy; FLAC, OGG and MP3 require the package soundfile. Other formats are read by ffmpeg.
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
"""Formats that can be written, named by file suffix."""

SUBTYPES = ("pcm16", "pcm24", "float")
"""Sample formats of WAV and FLAC files."""


def available_formats() -> tuple[str, ...]:
    """Return the :data:`FORMATS` that can be written; ``("wav",)`` without soundfile."""
    soundfile = soundfile_io.load()
    known = soundfile.available_formats() if soundfile else {}
    return tuple(form for form in FORMATS if form == "wav" or soundfile_io.CODECS[form] in known)


def read_audio(path: str | PathLike[str], *, start: float = 0.0, duration: float | None = None) -> AudioClip:
    """Read a sound file. The format is detected from the content, not from the suffix.

    Parameters
    ----------
    path
        WAV files with PCM or float samples; with soundfile, every format of libsndfile; with ffmpeg on PATH, all
        others except playlists.
    start, duration
        The part to read, in seconds; None reads to the end. A part that extends past the end is cut there.

    Raises
    ------
    AudioError
        The file is missing or cannot be read, the part starts past its end, the file has more than 8 channels or too
        many invalid samples, or it exceeds the memory allowance. A few invalid samples are repaired
        (:mod:`riffusion_ext.audio.integrity.repair`). The clip's notes report repairs and missing sound
        (:mod:`riffusion_ext.audio.integrity.truncation`).
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
    """Return the duration of a sound file in seconds, from its header where possible.

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
    """Return frames, channels and sample rate from the header of a sound file; None if the header lacks them.

    Raises
    ------
    AudioError
        The file is missing or cannot be opened, or its number of channels or its rate is out of range.
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
    """Return an error whose message contains the path."""
    reason = getattr(error, "strerror", None) or str(error)
    return AudioError(reason if str(path) in reason else f"{path} cannot be read: {reason}")


def _read_wav_file(path: Path, *, start: float = 0.0, duration: float | None = None) -> AudioClip:
    with open_regular(path) as file:
        return read_wav(file, start=start, duration=duration)


def file_head(path: Path) -> bytes:
    """Return the first 12 bytes of a file.

    Raises
    ------
    AudioError
        The file is missing, is a folder, is empty or cannot be read.
    """
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
    """Read the tags of a sound file.

    Returns
    -------
    dict
        Values by name, see :data:`~riffusion_ext.audio.tags.TAG_NAMES`; missing and empty tags are omitted.

    Raises
    ------
    AudioError
        The file is missing or cannot be opened as a sound file. Tags are not read through ffmpeg.
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
    """Write a sound file atomically.

    Parameters
    ----------
    clip
        At least one sample. Integer formats round, and clip at full scale; float WAV files keep values above it. MP3
        holds one or two channels; for a rate that MP3 lacks, the clip is resampled to 44.1 or 48 kHz.
    path
        The suffix selects the format. Missing folders are created, an existing file is replaced.
    subtype
        ``"pcm16"``, ``"pcm24"`` or ``"float"``, for WAV and FLAC (which has no floats and uses 24 bits instead).
    tags
        Values by name, see :data:`~riffusion_ext.audio.tags.TAG_NAMES`.
    loop
        For WAV: the loop of samplers, as (first sample, one past the last).

    Returns
    -------
    Path
        The file.

    Raises
    ------
    AudioError
        The suffix, subtype or a tag is unknown, the format is not available or cannot hold the clip, or the file
        cannot be written. An existing file is then unchanged.
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
    AudioClip(clip.samples, clip.sample_rate)  # checks again: the array may have changed since the clip was created

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
