"""Store the parameters of a spectrogram in images and audio files.

Images carry them twice: as EXIF tags 11000 to 11080, which the original riffusion library reads and writes, and,
in PNG, as a text entry ``riffusion`` with JSON. Audio files carry the same JSON in their comment.

Programs that know only these tags would decode images of other models wrongly. So such images have none of them: they
carry the JSON in EXIF tag 11090, and in PNG as the text ``riffusion spectrogram``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext import __version__
from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import MIN_MAX_VALUE, SpectrogramParams
from riffusion_ext.params.bounds import CHOICES, LATER_FIELDS, SWITCHES
from riffusion_ext.params.parameters import recorded_fields
from riffusion_ext.validation.json_text import loads
from riffusion_ext.validation.numbers import read_float

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

__all__ = [
    "EXIF_TAGS",
    "JSON_TAG",
    "NOTES_KEY",
    "OTHER_TEXT_KEY",
    "TEXT_KEY",
    "ImageRecord",
    "audio_tags",
    "exif_bytes",
    "exif_dump",
    "exif_tags",
    "parse_audio_comment",
    "png_info",
    "read_record",
    "read_source",
    "record_text",
    "save_image",
    "text_key",
    "with_record_text",
]

EXIF_TAGS: dict[int, str] = {
    11000: "sample_rate",
    11005: "stereo",
    11010: "step_size_ms",
    11020: "window_duration_ms",
    11030: "padded_duration_ms",
    11040: "num_frequencies",
    11050: "min_frequency",
    11060: "max_frequency",
    11070: "power_for_image",
    11080: "max_value",
}
"""EXIF tag number to name, as in riffusion's ``SpectrogramParams.ExifTags``."""

JSON_TAG = 11090
"""EXIF tag with the JSON of images that the tags above cannot describe, which have none of those."""

TEXT_KEY = "riffusion"
"""Key of the text entry, in PNG and in ``Image.info``."""

OTHER_TEXT_KEY = "riffusion spectrogram"
"""Key of the text entry of images that the original library cannot describe."""

NOTES_KEY = "riffusion notes"
"""Key in ``Image.info`` of a tuple of notes, written by the code that opened the file."""

_OTHER_NAMES = {JSON_TAG: "spectrogram"}
_DOCUMENT_NAME = 0x010D
"""EXIF tag DocumentName: the file from which an image was made."""

_EXIF_OFFSETS = (0x8769, 0x8825, 0xA005)
"""EXIF tags that are offsets of other lists of tags."""

_MAX_MAX_VALUE = 1e15
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class ImageRecord:
    """The metadata of an image.

    Attributes
    ----------
    params
        Its parameters; those of riffusion-model-v1 if it has none.
    max_value
        Mel magnitude of a black pixel, in 16-bit sample units; None if it is not recorded.
    source
        Where the parameters were found: ``"exif"``, ``"text"`` or ``"none"``.
    notes
        Sentences about ignored metadata.
    """

    params: SpectrogramParams
    max_value: float | None
    source: str
    notes: tuple[str, ...] = ()


def read_record(image: Image.Image) -> ImageRecord:
    """Read the parameters in an image. Damaged or foreign metadata is noted and ignored; never raises."""
    notes: list[str] = list(getattr(image, "info", {}).get(NOTES_KEY, ()))
    for source, values in (
        ("exif", _exif_json(image)),
        ("text", _text_values(image, OTHER_TEXT_KEY)),
        ("exif", _exif_values(image)),
        ("text", _text_values(image, TEXT_KEY)),
    ):
        if not values:
            continue
        try:
            params = SpectrogramParams.from_mapping(values)
        except (ValueError, TypeError) as error:
            notes.append(f"the image's own parameters were ignored: {error}")
            continue
        max_value = values.get("max_value")
        if max_value is not None and not MIN_MAX_VALUE <= max_value <= _MAX_MAX_VALUE:
            notes.append(f"the image's own level was ignored: max_value is {max_value:g}")
            max_value = None
        return ImageRecord(params, max_value, source, tuple(notes))
    if OTHER_TEXT_KEY in getattr(image, "info", {}) and not _text_values(image, OTHER_TEXT_KEY):
        notes.append("the image's own parameters were ignored: their record is damaged")
    return ImageRecord(SpectrogramParams(), None, "none", tuple(notes))


def _exif_json(image: Image.Image) -> dict[str, Any]:
    try:
        text = image.getexif().get(JSON_TAG)
    except Exception:  # as below
        return {}
    return _parsed(text)


def _exif_values(image: Image.Image) -> dict[str, Any]:
    try:
        exif = image.getexif()
        found = {name: exif[tag] for tag, name in EXIF_TAGS.items() if tag in exif}
    except Exception:  # Pillow raises many kinds of errors on damaged EXIF, without which the image is still valid
        return {}
    return _numbers(found)


def _text_values(image: Image.Image, key: str) -> dict[str, Any]:
    return _parsed(getattr(image, "info", {}).get(key))


def _parsed(text: object) -> dict[str, Any]:
    """Parse the JSON of a record; {} if it is none."""
    if isinstance(text, bytes):
        text = text.strip(b"\0").decode("utf-8", "replace")
    if not isinstance(text, str):
        return {}
    try:
        found = loads(text)
    except ValueError:
        return {}
    return _numbers(found) if isinstance(found, dict) else {}


def _numbers(found: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the known values to numbers, whole ones to int. Invalid ones become NaN and fail the range check.

    Words, and the switches of other models, are left as they are.
    """
    values: dict[str, Any] = {}
    for name in (*EXIF_TAGS.values(), *LATER_FIELDS):
        if name not in found:
            continue
        if name in CHOICES or (name in SWITCHES and name in LATER_FIELDS):
            values[name] = found[name]
            continue
        try:
            value = found[name]
            number = read_float(value) if isinstance(value, str) else float(value)
        except (TypeError, ValueError, ZeroDivisionError, OverflowError):
            number = math.nan
        if name == "stereo":
            values[name] = bool(number == 1)
        elif name in ("power_for_image", "max_value") or not number.is_integer():
            values[name] = number
        else:
            values[name] = int(number)
    return values


def read_source(image: Image.Image) -> str:
    """Return the name of the audio file from which an image was made; "" if it is not recorded."""
    try:
        name = image.getexif().get(_DOCUMENT_NAME)
    except Exception:  # as above
        return ""
    if isinstance(name, str):  # Pillow reads bytes as Latin-1
        name = name.encode("latin-1", "replace")
    return name.strip(b"\0").decode("utf-8", "surrogateescape") if isinstance(name, bytes) else ""


def exif_bytes(params: SpectrogramParams, max_value: float | None, source: str = "") -> bytes:
    """Build an EXIF block with tags 11000 to 11080, without the last if `max_value` is None; or with tag 11090.

    `source`, the name of the audio file from which the image was made, is stored in the tag DocumentName.
    """
    from PIL import Image

    exif = Image.Exif()
    for tag, value in exif_tags(record_text(params, max_value)).items():
        exif[tag] = value
    if source:
        exif[_DOCUMENT_NAME] = source.encode("utf-8", "surrogateescape")
    return exif.tobytes()


def exif_tags(record: str) -> dict[int, int | float | str]:
    """Return the EXIF tags for a text written by :func:`record_text`."""
    values = loads(record)
    if text_key(record) != TEXT_KEY:
        return {JSON_TAG: record}
    return {
        tag: int(values[name]) if isinstance(values[name], bool) else values[name]
        for tag, name in EXIF_TAGS.items()
        if name in values
    }


def _record(params: SpectrogramParams, max_value: float | None) -> dict[str, object]:
    if max_value is not None and not math.isfinite(max_value):
        raise RiffusionError(f"the level that is recorded must be a number, got {max_value:g}")
    # An unknown level is left out: readers would take it for the level of the image.
    values = recorded_fields(params)
    return values if max_value is None else {**values, "max_value": float(max_value)}


def record_text(params: SpectrogramParams, max_value: float | None = None) -> str:
    """Return the parameters as JSON; without ``max_value`` if it is None."""
    return json.dumps(_record(params, max_value))


def text_key(record: str) -> str:
    """Return the key of the text entry for a text written by :func:`record_text`."""
    return OTHER_TEXT_KEY if any(name in loads(record) for name in LATER_FIELDS) else TEXT_KEY


def with_record_text(image: Image.Image, record: str) -> None:
    """Put a record into the texts of an image in memory, in place of another."""
    for key in (TEXT_KEY, OTHER_TEXT_KEY):
        image.info.pop(key, None)
    image.info[text_key(record)] = record


def png_info(params: SpectrogramParams, max_value: float | None, **text: str) -> PngInfo:
    """Build PNG text chunks: the parameters as JSON under :func:`text_key`, and any other texts."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    record = record_text(params, max_value)
    info.add_itxt(text_key(record), record)
    for key, value in text.items():
        info.add_itxt(key, value)
    return info


def save_image(
    image: Image.Image,
    path: str | Path,
    params: SpectrogramParams,
    max_value: float | None,
    source: str = "",
    **text: str,
) -> Path:
    """Write an image file with its parameters; the format follows the suffix.

    The file is written atomically. A `max_value` of None is left out, and so is an empty `source`, the name of the
    audio file from which the image was made.

    Raises
    ------
    ImageError
        The suffix is not .png, .jpg, .jpeg or .webp, or the file cannot be written.
    """
    from riffusion_ext.errors import ImageError
    from riffusion_ext.files.atomic import write_atomically

    path = Path(path)
    options: dict[str, object] = {"exif": exif_bytes(params, max_value, source)}
    suffix = path.suffix.lower()
    if suffix == ".png":
        # A third of the time of Pillow's default 6, and a few per cent smaller for spectrograms.
        options |= {"format": "PNG", "pnginfo": png_info(params, max_value, **text), "compress_level": 3}
    elif suffix in (".jpg", ".jpeg"):
        # No subsampling, as the colours of a stereo image hold its two channels.
        options |= {"format": "JPEG", "quality": _JPEG_QUALITY, "subsampling": 0}
    elif suffix == ".webp":
        options |= {"format": "WEBP", "lossless": True}
    else:
        raise ImageError(f"cannot write {path.name}: images end in .png, .jpg or .webp, not {suffix or 'nothing'}")
    return write_atomically(path, lambda file: image.save(file, **options), error_type=ImageError)


def exif_dump(image: Image.Image) -> dict[str, object]:
    """Return all EXIF tags and texts of an image by name: riffusion's tags first."""
    from PIL import ExifTags

    dump: dict[str, object] = {}
    try:
        exif = {tag: value for tag, value in image.getexif().items() if tag not in _EXIF_OFFSETS}
    except Exception:  # as above
        exif = {}
    for tag in sorted(exif, key=lambda tag: (tag not in EXIF_TAGS, tag)):
        name = EXIF_TAGS.get(tag) or _OTHER_NAMES.get(tag) or ExifTags.TAGS.get(tag) or f"tag {tag}"
        dump[name] = exif[tag]
    for key, value in image.info.items():
        if isinstance(value, str):
            dump[f"text {key}"] = value
    return dump


def audio_tags(
    params: SpectrogramParams,
    *,
    max_value: float | None = None,
    title: str = "",
    comment_extra: Mapping[str, object] = {},
) -> dict[str, str]:
    """Build the tags of an audio file: title, software, and the parameters as JSON in the comment."""
    record = {"riffusion": {**_record(params, max_value), **comment_extra}}
    try:
        comment = json.dumps(record, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise RiffusionError(f"what is recorded must be finite numbers: {error}") from None
    tags = {"software": f"riffusion-ext {__version__}", "comment": comment}
    return {"title": title, **tags} if title else tags


def parse_audio_comment(text: str) -> dict[str, object] | None:
    """Return the parameters in an audio file's comment; None if there are none."""
    try:
        found = loads(text)
    except ValueError:
        return None
    record = found.get("riffusion") if isinstance(found, dict) else None
    return record if isinstance(record, dict) else None
