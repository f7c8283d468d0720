"""Images of other models: drawn as by their own programs on librosa, and decoded better than by them."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import librosa
import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio import AudioClip
from riffusion_ext.generate.loop import decode_loop, fit_loop
from riffusion_ext.params import PRESET_COLUMNS, PRESETS, SpectrogramParams
from riffusion_ext.spectrogram import pixel_law
from riffusion_ext.spectrogram.codec import (
    DecodeSettings,
    audio_to_image,
    audio_to_images,
    image_to_audio,
    song_to_audio,
    source_to_audio,
)
from riffusion_ext.spectrogram.encode import mel_pieces, mel_spectrogram
from riffusion_ext.spectrogram.inversion.stream import SoundStream
from riffusion_ext.spectrogram.mel import band_gains, encoder_filters
from riffusion_ext.spectrogram.source import source_from_image
from tests.unit.spectrogram import librosa_images as oracle
from tests.unit.spectrogram.librosa_images import OTHERS, music

torch = pytest.importorskip("torch")
SECONDS = 2.0


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image)[..., 0].astype(int)


def rms_db(samples: np.ndarray) -> float:
    return 10 * np.log10(np.square(samples, dtype=np.float64).mean())


@pytest.mark.parametrize("name", OTHERS)
def test_filters_are_librosas(name: str) -> None:
    params = PRESETS[name]
    bins = params.n_fft // 2 + 1
    ours = encoder_filters(params).dense(slice(0, bins), slice(0, 256)).T
    gains = band_gains(params, torch.device("cpu")).numpy()
    gains = gains**2 if params.spectrum == "power" else gains
    theirs = librosa.filters.mel(sr=params.sample_rate, n_fft=2048, n_mels=256)
    assert ours * gains[:, None] == pytest.approx(theirs, abs=2e-6 * theirs.max(), rel=1e-3)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("peak", [0.7, 0.05])
def test_images_are_those_of_the_models_own_programs_within_a_level(name: str, peak: float) -> None:
    rate = PRESETS[name].sample_rate
    y = music(rate, SECONDS) * np.float32(peak / 0.7)
    theirs = oracle.levels_of(oracle.mel_of(oracle.prepared(y, name), name), name).astype(int)
    ours = grey(audio_to_image(AudioClip(y[None], rate), PRESETS[name]).image)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1
    assert (ours != theirs).mean() < 0.005


@pytest.mark.parametrize("name", OTHERS)
def test_sound_of_an_image_is_nearer_to_it_than_librosas(name: str) -> None:
    rate = PRESETS[name].sample_rate
    target = oracle.mel_of(oracle.prepared(music(rate, SECONDS), name), name)
    levels = oracle.levels_of(target, name)
    baseline = oracle.convergence_db(oracle.sound_of(levels, name), target, name)
    settings = DecodeSettings(level="raw", params=PRESETS[name])
    decoded = image_to_audio(Image.fromarray(levels), settings).clip.samples[0]
    assert oracle.convergence_db(decoded, target, name) < baseline - 2.0


@pytest.mark.parametrize("name", PRESETS)
def test_width_of_the_models_images_decodes_to_its_exact_number_of_samples(name: str) -> None:
    params, columns = PRESETS[name], PRESET_COLUMNS[name]
    samples = params.samples_of_columns(columns)
    expected = {"auffusion": 1024 * 160, "audio-diffusion-256": 255 * 512, "minimidi": 471 * 512}
    assert samples == expected.get(name, 511 * params.hop_length)
    assert params.columns_of_samples(samples) == columns
    image = Image.new("RGB", (columns, params.num_frequencies), (90, 90, 90))
    clip = image_to_audio(image, DecodeSettings(params=params.replace(stereo=False), channels="mono")).clip
    assert (clip.samples.shape, clip.sample_rate) == ((1, samples), params.sample_rate)


def test_hops_are_whole_numbers_of_samples() -> None:
    lengths = {name: (p.hop_length, p.win_length, p.n_fft) for name, p in PRESETS.items()}
    assert lengths["auffusion"] == (160, 1024, 2048)
    assert lengths["audio-diffusion-256"] == lengths["minimidi"] == (512, 2048, 2048)
    assert lengths["sd-audio-10s"] == (861, 4410, 17640)


@pytest.mark.parametrize("name", OTHERS)
def test_recorded_level_is_that_of_the_sound(name: str) -> None:
    y = music(PRESETS[name].sample_rate, SECONDS) * np.float32(0.2)
    encoded = audio_to_image(AudioClip(y[None], PRESETS[name].sample_rate), PRESETS[name])
    decoded = image_to_audio(encoded.image, DecodeSettings(level="recorded"))
    assert decoded.params == PRESETS[name]  # from the image itself
    assert rms_db(decoded.clip.samples) == pytest.approx(rms_db(y), abs=0.4)


@pytest.mark.parametrize("name", OTHERS)
def test_clicks_stay_at_their_time(name: str) -> None:
    params = PRESETS[name]
    rate, at = params.sample_rate, params.sample_rate // 2
    y = np.zeros(rate, np.float32)
    y[at] = 1.0
    image = audio_to_image(AudioClip(y[None], rate), params).image
    samples = image_to_audio(image, DecodeSettings()).clip.samples[0]
    centre = (np.arange(len(samples)) * samples.astype(float) ** 2).sum() / np.square(samples, dtype=float).sum()
    assert centre == pytest.approx(at, abs=params.hop_length / 8)


@pytest.mark.parametrize("name", OTHERS)
def test_pieces_give_the_columns_of_the_whole(name: str) -> None:
    params = PRESETS[name]
    y = 32768 * music(params.sample_rate, 2.0)[None]
    whole = mel_spectrogram(torch.from_numpy(y), params).numpy()
    cuts = [0, 1, 3, 700, 701, 9000, 20000, y.shape[1]]
    parts = list(mel_pieces((y[:, a:b] for a, b in pairwise(cuts)), params))
    joined = np.concatenate(parts, axis=1)
    assert joined.shape == whole.shape
    assert joined == pytest.approx(whole, rel=1e-4, abs=1e-4 * whole.max())


@pytest.mark.parametrize("samples", [1, 100, 161, 1200])
@pytest.mark.parametrize("name", OTHERS)
def test_short_sounds_have_the_same_columns_in_pieces(name: str, samples: int) -> None:
    params = PRESETS[name]
    y = 3000 * np.random.default_rng(1).standard_normal((1, samples)).astype(np.float32)
    whole = mel_spectrogram(torch.from_numpy(y), params).numpy()
    assert whole.shape[1] == params.columns_of_samples(samples)
    joined = np.concatenate(list(mel_pieces([y[:, :1], y[:, 1:]], params)), axis=1)
    assert joined == pytest.approx(whole, rel=1e-4, abs=1e-4 * whole.max())


@pytest.mark.parametrize("name", OTHERS)
def test_stream_is_as_good_as_the_whole_and_aligned_with_it(name: str) -> None:
    params = PRESETS[name]
    image = audio_to_image(
        AudioClip(music(params.sample_rate, 10.0 if name == "auffusion" else 20.0)[None], params.sample_rate), params
    ).image
    source = source_from_image(image, DecodeSettings()).in_sample_units()
    whole = source_to_audio(source, DecodeSettings(level="raw")).clip.samples
    stream = SoundStream(params)
    parts = []
    for frames in (*range(300, source.columns, 400), source.columns):
        parts.append(stream.advance(source.mel, frames, last=frames == source.columns))
        assert sum(part.shape[1] for part in parts) <= (
            (frames - stream.margin) * params.hop_length + params.lead
            if frames < source.columns
            else params.samples_of_columns(frames)
        )
    joined = np.concatenate(parts, axis=1)
    assert joined.shape == whole.shape == (1, params.samples_of_columns(source.columns))
    errors = []
    for samples in (whole, joined):
        again = audio_to_image(AudioClip(samples, params.sample_rate), params, max_value=source.max_value).image
        errors.append(np.abs(grey(again) - grey(image)))
    assert errors[1].mean() < 1.2 * errors[0].mean()
    assert errors[1].mean(axis=0).max() < 2 * errors[0].mean(axis=0).max()


@pytest.mark.parametrize("name", OTHERS)
def test_tiles_of_a_song_join_without_seams(name: str) -> None:
    params = PRESETS[name]
    clip = AudioClip(music(params.sample_rate, 5.0)[None], params.sample_rate)
    tiles = [tile.image for tile in audio_to_images(clip, params, columns=64)]
    whole = audio_to_image(clip, params)
    errors = []
    for images in ([whole.image], tiles):
        song = song_to_audio(images, DecodeSettings(level="recorded")).clip
        again = grey(audio_to_image(song, params, max_value=whole.max_value).image)[:, : whole.image.width]
        errors.append(np.abs(again - grey(whole.image)).mean())
    assert errors[0] < 8.0
    assert errors[1] < 1.1 * errors[0]


@pytest.mark.parametrize("name", OTHERS)
def test_loops_continue_at_their_start(name: str) -> None:
    params = PRESETS[name]
    fit = fit_loop(2, 120, params=params)
    length = fit.width * fit.params.hop_length
    period = music(params.sample_rate, length / params.sample_rate + 0.01)[:length]
    around = audio_to_image(AudioClip(np.tile(period, 3)[None], params.sample_rate), fit.params)
    image = around.image.crop((fit.width, 0, 2 * fit.width, 256))
    loop = decode_loop(image, fit, DecodeSettings(level="raw"))
    assert loop.samples.shape == (1, fit.samples)
    tripled = AudioClip(np.tile(loop.samples, 3), params.sample_rate)
    again = audio_to_image(tripled, fit.params).image.resize(around.image.size)
    middle = slice(fit.width, 2 * fit.width)
    error = np.abs(grey(again) - grey(around.image))[:, middle]
    assert error.mean() < 12.0
    assert error[:, [0, 1, -2, -1]].mean() < 2 * error.mean() + 1


@pytest.mark.parametrize("name", OTHERS)
def test_reference_engine_knows_the_laws(name: str) -> None:
    pytest.importorskip("torchaudio")
    rate = PRESETS[name].sample_rate
    target = oracle.mel_of(oracle.prepared(music(rate, 2.0), name), name)
    settings = DecodeSettings(engine="reference", level="raw", params=PRESETS[name])
    decoded = image_to_audio(Image.fromarray(oracle.levels_of(target, name)), settings).clip.samples[0]
    assert oracle.convergence_db(decoded, target, name) < -12.0


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "WEBP"])
def test_silence_is_black_even_where_an_image_is_transparent(name: str, suffix: str) -> None:
    image = Image.new("RGBA", (64, 256), (255, 255, 255, 0))
    decoded = image_to_audio(image, DecodeSettings(params=PRESETS[name]))
    assert not decoded.clip.samples.any()
    assert "black all over" in " ".join(decoded.notes)
    silent = audio_to_image(AudioClip(np.zeros((1, 16000), np.float32), PRESETS[name].sample_rate), PRESETS[name])
    file = io.BytesIO()
    silent.image.save(file, suffix)
    assert grey(Image.open(file)).max() == 0


@pytest.mark.parametrize("polarity", ["dark", "bright"])
@pytest.mark.parametrize("low_at_top", [False, True])
@pytest.mark.parametrize("spectrum", ["magnitude", "power"])
@pytest.mark.parametrize(("law", "low", "high"), [("power", 0, 1), ("ln", 1e-4, 150.0), ("db", -70, 0)])
def test_levels_and_magnitudes_are_inverse(
    law: str, low: float, high: float, spectrum: str, low_at_top: bool, polarity: str
) -> None:
    params = SpectrogramParams(
        pixel_law=law, pixel_min=low, pixel_max=high, spectrum=spectrum, low_at_top=low_at_top, polarity=polarity
    )
    levels = np.arange(256)
    mel = pixel_law.magnitudes_of(levels.astype(float), params, 5e5).astype(np.float32)
    loud = mel if params.polarity == "bright" else mel[::-1]
    assert loud[0] == 0
    assert loud[-1] == pytest.approx(5e5)
    assert (np.diff(loud) > 0).all()
    assert np.abs(pixel_law.levels_of(mel, params, 5e5).astype(int) - levels).max() <= 1


def test_blocks_of_a_long_image_do_not_depend_on_how_its_ends_were_padded() -> None:
    params = PRESETS["audio-diffusion-256"]
    y = music(params.sample_rate, 24.0)
    errors = []
    for mode in ("zeros", "reflect"):
        chosen = replace(params, pad_mode=mode)
        encoded = audio_to_image(AudioClip(y[None], params.sample_rate), chosen)
        clip = image_to_audio(encoded.image, DecodeSettings(level="recorded")).clip
        again = audio_to_image(clip, chosen, max_value=encoded.max_value)
        errors.append(np.abs(grey(again.image) - grey(encoded.image)).mean())
    assert errors[0] == pytest.approx(errors[1], rel=0.1)
