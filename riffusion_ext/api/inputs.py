"""Check and decode what clients send: images, audio, texts and spectrogram parameters."""

from __future__ import annotations

import base64
import binascii
import io
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.api.errors import ApiError
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.files.paths import shorten_name

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.api.context import ApiContext
    from riffusion_ext.api.limits import Limits
    from riffusion_ext.audio import AudioClip
    from riffusion_ext.params import SpectrogramParams

__all__ = [
    "check_sound",
    "check_text",
    "clean_file_name",
    "decode_base64",
    "decode_image",
    "open_stored_image",
    "parse_params",
    "read_sound",
    "read_stored_sound",
    "sound_suffix",
    "write_sound",
]

_MIN_SIDE = 512
"""Shorter sides count as this many pixels in the size limit, because images for generation are scaled up to it: a long
line of few pixels would fill the memory."""

_DATA_URL = re.compile(r"data:[^,]{0,200},")
_CHUNK = 1 << 20
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f/\\]+")

_SUFFIXES = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "GIF": ".gif",
    "AVIF": ".avif",
}
"""Accepted image formats: those of :data:`riffusion_ext.files.paths.IMAGE_SUFFIXES`."""

_SIGNATURES = (
    (0, b"RIFF", ".wav"),
    (0, b"RF64", ".wav"),
    (0, b"fLaC", ".flac"),
    (0, b"OggS", ".ogg"),
    (0, b"ID3", ".mp3"),
    (0, b"FORM", ".aif"),
    (0, b".snd", ".au"),
    (4, b"ftyp", ".m4a"),
    (0, b"\x1a\x45\xdf\xa3", ".webm"),
    (0, b"\x30\x26\xb2\x75", ".wma"),
)


def decode_base64(text: str, name: str) -> bytes:
    """Decode base64, with or without line breaks and a prefix ``data:...;base64,``.

    Raises
    ------
    ApiError
        The text is not base64, or is empty.
    """
    match = _DATA_URL.match(text)
    data, rest = bytearray(), b""
    # In chunks: decoding a large file in one call would block all other threads.
    for start in range(match.end() if match else 0, len(text), _CHUNK):
        try:
            piece = rest + text[start : start + _CHUNK].encode("ascii").translate(None, b" \t\n\r\f\v")
            complete = len(piece) // 4 * 4 if start + _CHUNK < len(text) else len(piece)
            rest = piece[complete:]
            if data and len(data) % 3:  # the padding of the chunk before ended the text
                raise ValueError
            data += base64.b64decode(piece[:complete], validate=True)
        except (binascii.Error, ValueError):
            raise ApiError(422, f"{name} is not in base64") from None
    if not data:
        raise ApiError(422, f"{name} is empty")
    return bytes(data)


def check_text(*texts: str | None) -> None:
    """Raise an ApiError if a text holds a lone surrogate, which UTF-8 cannot encode."""
    for text in texts:
        try:
            (text or "").encode("utf-8")
        except UnicodeEncodeError:
            raise ApiError(422, "a text holds half of a character (a surrogate without the other)") from None


def clean_file_name(name: str, suffix: str, default: str) -> str:
    """Clean up a client's file name: no folders, no control characters; the given suffix."""
    text = _NOT_IN_NAMES.sub("/", name.encode("utf-8", "replace").decode()).split("/")[-1].strip(" .")
    stem = text.rpartition(".")[0] or text
    return shorten_name(stem or default, suffix, max_bytes=120)


def decode_image(data: bytes, limits: Limits, pixels: int | None = None, *, side: int = 1) -> tuple[Image.Image, str]:
    """Decode an image file of limited size; return the image and the suffix of its format.

    Parameters
    ----------
    data
        Content of the file.
    limits
        Gives the maximum number of pixels if `pixels` is None.
    pixels
        Maximum number of pixels.
    side
        Shorter sides count as this many pixels, for images that will be scaled to it.

    Raises
    ------
    ApiError
        The file is not an image, is too large, or is damaged.
    """
    from PIL import UnidentifiedImageError

    from riffusion_ext.spectrogram.image import load_image, missing_reader, open_image

    try:
        file = io.BytesIO(data)
        image = open_image(file, tuple(_SUFFIXES))
        max_pixels = limits.pixels if pixels is None else pixels
        if max(image.width, side) * max(image.height, side) > max_pixels:
            text = f"the image has {image.width} x {image.height} pixels, {max_pixels} in all are allowed here"
            text += f", and the longer side {max_pixels // side}" if side > 1 else ""
            raise ApiError(413, text)
        image = load_image(image, file)
        with suppress(Exception):
            image.getexif()
    except ApiError:
        raise
    except UnidentifiedImageError:
        known = f"this is not an image of a known kind ({', '.join(_SUFFIXES)})"
        missing = missing_reader(data[:16])
        raise ApiError(422, f"this {missing}" if missing else known) from None
    except Exception as error:  # Pillow's plugins raise whatever a damaged file makes them raise
        raise ApiError(422, f"the image is damaged: {type(error).__name__}") from error
    return image, _SUFFIXES.get(image.format or "", ".jpg")  # else a JPEG of several images


def open_stored_image(service: ApiContext, id_: str | None) -> Image.Image | None:
    """Open a stored image as input for generation; None if `id_` is None or empty.

    Raises
    ------
    ApiError
        No image has this id, or it is too large.
    """
    if not id_:
        return None
    try:
        data = service.find("pictures", id_).path.read_bytes()
    except OSError:
        raise ApiError(404, "this image is gone") from None
    return decode_image(data, service.limits, service.limits.seed_pixels, side=_MIN_SIDE)[0]


def sound_suffix(first_bytes: bytes) -> str:
    """Return the suffix of an audio file by its first bytes.

    Playlists, whose entries ffmpeg would open, are refused.

    Raises
    ------
    ApiError
        No known audio format begins like this.
    """
    for offset, signature, suffix in _SIGNATURES:
        if first_bytes[offset : offset + len(signature)] == signature:
            return suffix
    if len(first_bytes) > 1 and first_bytes[0] == 0xFF and first_bytes[1] & 0xE0 == 0xE0:
        return ".aac" if first_bytes[1] & 0x06 == 0 else ".mp3"
    raise ApiError(422, "this is not a sound file of a known kind (WAV, FLAC, OGG, MP3, AIFF, AU, M4A, WebM, WMA)")


def check_sound(path: Path, limits: Limits) -> float:
    """Check an audio file against the limits; return its length in seconds.

    Raises
    ------
    ApiError
        It cannot be read, or is longer than allowed.
    """
    from riffusion_ext.audio.io import sound_shape
    from riffusion_ext.audio.stream import read_pieces

    try:
        shape = sound_shape(path)
        if shape is None:  # only ffmpeg can read it: decode, but stop at the limits
            seconds, samples = 0.0, 0
            for piece in read_pieces(path):
                seconds, samples = seconds + piece.duration, samples + piece.samples.size
                if seconds > limits.sound_seconds or samples > limits.sound_samples:
                    break
        else:
            frames, channels, rate = shape
            seconds, samples = frames / rate, frames * channels
    except RiffusionError as error:
        raise ApiError(422, _without_path(error, path)) from error
    if not seconds > 0:
        raise ApiError(422, "the sound has no samples")
    if not seconds <= limits.sound_seconds:
        raise ApiError(413, f"the sound is {seconds:.0f} s long, {limits.sound_seconds:g} s are allowed")
    if samples > limits.sound_samples:
        raise ApiError(413, f"the sound has {samples} samples, {limits.sound_samples} are allowed")
    return seconds


def read_stored_sound(service: ApiContext, id_: str, *, start: float = 0.0, duration: float | None = None) -> AudioClip:
    """Read a stored clip, or a part of it.

    Raises
    ------
    ApiError
        No clip has this id, or it cannot be read.
    """
    return read_sound(service.find("clips", id_).path, service.limits, start=start, duration=duration)


def read_sound(path: Path, limits: Limits, *, start: float = 0.0, duration: float | None = None) -> AudioClip:
    """Read an audio file within the limits, or a part of it. Error messages do not name the file."""
    from riffusion_ext.audio.io import read_audio

    check_sound(path, limits)
    try:
        return read_audio(path, start=start, duration=min(duration or limits.sound_seconds, limits.sound_seconds))
    except RiffusionError as error:
        raise ApiError(422, _without_path(error, path)) from error


def write_sound(service: ApiContext, data: bytes) -> Path:
    """Write audio data from a request body to a file."""
    path = service.folder("clips") / f"{secrets.token_hex(8)}{sound_suffix(data[:16])}"
    return write_atomically(path, lambda file: file.write(data))


def parse_params(text: str | None) -> SpectrogramParams | None:
    """Parse the name of a preset or a list of parameters; None if the text is blank."""
    from riffusion_ext.params import PRESETS, SpectrogramParams

    if text is None or not text.strip():
        return None
    return PRESETS[text] if text in PRESETS else SpectrogramParams.from_text(text)


def _without_path(error: RiffusionError, path: Path) -> str:
    return str(error).replace(str(path), "the sound").replace(path.name, "the sound")
