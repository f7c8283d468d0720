"""Records of images of other models: complete, and nothing that misleads programs that know only Riffusion's tags."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext import metadata
from riffusion_ext.convert.describe import describe, rows
from riffusion_ext.errors import RiffusionError
from riffusion_ext.exif_block import with_tags
from riffusion_ext.host.images.image_record import record_of
from riffusion_ext.params import CHOICES, PRESET_COLUMNS, PRESETS, SpectrogramParams, size_note
from riffusion_ext.params.parameters import recorded_fields
from riffusion_ext.params.samples import milliseconds, samples_of
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.spectrogram.source import source_from_image

OTHERS = [name for name, params in PRESETS.items() if not params.is_original]
SUFFIXES = [".png", ".jpg", ".webp"]


def noise(width: int = 40, height: int = 256) -> Image.Image:
    grey = np.random.default_rng(1).integers(0, 256, (height, width), np.uint8)
    return Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2))


def test_others_are_the_presets_that_the_original_cannot_describe() -> None:
    assert OTHERS == ["auffusion", "audio-diffusion-256", "minimidi"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", PRESETS)
def test_images_record_all_parameters(tmp_path: Path, name: str, suffix: str) -> None:
    metadata.save_image(noise(), tmp_path / f"a{suffix}", PRESETS[name], 12345.5)
    with Image.open(tmp_path / f"a{suffix}") as image:
        record = metadata.read_record(image)
    assert (record.params, record.max_value, record.source, record.notes) == (PRESETS[name], 12345.5, "exif", ())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", OTHERS)
def test_no_tag_of_the_original_library_is_in_an_image_that_it_would_misread(
    tmp_path: Path, name: str, suffix: str
) -> None:
    metadata.save_image(noise(), tmp_path / f"a{suffix}", PRESETS[name], 1.0)
    with Image.open(tmp_path / f"a{suffix}") as image:
        image.load()
        assert not metadata.EXIF_TAGS.keys() & dict(image.getexif()).keys()
        assert metadata.TEXT_KEY not in image.info


@pytest.mark.parametrize("name", OTHERS)
def test_text_alone_is_enough(name: str) -> None:
    image = noise()
    image.info[metadata.TEXT_KEY] = metadata.record_text(SpectrogramParams(), 3.0)
    metadata.with_record_text(image, metadata.record_text(PRESETS[name], 7.0))
    record = metadata.read_record(image)
    assert (record.params, record.max_value, record.source) == (PRESETS[name], 7.0, "text")
    metadata.with_record_text(image, metadata.record_text(SpectrogramParams(), 3.0))
    assert metadata.read_record(image).params == SpectrogramParams()


def test_record_of_riffusion_has_no_later_field() -> None:
    assert list(json.loads(metadata.record_text(SpectrogramParams(), 1.0))) == list(metadata.EXIF_TAGS.values())
    assert "mel_scale" not in repr(SpectrogramParams())
    assert "mel_scale='slaney'" in repr(PRESETS["auffusion"])


@pytest.mark.parametrize("name", PRESETS)
def test_sound_files_record_all_parameters(name: str) -> None:
    comment = metadata.parse_audio_comment(metadata.audio_tags(PRESETS[name])["comment"])
    assert comment is not None
    assert SpectrogramParams.from_mapping(comment) == PRESETS[name]


@pytest.mark.parametrize("suffix", ["JPEG", "WEBP"])
@pytest.mark.parametrize("name", ["riffusion-v1", *OTHERS])
def test_record_is_inserted_into_a_finished_file(tmp_path: Path, name: str, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0131] = "webui"
    noise().save(tmp_path / "a", suffix, exif=exif.tobytes())
    tags = metadata.exif_tags(metadata.record_text(PRESETS[name], 2.5))
    data = with_tags((tmp_path / "a").read_bytes(), tags)
    assert data is not None
    (tmp_path / "b").write_bytes(data)
    with Image.open(tmp_path / "b") as image:
        record = metadata.read_record(image)
        assert (record.params, record.max_value, record.source) == (PRESETS[name], 2.5, "exif")
        assert image.getexif()[0x0131] == "webui"


@pytest.mark.parametrize(
    "record",
    [
        '{"mel_scale": "bark"}',
        '{"pixel_law": "db"}',
        '{"low_at_top": "yes"}',
        '{"polarity": ["bright"]}',
        '{"padding": 944}',
        '{"pre_emphasis": 1}',
        '{"mel_scale": null}',
    ],
)
def test_damaged_records_are_noted_and_ignored(record: str) -> None:
    image = noise()
    image.info[metadata.OTHER_TEXT_KEY] = record
    found = metadata.read_record(image)
    assert (found.params, found.source) == (SpectrogramParams(), "none")
    assert len(found.notes) == 1


@pytest.mark.parametrize("text", ["", "[]", "{", "7", "null"])
def test_texts_that_are_no_record_are_noted_and_ignored(text: str) -> None:
    image = noise()
    image.info[metadata.OTHER_TEXT_KEY] = text
    found = metadata.read_record(image)
    assert (found.source, len(found.notes)) == ("none", 1)


@pytest.mark.parametrize("name", OTHERS)
def test_size_of_another_models_image_suggests_its_preset_and_changes_nothing(tmp_path: Path, name: str) -> None:
    image = noise(PRESET_COLUMNS[name])
    source = source_from_image(image, DecodeSettings())
    [note] = [note for note in source.notes if name in note]
    assert f"choose the preset {name}" in note
    assert source.params == SpectrogramParams(num_frequencies=256)
    assert not any(name in note for note in source_from_image(image, DecodeSettings(params=PRESETS[name])).notes)
    image.save(tmp_path / "a.png")
    assert note in describe(tmp_path / "a.png")["notes"]
    metadata.save_image(image, tmp_path / "b.png", SpectrogramParams(num_frequencies=256), 1.0)
    assert source_from_image(Image.open(tmp_path / "b.png"), DecodeSettings()).notes == ()


@pytest.mark.parametrize("name", OTHERS)
def test_generated_image_of_such_a_size_is_not_recorded_as_riffusions_unless_chosen(name: str) -> None:
    width = PRESET_COLUMNS[name]
    assert record_of(None, None, 256, width) == ""
    assert record_of(None, None, 512, 512) != ""
    for params in (PRESETS[name], SpectrogramParams(num_frequencies=256)):
        assert json.loads(record_of(params, None, 256, width)) == recorded_fields(params)


@pytest.mark.parametrize("size", [(512, 512), (512, 256), (1024, 512), (256, 255)])
def test_other_sizes_suggest_nothing(size: tuple[int, int]) -> None:
    assert size_note(*size) == ""


@pytest.mark.parametrize("name", OTHERS)
def test_description_shows_the_law(tmp_path: Path, name: str) -> None:
    metadata.save_image(noise(), tmp_path / "a.png", PRESETS[name], 1.0)
    facts = describe(tmp_path / "a.png")
    assert SpectrogramParams.from_mapping(facts["params"]) == PRESETS[name]
    shown = "\n".join(f"{label}: {value}" for label, value in rows(facts))
    assert f"pixel law: {PRESETS[name].pixel_law}" in shown
    assert "11090" not in shown


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_be_written_as_text(name: str) -> None:
    text = ", ".join(f"{key}={value}" for key, value in recorded_fields(PRESETS[name]).items())
    assert SpectrogramParams.from_text(text) == PRESETS[name]


def test_durations_in_samples_are_exact() -> None:
    text = "hop_length=512; win_length=2048; n_fft=2048; sample_rate=22050; max_frequency=11025; mel_scale=Slaney"
    params = SpectrogramParams.from_text(text)
    assert (params.hop_length, params.win_length, params.n_fft, params.mel_scale) == (512, 2048, 2048, "slaney")
    for rate in (8000, 11025, 16000, 22050, 44100, 48000, 192000):
        assert all(samples_of(milliseconds(samples, rate), rate) == samples for samples in range(1, 3000, 7))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        *((f"{name}=odd", f"{name} must be {' or '.join(choices)}") for name, choices in CHOICES.items()),
        ("low_at_top=2", "low_at_top must be true or false"),
        ("pixel_law=db", "pixel_min"),
        ("pixel_law=ln, pixel_min=0, pixel_max=200", "pixel_min must be above 0"),
        ("pixel_law=db, pixel_min=0, pixel_max=-80", "must be below"),
        ("pixel_min=-80", "0 and 1 with pixel_law=power"),
        ("padding=100", "padding must be 0"),
        ("centre=false, padding=100", "padding must lie between 6615 and 8820"),
        ("pre_emphasis=1", "pre_emphasis"),
        ("hop_length=441, step_size_ms=10", "are the same"),
        ("hop_length=4.5", "whole number of samples"),
    ],
)
def test_contradictions_are_refused_with_a_sentence(text: str, part: str) -> None:
    with pytest.raises(RiffusionError, match=r"^[^\n]*$") as caught:
        SpectrogramParams.from_text(text)
    assert part in str(caught.value)
