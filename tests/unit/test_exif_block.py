"""Adding our EXIF tags to a finished file: they are read, and everything else is unchanged."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from typing import Any

import pytest
from PIL import Image

from riffusion_ext.exif_block import with_tags
from riffusion_ext.metadata import EXIF_TAGS, exif_bytes, exif_tags, read_record, record_text
from riffusion_ext.params import PRESETS
from tests.contract.fake_sdnext import user_comment

TAGS = exif_tags(record_text(PRESETS["20khz-stereo"], 3e7))
TEXT = "a prompt, with ümläuts\nSteps: 1"


def _file(form: str, exif: bytes | None, size: tuple[int, int] = (33, 16)) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(buffer, form, **({"exif": exif} if exif else {}))
    return buffer.getvalue()


def _other_exif() -> bytes:
    """Return a little-endian EXIF block with several types of values and one of our own tags."""
    exif = Image.Exif()
    exif.endian = "<"
    exif[0x010E], exif[0x0112], exif[0x011A], exif[11000] = "an image", 6, 72.5, 8000
    return exif.tobytes()


def _found(file: bytes) -> tuple[dict[int, Any], Mapping[int, Any]]:
    with Image.open(io.BytesIO(file)) as image:
        exif = image.getexif()
        return dict(exif), exif.get_ifd(0x8769)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
@pytest.mark.parametrize("exif", [user_comment(TEXT), user_comment("x"), _other_exif()], ids=["text", "odd", "other"])
def test_added_tags_are_read_and_existing_exif_is_kept(form: str, exif: bytes) -> None:
    before = _file(form, exif)
    after = with_tags(before, TAGS)
    assert after is not None
    with Image.open(io.BytesIO(before)) as one, Image.open(io.BytesIO(after)) as two:
        assert two.tobytes() == one.tobytes()
        record = read_record(two)
    assert (record.params, record.max_value, record.source) == (PRESETS["20khz-stereo"], 3e7, "exif")
    (old, old_text), (new, new_text) = _found(before), _found(after)
    assert new_text == old_text
    assert {tag: value for tag, value in new.items() if tag not in EXIF_TAGS} == {
        tag: value for tag, value in old.items() if tag not in EXIF_TAGS
    }


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_second_call_replaces_the_tags(form: str) -> None:
    once = with_tags(_file(form, user_comment(TEXT)), {**TAGS, 11080: 1e6})
    assert once is not None
    twice = with_tags(once, TAGS)
    assert twice is not None
    assert _found(twice)[0][11080] == 3e7


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_file_without_an_exif_block_is_unchanged(form: str) -> None:
    assert with_tags(_file(form, None), TAGS) is None


def test_full_exif_block_is_unchanged() -> None:
    assert with_tags(_file("JPEG", user_comment("x" * 32_700)), TAGS) is None
    assert with_tags(_file("WEBP", user_comment("x" * 32_700)), TAGS) is not None


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_damaged_files_raise_no_error(form: str) -> None:
    whole = _file(form, exif_bytes(PRESETS["riffusion-v1"], None))
    chance = random.Random(1)
    for length in range(0, min(len(whole), 400), 7):
        with_tags(whole[:length], TAGS)
    for _ in range(300):
        spoilt = bytearray(whole)
        for _ in range(4):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        with_tags(bytes(spoilt), TAGS)
