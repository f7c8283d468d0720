r"""Repair tags in another encoding than declared, if it can be detected with certainty; else leave them out.

Old taggers wrote the system's encoding into fields that are Latin-1 by definition. The text is then mojibake, such as
``"F\u00c3\u00bcr"`` for UTF-8. UTF-8 is recognised by its structure, Cyrillic by its capitals and letter frequencies,
Japanese by its kana. Other text that is not Latin is not guessed.

Standard library only.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Mapping

__all__ = ["repair_encoding"]

_LATIN_PUNCTUATION = (
    "\u00ab\u00bb\u00a1\u00bf\u2018\u2019\u201c\u201d\u201e\u2013"
    "\u2014\u2026\u00b0\u00b4\u00b7\u00a9\u00ae\u2122\u00a7\u00b9\u00b2\u00b3\u00bd\u00bc\u00be\u20ac"
)
"""Punctuation and symbols outside ASCII that are common in Latin text."""

_MIN_RUN = 3  # accented letters in a row, which Latin text hardly ever has
_MIN_SCORE, _MARGIN = -3.6, 0.3

# Letters of Russian by frequency, per 10,000: https://en.wikipedia.org/wiki/Russian_alphabet#Letter_frequency
_LETTERS = (
    "\u043e\u0435\u0430\u0438\u043d\u0442\u0441\u0440\u0432\u043b\u043a\u043c\u0434\u043f\u0443\u044f\u044b\u044c\u0433\u0437"
    "\u0431\u0447\u0439\u0445\u0436\u0448\u044e\u0446\u0449\u044d\u0444\u044a\u0451\u0456\u0457\u0454\u0491"
)
# fmt: off
_COUNTS = (
    1097, 845, 801, 735, 670, 626, 547, 473, 454, 440, 349, 321, 298, 281, 262, 201, 190, 174, 170, 165,
    159, 144, 121, 97, 94, 73, 64, 48, 36, 32, 26, 4, 20, 60, 20, 20, 1,
)
# fmt: on
_FREQUENCY = dict(zip(_LETTERS, _COUNTS, strict=True))
_NAMES = {"utf-8": "UTF-8", "cp1251": "Windows-1251", "koi8-r": "KOI8-R", "cp932": "Shift-JIS"}


def repair_encoding(texts: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Repair the encoding of a tag's texts.

    Parameters
    ----------
    texts
        By name, decoded as Latin-1 or Windows-1252 unless known to be something else.

    Returns
    -------
    texts
        Texts in their true encoding, without those whose encoding cannot be detected.
    notes
        Sentences about both, without the file's name.
    """
    found = {name: _detect_encoding(text) for name, text in texts.items()}
    # An encoding detected in one field is used for the other fields of the tag, too, if they can be decoded so.
    certain = {encoding for encoding in found.values() if encoding in ("cp1251", "koi8-r", "cp932")}
    fixed: dict[str, str] = {}
    read_as: dict[str, None] = {}
    unreadable: list[str] = []
    for name, text in texts.items():
        encoding = found[name]
        if encoding == "?" and len(certain) == 1:
            (other,) = certain
            encoding = other if _decode(_bytes_of(text) or b"", other) else "?"
        if encoding == "?":
            unreadable.append(name)
        elif encoding:
            fixed[name] = _decode(_bytes_of(text) or b"", encoding) or text
            if encoding in _NAMES:
                read_as[_NAMES[encoding]] = None
        else:
            fixed[name] = text
    notes = [f"its tags are in {encoding}, not as they say, and were read so" for encoding in read_as]
    if unreadable:
        notes.append(
            f"{', '.join(unreadable)} of its tags left out: the encoding is not what they say, and cannot be told"
        )
    return fixed, tuple(notes)


def _bytes_of(text: str) -> bytes | None:
    """Return the bytes of a text that was decoded as Latin-1 or Windows-1252; None if it was not."""
    for encoding in ("latin-1", "cp1252"):
        try:
            return text.encode(encoding)
        except UnicodeEncodeError:
            continue
    return None


def _decode(data: bytes, encoding: str) -> str:
    """Decode bytes; "" if they are not in that encoding."""
    if encoding == "utf-8":  # old tags are cut after 30 bytes, perhaps inside a character
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            return decoder.decode(data, final=len(data) < 28)
        except UnicodeDecodeError:
            return ""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _detect_encoding(text: str) -> str:
    """Detect the true encoding of a text: "" if it is right as it is, "?" if it cannot be detected."""
    if "\ufffd" in text:
        return "?"
    data = _bytes_of(text)
    if data is None or data.isascii():
        return ""
    if any(character > "\x7f" for character in _decode(data, "utf-8")):
        return "utf-8"
    if _is_japanese(_decode(data, "cp932")):
        return "cp932"
    latin = _decode(data, "cp1252")
    longest = max(map(len, re.findall(rf"[^\x00-\x7f{_LATIN_PUNCTUATION}]+", latin)), default=0)
    accented = sum(character.isalpha() and not character.isascii() for character in latin)
    all_accented = accented >= 2 and sum(byte > 0x7F for byte in data) >= _MIN_RUN and not re.search("[A-Za-z]", latin)
    if not latin or longest >= _MIN_RUN or all_accented:
        scores = {encoding: _cyrillic_score(_decode(data, encoding)) for encoding in ("cp1251", "koi8-r")}
        best, other = sorted(scores, key=lambda encoding: -scores[encoding])
        if scores[best] > _MIN_SCORE and scores[best] > scores[other] + _MARGIN:
            return best
        return "?"
    return "" if latin == text else "cp1252"  # curly quotes and dashes, which are control characters in Latin-1


def _is_japanese(text: str) -> bool:
    """Whether a text has as many kana as Japanese, and no half-width kana, which any bytes can give."""
    wide = [character for character in text if not character.isascii()]
    kana = sum("\u3041" <= character <= "\u30fe" for character in wide)
    return kana >= 2 and kana * 4 >= len(wide) and not any("\uff61" <= character <= "\uff9f" for character in wide)


def _cyrillic_score(text: str) -> float:
    """Return the mean log frequency of the letters of a text; -inf if its capitals or symbols do not fit Cyrillic."""
    words = re.findall(r"[^\W\d_]+", text)
    cyrillic = [word for word in words if any(not character.isascii() for character in word)]
    if not cyrillic or any(not (word.islower() or word.isupper() or word.istitle()) for word in cyrillic):
        return -math.inf
    if re.search(rf"[^\x00-\x7f\w{_LATIN_PUNCTUATION}№\s]", text):
        return -math.inf
    letters = "".join(cyrillic).lower()
    total = sum(_FREQUENCY.values())
    return sum(math.log(_FREQUENCY.get(letter, 0.1) / total) for letter in letters) / len(letters)
