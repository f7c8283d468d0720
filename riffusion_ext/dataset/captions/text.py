"""Decode text files of unknown encoding, and normalize text to one clean line.

Standard library only.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

__all__ = ["decode", "is_blank", "one_line", "readable_name"]

_MARKS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
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
"""Track number with its separator."""

_INVISIBLE = ("Cc", "Cf", "Cs")

_JOINERS = "\u200c\u200d"
"""Invisible, but Persian words and composed emoji need them."""


def decode(data: bytes) -> tuple[str, str]:
    """Decode a text file; also return a note about its encoding ("" for UTF-8 or with a byte order mark).

    Without a byte order mark, the text is UTF-8; UTF-16 if every other byte is mostly zero; else Windows-1252, in which
    any byte is valid.

    Raises
    ------
    ValueError
        It is not text: it has NUL bytes, or does not match its byte order mark.
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
    """Normalize text to one line: composed characters, single spaces, nothing invisible.

    White space and line breaks of any kind become single spaces. Control and format characters (byte order mark,
    zero-width space, direction marks, soft hyphen) and lone surrogates are removed; joiners are kept. Idempotent.
    """
    kept = "".join(c for c in text if c.isspace() or c in _JOINERS or unicodedata.category(c) not in _INVISIBLE)
    return " ".join(unicodedata.normalize("NFC", kept).split())


def is_blank(text: str) -> bool:
    """Whether a text has nothing visible: only white space, joiners and combining marks."""
    return all(unicodedata.category(c) in (*_INVISIBLE, "Zs", "Zl", "Zp", "Mn", "Mc", "Me") for c in text)


def readable_name(stem: str) -> str:
    """Convert a file's stem to words: without a leading track number, with spaces for underscores.

    ``"03 - Slow_Air"`` becomes ``"Slow Air"``; ``""`` if nothing is left. A number is a track number if it begins with
    a zero or punctuation follows. Other numbers belong to the name: ``"2Pac"``, ``"50 Cent"``, ``"99 Luftballons"``.
    """
    name, before = one_line(stem.replace("_", " ")).lstrip("-. "), ""
    while name != before:
        before, name = name, one_line(_TRACK.sub("", name, count=1)).lstrip("-. ")
    return name
