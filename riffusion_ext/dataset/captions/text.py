"""Texts of people and programs, in whatever encoding and with whatever is in them, made one clean line.

Standard library only.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

__all__ = ["decode", "is_blank", "one_line", "readable_name"]

_MARKS = (
    # UTF-32 first: its mark in little endian begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_TRACK = re.compile(
    r"""\A(?:[1-9][-.](?=0\d(?!\d)))?           # the disc
    (?:\d+$                                # nothing but a number
    |0\d(?=[\s\-.)\]]|[^\W\d])             # 03 Air, 03Air
    |0\d\d(?=\s?[-.)\]])                   # 003 - Air
    |[1-9]\d?(?=\s?-\s|[.)\]]\s*[^\W\d])  # 12 - Air, 12. Air, 12) Air
    )[\s.)\]-]*""",
    re.VERBOSE,
)
"""A number of a track, with what divides it from the name."""

_INVISIBLE = ("Cc", "Cf", "Cs")

_JOINERS = "\u200c\u200d"
"""Invisible, but Persian words and emoji of several signs fall apart without them."""


def decode(data: bytes) -> tuple[str, str]:
    """Return the text of a file, and a note about its encoding ("" for UTF-8 and what a byte order mark names).

    Without a mark it is UTF-8; or UTF-16 where every other byte is mostly zero; else Windows-1252, in which any byte
    means something.

    Raises
    ------
    ValueError
        It is no text: it has NUL bytes, or breaks the encoding that its mark promises.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding), ""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and "\0" not in text:
        return text, ""
    if b"\0" in data:
        return _decode_without_mark(data)
    note = "it is not UTF-8 and was read as Windows-1252" if data else ""
    return data.decode("cp1252", "replace").replace("\ufffd", ""), note


def _decode_without_mark(data: bytes) -> tuple[str, str]:
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        high = data[first::2]
        if len(data) % 2 == 0 and high.count(0) * 2 > len(high) and b"\0\0" not in data:
            return data.decode(encoding), "it is not UTF-8 and was read as UTF-16"
    raise ValueError("it has NUL bytes, so it is no text")


def one_line(text: str) -> str:
    """Return a text as one line: composed characters, single spaces, nothing invisible.

    Whatever counts as white space or as a line break becomes a space. Control and format characters (byte order mark,
    zero-width space, direction marks, soft hyphen) and half surrogates go; joiners stay. Once more changes nothing.
    """
    kept = "".join(c for c in text if c.isspace() or c in _JOINERS or unicodedata.category(c) not in _INVISIBLE)
    return " ".join(unicodedata.normalize("NFC", kept).split())


def is_blank(text: str) -> bool:
    """Whether a reader would see nothing of a text: only white space, joiners and combining marks."""
    return all(unicodedata.category(c) in (*_INVISIBLE, "Zs", "Zl", "Zp", "Mn", "Mc", "Me") for c in text)


def readable_name(stem: str) -> str:
    """Return a file's name without suffix as words: no number of a track in front, spaces for underscores.

    ``"03 - Slow_Air"`` becomes ``"Slow Air"``; ``""`` if nothing is left. A number is a track's where it begins with a
    zero or a mark follows it. Other numbers belong to the name: ``"2Pac"``, ``"50 Cent"``, ``"99 Luftballons"``.
    """
    name, before = one_line(stem.replace("_", " ")).lstrip("-. "), ""
    while name != before:
        before, name = name, one_line(_TRACK.sub("", name, count=1)).lstrip("-. ")
    return name
