"""Read images, and convert between pixels and mel magnitudes.

::

    image                          mel [C, T, n_mels]
    row 0    = highest band          last band
    row H-1  = lowest band           band 0
    column t                         frame t
    white (255) = silence            0
    black (0)   = max_value          max_value

In images of some other models, bright pixels are loud, or row 0 is the lowest band.

A mono image is grey; its red channel is read. A stereo image has left in green, right in blue, and an empty red
channel.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from riffusion_ext.errors import ImageError
from riffusion_ext.files.regular import open_regular
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.pixel_law import levels_of, magnitudes_of
from riffusion_ext.spectrogram.png_text import is_text_error, open_without_large_texts

__all__ = [
    "is_intact_png",
    "is_stereo",
    "load_image",
    "mel_to_image",
    "missing_reader",
    "open_image",
    "pixels_of",
    "pixels_to_mel",
    "read_image",
]

_FLAT_DEVIATION = 6.0  # standard deviation, in levels, below which a colour channel is empty
MIN_HEIGHT, MAX_HEIGHT = 16, 4096
_BLOCK_COLUMNS = 4096  # columns converted at once
_HEAD_BYTES = 16  # bytes that identify the file format

_OPAQUE = 254  # Forge hides the generation parameters in the lowest bit of alpha; they must not affect the sound
_TRANSPARENT = {"RGBA": "RGBA", "LA": "RGBA", "PA": "RGBA", "RGBa": "RGBA", "La": "LA"}  # -> mode on the way to RGBA
_ORIENTATION = 0x0112
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def is_intact_png(path: Path, width: int, height: int) -> bool:
    """Return whether a PNG file exists, has this size in pixels, and is neither truncated nor damaged; never raises.

    Verifies the checksums of its chunks, without decoding.
    """
    try:
        with open_regular(path) as file, Image.open(file) as image:
            image.verify()
            return image.size == (width, height)
    except Exception:  # Pillow's plugins raise whatever a damaged file makes them raise
        return False


def read_image(path: str | Path) -> Image.Image:
    """Open and fully decode an image file.

    Raises
    ------
    ImageError
        The file is missing, unreadable, empty, truncated, too large, or not an image.
    """
    path = Path(path)
    try:
        with open_regular(path) as file:  # Pillow would keep multi-frame files open
            image = load_image(open_image(file), file)
            with suppress(Exception):
                image.getexif()  # in a TIFF it is read from the file, then cached
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder, not an image") from None
    except PermissionError:
        raise ImageError(f"{path} may not be read") from None
    except UnidentifiedImageError:
        reason = "is empty" if _is_empty(path) else missing_reader(_head(path)) or "is not an image"
        raise ImageError(f"{path.name} {reason}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path.name} has too many pixels: more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,}") from None
    except Exception as error:  # Pillow's plugins raise whatever a damaged file makes them raise
        if isinstance(error, OSError) and error.errno is not None:
            raise ImageError(f"{path.name} cannot be read: {error.strerror}") from error
        raise ImageError(f"{path.name} is damaged: {error}") from error
    return image


def open_image(file: BinaryIO, formats: tuple[str, ...] | None = None) -> Image.Image:
    """Open an image like ``Image.open``, with support for AVIF plugins and for PNG files with large text chunks.

    Decode the result with :func:`load_image`.
    """
    if _is_avif(file.read(_HEAD_BYTES)) and "AVIF" not in Image.OPEN:
        Image.init()
        if "AVIF" not in Image.OPEN:
            with suppress(Exception):  # not installed, or built for another Pillow
                import_module("pillow_avif")
    file.seek(0)
    if formats is not None:  # Pillow raises a KeyError for a format that it lacks
        formats = tuple(name for name in formats if name != "AVIF" or "AVIF" in Image.OPEN)
    try:
        return Image.open(file, formats=formats)
    except ValueError as error:
        if not is_text_error(error):
            raise
    return _reopen(file)


def load_image(image: Image.Image, file: BinaryIO) -> Image.Image:
    """Decode and return an image that was opened from a file; large text chunks may also follow the pixels."""
    try:
        image.load()
    except ValueError as error:
        if not is_text_error(error):
            raise
        image = _reopen(file)
        image.load()
    return image


def _reopen(file: BinaryIO) -> Image.Image:
    file.seek(0)
    return open_without_large_texts(file.read())


def _is_avif(head: bytes) -> bool:
    return head[4:12] in (b"ftypavif", b"ftypavis")


def missing_reader(head: bytes) -> str:
    """Describe a format that Pillow lacks or reads only with another package, by its first bytes; "" for others."""
    if _is_avif(head):
        return (
            "is an AVIF image, and damaged"
            if "AVIF" in Image.OPEN
            else "is an AVIF image, which needs Pillow 11.3 or later, or the Python package pillow-avif-plugin"
        )
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "is a HEIF image, which is not read here: save it as PNG"
    if head[:2] == b"\xff\x0a" or head[:12] == b"\0\0\0\x0cJXL \r\n\x87\n":
        return "is a JPEG XL image, which is not read here: save it as PNG"
    return ""


def _head(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(_HEAD_BYTES)
    except OSError:  # it is gone by now
        return b""


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:  # it is gone by now
        return False


def pixels_of(image: Image.Image, *, silence: int = 255) -> np.ndarray:
    """Decode an image of any mode to RGB.

    Transparent pixels are blended onto silence, the grey level `silence`; the EXIF orientation is applied, and 16-bit
    depth is kept.

    Returns
    -------
    np.ndarray [shape=(H, W, 3), uint8, or float32 from 0 to 255]

    Raises
    ------
    ImageError
        The image has fewer than 2 columns, or its height is out of range.
    """
    try:
        image = _apply_orientation(image)
        width, height = image.size
        if width < 2:
            raise ImageError(f"the image is {width} pixel wide; sound needs at least 2 columns")
        if not MIN_HEIGHT <= height <= MAX_HEIGHT:
            raise ImageError(f"the image is {height} pixels high; between {MIN_HEIGHT} and {MAX_HEIGHT} are possible")
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            return _deep_grey(image)
        if image.mode in _TRANSPARENT or "transparency" in image.info:
            image = image.convert(_TRANSPARENT.get(image.mode, "RGBA")).convert("RGBA")
            if np.asarray(image)[..., 3].min() < _OPAQUE:
                image = Image.alpha_composite(Image.new("RGBA", image.size, (silence,) * 3), image)
        return np.asarray(image.convert("RGB"))
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"the image cannot be read: {error}") from error


def _apply_orientation(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation. Pillow's own function rewrites the EXIF block, which fails if it is damaged."""
    image.load()
    if image.format == "TIFF":  # already applied by Pillow, which keeps the tag
        return image
    try:
        transpose = _TRANSPOSES.get(image.getexif().get(_ORIENTATION))
    except Exception:  # as in metadata.read_record: an image with damaged EXIF is still an image
        transpose = None
    return image if transpose is None else image.transpose(transpose)


def _deep_grey(image: Image.Image) -> np.ndarray:
    values = np.asarray(image, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ImageError("the image has pixels that are not numbers")
    largest = float(values.max(initial=0.0))
    if image.mode == "F":
        scale = 255.0 if largest <= 1.0 else 1.0
    else:  # Pillow opens 16-bit PNG as "I"; 8-bit values in it come from programs that widened them
        scale = 255.0 / 65535.0 if image.mode != "I" or image.format == "PNG" or largest > 255 else 1.0
    grey = np.clip(values * scale, 0.0, 255.0)
    return np.repeat(grey[:, :, None], 3, axis=2)


def is_stereo(pixels: np.ndarray) -> bool:
    """Return whether red is constant while green or blue vary, as in stereo images. `pixels` is [H, W, 3].

    The original leaves red black; decoded as mono, such an image would be noise at full level.
    """
    red, *others = (pixels[..., c] for c in range(3))
    level, spread = float(red.mean()), float(red.std())
    if spread > 2 * _FLAT_DEVIATION:  # strong JPEG compression adds up to 6 levels of noise
        return False
    if any(float(other.std()) - spread > 2 * _FLAT_DEVIATION for other in others):
        return True
    # Silence is flat in all three channels; only in a stereo image is red darker.
    return level <= 4 * _FLAT_DEVIATION and any(float(other.mean()) - level > 4 * _FLAT_DEVIATION for other in others)


def pixels_to_mel(pixels: np.ndarray, params: SpectrogramParams, max_value: float) -> np.ndarray:
    """Convert pixels to mel magnitudes.

    Parameters
    ----------
    pixels : np.ndarray [shape=(H, W, 3), 0 to 255]
        From :func:`pixels_of`.
    params
        ``stereo`` selects the colour channels, ``low_at_top`` the order of rows, the others the law.
    max_value
        Magnitude of the loudest pixel.

    Returns
    -------
    np.ndarray [shape=(C, W, H), float32, non-negative]
    """
    channels = (1, 2) if params.stereo else (0,)
    upright = pixels if params.low_at_top else pixels[::-1]
    if pixels.dtype == np.uint8:
        table = magnitudes_of(np.arange(256.0), params, max_value).astype(np.float32)
        return np.stack([table[upright[..., c].T] for c in channels])
    levels = np.stack([upright[..., c].T for c in channels]).astype(np.float64)
    return magnitudes_of(levels, params, max_value).astype(np.float32)


def mel_to_image(mel: np.ndarray, params: SpectrogramParams, max_value: float) -> Image.Image:
    """Convert mel magnitudes [C, T, n_mels] to an RGB image; magnitudes above `max_value` are as loud as it.

    :mod:`riffusion_ext.spectrogram.pixel_law` has the laws.
    """
    if mel.shape[0] != params.channels:
        raise ValueError(f"mel has {mel.shape[0]} channels, the parameters say {params.channels}")
    image = np.empty((mel.shape[2], mel.shape[1], 3), np.uint8)
    for start in range(0, mel.shape[1], _BLOCK_COLUMNS):
        stop = start + _BLOCK_COLUMNS
        rows = levels_of(mel[:, start:stop], params, max_value).transpose(0, 2, 1)
        if not params.low_at_top:
            rows = rows[:, ::-1]
        for colour, row in enumerate((np.zeros_like(rows[0]), *rows) if params.stereo else (rows[0],) * 3):
            image[:, start:stop, colour] = row
    return Image.fromarray(image)
