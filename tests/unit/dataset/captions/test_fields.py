"""Fields of songs are normalised from any names and values."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.dataset.captions.fields import SONG_FIELDS, as_text, extract_fields, normalize_key, normalize_value
from riffusion_ext.dataset.captions.text import is_blank, one_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
PITCHES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@given(st.dictionaries(st.sampled_from([*SONG_FIELDS, "Tempo", "initial_key", "Genres", "x"]) | st.text(), JSON))
def test_known_fields_are_single_lines_with_known_names(values) -> None:
    for name, text in extract_fields(values).items():
        assert name in SONG_FIELDS
        assert text == one_line(text)
        assert not is_blank(text)
        assert normalize_value(name, text) == text
    assert extract_fields(extract_fields(values)) == extract_fields(values)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"Artist": "A", "TITLE": "B", "Initial_Key": "8A"}, {"artist": "A", "title": "B", "key": "A minor"}),
        ({"genre": ["a", "b"], "Date": "2015-03-01", "Tempo": 127.6}, {"genre": "a, b", "year": "2015", "bpm": "128"}),
        ({"artist": "Unknown Artist", "artists": ["A", "B"]}, {"artist": "A, B"}),
        ({"keywords": "a, b", "description": "slow", "text": ""}, {"song_caption": "slow"}),
        ({"caption": "other", "genre": "Other", "title": "Other"}, {"song_caption": "other", "title": "Other"}),
        ({"bpm": "0", "year": "0000", "key": "o", "title": "Track 01", "album": None, "artist": "<unknown>"}, {}),
        ({"mood": "sad", "path": "x"}, {}),
        ({"bpm": "127,6 BPM"}, {"bpm": "128"}),
    ],
)  # fmt: skip
def test_field_names_and_values_of_many_programs_are_recognised(values, fields) -> None:
    assert extract_fields(values) == fields


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Am", "A minor"), ("a", "A major"), ("AM", "A major"), ("C#m", "C# minor"), ("Bb", "Bb major"),
        ("E♭ minor", "Eb minor"), ("F sharp maj", "F# major"), ("G-min", "G minor"), ("A minor", "A minor"),
        ("8A", "A minor"), ("8B", "C major"), ("1m", "A minor"), ("1d", "C major"), ("05A", "C minor"),
        ("12b", "E major"), ("o", ""), ("H-Moll", "H-Moll"), ("Amaj7", "Amaj7"), ("13A", "13A"),
    ],
)  # fmt: skip
def test_musical_keys_are_normalised(text: str, key: str) -> None:
    assert normalize_key(text) == key


@given(st.integers(1, 12), st.booleans())
def test_one_camelot_step_is_a_fifth(hour: int, major: bool) -> None:
    def pitch(text: str) -> int:
        note, mode = normalize_key(text).split()
        assert mode == ("major" if major else "minor")
        return (PITCHES[note[0]] + note.count("#") - note.count("b")) % 12

    camelot = f"{hour}{'B' if major else 'A'}"
    following = f"{hour % 12 + 1}{'B' if major else 'A'}"
    assert (pitch(following) - pitch(camelot)) % 12 == 7
    # The Open Key wheel is the Camelot wheel turned by seven hours.
    assert pitch(f"{(hour + 4) % 12 + 1}{'d' if major else 'm'}") == pitch(camelot)


@given(st.sampled_from("ABCDEFG"), st.sampled_from(["", "#", "b"]), st.sampled_from(["major", "minor"]))
def test_full_key_name_is_unchanged(note: str, sign: str, mode: str) -> None:
    assert normalize_key(f"{note}{sign} {mode}") == f"{note}{sign} {mode}"


@given(JSON)
def test_any_value_is_converted_to_text(value: object) -> None:
    assert isinstance(as_text(value), str)
    if isinstance(value, int) and not isinstance(value, bool):
        assert as_text(value) == str(value)


@given(st.text(st.characters()))
def test_years_and_tempos_are_numbers_or_empty(text: str) -> None:
    assert re.fullmatch(r"([12]\d{3})?", normalize_value("year", text))
    assert re.fullmatch(r"\d{0,4}", normalize_value("bpm", text))
