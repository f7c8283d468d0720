"""Metadata fields of a song from any source: names of fields, and normalized values.

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from riffusion_ext.dataset.captions.text import is_blank, one_line
from riffusion_ext.validation.numbers import is_finite, read_float

__all__ = [
    "SONG_FIELDS",
    "as_text",
    "extract_fields",
    "invalid_tempo",
    "normalize_key",
    "normalize_value",
    "select_fields",
]

SONG_FIELDS = ("artist", "title", "album", "genre", "year", "bpm", "key", "song_caption")
"""Fields that a song's tags and its sidecar files can provide."""

_ALIASES: Mapping[str, str] = {
    "artists": "artist",
    "performer": "artist",
    "genres": "genre",
    "style": "genre",
    "date": "year",
    "tempo": "bpm",
    "beats per minute": "bpm",
    "bpm (beats per minute)": "bpm",  # as FL Studio writes it
    "tbpm": "bpm",
    "initial key": "key",
    "initialkey": "key",
    "musical key": "key",
    "tkey": "key",
}
# In order of preference: MusicGen's files have a description and keywords, and the description says more.
_CAPTION_NAMES = ("song caption", "caption", "captions", "prompt", "text", "description", "tags", "keywords")

_PLACEHOLDER = re.compile(
    r"(?:<|\[|\()?unknown(?: (?:artist|album|title|genre|year))?(?:>|\]|\))?|various artists|untitled|no title"
    r"|(?:audio)?track ?\d*|n/?a|none|null|nan|[-?.]",
    re.IGNORECASE,
)
"""Placeholders that programs write for unknown values."""

_MIN_TEMPO, _MAX_TEMPO = 1, 999
"""Range of tempos in tags, in beats per minute: "12800" is no tempo, whatever its tagger meant."""

_NOTE_NAME = re.compile(r"([A-Ga-g]) ?(#|♯|b|♭|sharp|flat)?(?:[ -]?(major|maj|minor|min|M|m))?")
_WHEEL = re.compile(r"0?([1-9]|1[0-2])([ABabdm])")
_MAJOR = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


def extract_fields(values: Mapping[str, object]) -> dict[str, str]:
    """Extract the fields of a song from metadata under any known name, and normalize their values.

    Parameters
    ----------
    values
        By name, in any case, with spaces, underscores or hyphens: ``"Artist"``, ``"initial_key"``, ``"caption"``.
        Values are strings, numbers, or lists of them.

    Returns
    -------
    dict
        Non-empty values by name, from :data:`SONG_FIELDS`.
    """
    named = {_normalize_name(name): as_text(value) for name, value in values.items()}
    found: dict[str, str] = {}
    for name in SONG_FIELDS[:-1]:
        names = (name, *(other for other, meant in _ALIASES.items() if meant == name))
        _add_first(found, name, (named.get(other, "") for other in names))
    _add_first(found, "song_caption", (named.get(name, "") for name in _CAPTION_NAMES))
    return found


def select_fields(values: Mapping[str, object]) -> dict[str, str]:
    """Return the values, as text, whose names belong to a field of a song."""
    known = {*SONG_FIELDS, *_ALIASES, *_CAPTION_NAMES}
    return {name: as_text(value) for name, value in values.items() if _normalize_name(name) in known}


def invalid_tempo(values: Mapping[str, object]) -> str:
    """Return the tempo of a tag if it is a number outside the range of tempos, such as "12800"; else ""."""
    for name, value in values.items():
        text = one_line(as_text(value))
        if _ALIASES.get(_normalize_name(name), _normalize_name(name)) == "bpm" and re.search("[1-9]", text):
            return "" if normalize_value("bpm", text) else text
    return ""


def _normalize_name(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.casefold()).strip()


def _add_first(found: dict[str, str], name: str, texts: Iterable[str]) -> None:
    for text in texts:
        value = normalize_value(name, text)
        if value:
            found[name] = value
            return


def as_text(value: object) -> str:
    """Convert a value from a JSON file or a tag to text; lists are joined with commas, other types give ""."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if is_finite(value):
        return str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(text for text in map(as_text, value) if text)
    return ""


def normalize_value(name: str, text: str) -> str:
    """Normalize the value of a field to one line; "" for placeholders and invalid values.

    Years become four digits, tempos whole numbers; keys go through :func:`normalize_key`.
    """
    text = one_line(text)
    if is_blank(text) or (name != "song_caption" and _PLACEHOLDER.fullmatch(text)):
        return ""
    if name == "genre" and text.casefold() == "other":  # genre 12 of ID3v1
        return ""
    if name == "year":
        year = re.search(r"(?<!\d)[12]\d{3}(?!\d)", text)
        return year.group() if year else ""
    if name == "bpm":
        number = re.search(r"\d+(?:[.,]\d+)?", text)
        tempo = round(read_float(number.group().replace(",", ".")[:16])) if number else 0
        return str(tempo) if _MIN_TEMPO <= tempo <= _MAX_TEMPO else ""
    return normalize_key(text) if name == "key" else text


def normalize_key(text: str) -> str:
    """Normalize a key to the form ``"A minor"``.

    Recognised are English names (``Am``, ``F#``, ``Bb minor``) and the DJ notations Camelot (``8A``) and Open Key
    (``1m``). Anything else is returned unchanged, except ``o``, ID3's "off key", which gives ``""``.
    """
    wheel = _WHEEL.fullmatch(text)
    if wheel:
        hour, letter = int(wheel.group(1)), wheel.group(2)
        # C major is 8 o'clock on one wheel and 1 on the other; each hour is a fifth up.
        fifths = hour - (1 if letter in "dm" else 8)
        if letter in "Bbd":
            return f"{_MAJOR[7 * fifths % 12]} major"
        return f"{_MINOR[(7 * fifths + 9) % 12]} minor"
    note = _NOTE_NAME.fullmatch(text)
    if not note:
        return "" if text == "o" else text
    sign = {"#": "#", "♯": "#", "sharp": "#", "b": "b", "♭": "b", "flat": "b", None: ""}[note.group(2)]
    mode = "minor" if note.group(3) in ("minor", "min", "m") else "major"
    return f"{note.group(1).upper()}{sign} {mode}"
