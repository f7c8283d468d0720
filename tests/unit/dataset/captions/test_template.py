"""Captions are one line, never empty, and omit unknown fields with the words around them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from riffusion_ext.dataset.captions.template import (
    CAPTION_FIELDS,
    TOKEN_LIMIT,
    caption_for,
    clean_caption,
    estimate_tokens,
    file_fields,
    normalize_caption,
    parse_template,
)
from riffusion_ext.dataset.captions.text import is_blank
from riffusion_ext.dataset.settings import CaptionSettings
from riffusion_ext.errors import RiffusionError

ANY = st.text(st.characters(), max_size=30) | st.text(" ,-\\\n()[]{}", max_size=12)
FIELDS = st.dictionaries(st.sampled_from(CAPTION_FIELDS), ANY)
WORDS = st.text(st.characters(blacklist_characters="{}"), max_size=12) | st.sampled_from(
    [" by ", " (", ")", ", ", " - ", " bpm", "[", "]", " in ", "\\", "{{", "}}"]
)
SLOTS = st.lists(st.sampled_from(CAPTION_FIELDS), min_size=1, max_size=3).map(lambda names: "{" + "|".join(names) + "}")
TEMPLATES = st.lists(WORDS | SLOTS, max_size=8).map("".join)
PAIRS = st.lists(st.tuples(st.text(min_size=1, max_size=3), ANY), max_size=3).map(tuple)

SONG = {
    "artist": "Nightwish",
    "title": "The Islander",
    "album": "Dark Passion Play",
    "genre": "folk, metal",
    "year": "2007",
    "bpm": "96",
    "key": "A minor",
}


def caption(template: str, without: str = "", **fields: str) -> str:
    known = {name: value for name, value in SONG.items() if name not in without.split()}
    return caption_for({**known, **fields}, CaptionSettings(template=template))


def is_fit(text: str) -> bool:
    return (
        not is_blank(text)
        and len(text.splitlines()) == 1
        and text == text.strip(" ,")
        and not re.search(r",\s*,", text)
        and "\\" not in text
        and text.encode("utf-8").decode("utf-8") == text
    )


@given(FIELDS, TEMPLATES, ANY, PAIRS)
@example({}, "", "", ())
@example({"title": "\\ , \u200d"}, "{title}, , {genre} ,,", "", ())
def test_generated_caption_is_always_writable(fields, template: str, trigger: str, pairs) -> None:
    made = caption_for(fields, CaptionSettings(template, trigger, pairs))
    assert is_fit(made)
    assert clean_caption(made) == made


@given(ANY, FIELDS)
def test_edited_caption_is_always_writable(text: str, fields) -> None:
    made = normalize_caption(text, fields)
    assert is_fit(made)
    assert normalize_caption(made, fields) == made


NAMES = st.text(st.characters(whitelist_categories=("Lu", "Ll", "Lo", "Nd")), min_size=1, max_size=12).filter(
    lambda text: clean_caption(text) == text
)


@given(st.fixed_dictionaries(dict.fromkeys(("artist", "title", "genre"), NAMES)), NAMES)
def test_caption_contains_the_known_fields(fields, trigger: str) -> None:
    made = caption_for(fields, CaptionSettings(trigger=trigger))
    expected = list({value.casefold(): value for value in (trigger, *fields.values())[::-1]}.values())
    assert sorted(map(str.casefold, made.split(", "))) == sorted(value.casefold() for value in expected)
    assert made.startswith(trigger)


@given(st.dictionaries(st.sampled_from(CAPTION_FIELDS), NAMES), TEMPLATES)
def test_empty_fields_count_as_unknown(fields, template: str) -> None:
    settings = CaptionSettings(template=template)
    empty = dict.fromkeys(CAPTION_FIELDS, " \n")
    assert caption_for({**empty, **fields}, settings) == caption_for(fields, settings)


@given(st.sampled_from(CAPTION_FIELDS[1:]), NAMES)
def test_braces_in_a_value_are_not_expanded(name: str, text: str) -> None:
    made = caption_for({name: f"{{artist}} {text}"}, CaptionSettings(template=f"{{{name}}}"))
    assert made == f"{{artist}} {text}"


@pytest.mark.parametrize(
    ("template", "without", "made"),
    [
        ("{title} by {artist}", "", "The Islander by Nightwish"),
        ("{title} by {artist}", "artist", "The Islander"),
        ("{title} by {artist}", "title", "Nightwish"),
        ("{title} von {artist}", "artist", "The Islander"),
        ("{artist} - {title} - {album}", "title", "Nightwish - Dark Passion Play"),
        ("{bpm} bpm, {title}", "bpm", "The Islander"),
        ("{genre} song in {key} at {bpm} bpm", "", "folk, metal song in A minor at 96 bpm"),
        ("{genre} song in {key} at {bpm} bpm", "genre", "song in A minor at 96 bpm"),
        ("{genre} song in {key} at {bpm} bpm", "key", "folk, metal song at 96 bpm"),
        ("{genre} song in {key} at {bpm} bpm", "bpm", "folk, metal song in A minor"),
        ("{genre} song in the key of {key}", "key", "folk, metal song"),
        ("{artist} ({album}, {year})", "", "Nightwish (Dark Passion Play, 2007)"),
        ("{artist} ({album}, {year})", "album", "Nightwish (2007)"),
        ("{artist} ({album}, {year})", "year", "Nightwish (Dark Passion Play)"),
        ("{artist} ({album}, {year})", "album year", "Nightwish"),
        ("{artist} ([{album}])", "album", "Nightwish"),
        ("{tempo|bpm} bpm", "", "96 bpm"),
        ("{{{year}}}", "", "{2007}"),
        ("{ Artist }", "", "Nightwish"),
        ("slow music", "", "slow music"),
        ("{title}, {title}, the islander", "", "The Islander"),
        ("{genre}, , {title} ,", "genre", "The Islander"),
    ],
)
def test_unknown_fields_are_omitted_with_the_words_around_them(template: str, without: str, made: str) -> None:
    assert caption(template, without) == made


def test_commas_within_a_name_are_kept() -> None:
    assert caption("{title}, {year}", title="1,000 Years ,, Boom, Boom") == "1,000 Years, Boom, Boom, 2007"


@pytest.mark.parametrize(
    ("fields", "made"),
    [
        ({"title": "Slow Air", "file": "07 - x"}, "Slow Air"),
        ({"title": " , ", "file": "07 - Slow_Air"}, "Slow Air"),
        ({"file": "99"}, "music"),
        ({}, "music"),
    ],
)
def test_empty_caption_falls_back_to_title_or_file_name(fields: dict[str, str], made: str) -> None:
    assert caption_for(fields, CaptionSettings(template="{genre}")) == made
    assert caption_for(fields, CaptionSettings(template="x", replace=(("x", ""),))) == made
    assert normalize_caption(" ,\n", fields) == made


def test_replacements_are_applied_in_order() -> None:
    settings = CaptionSettings("{artist}, {genre}", replace=(("metal", "rock"), ("rock", "punk rock"), ("folk, ", "")))
    assert caption_for(SONG, settings) == "Nightwish, punk rock"
    with pytest.raises(RiffusionError, match="the text to find is empty, there is nothing to replace by 'x'"):
        caption_for(SONG, CaptionSettings(replace=(("", "x"),)))


def test_trigger_of_the_settings_wins() -> None:
    assert caption_for({"trigger": "old", "title": "x"}, CaptionSettings(trigger="rfx")) == "rfx, x"
    assert caption_for({"trigger": "old", "title": "x"}, CaptionSettings()) == "old, x"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{mood}", r"knows no \{mood\}, it knows trigger, artist, .*loudness$"),
        ("{artist|mood}", r"knows no \{mood\}"),
        ("{artist", r"has a \{ without its partner: \{artist$"),
        ("a } b", r"has a \} without its partner"),
        ("{}", "has empty braces, put one of trigger"),
    ],
)
def test_invalid_templates_are_refused(template: str, problem: str) -> None:
    for attempt in (parse_template, lambda text: caption_for(SONG, CaptionSettings(template=text))):
        with pytest.raises(RiffusionError, match=problem):
            attempt(template)


def test_file_and_folder_names_become_fields() -> None:
    fields = file_fields(Path("music") / "The  Band" / "First Album" / "01 - Slow_Air.ogg")
    assert fields == {"file": "Slow Air", "folder": "First Album", "folder2": "The Band"}
    assert file_fields(Path("1999.ogg")) == {"file": "1999", "folder": "", "folder2": ""}


@given(ANY, ANY)
def test_token_estimate_is_additive_and_bounded(one: str, two: str) -> None:
    count = estimate_tokens(one)
    assert 0 <= count <= len(one.lower().encode("utf-8", "replace"))
    assert count <= estimate_tokens(f"{one} {two}") <= count + estimate_tokens(f" {two}")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # Counted by CLIP's own tokenizer.
        ("a photo of a cat", 5),
        ("funk bassline with a jazzy saxophone solo", 8),
        ("slow celtic folk with fiddle and bodhrán in D minor at 96 bpm", 16),
        ("Motörhead, Ace of Spades, heavy metal, 1980, 140 bpm", 20),
        ("Москва, Виктор Цой, русский рок", 29),
    ],
)
def test_token_estimate_is_close_to_clip(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == pytest.approx(tokens, rel=0.2)


def test_long_caption_is_not_truncated() -> None:
    tags = ", ".join(f"tag number {number}" for number in range(60))
    made = caption("{genre}", genre=tags)
    assert made == tags
    assert estimate_tokens(made) > TOKEN_LIMIT
