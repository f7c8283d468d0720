"""Read and write FLAC, OGG Vorbis and MP3 with the optional package soundfile (libsndfile)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip, check_clip_format
from riffusion_ext.audio.formats import id3
from riffusion_ext.audio.formats.pcm import quantize
from riffusion_ext.audio.formats.sound_file import SoundReader, SoundWriter
from riffusion_ext.audio.formats.wav import BLOCK, UnsupportedError, sample_range
from riffusion_ext.audio.integrity.joined import JoinedFile, RecoveringFile, seek_target
from riffusion_ext.audio.integrity.repair import repair_samples
from riffusion_ext.audio.integrity.survey import survey
from riffusion_ext.audio.tags import TAG_NAMES
from riffusion_ext.audio.workload import check, read_workload
from riffusion_ext.errors import AudioError
from riffusion_ext.files.regular import check_regular

__all__ = ["CODECS", "encode", "length", "load", "open_sound", "read", "read_frames", "read_strings", "shape"]

CODECS = {"flac": "FLAC", "ogg": "OGG", "mp3": "MP3"}
"""libsndfile's names of the formats."""

_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_MP3_PREROLL = 16384
"""Frames to decode and discard before a position inside an MP3: MP3 frames use bits of up to nine earlier frames, and
libsndfile returns garbage until it has them."""

_UNKNOWN_FRAMES = 1 << 60
"""libsndfile reports 2 ** 63 - 1 frames if the length is unknown; no sound is this long."""

_QUALITY: dict[str, dict[str, object]] = {
    "flac": {},
    "ogg": {"compression_level": 0.4},  # Vorbis quality 6, about 190 kbit/s in stereo
    "mp3": {"compression_level": 0.2, "bitrate_mode": "VARIABLE"},  # LAME V2, about 190 kbit/s in stereo
}


def load() -> ModuleType | None:
    """Return the module soundfile; None if it is not installed or does not find its library."""
    try:
        import soundfile
    except (ImportError, OSError):
        return None
    module: ModuleType = soundfile
    return module


# --- writing ---------------------------------------------------------------------------------------------------------


def encode(clip: AudioClip, form: str, *, subtype: str, tags: Mapping[str, str]) -> bytes:
    """Encode a clip to the bytes of a sound file.

    Encoded in memory, because libsndfile does not report a full disk or other write errors.

    Parameters
    ----------
    clip
        Clipped at full scale. MP3 resamples rates that it lacks to 44.1 or 48 kHz.
    form
        ``"flac"``, ``"ogg"`` or ``"mp3"``.
    subtype
        ``"pcm16"`` or ``"pcm24"``; FLAC has no floats and uses 24 bits for ``"float"``. Ignored by OGG and MP3.
    tags
        Values by name.

    Raises
    ------
    AudioError
        soundfile is missing or lacks the format, or the format cannot hold the clip.
    """
    soundfile = load()
    if soundfile is None or CODECS[form] not in soundfile.available_formats():
        raise AudioError(f"writing {form.upper()} needs the package soundfile, without it only WAV can be written")
    if form == "mp3":
        clip = _for_mp3(clip)
    codec = {"flac": "PCM_16" if subtype == "pcm16" else "PCM_24", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}[form]
    buffer = io.BytesIO()
    try:
        with _open_to_write(soundfile, buffer, clip, form, codec) as file:
            if form != "mp3":
                for name, text in tags.items():
                    setattr(file, name, text)
            # In blocks: libsndfile buffers a whole OGG write on the stack, which minutes of sound overflow.
            for start in range(0, clip.samples.shape[1], BLOCK):
                file.write(_block(clip.samples[:, start : start + BLOCK].T, codec))
    except (soundfile.SoundFileError, RuntimeError, AssertionError) as error:
        what = f"{clip.channels} channels at {clip.sample_rate} Hz"
        raise AudioError(f"{what} cannot be written as {form.upper()}: {_error_text(error)}") from error
    return (id3.build_tag(tags) if form == "mp3" else b"") + buffer.getvalue()


def _open_to_write(soundfile: ModuleType, buffer: io.BytesIO, clip: AudioClip, form: str, codec: str) -> SoundWriter:
    settings: dict[str, object] = {
        "mode": "w",
        "samplerate": clip.sample_rate,
        "channels": clip.channels,
        "format": CODECS[form],
        "subtype": codec,
    }
    try:
        return soundfile.SoundFile(buffer, **settings, **_QUALITY[form])
    except TypeError:  # soundfile before 0.13 has no quality settings
        return soundfile.SoundFile(buffer, **settings)


def _for_mp3(clip: AudioClip) -> AudioClip:
    if clip.channels > 2:
        raise AudioError(f"MP3 holds one or two channels, got {clip.channels}")
    if clip.sample_rate in _MP3_RATES:
        return clip
    return clip.resample(44100 if clip.sample_rate % 11025 == 0 else 48000)


def _block(
    frames: npt.NDArray[np.float32], codec: str
) -> npt.NDArray[np.int16] | npt.NDArray[np.int32] | npt.NDArray[np.float32]:
    if codec == "PCM_16":
        return quantize(frames, 16).astype(np.int16)
    if codec == "PCM_24":
        return quantize(frames, 24) << 8  # libsndfile takes the upper bits
    return np.clip(frames, -1.0, 1.0)


# --- reading ---------------------------------------------------------------------------------------------------------


def read(path: Path, *, start: float = 0.0, duration: float | None = None) -> AudioClip:
    """Read a sound file in any format of libsndfile.

    Raises
    ------
    UnsupportedError
        soundfile is missing, or cannot read the file.
    AudioError
        The part is outside the file, too many samples are invalid, or the channels or the rate are out of range.
    """
    with open_sound(path) as file:
        check_clip_format(file.channels, file.samplerate)
        first, count = sample_range(file.frames, file.samplerate, start, duration)
        found = survey(path) if file.format == "OGG" else None
        seekable_end = found.segments[0].seekable_end if found is not None else None
        seek_frame = seek_target(first, _MP3_PREROLL if file.subtype.startswith("MPEG") else 0, seekable_end)
        skipped = first - seek_frame
        if first:
            file.seek(seek_frame)
        if count < _UNKNOWN_FRAMES:
            check(read_workload(file.channels, count, file.samplerate))
        return repair_samples(read_frames(file, skipped + count)[:, skipped:], file.samplerate, start=first)


@contextmanager
def open_sound(path: Path) -> Iterator[SoundReader]:
    """Open a sound file inside a ``with``; yields soundfile's own object, or one with the same interface.

    The latter is for files that are damaged, contain several streams, or are longer or shorter than soundfile reports.

    Raises
    ------
    UnsupportedError
        soundfile is missing, cannot open the file, or fails to read inside the ``with``.
    """
    soundfile = _require_soundfile()
    found = survey(path)
    try:
        if found is None or found.plain:
            with soundfile.SoundFile(str(path)) as file:
                if found is None or found.samples in (None, file.frames):
                    yield file if file.format != "FLAC" else RecoveringFile(file, path, soundfile)
                    return
        yield JoinedFile(soundfile, path, found)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:  # TypeError: headerless files by their suffix
        raise UnsupportedError(f"soundfile says: {_error_text(error)}") from error


def read_frames(file: SoundReader, count: int) -> npt.NDArray[np.float32]:
    """Read up to ``count`` frames as [channels, time].

    In blocks: for streamed and damaged files libsndfile reports a length of 2 ** 63 - 1.
    """
    blocks = [np.zeros((file.channels, 0), np.float32)]
    while count > 0:
        block = file.read(min(count, BLOCK), dtype="float32", always_2d=True).T
        blocks.append(np.ascontiguousarray(block))
        count = count - BLOCK if block.shape[1] == BLOCK else 0
    return np.concatenate(blocks, axis=1)


def length(path: Path) -> float:
    """Return the duration of a sound file in s, from its header.

    Raises
    ------
    UnsupportedError
        soundfile is missing, cannot read the file, or does not know the length.
    """
    frames, _, rate = shape(path)
    return float(frames / rate)


def shape(path: Path) -> tuple[int, int, int]:
    """Return frames, channels and sample rate of a sound file, from its header.

    Raises
    ------
    UnsupportedError
        As :func:`length`.
    """
    with open_sound(path) as file:
        frames, channels, rate = file.frames, file.channels, file.samplerate
    if not 0 < frames < _UNKNOWN_FRAMES:
        raise UnsupportedError("soundfile does not know how long it is")
    return frames, channels, rate


def read_strings(path: Path) -> dict[str, str]:
    """Read tags through libsndfile.

    Raises
    ------
    UnsupportedError
        soundfile is missing, or cannot read the file.
    """
    soundfile = _require_soundfile()
    check_regular(path)
    try:
        with soundfile.SoundFile(str(path)) as file:
            found = file.copy_metadata()
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise UnsupportedError(f"soundfile says: {_error_text(error)}") from error
    tags = {name: found[name] for name in TAG_NAMES if found.get(name)}
    if "software" in tags:  # libsndfile appends its own name
        tags["software"] = re.sub(r" \(libsndfile-[^()]*\)$", "", tags["software"])
    return tags


def _require_soundfile() -> ModuleType:
    soundfile = load()
    if soundfile is None:
        raise UnsupportedError("the package soundfile is not installed, without it only WAV can be read")
    return soundfile


def _error_text(error: BaseException) -> str:
    """Return libsndfile's message without the path, which our message contains already."""
    text = getattr(error, "error_string", "") or str(error) or type(error).__name__
    if "does not exist" in text:  # its MP3 reader's message for other formats; the file is known to exist
        text = "Format not recognised"
    return text.strip().rstrip(".") or "unknown error"
