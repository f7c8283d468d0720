"""Tags whose encoding is not the declared one."""

from __future__ import annotations

import pytest

from riffusion_ext.dataset.captions.mojibake import repair_encoding

UTF_8 = ["Für Élise", "Песня друга", "宇多田ヒカル", "Beyoncé", "Γιώργος", "Don\u2019t Stop", "Ágætis byrjun"]
CYRILLIC = [
    "Кино",
    "Группа крови",
    "Звезда по имени Солнце",
    "Аквариум",
    "ДДТ",
    "Что такое осень",
    "Ёлка",
    "Океан Ельзи",
]
JAPANESE = ["宇多田ヒカル", "さくら", "スピッツ - ロビンソン", "残酷な天使のテーゼ"]
LATIN = [
    "Björk", "Motörhead", "Sigur Rós", "Ágætis byrjun", "Ænima", "Þú ert", "Señorita", "Mélodie d'été", "Übermäßig",
    "Œuvre", "À ça", "¿Qué?", "«Ça ira»", "Ólafur Arnalds", "Æå", "São João", "Zoë", "Naïveté", "50 Cent", "Ø",
]  # fmt: skip


@pytest.mark.parametrize("text", UTF_8)
@pytest.mark.parametrize("wrong", ["latin-1", "cp1252"])
def test_utf_8_decoded_as_latin_1_is_repaired(text: str, wrong: str) -> None:
    data = text.encode()
    if wrong == "cp1252" and set(data) & {0x81, 0x8D, 0x8F, 0x90, 0x9D}:  # undefined in cp1252
        wrong = "latin-1"
    fixed = ({"title": text}, ("its tags are in UTF-8, not as they say, and were read so",))
    assert repair_encoding({"title": data.decode(wrong)}) == fixed


def test_truncated_utf_8_is_repaired_up_to_the_last_character() -> None:
    text = "Звезда по имени Солнце".encode()[:30].decode("latin-1")
    assert repair_encoding({"title": text})[0] == {"title": "Звезда по имени "}


@pytest.mark.parametrize("text", CYRILLIC)
@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r"])
def test_cyrillic_encodings_are_repaired_or_left_out(text: str, encoding: str) -> None:
    found, notes = repair_encoding({"artist": text.encode(encoding).decode("latin-1")})
    assert found.get("artist", text) == text, "right, or left out"
    assert len(notes) == 1
    if len(text) > 5:
        assert found == {"artist": text}


@pytest.mark.parametrize("text", JAPANESE)
def test_shift_jis_is_repaired(text: str) -> None:
    found, notes = repair_encoding({"title": text.encode("cp932").decode("latin-1")})
    assert found == {"title": text}
    assert notes == ("its tags are in Shift-JIS, not as they say, and were read so",)


def test_encoding_of_one_field_applies_to_the_whole_tag() -> None:
    texts = {"title": "さくら", "artist": "森山直太朗", "album": "Best"}
    seen = {name: text.encode("cp932").decode("latin-1") for name, text in texts.items()}
    assert repair_encoding(seen)[0] == texts
    assert repair_encoding({"artist": seen["artist"]})[0] == {}, "kanji alone could be Chinese"


@pytest.mark.parametrize("text", ["周杰伦", "稻香", "青花瓷"])
@pytest.mark.parametrize("encoding", ["gbk", "euc_kr"])
def test_undecodable_fields_are_left_out(text: str, encoding: str) -> None:
    data = text.encode(encoding) if encoding != "euc_kr" else "안녕하세요".encode(encoding)
    found, notes = repair_encoding({"artist": data.decode("latin-1"), "album": "One"})
    assert found == {"album": "One"}
    assert notes == ("artist of its tags left out: the encoding is not what they say, and cannot be told",)


@pytest.mark.parametrize("text", LATIN)
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_latin_text_is_unchanged(text: str, encoding: str) -> None:
    seen = text.encode("cp1252").decode(encoding)
    assert repair_encoding({"title": seen}) == ({"title": text}, ())


@pytest.mark.parametrize("text", ["宇多田ヒカル", "Кино", "Þú ert 曲", "plain", ""])
def test_unicode_text_is_unchanged(text: str) -> None:
    assert repair_encoding({"title": text}) == ({"title": text}, ())


def test_fields_with_replacement_characters_are_left_out() -> None:
    assert repair_encoding({"title": "a\ufffdb"})[0] == {}
