"""The codec: images to sound and sound to images."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.audio import RAW, AudioClip
from riffusion_ext.errors import ImageError, RiffusionError
from riffusion_ext.metadata import TEXT_KEY, read_record, save_image
from riffusion_ext.spectrogram import PRESETS, SpectrogramParams, codec
from riffusion_ext.spectrogram.codec import (
    Decoded,
    DecodeSettings,
    audio_to_image,
    audio_to_images,
    image_to_audio,
    images_to_audio,
    read_image,
    song_to_audio,
)
from riffusion_ext.spectrogram.inversion import blocks
from riffusion_ext.spectrogram.inversion.griffin_lim import Program
from riffusion_ext.spectrogram.source import join_sources, source_from_image

V1 = PRESETS["riffusion-v1"]
RECORDED = DecodeSettings(level="recorded")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def rough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the iterations, for tests of lengths and errors only."""
    monkeypatch.setitem(codec.PROGRAMS, "fast", Program(updates=1, start=1, stages=()))


def noise(width: int, height: int = 96, *, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8))


def error(image: Image.Image, decoded: Decoded, max_value: float) -> float:
    """Return the mean absolute difference, in levels, of an image and that of its sound."""
    again = audio_to_image(decoded.clip, decoded.params, max_value=max_value).image
    assert again.size == image.size
    return float(np.abs(np.asarray(again, float) - np.asarray(image.convert("RGB"), float)).mean())


def decibels(ratio: float) -> float:
    return 20 * float(np.log10(ratio))


# Round trips


def test_encoded_tune_is_decoded_accurately(tune: Any) -> None:
    clip = tune(2.0)
    image = audio_to_image(clip)
    assert image.image.size == (201, 512)
    assert image.image.mode == "RGB"
    fast = image_to_audio(image.image, RECORDED)
    assert (fast.params, fast.max_value, fast.notes) == (V1, image.max_value, ())
    assert fast.clip.samples.shape == (1, 200 * 441)
    assert fast.clip.sample_rate == 44100
    assert error(image.image, fast, image.max_value) < 3.0
    assert abs(decibels(fast.clip.rms / clip.rms)) < 0.3


def test_best_is_more_accurate_than_fast(tune: Any, small: SpectrogramParams) -> None:
    image = audio_to_image(tune(2.0, rate=16000), small)
    fast, best = (
        error(image.image, image_to_audio(image.image, DecodeSettings(engine, "recorded")), image.max_value)
        for engine in ("fast", "best")
    )
    assert fast < 5.0
    assert best < 0.6 * fast


def test_stereo_keeps_the_channels_separate(tune: Any, small: SpectrogramParams) -> None:
    params = small.replace(stereo=True)
    time = np.arange(24000) / 16000
    left, right = (0.3 * np.sin(2 * np.pi * frequency * time) for frequency in (440, 1500))
    image = audio_to_image(AudioClip(np.stack([left, right]).astype(np.float32), 16000), params)
    decoded = image_to_audio(image.image, RECORDED)
    assert decoded.params == params
    spectrum = np.abs(np.fft.rfft(decoded.clip.samples * np.hanning(decoded.clip.samples.shape[1])))
    frequency = np.fft.rfftfreq(decoded.clip.samples.shape[1], 1 / 16000)
    at = [int(np.argmin(np.abs(frequency - wanted))) for wanted in (440, 1500)]
    peaks = np.array([[spectrum[side, k - 30 : k + 31].max() for k in at] for side in range(2)])
    assert [int(side.argmax()) for side in peaks] == [0, 1]
    assert peaks[0, 1] < 0.01 * peaks[0, 0]
    assert peaks[1, 0] < 0.01 * peaks[1, 1]
    # A channel beside a silent one does not leak into it.
    alone = audio_to_image(AudioClip(np.stack([left, 0 * left]).astype(np.float32), 16000), params)
    silent = image_to_audio(alone.image, RECORDED).clip.samples[1]
    assert not silent.any()


def test_stereo_channels_equal_two_mono_decodings(tune: Any, small: SpectrogramParams) -> None:
    clip = tune(1.0, rate=16000, channels=2)
    image = audio_to_image(clip, small.replace(stereo=True))
    both = image_to_audio(image.image, RECORDED).clip.samples
    for side in range(2):
        mono = Image.fromarray(np.asarray(image.image)[..., side + 1])
        mono.info[TEXT_KEY] = json.dumps({**json.loads(image.image.info[TEXT_KEY]), "stereo": False})
        alone = image_to_audio(mono, RECORDED).clip.samples[0]
        assert both[side] == pytest.approx(alone, abs=0.01 * np.abs(alone).max())


def test_decoding_is_deterministic(small: SpectrogramParams) -> None:
    settings = DecodeSettings(params=small)
    first, second = (image_to_audio(noise(60), settings).clip.samples for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("level", ["peak", "loudness"])
def test_peak_and_loudness_do_not_depend_on_the_recorded_level(tune: Any, small: SpectrogramParams, level: str) -> None:
    clip = tune(1.0, rate=16000)
    loud, quiet = (audio_to_image(clip.gain_db(db), small).image for db in (0, -30))
    ours = [image_to_audio(image, DecodeSettings(level=level)).clip for image in (loud, quiet)]
    np.testing.assert_allclose(ours[1].samples, ours[0].samples, rtol=0, atol=0.01, equal_nan=False)
    if level == "peak":
        assert decibels(ours[0].peak) == pytest.approx(-0.1, abs=0.01)
    else:
        assert decibels(ours[0].rms) == pytest.approx(-12, abs=0.5)


@pytest.mark.parametrize("max_value", [1e-3, 1.0, 12345.678, 3e9])
def test_recorded_level_changes_nothing_but_the_level(max_value: float, tune: Any, small: SpectrogramParams) -> None:
    image = audio_to_image(tune(1.2, rate=16000), small)
    other = image.image.copy()
    other.info[TEXT_KEY] = json.dumps({**json.loads(image.image.info[TEXT_KEY]), "max_value": max_value})
    one, two = (image_to_audio(one_image, DecodeSettings(level=RAW)).clip.samples for one_image in (image.image, other))
    np.testing.assert_allclose(two, one * (max_value / image.max_value), rtol=1e-6, atol=0)


def test_recorded_level_restores_the_level_of_the_sound(tune: Any, small: SpectrogramParams) -> None:
    for db in (0.0, -12.0, -30.0):
        clip = tune(2.0, rate=16000).gain_db(db)
        decoded = image_to_audio(audio_to_image(clip, small).image, RECORDED)
        assert abs(decibels(decoded.clip.rms / clip.rms)) < 0.3


@pytest.mark.parametrize("most", [50.0, 100.0])
def test_images_of_absolute_scale_sound_the_same_up_to_gain(tune: Any, small: SpectrogramParams, most: float) -> None:
    # enlyth's extension, riffusion-manipulation and the VST server draw 255 - 255 * magnitude ** 0.25 / most.
    relative = audio_to_image(tune(1.0, rate=16000).gain_db(-15), small)
    darkness = (255.0 - np.asarray(relative.image)[..., 0]) / 255 * relative.max_value**0.25
    absolute = Image.fromarray((255 - 255 * darkness / most).round().astype(np.uint8))
    assert int(np.asarray(absolute).min()) > 20  # no pixel is black

    def own_image(image: Image.Image) -> np.ndarray:
        clip = image_to_audio(image, DecodeSettings(params=small)).clip
        assert decibels(clip.peak) == pytest.approx(-0.1, abs=0.01)
        return np.asarray(audio_to_image(clip, small).image, float)

    ours, theirs = (own_image(image) for image in (absolute, relative.image))
    original = np.asarray(relative.image, float)
    assert np.abs(ours - original).mean() < 1.2 * np.abs(theirs - original).mean()


# Lengths


@settings(max_examples=30, deadline=None)
@given(width=st.integers(2, 2100))
def test_decoded_length_is_exact_for_every_width(width: int) -> None:
    params = SpectrogramParams(sample_rate=8000, max_frequency=2000, num_frequencies=16, padded_duration_ms=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(codec.PROGRAMS, "fast", Program(updates=1, start=1, stages=()))
        clip = image_to_audio(noise(width, 16), DecodeSettings(params=params)).clip
    assert clip.samples.shape == (1, (width - 1) * 80)


@pytest.mark.parametrize("rate", [22050, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize("width", [2, 3, 11, 12, 40])
def test_decoded_length_is_exact_for_every_rate_and_narrow_images(rate: int, width: int) -> None:
    params = SpectrogramParams(sample_rate=rate, num_frequencies=64)
    decoded = image_to_audio(noise(width, 64), DecodeSettings(params=params))
    assert decoded.clip.sample_rate == rate
    assert decoded.clip.samples.shape == (1, (width - 1) * (rate // 100))
    assert decoded.clip.peak == pytest.approx(10 ** (-0.1 / 20), abs=1e-4)


@st.composite
def valid_params(draw: st.DrawFn) -> SpectrogramParams:
    rate = draw(st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000]))
    step = draw(st.integers(1, 40) | st.floats(1, 40))
    window = min(step * draw(st.floats(2, 12) | st.just(64)), 170)
    step = min(step, window / 2)
    highest = min(draw(st.sampled_from([100, 3000, 10000, 20000, 48000])), rate // 2)
    return SpectrogramParams(
        sample_rate=rate, stereo=draw(st.booleans()), step_size_ms=step, window_duration_ms=window,
        padded_duration_ms=window * draw(st.sampled_from([1, 1.5, 2, 4])),
        num_frequencies=draw(st.sampled_from([16, 33, 200])), min_frequency=draw(st.integers(0, 99)),
        max_frequency=highest, power_for_image=draw(st.sampled_from([0.1, 0.25, 0.5, 1.0])),
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(params=valid_params(), width=st.integers(2, 40), seed=st.integers(0, 99))
def test_any_valid_parameters_work_both_ways(params: SpectrogramParams, width: int, seed: int) -> None:
    choices = DecodeSettings(params=params, level="recorded", channels="stereo" if params.stereo else "mono")
    decoded = image_to_audio(noise(width, params.num_frequencies, seed=seed), choices)
    assert decoded.params == params
    assert decoded.clip.samples.shape == (params.channels, (width - 1) * params.hop_length)
    assert audio_to_image(decoded.clip, params).image.size == (width, params.num_frequencies)


@pytest.mark.parametrize("height", [16, 1024, 2048])
def test_unusual_heights_are_decoded_with_a_note(height: int) -> None:
    image = audio_to_image(AudioClip(np.ones((1, 8820), np.float32), 44100)).image
    stretched = image.resize((20, height))
    stretched.info.update(image.info)
    decoded = image_to_audio(stretched)
    assert decoded.params == V1.replace(num_frequencies=height)
    assert decoded.clip.samples.shape == (1, 19 * 441)
    assert f"{height} rows instead of 512" in decoded.notes[0]


# Parameters of the image and of the caller


def test_recorded_parameters_of_the_image_are_used(tmp_path: Path, tune: Any, small: SpectrogramParams) -> None:
    image = audio_to_image(tune(0.5, rate=16000), small)
    for suffix in ("png", "jpg", "webp"):
        path = save_image(image.image, tmp_path / f"a.{suffix}", image.params, image.max_value)
        decoded = image_to_audio(read_image(path), RECORDED)
        assert (decoded.params, decoded.max_value) == (small, image.max_value)


def test_image_in_memory_stores_its_record(tune: Any, small: SpectrogramParams) -> None:
    image = audio_to_image(tune(0.5, rate=16000), small)
    record = read_record(image.image)
    assert (record.params, record.max_value) == (small, image.max_value)


def test_notes_name_ignored_parameters(small: SpectrogramParams) -> None:
    image = noise(20, 512)
    image.getexif()[11000] = float("nan")
    assert "parameters were ignored" in " ".join(image_to_audio(image).notes)
    assert "white all over" in " ".join(image_to_audio(Image.new("L", (20, 512), 255)).notes)


@pytest.mark.parametrize("level", codec.LEVELS)
def test_white_is_silent_and_black_is_audible(small: SpectrogramParams, level: str) -> None:
    settings = DecodeSettings(params=small, level=level)
    assert not image_to_audio(Image.new("L", (40, 96), 255), settings).clip.samples.any()
    black = image_to_audio(Image.new("L", (40, 96), 0), settings).clip
    assert np.isfinite(black.samples).all()
    assert 0.05 < black.peak <= 1.0


@pytest.mark.parametrize(
    ("channels", "stereo_image", "expected"),
    [
        ("auto", True, 2),
        ("auto", False, 1),
        ("mono", True, 1),
        ("mono", False, 1),
        ("stereo", True, 2),
        ("stereo", False, 2),
    ],
)
def test_setting_channels_determines_mono_or_stereo(
    rough: None, small: SpectrogramParams, tune: Any, channels: str, stereo_image: bool, expected: int
) -> None:
    params = small.replace(stereo=stereo_image)
    image = audio_to_image(tune(0.5, rate=16000, channels=2), params).image
    for record in (True, False):
        if not record:
            image.info.clear()
        settings = DecodeSettings(channels=channels, params=None if record else small)
        clip = image_to_audio(image, settings).clip
        assert clip.channels == expected
        if channels == "stereo" and not stereo_image:
            assert np.array_equal(clip.samples[0], clip.samples[1])


def test_stereo_decoded_as_mono_contains_both_channels(small: SpectrogramParams) -> None:
    time = np.arange(16000) / 16000
    sides = np.stack([np.sin(2 * np.pi * frequency * time) for frequency in (440, 1500)]).astype(np.float32)
    image = audio_to_image(AudioClip(sides, 16000), small.replace(stereo=True)).image
    mono = image_to_audio(image, DecodeSettings(channels="mono")).clip.samples[0]
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono))))
    frequency = np.fft.rfftfreq(len(mono), 1 / 16000)
    for wanted in (440, 1500):
        assert spectrum[np.abs(frequency - wanted) < 20].max() > 0.3 * spectrum.max()
    assert spectrum[np.abs(frequency - 3000) < 500].max() < 0.05 * spectrum.max()


@pytest.mark.parametrize("change", [{"engine": "slow"}, {"level": "loud"}, {"channels": "left"}])
def test_unknown_choices_are_refused(change: dict[str, Any]) -> None:
    ((name, value),) = change.items()
    with pytest.raises(RiffusionError, match=f"{name} must be one of .*, got '{value}'"):
        DecodeSettings(**change)


# Batches


def test_bad_image_yields_its_error_and_the_others_sound(rough: None, small: SpectrogramParams) -> None:
    images = [noise(30), noise(1), noise(40), noise(30, 8), noise(30, seed=1)]
    told: list[float] = []
    results = images_to_audio(images, DecodeSettings(params=small), progress=told.append)
    assert [type(result) for result in results] == [Decoded, ImageError, Decoded, ImageError, Decoded]
    lengths = [result.clip.samples.shape[1] for result in results if isinstance(result, Decoded)]
    assert lengths == [29 * 160, 39 * 160, 29 * 160]
    with pytest.raises(ImageError, match="1 pixel wide"):
        image_to_audio(images[1])


def test_empty_list_gives_no_sounds() -> None:
    assert images_to_audio([]) == []


def test_batched_decoding_equals_single_decoding(
    monkeypatch: pytest.MonkeyPatch, tune: Any, small: SpectrogramParams
) -> None:
    stereo = audio_to_image(tune(0.6, rate=16000, channels=2, seed=9), small.replace(stereo=True)).image
    images = [audio_to_image(tune(0.6, rate=16000, seed=seed), small).image for seed in range(3)]
    images[1:1] = [stereo, noise(20, 96)]
    images[2].info.update(images[0].info)
    alone = [image_to_audio(image, RECORDED).clip.samples for image in images]
    sizes: list[int] = []

    def batches(members: Any, width: int, settings: DecodeSettings, *_: object) -> Any:
        sizes.append(len(members))
        yield members

    monkeypatch.setattr(codec, "_batches", batches)
    told: list[float] = []
    together = images_to_audio(images, RECORDED, progress=told.append)
    assert sorted(sizes) == [1, 1, 3]
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    for ours, theirs in zip(together, alone, strict=True):
        assert isinstance(ours, Decoded)
        np.testing.assert_allclose(ours.clip.samples, theirs, rtol=0, atol=0.01 * np.abs(theirs).max(), equal_nan=False)


def test_gpu_batches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec.torch.cuda, "is_available", lambda: True)
    members: list[Any] = list(range(100))
    sizes = [len(batch) for batch in codec._batches(members, 512, DecodeSettings(device="cuda"))]
    assert sizes == [64, 36]
    assert len(list(codec._batches(members, 512, DecodeSettings(device="cuda", engine="reference")))) == 100
    assert len(list(codec._batches(members, 40000, DecodeSettings(device="cuda")))) == 100


# Songs


def test_joined_song_has_the_length_of_all_columns(rough: None, small: SpectrogramParams) -> None:
    widths = (512, 37, 2, 512, 100)
    told: list[float] = []
    song = song_to_audio((noise(width) for width in widths), DecodeSettings(params=small), progress=told.append)
    assert song.clip.samples.shape == (1, (sum(widths) - 1) * 160)


def test_joined_tiles_equal_the_whole_image(
    tune: Any, small: SpectrogramParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 160)
    whole = audio_to_image(tune(3.0, rate=16000), small)
    expected = image_to_audio(whole.image, RECORDED).clip.samples
    tiles = [whole.image.crop((left, 0, min(left + 70, 301), 96)) for left in range(0, 301, 70)]
    for tile in tiles:
        tile.info.update(whole.image.info)
    assert np.array_equal(song_to_audio(tiles, RECORDED).clip.samples, expected)


def test_clicks_stay_on_the_beat_over_many_tiles(small: SpectrogramParams) -> None:
    columns, tiles = 128, 6
    samples = np.zeros((1, columns * tiles * 160), np.float32)
    beats = [tile * columns * 160 + 50 * 160 + 17 * tile for tile in range(tiles)]
    samples[0, beats] = 0.9
    images = audio_to_images(AudioClip(samples[:, :-160], 16000), small, columns=columns)
    assert len(images) == tiles
    song = song_to_audio([image.image for image in images], RECORDED).clip
    assert song.samples.shape == (1, (columns * tiles - 1) * 160)
    for beat in beats:
        around = np.abs(song.samples[0, beat - 800 : beat + 800])
        assert abs(int(around.argmax()) - 800) <= 16  # 1 ms


def test_joined_tiles_keep_their_levels(tune: Any, small: SpectrogramParams) -> None:
    clip = tune(4.0, rate=16000)
    loudness = np.repeat([1.0, 0.1, 0.5, 0.05], 16000).astype(np.float32)
    clip = AudioClip(clip.samples * loudness, 16000)
    for level in ("song", "tile"):
        images = audio_to_images(clip, small, columns=100, level=level)
        song = song_to_audio([image.image for image in images], RECORDED).clip
        for second in range(4):
            inside = slice(second * 16000 + 2400, second * 16000 + 13600)
            ours, theirs = (np.sqrt((sound.samples[0, inside] ** 2).mean()) for sound in (song, clip))
            assert abs(decibels(ours / theirs)) < 0.5


def test_tiles_without_metadata_use_the_level_of_the_others(rough: None, tune: Any, small: SpectrogramParams) -> None:
    images = audio_to_images(tune(2.0, rate=16000).gain_db(-20), small, columns=50)
    expected = song_to_audio([image.image for image in images], DecodeSettings(level="recorded", params=small))
    assert expected.notes == ()
    images[1].image.info.clear()
    song = song_to_audio([image.image for image in images], DecodeSettings(level="recorded", params=small))
    np.testing.assert_allclose(song.clip.samples, expected.clip.samples, rtol=0, atol=1e-6, equal_nan=False)
    assert song.max_value == pytest.approx(expected.max_value)
    assert "without a record of its level" in song.notes[0]


def test_mono_and_stereo_tiles_make_a_stereo_song(rough: None, tune: Any, small: SpectrogramParams) -> None:
    mono = audio_to_image(tune(0.5, rate=16000), small).image
    stereo = audio_to_image(tune(0.5, rate=16000, channels=2), small.replace(stereo=True)).image
    for tiles in ([mono, stereo], [stereo, mono]):
        song = song_to_audio(tiles, RECORDED)
        assert song.clip.samples.shape == (2, 101 * 160)
        assert song.params.stereo
    joined = join_sources([source_from_image(image, RECORDED) for image in (mono, stereo)])
    mel = joined.mel(0, joined.columns)
    assert mel[0, :51].any()
    assert np.array_equal(mel[0, :51], mel[1, :51])
    assert not np.array_equal(mel[0, 51:], mel[1, 51:])
    assert song_to_audio([mono, stereo], DecodeSettings(channels="mono")).clip.channels == 1


def test_invalid_tiles_are_refused(rough: None, small: SpectrogramParams) -> None:
    with pytest.raises(ImageError, match="no images to join"):
        song_to_audio([])
    with pytest.raises(ImageError, match=r"^image 2: the image is 1 pixel wide"):
        song_to_audio([noise(20), noise(1)], DecodeSettings(params=small))
    with pytest.raises(ImageError, match="image 3 has other spectrogram parameters than the first"):
        song_to_audio([noise(20), noise(20), noise(20, 64)], DecodeSettings(params=small))


def test_very_wide_image_has_its_exact_length(rough: None) -> None:
    params = SpectrogramParams(sample_rate=8000, max_frequency=2000, num_frequencies=16, padded_duration_ms=100)
    clip = image_to_audio(noise(20000, 16), DecodeSettings(params=params)).clip
    assert clip.samples.shape == (1, 19999 * 80)


# Sound to images


def test_tiles_are_adjacent_and_the_last_is_padded_with_silence(tune: Any, small: SpectrogramParams) -> None:
    clip = tune(2.0, rate=16000)
    whole = np.asarray(audio_to_image(clip, small).image)
    tiles = audio_to_images(clip, small, columns=64)
    assert [tile.image.size for tile in tiles] == [(64, 96)] * 4
    side_by_side = np.concatenate([np.asarray(tile.image) for tile in tiles], axis=1)
    assert np.array_equal(side_by_side[:, : whole.shape[1]], whole)
    assert (side_by_side[:, whole.shape[1] :] == 255).all()
    assert len({tile.max_value for tile in tiles}) == 1


def test_level_tile_scales_each_tile_to_black(tune: Any, small: SpectrogramParams) -> None:
    clip = tune(2.0, rate=16000)
    fading = AudioClip(clip.samples * np.linspace(1, 0.01, 32000, dtype=np.float32), 16000)
    tiles = audio_to_images(fading, small, columns=50, level="tile")
    assert [int(np.asarray(tile.image).min()) for tile in tiles[:4]] == [0] * 4
    values = [tile.max_value for tile in tiles[:4]]
    assert values == sorted(values, reverse=True)


def test_silence_is_white_with_the_usual_level(small: SpectrogramParams) -> None:
    silence = AudioClip(np.zeros((1, 16000), np.float32), 16000)
    for image in [audio_to_image(silence, small), *audio_to_images(silence, small, columns=50, level="tile")]:
        assert (np.asarray(image.image) == 255).all()
        assert image.max_value == 30e6
        assert read_record(image.image).max_value == 30e6


def test_encoding_resamples_and_mixes_the_sound(tune: Any, small: SpectrogramParams) -> None:
    clip = tune(1.0, rate=44100, channels=2)
    assert audio_to_image(clip, small).image.size == (101, 96)
    stereo = audio_to_image(clip.to_mono(), small.replace(stereo=True))
    pixels = np.asarray(stereo.image)
    assert np.array_equal(pixels[..., 1], pixels[..., 2])


def test_requested_max_value_is_drawn_black(tune: Any, small: SpectrogramParams) -> None:
    clip = tune(1.0, rate=16000)
    natural = audio_to_image(clip, small)
    lighter = audio_to_image(clip, small, max_value=16 * natural.max_value)
    assert lighter.max_value == 16 * natural.max_value
    ours, theirs = (255.0 - np.asarray(image.image) for image in (lighter, natural))
    assert ours == pytest.approx(theirs / 2, abs=1.01)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_invalid_max_value_is_refused(tune: Any, small: SpectrogramParams, value: float) -> None:
    with pytest.raises(RiffusionError, match="the magnitude of black must be a positive number"):
        audio_to_image(tune(0.5, rate=16000), small, max_value=value)


def test_too_short_sound_and_invalid_choices_are_refused(tune: Any) -> None:
    short = AudioClip(np.ones((1, 440), np.float32), 44100)
    for draw in (audio_to_image, audio_to_images):
        with pytest.raises(RiffusionError, match=r"10\.0 ms long; an image needs at least 10 ms"):
            draw(short)
    assert audio_to_image(AudioClip(np.ones((1, 441), np.float32), 44100)).image.size == (2, 512)
    with pytest.raises(RiffusionError, match="at least 2 columns, got 1"):
        audio_to_images(tune(0.5), columns=1)
    with pytest.raises(RiffusionError, match="level must be song or tile, got 'max'"):
        audio_to_images(tune(0.5), level="max")


# Memory

_MEASURE = """
import sys, threading, time
import numpy as np, torch
from PIL import Image
from riffusion_ext.spectrogram.codec import DecodeSettings, image_to_audio

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

torch.set_num_threads(1)
rng = np.random.default_rng(0)
settings = DecodeSettings(level="recorded", device="cpu")
image_to_audio(Image.fromarray(rng.integers(0, 256, (512, 600), dtype=np.uint8)), settings)
image = Image.fromarray(rng.integers(0, 256, (512, int(sys.argv[1])), dtype=np.uint8))
start, peak, done = resident(), [0], threading.Event()

def watch():
    while not done.wait(0.01):
        peak[0] = max(peak[0], resident())

watcher = threading.Thread(target=watch)
watcher.start()
image_to_audio(image, settings)
done.set()
watcher.join()
print((peak[0] - start) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to measure memory")
def test_memory_of_a_long_image_grows_with_its_sound_only() -> None:
    def peak(columns: int) -> float:
        run = subprocess.run(
            [sys.executable, "-c", _MEASURE, str(columns)], cwd=ROOT, check=True, capture_output=True, text=True
        )
        return float(run.stdout)

    minute, three = peak(6000), peak(18000)
    # Two more minutes are 5.3 million samples, held a few times, and 512 x 12000 pixels; the work is done in blocks.
    assert three - minute < 200
    assert minute < 400


def test_stereo_parameters_apply_to_any_image(small: SpectrogramParams) -> None:
    """Also for grey images and images with a non-zero red channel."""
    rng = np.random.default_rng(1)
    grey = Image.fromarray(rng.integers(0, 256, (96, 40), dtype=np.uint8))
    colours = Image.fromarray(rng.integers(0, 256, (96, 40, 3), dtype=np.uint8))
    for image in (grey, colours):
        assert image_to_audio(image, DecodeSettings(params=small.replace(stereo=True))).clip.channels == 2
        assert image_to_audio(image, DecodeSettings(params=small)).clip.channels == 1
