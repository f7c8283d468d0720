"""Texts in any encoding become one clean line."""

from __future__ import annotations

import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.dataset.captions.text import decode, is_blank, one_line, readable_name

# Any character, including lone surrogates.
ANY = st.text(st.characters(), max_size=40)
SENTENCES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\ufeff"), min_size=1)


@given(ANY)
def test_one_line_is_normalised_encodable_and_idempotent(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line == line.strip()
    assert "  " not in line
    assert line.encode("utf-8").decode("utf-8") == line
    assert unicodedata.is_normalized("NFC", line)
    assert one_line(line) == line


@given(ANY)
def test_blank_text_stays_blank(text: str) -> None:
    assert is_blank(text) == is_blank(one_line(text))


@given(st.text("abc xyz,.-'()", max_size=30))
def test_plain_words_are_unchanged(text: str) -> None:
    assert one_line(text) == " ".join(text.split())


def test_invisible_characters_are_removed_and_joiners_kept() -> None:
    assert one_line("\ufeffa\u200bb\u202ec\u00add\x00e") == "abcde"
    assert one_line("a\r\nb\x85c\u2028d\te\u00a0f") == "a b c d e f"
    for joined in ("\u0645\u06cc\u200c\u062e\u0648\u0631\u0645", "\U0001f469\u200d\U0001f3a4"):
        assert one_line(joined) == joined
    assert one_line("e\u0301\u200b") == "é"
    assert is_blank("\u200d \u0301\u2003\u3000\ufe0f")
    assert not is_blank("!")


@given(SENTENCES, st.sampled_from(["utf-8-sig", "utf-16", "utf-32", "utf-8"]))
def test_utf_8_and_text_with_a_byte_order_mark_are_read_without_a_note(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == (text, "")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_utf_16_without_a_byte_order_mark_is_recognised(text: str) -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        assert decode(text.encode(encoding)) == (text, "it is not UTF-8 and was read as UTF-16")


@given(st.binary())
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        text, _ = decode(data)
        assert "\0" not in text or data[:2] in (b"\xff\xfe", b"\xfe\xff") or data[:3] == b"\xef\xbb\xbf"


def test_windows_encodings_are_read_with_a_note() -> None:
    name = "Mötley Crüe \u2013 \u201clive\u201d"
    assert decode(name.encode("cp1252")) == (name, "it is not UTF-8 and was read as Windows-1252")
    assert decode(b"") == ("", "")
    for data in (b"\x00\x00\x00", b"RIFF\x00\x00\x00\x00WAVE"):
        with pytest.raises(ValueError, match="NUL bytes"):
            decode(data)


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        *(
            (stem, "Slow Air")
            for stem in ("03 - Slow_Air", "03 Slow Air", "03. Slow Air", "12 - Slow Air", "12. Slow Air")
        ),
        *(
            (stem, "Slow Air")
            for stem in ("1-02 Slow Air", "1.02. Slow Air", "003 - Slow Air", "12) Slow Air", "03Slow Air")
        ),
        ("01.Intro", "Intro"),
        ("_-_12", ""),
        ("1234", ""),
        ("99_Luftballons", "99 Luftballons"),
        ("02. 99 Luftballons", "99 Luftballons"),
        ("1-02 2Pac - Changes", "2Pac - Changes"),
        *(
            (stem, stem)
            for stem in ("2Pac - Changes", "10cc", "50 Cent - In Da Club", "3 Doors Down", "4-track demo 2")
        ),
        *(
            (stem, stem)
            for stem in ("311 - Amber", "1999 - Prince", "0 to 100", "808s", "5.1 mix", "100 gecs", "7-rings")
        ),
        ("007 James", "007 James"),
    ],
)
def test_file_name_becomes_readable_words(stem: str, name: str) -> None:
    assert readable_name(stem) == name


@given(ANY)
def test_readable_name_is_idempotent(text: str) -> None:
    name = readable_name(text)
    assert readable_name(name) == name
