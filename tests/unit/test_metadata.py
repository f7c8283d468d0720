"""Parameters in images and sound files: written like the original library, and read from any metadata."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from riffusion_ext.errors import ImageError
from riffusion_ext.metadata import (
    EXIF_TAGS,
    TEXT_KEY,
    audio_tags,
    exif_bytes,
    exif_dump,
    parse_audio_comment,
    png_info,
    read_record,
    record_text,
    save_image,
)
from riffusion_ext.params.parameters import recorded_fields
from riffusion_ext.spectrogram import PRESETS, SpectrogramParams

V1 = PRESETS["riffusion-v1"]
STEREO = PRESETS["20khz-stereo"]
ODD = SpectrogramParams(
    sample_rate=48000, stereo=True, step_size_ms=5, window_duration_ms=50, padded_duration_ms=200,
    num_frequencies=256, min_frequency=20, max_frequency=12000, power_for_image=0.5,
)  # fmt: skip
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (32, 20, 3), dtype=np.uint8))


def with_exif(tags: dict[int, Any]) -> Image.Image:
    """Return an image in memory whose EXIF holds the tags, whatever their types."""
    image = noise()
    exif = image.getexif()
    for tag, value in tags.items():
        exif[tag] = value
    return image


def original_from_exif(exif: Image.Exif) -> dict[str, Any]:
    """Read the tags as the original library does, which fails on a missing one."""
    return {name: exif[tag] for tag, name in EXIF_TAGS.items()}


# Written


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("params", [V1, STEREO, ODD])
def test_files_store_their_parameters(tmp_path: Path, suffix: str, params: SpectrogramParams) -> None:
    path = save_image(noise(), tmp_path / f"a{suffix}", params, 46801012.5)
    with Image.open(path) as image:
        record = read_record(image)
    assert (record.params, record.max_value, record.source, record.notes) == (params, 46801012.5, "exif", ())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_original_library_reads_the_parameters(tmp_path: Path, suffix: str) -> None:
    save_image(noise(), tmp_path / f"a{suffix}", V1, 46801012.0)
    with Image.open(tmp_path / f"a{suffix}") as image:
        values = original_from_exif(image.getexif())
    assert values == {**recorded_fields(V1), "max_value": 46801012.0}
    floats = {name for name, value in values.items() if type(value) is float}
    assert floats == {"power_for_image", "max_value"}
    assert {type(value) for name, value in values.items() if name not in floats} == {int}
    assert values["stereo"] == 0


def test_stereo_is_written_as_1(tmp_path: Path) -> None:
    save_image(noise(), tmp_path / "a.png", STEREO, 1.0)
    with Image.open(tmp_path / "a.png") as image:
        assert image.getexif()[11005] == 1


@pytest.mark.parametrize(("suffix", "error"), [(".png", 0), (".webp", 0), (".jpg", 40)])
def test_saving_keeps_the_pixels(tmp_path: Path, suffix: str, error: int) -> None:
    save_image(noise(), tmp_path / f"a{suffix}", V1, 1.0)
    with Image.open(tmp_path / f"a{suffix}") as image:
        again = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(again - np.asarray(noise())).max() <= error


def test_jpeg_is_saved_without_chroma_subsampling(tmp_path: Path) -> None:
    sides = np.zeros((32, 20, 3), np.uint8)
    sides[:, ::2, 1], sides[:, 1::2, 2] = 255, 255  # every other column left, every other right
    save_image(Image.fromarray(sides), tmp_path / "a.jpg", STEREO, 1.0)
    with Image.open(tmp_path / "a.jpg") as image:
        again = np.asarray(image).astype(int)
    assert np.abs(again - sides)[..., 1:].max() < 60


def test_png_text_is_kept_and_stores_the_parameters(tmp_path: Path) -> None:
    save_image(noise(), tmp_path / "a.png", ODD, 2.0, parameters="a café, 夜\nSteps: 20")
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert image.info["parameters"] == "a café, 夜\nSteps: 20"
        assert json.loads(image.info[TEXT_KEY]) == {**recorded_fields(ODD), "max_value": 2.0}


def test_text_is_read_without_exif() -> None:
    buffer = io.BytesIO()
    noise().save(buffer, "PNG", pnginfo=png_info(ODD, 3.0))
    record = read_record(Image.open(buffer))
    assert (record.params, record.max_value, record.source) == (ODD, 3.0, "text")


@pytest.mark.parametrize("name", ["a.gif", "a.txt", "a", "a.png.part"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match=r"images end in \.png, \.jpg or \.webp"):
        save_image(noise(), tmp_path / name, V1, 1.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "width"), [(".jpg", 65536), (".webp", 16384)])
def test_images_too_wide_for_their_format_leave_no_file(tmp_path: Path, suffix: str, width: int) -> None:
    with pytest.raises(ImageError):
        save_image(Image.new("RGB", (width, 1)), tmp_path / f"a{suffix}", V1, 1.0)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageError):
        save_image(noise(), tmp_path / "file" / "a.png", V1, 1.0)


# Read


def test_image_without_parameters_is_read_as_riffusion_v1() -> None:
    record = read_record(noise())
    assert (record.params, record.max_value, record.source, record.notes) == (V1, None, "none", ())


def test_a_partial_record_is_completed_from_v1() -> None:
    record = read_record(with_exif({11060: 20000, 11080: 5.0}))
    assert (record.params, record.max_value, record.source) == (V1.replace(max_frequency=20000), 5.0, "exif")


def test_foreign_exif_has_no_parameters() -> None:
    record = read_record(with_exif({0x0112: 1, 0x0131: "some program", 0x9286: b"comment"}))
    assert (record.params, record.source, record.notes) == (V1, "none", ())


@pytest.mark.parametrize("tag", [tag for tag, name in EXIF_TAGS.items() if name not in ("stereo", "max_value")])
@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -1, 10**12, 1e300, "text", b"\xff", (1, 2), TiffImagePlugin.IFDRational(1, 0)],
)
def test_invalid_values_are_ignored_with_a_note(tag: int, value: object) -> None:
    record = read_record(with_exif({11000: 44100, tag: value}))
    assert (record.params, record.max_value, record.source) == (V1, None, "none")
    (note,) = record.notes
    assert note.startswith("the image's own parameters were ignored: ")
    assert EXIF_TAGS[tag] in note


@pytest.mark.parametrize("value", [math.nan, math.inf, 0, -5.0, 1e30, "loud"])
def test_invalid_level_is_ignored_alone(value: object) -> None:
    record = read_record(with_exif({11060: 20000, 11080: value}))
    assert (record.params.max_frequency, record.max_value, record.source) == (20000, None, "exif")
    (note,) = record.notes
    assert note.startswith("the image's own level was ignored")


@pytest.mark.parametrize(
    ("value", "expected"), [(1, True), (0, False), (1.0, True), ("1", True), (2, False), (math.nan, False), ((), False)]
)
def test_stereo_is_read_from_1_and_0(value: object, expected: bool) -> None:
    assert read_record(with_exif({11005: value})).params.stereo is expected


def test_numbers_in_other_types_are_read() -> None:
    rational = TiffImagePlugin.IFDRational(1, 2)
    record = read_record(with_exif({11000: 48000.0, 11010: "5", 11070: rational}))
    assert (record.params.sample_rate, record.params.step_size_ms, record.params.power_for_image) == (48000, 5, 0.5)
    assert isinstance(record.params.sample_rate, int)


def test_text_is_read_when_exif_is_damaged() -> None:
    image = with_exif({11000: -1})
    image.info[TEXT_KEY] = record_text(ODD, 7.0)
    record = read_record(image)
    assert (record.params, record.max_value, record.source) == (ODD, 7.0, "text")
    assert len(record.notes) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[1, 2]",
        "null",
        "{",
        "[" * 100_000,
        '{"sample_rate": NaN}',
        '{"sample_rate": ' + "9" * 400 + "}",
        '{"sample_rate": {"a": 1}}',
        b"bytes",
        42,
        None,
    ],
)
def test_invalid_text_is_ignored(text: object) -> None:
    image = noise()
    image.info[TEXT_KEY] = text
    record = read_record(image)
    assert (record.params, record.max_value, record.source) == (V1, None, "none")


def test_exif_that_cannot_be_parsed_is_ignored() -> None:
    buffer = io.BytesIO()
    noise().save(buffer, "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    record = read_record(Image.open(buffer))
    assert (record.params, record.source) == (V1, "none")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=2)
)


@settings(max_examples=150, deadline=None)
@given(
    tags=st.dictionaries(st.sampled_from(sorted(EXIF_TAGS)), json_values | st.binary(max_size=5)),
    text=st.dictionaries(st.sampled_from(sorted(EXIF_TAGS.values())), json_values),
)
def test_reading_any_metadata_never_fails(tags: dict[int, Any], text: dict[str, Any]) -> None:
    image = with_exif(tags)
    image.info[TEXT_KEY] = json.dumps(text)
    record = read_record(image)
    assert isinstance(record.params, SpectrogramParams)
    assert record.max_value is None or 0 < record.max_value < math.inf


@given(
    params=st.builds(
        SpectrogramParams,
        sample_rate=st.sampled_from([22050, 44100, 48000]),
        stereo=st.booleans(),
        step_size_ms=st.integers(1, 20) | st.floats(1, 20),
        num_frequencies=st.integers(16, 2048),
        max_frequency=st.integers(1000, 11025),
        power_for_image=st.floats(0.05, 2),
    ),
    max_value=st.floats(1e-6, 1e15),
)
def test_written_parameters_are_read_back(params: SpectrogramParams, max_value: float) -> None:
    image = noise()
    image.info[TEXT_KEY] = record_text(params, max_value)
    assert (read_record(image).params, read_record(image).max_value) == (params, max_value)
    image = noise()
    image.getexif().load(exif_bytes(params, max_value))
    record = read_record(image)
    assert (record.params, record.max_value, record.source) == (params, max_value, "exif")


# Shown


def test_dump_contains_exif_and_text(tmp_path: Path) -> None:
    save_image(noise(), tmp_path / "a.png", V1, 5.0, parameters="a prompt")
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        dump = exif_dump(image)
    assert dump["sample_rate"] == 44100
    assert dump["max_value"] == 5.0
    assert dump["text parameters"] == "a prompt"
    assert dump["text riffusion"] == record_text(V1, 5.0)
    assert exif_dump(with_exif({0x0131: "program", 64999: 1})) == {"Software": "program", "tag 64999": 1}


def test_dump_omits_offsets_of_other_tags() -> None:
    comment = {0x9286: b"ASCII\0\0\0a prompt"}
    assert exif_dump(with_exif({0x0131: "program", 0x8769: comment})) == {"Software": "program"}


def test_dump_shows_riffusion_tags_first() -> None:
    dump = exif_dump(with_exif({0x0131: "program", 11000: 44100}))
    assert list(dump) == ["sample_rate", "Software"]


# Sound files


def test_audio_tags_contain_title_and_parameters() -> None:
    tags = audio_tags(ODD, max_value=9, title="A tune", comment_extra={"seed": 4, "prompt": "夜"})
    assert tags["title"] == "A tune"
    assert tags["software"].startswith("riffusion-ext ")
    assert "夜" in tags["comment"]
    assert parse_audio_comment(tags["comment"]) == {**recorded_fields(ODD), "max_value": 9.0, "seed": 4, "prompt": "夜"}


def test_audio_tags_omit_a_missing_title_and_level() -> None:
    tags = audio_tags(V1)
    assert "title" not in tags
    assert parse_audio_comment(tags["comment"]) == recorded_fields(V1)


@pytest.mark.parametrize("text", ["", "recorded at home", "[]", "{}", '{"riffusion": 3}', "{" * 10, "[" * 100_000])
def test_other_comments_hold_no_parameters(text: str) -> None:
    assert parse_audio_comment(text) is None


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_unknown_level_is_not_stored(tmp_path: Path, suffix: str) -> None:
    path = save_image(noise(), tmp_path / f"a{suffix}", ODD, None)
    with Image.open(path) as image:
        assert (read_record(image).params, read_record(image).max_value) == (ODD, None)
    assert "max_value" not in record_text(ODD)
