"""Captions of training images: templates filled with the metadata of a song.

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from riffusion_ext.dataset.captions.text import is_blank, one_line, readable_name
from riffusion_ext.dataset.settings import CaptionSettings
from riffusion_ext.errors import RiffusionError

__all__ = [
    "CAPTION_FIELDS",
    "TOKEN_LIMIT",
    "caption_for",
    "clean_caption",
    "estimate_tokens",
    "file_fields",
    "normalize_caption",
    "parse_template",
]

CAPTION_FIELDS = (
    "trigger",
    "artist",
    "title",
    "album",
    "genre",
    "year",
    "bpm",
    "key",
    "song_caption",
    "folder",
    "folder2",
    "file",
    "stem",
    "tempo",
    "measured_key",
    "loudness",
)
"""Names that a template may use. The first come from tags, sidecar files and paths; ``tempo``, ``measured_key`` and
``loudness`` are measured."""

TOKEN_LIMIT = 75
"""Tokens of a caption that trainers of Stable Diffusion 1 use by default."""

_FALLBACK = "music"
_MAX_TEMPLATE = 4000

_STEM = re.compile(
    r"(?:.*[ _.(\[-])?(vocals|drums|bass|other|guitar|piano|instrumental|accompaniment)[)\]]?", re.IGNORECASE
)

# Words before a value, or units after it, that mean nothing without it.
_LEADING = frozenset(
    "a an the by in at from of on with and for to key tempo feat feat. ft ft. featuring".split()  # noqa: SIM905
)
_UNITS = frozenset(["bpm", "lufs", "db", "dbfs"])
_DASHES = "-\u2013\u2014/|:;&+~"
_BRACKETS = "()[]"
_VALUE = "\0"  # placeholder for a value while the words around it are cleaned; values never contain it


def caption_for(fields: Mapping[str, str], settings: CaptionSettings) -> str:
    """Fill the caption template for one image.

    The parts of the template between commas are filled one by one. A part with no known value is dropped together with
    its words (``"{bpm} bpm"``), so that no comma is left over. If only some values are known, the words that lead to
    the missing ones are dropped (``"{title} by {artist}"`` becomes the title alone), and so are empty brackets.
    ``{bpm|tempo}`` takes the first known of the two. ``{{`` is a literal brace. A part that repeats an earlier one is
    dropped.

    Parameters
    ----------
    fields
        Values by name, from :data:`CAPTION_FIELDS`; empty means unknown. The settings' trigger is added.
    settings
        Template, trigger word, and pairs of texts to find and to replace, in order, in the finished caption.

    Returns
    -------
    str
        One line, never empty, without doubled commas and without backslashes (the Dreambooth extension drops them).
        If nothing else is left: the title, else the file's name without its track number, else ``"music"``.

    Raises
    ------
    RiffusionError
        The template has an unknown name or an unclosed brace, or a text to find is empty.
    """
    values = {name: clean_caption(str(fields.get(name, ""))) for name in CAPTION_FIELDS}
    values["trigger"] = clean_caption(settings.trigger) or values["trigger"]
    parts: dict[str, str] = {}
    for part in parse_template(settings.template):
        text = clean_caption(_fill(part, values))
        parts.setdefault(text.casefold(), text)
    caption = _replace(", ".join(parts.values()), settings.replace)
    return normalize_caption(caption, fields)


def normalize_caption(text: str, fields: Mapping[str, str]) -> str:
    """Normalize an edited caption: one clean line, never empty.

    Parameters
    ----------
    text
        Any text.
    fields
        Values of the song: its ``title`` or ``file`` is used if nothing is left of the text.
    """
    fallbacks = (fields.get("title", ""), readable_name(str(fields.get("file", ""))))
    return next(filter(None, map(clean_caption, (text, *map(str, fallbacks)))), _FALLBACK)


def file_fields(path: Path) -> dict[str, str]:
    """Return the fields from a song's path: file name as words, folder, parent folder, stem.

    A file is a stem if its name is or ends with that of one: ``vocals.wav``, ``Song (Drums).flac``, ``song_bass.ogg``.
    """
    parent = path.parent
    stem = _STEM.fullmatch(path.stem)
    return {
        **({"stem": stem.group(1).lower()} if stem else {}),
        "file": readable_name(path.stem) or one_line(path.stem),
        "folder": one_line(parent.name),
        "folder2": one_line(parent.parent.name),
    }


@lru_cache(maxsize=1024)  # the images of a song share their caption
def clean_caption(text: str) -> str:
    """Clean a text for use in a caption: one line, no backslashes, no comma without words on both sides."""
    text = one_line(text.replace("\\", ""))
    text = re.sub(r" ?,(?: ?,)*", ",", text).strip(" ,")
    return "" if is_blank(text) else text


def _replace(caption: str, pairs: Iterable[Sequence[str]]) -> str:
    for find, put in pairs:
        if not find:
            raise RiffusionError(f"the text to find is empty, there is nothing to replace by {put!r}")
        caption = caption.replace(find, put)
    return clean_caption(caption)


# --- templates -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Slot:
    """A slot in a template, filled with the first of these names that has a value."""

    names: tuple[str, ...]


Part = tuple["str | _Slot", ...]


@lru_cache(maxsize=64)
def parse_template(template: str) -> tuple[Part, ...]:
    """Parse a template into parts, divided by commas outside brackets; each is a sequence of words and slots.

    Raises
    ------
    RiffusionError
        The template has an unknown name or an unclosed brace, or is too long.
    """
    if len(template) > _MAX_TEMPLATE:
        raise RiffusionError(f"the caption template must have at most {_MAX_TEMPLATE} characters, got {len(template)}")
    parts: list[list[str | _Slot]] = [[]]
    depth = 0
    for token in re.findall(r"\{\{|\}\}|\{[^{}]*\}|[^{}]|[{}]", one_line(template)):
        if token in ("{", "}"):
            raise RiffusionError(f"the caption template has a {token} without its partner: {template}")
        if len(token) > 2:
            parts[-1].append(_slot(token))
        elif token == "{}":
            raise RiffusionError(f"the caption template has empty braces, put one of {', '.join(CAPTION_FIELDS)} in")
        elif token == "," and depth == 0:
            parts.append([])
        else:
            depth = max(depth + (token in "([") - (token in ")]"), 0)
            _append(parts[-1], token[0])
    return tuple(tuple(part) for part in parts)


def _slot(token: str) -> _Slot:
    names = tuple(name.strip().casefold() for name in token[1:-1].split("|"))
    for name in names:
        if name not in CAPTION_FIELDS:
            raise RiffusionError(f"the caption template knows no {{{name}}}, it knows {', '.join(CAPTION_FIELDS)}")
    return _Slot(names)


def _append(part: list[str | _Slot], character: str) -> None:
    last = part[-1] if part else None
    if isinstance(last, str):
        part[-1] = last + character
    else:
        part.append(character)


def _fill(part: Part, values: Mapping[str, str]) -> str:
    """Fill the slots of a part; "" if it has slots but no value for any."""
    found = [
        next(filter(None, map(values.__getitem__, piece.names)), "") if isinstance(piece, _Slot) else None
        for piece in part
    ]
    known = [value for value in found if value]
    if known or all(value is None for value in found):
        text = "".join(_VALUE if value else piece for piece, value in zip(_words(part, found), found, strict=True))
        return re.sub(_VALUE, lambda _: known.pop(0), text if "" not in found else _strip_remains(text))
    return ""


def _words(part: Part, found: Sequence[str | None]) -> list[str]:
    """Return the pieces of a part with a space for each slot, without the words that belong to empty slots."""
    pieces = [piece if isinstance(piece, str) else " " for piece in part]
    for number, value in enumerate(found):
        if value is None:
            leads, follows = found[number + 1 : number + 2] == [""], found[number - 1 : number] == [""]
            first = not any(found[:number]) and not "".join(pieces[:number]).strip()
            if 0 < number < len(part) - 1 and (leads or first) and _is_joiner(pieces[number]):
                pieces[number] = " ".join(token for token in _tokens(pieces[number]) if token in _BRACKETS) or " "
            if leads:
                pieces[number] = _strip_leading(pieces[number])
            if follows:
                pieces[number] = _strip_unit(pieces[number])
    return pieces


def _tokens(text: str) -> list[str]:
    return re.findall(r"[()\[\]]|[^\s()\[\]]+", text)


def _is_joiner(text: str) -> bool:
    """Whether the words between two slots only join them: a punctuation mark, or one short word of any language."""
    words = [token for token in _tokens(text) if token not in _BRACKETS]
    return len(words) < 2 and all(len(word) < 4 or not word.strip(_DASHES) for word in words)


def _strip_leading(text: str) -> str:
    """Remove words and dashes from the end of a text that introduce a value."""
    tokens = _tokens(text)
    while tokens and (tokens[-1].casefold() in _LEADING or not tokens[-1].strip(_DASHES)):
        tokens.pop()
    return f" {' '.join(tokens)} "


def _strip_unit(text: str) -> str:
    """Remove a unit from the start of a text."""
    tokens = _tokens(text)
    return f" {' '.join(tokens[1:])} " if tokens and tokens[0].casefold() in _UNITS else text


def _strip_remains(text: str) -> str:
    """Remove empty brackets, punctuation beside brackets and at both ends, and doubled spaces."""
    marks = rf"[\s,{re.escape(_DASHES)}]*"
    before = None
    while before != text:
        before = text
        text = re.sub(rf"[(\[]{marks}[)\]]", " ", text)
    text = re.sub(rf"([(\[]){marks}", r"\1", text)
    text = re.sub(rf"(?<!{marks[:-1]}){marks}([)\]])", r"\1", text)
    return " ".join(text.split()).strip(f" {_DASHES}")


# --- length ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def estimate_tokens(caption: str) -> int:
    """Estimate the number of CLIP tokens of a caption.

    The text is split exactly as by CLIP's tokenizer: words, single digits, runs of punctuation. The number of tokens of
    a word depends on a vocabulary of 49,408 entries; assuming six letters per token, or two bytes of other alphabets,
    is within a fifth of the true count for nine of ten English texts.

    Source: Radford et al., "Learning transferable visual models from natural language supervision" (2021).
    """
    count = 0
    for word in re.findall(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\w\s]|_)+", caption.lower()):
        plain = sum(character.isascii() for character in word) if word[0].isalpha() else 0
        other = len(word.encode("utf-8", "replace")) - sum(character.isascii() for character in word)
        count += max(1, round(plain / 6 + other / 2))
    return count
