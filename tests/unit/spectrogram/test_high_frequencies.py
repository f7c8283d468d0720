"""High frequencies: when they are added to decoded sound, and how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from riffusion_ext.audio.level import CEILING
from riffusion_ext.bandwidth import WeightsError
from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram import high_frequencies
from riffusion_ext.spectrogram.codec import image_to_audio, images_to_audio, song_to_audio, source_to_audio
from riffusion_ext.spectrogram.high_frequencies import extend_period, extend_waveform, plan_extension
from riffusion_ext.spectrogram.inversion.stream import SoundStream
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.spectrogram.source import Source
from riffusion_ext.spectrogram.workload import decode_workload
from tests.unit.extenders import DELAY, FACTOR, MIDDLE, FailsOnGpu, ToneExtender, WithoutWeights, use
from tests.unit.magnitudes import slices

V1 = PRESETS["riffusion-v1"]
PLAIN = DecodeSettings(level="raw", params=MIDDLE, device="cpu")
AUTO = replace(PLAIN, high_frequencies="auto")


@pytest.fixture
def tone(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


def picture(width: int, seed: int = 0) -> Image.Image:
    rows = np.random.default_rng(seed).integers(0, 256, (64, 1), dtype=np.uint8)
    return Image.fromarray(np.repeat(rows, width, axis=1)).convert("RGB")


def with_max(hertz: int) -> SpectrogramParams:
    return V1.replace(max_frequency=hertz)


# When


@pytest.mark.parametrize("choice", ["auto", "on"])
@pytest.mark.parametrize("hertz", [5000, 10000, 15999])
def test_images_that_end_from_5_to_16_khz_are_extended(hertz: int, choice: str) -> None:
    planned = plan_extension(with_max(hertz), choice)
    assert (planned.cutoff, planned.notes, planned.output_rate) == (hertz, (), 44100)
    assert planned.recipe == {"high_frequencies": f"added from {hertz} Hz"}


@pytest.mark.parametrize(("hertz", "reason"), [(16000, "reaches 16 kHz already"), (4999, "ends at 4.999 kHz")])
def test_other_images_are_not_extended_and_only_on_says_why(hertz: int, reason: str) -> None:
    for choice in ("auto", "on", "off"):
        planned = plan_extension(with_max(hertz), choice)
        assert (planned.cutoff, planned.factor, planned.recipe) == (None, 1, {})
        assert [reason in note for note in planned.notes] == [True] * (choice == "on")


def test_off_extends_nothing_and_is_the_default_of_the_core() -> None:
    assert DecodeSettings().high_frequencies == "off"
    assert plan_extension(V1, "off").cutoff is None


def test_unknown_choice_is_refused() -> None:
    with pytest.raises(RiffusionError, match="high_frequencies must be one of auto, on, off, got 'much'"):
        DecodeSettings(high_frequencies="much")


# Whole sounds


@pytest.mark.usefixtures("tone")
def test_decoded_image_is_extended_at_a_multiple_of_its_sample_rate() -> None:
    plain, high = (image_to_audio(picture(60), settings) for settings in (PLAIN, AUTO))
    assert plain.clip.sample_rate == 16000
    assert (high.clip.sample_rate, high.clip.samples.shape[1]) == (48000, FACTOR * plain.clip.samples.shape[1])
    assert high.params == plain.params
    assert (plain.recipe, high.recipe) == ({}, {"high_frequencies": "added from 7000 Hz"})
    np.testing.assert_array_equal(high.clip.samples, extend_waveform(plain.clip.samples, high.extension, "cpu"))  # type: ignore[arg-type]
    np.testing.assert_allclose(high.clip.samples[:, ::FACTOR], plain.clip.samples, atol=0.021)


@pytest.mark.usefixtures("tone")
def test_level_is_set_after_the_extension() -> None:
    assert image_to_audio(picture(60), replace(AUTO, level="peak")).clip.peak == pytest.approx(CEILING)


@pytest.mark.usefixtures("tone")
def test_batch_and_songs_are_extended_like_single_images() -> None:
    images = [picture(60, seed) for seed in range(3)]
    for image, sound in zip(images, images_to_audio(images, AUTO), strict=True):
        np.testing.assert_array_equal(sound.clip.samples, image_to_audio(image, AUTO).clip.samples)  # type: ignore[union-attr]
    song = song_to_audio(images, AUTO).clip
    assert song.samples.shape == (1, FACTOR * 179 * MIDDLE.hop_length)


@pytest.mark.usefixtures("tone")
def test_stereo_image_is_extended_in_both_channels() -> None:
    clip = image_to_audio(picture(40), replace(AUTO, channels="stereo")).clip
    assert clip.samples.shape == (2, FACTOR * 39 * MIDDLE.hop_length)


@pytest.mark.usefixtures("tone")
def test_long_sound_is_extended_in_pieces_with_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, (2, 40000)).astype(np.float32)
    planned = plan_extension(MIDDLE, "auto")
    whole = extend_waveform(samples, planned, "cpu")
    monkeypatch.setattr(high_frequencies, "_PIECE_S", 1)
    parts: list[float] = []
    np.testing.assert_array_equal(extend_waveform(samples, planned, "cpu", tick=parts.append), whole)
    assert parts == [0.4, 0.8, 1.0]


@pytest.mark.usefixtures("tone")
def test_progress_is_steady_and_ends_at_one() -> None:
    shares: list[float] = []
    images_to_audio([picture(60), picture(60, 1)], AUTO, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert any(0.9 < share < 1.0 for share in shares)


@pytest.mark.usefixtures("tone")
def test_cancelling_while_extending_stops_the_work() -> None:
    def cancel(share: float) -> None:
        if share > 0.91:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        images_to_audio([picture(60)], AUTO, progress=cancel)


def test_image_of_one_column_has_no_samples_to_extend() -> None:
    planned = plan_extension(MIDDLE, "auto")
    assert extend_waveform(np.zeros((1, 0), np.float32), planned).shape == (1, 0)
    assert extend_period(np.zeros((1, 0), np.float32), planned).shape == (1, 0)


def test_higher_sample_rate_needs_more_memory() -> None:
    long = 200_000
    one, three = (decode_workload(MIDDLE, long, factor=factor).memory for factor in (1, FACTOR))
    assert three - one == pytest.approx(2 * 5 * 4 * long * MIDDLE.hop_length, rel=0.01)


# Trouble


def test_without_weights_the_sound_is_not_extended_and_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, WithoutWeights)
    for choice in ("auto", "on"):
        plain, sound = (image_to_audio(picture(40), item) for item in (PLAIN, replace(AUTO, high_frequencies=choice)))
        assert sound.notes == ("no high frequencies are added: the weights are missing",)
        assert sound.recipe == {}
        assert sound.clip.sample_rate == 16000
        np.testing.assert_array_equal(sound.clip.samples, plain.clip.samples)
    assert image_to_audio(picture(40), PLAIN).notes == ()
    assert issubclass(WeightsError, RiffusionError)


def test_gpu_out_of_memory_is_replaced_by_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FailsOnGpu)
    monkeypatch.setattr(high_frequencies, "_PIECE_S", 1)
    planned = plan_extension(MIDDLE, "auto")
    samples = np.random.default_rng(1).uniform(-1, 1, (1, 50000)).astype(np.float32)
    expected = extend_waveform(samples, planned, "cpu")
    monkeypatch.setattr(high_frequencies, "resolve_device", lambda name: torch.device("cuda"))
    np.testing.assert_array_equal(extend_waveform(samples, planned, "cuda"), expected)


# Loops


class NoiseExtender(ToneExtender):
    """Adds noise that depends on the position alone, as the fine structure of a network does."""

    def _extended(self, samples: np.ndarray) -> np.ndarray:
        repeated = np.repeat(samples, self.factor, axis=1)
        noise = np.random.default_rng(7).normal(0, 0.02, (1, 1_000_000))
        part = noise[:, self._position : self._position + repeated.shape[1]]
        self._position += repeated.shape[1]
        return (repeated + part).astype(np.float32)


@pytest.mark.parametrize("total", [500, 16000, 40001])
def test_period_of_a_loop_goes_on_from_its_end_to_its_beginning(monkeypatch: pytest.MonkeyPatch, total: int) -> None:
    use(monkeypatch, NoiseExtender)
    planned = plan_extension(MIDDLE, "auto")
    turn = np.sin(2 * np.pi * 3 * np.arange(total) / total, dtype=np.float32)[None]
    around: list[np.ndarray] = []
    extend = high_frequencies.extend_waveform

    def watched(*args: object, **more: object) -> np.ndarray:
        around.append(extend(*args, **more))  # type: ignore[arg-type]
        return around[-1]

    monkeypatch.setattr(high_frequencies, "extend_waveform", watched)
    loop = extend_period(turn, planned, "cpu")
    assert loop.shape == (1, FACTOR * total)
    begin = 5 * 48000
    # What follows the last sample is what followed it in one uninterrupted sound.
    assert loop[0, -1] == pytest.approx(around[0][0, begin - 1])
    assert loop[0, 0] == pytest.approx(around[0][0, begin]) or total == 500
    np.testing.assert_allclose(loop[:, ::FACTOR], turn, atol=0.15)


# Streams


def magnitudes(frames: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    mel: np.ndarray = (2e3 * rng.rayleigh(1.0, (1, frames, 64))).astype(np.float32)
    return mel


@pytest.mark.usefixtures("tone")
@pytest.mark.parametrize("stops", [[], [200, 300], [90, 100, 110, 250, 399]])
def test_streamed_pieces_equal_the_extended_stream(stops: list[int]) -> None:
    mel = magnitudes(400)
    plain, high = (SoundStream(MIDDLE, device="cpu", high_frequencies=choice) for choice in ("off", "auto"))
    assert (plain.margin, plain.latency) == (high.margin, 0)
    assert high.latency == -(-DELAY // MIDDLE.hop_length)
    pieces: dict[str, list[np.ndarray]] = {"off": [], "auto": []}
    for stop in stops:
        for stream, got in ((plain, pieces["off"]), (high, pieces["auto"])):
            got.append(stream.advance(slices(mel), stop))
        count = sum(piece.shape[1] for piece in pieces["auto"])
        low = FACTOR * MIDDLE.hop_length * max(stop - high.margin - high.latency - 100, 0)
        assert low <= count <= FACTOR * max((stop - high.margin) * MIDDLE.hop_length - DELAY, 0)
    for stream, got in ((plain, pieces["off"]), (high, pieces["auto"])):
        got.append(stream.advance(slices(mel), 400, last=True))
    whole = {name: np.concatenate(got, axis=1) for name, got in pieces.items()}
    np.testing.assert_array_equal(whole["auto"], extend_waveform(whole["off"], high.extension, "cpu"))
    if not stops:
        song = source_to_audio(Source(MIDDLE, 400, 1.0, (), slices(mel)), replace(AUTO, params=None)).clip
        np.testing.assert_allclose(whole["auto"], song.samples, atol=1e-6)


def test_stream_without_weights_is_that_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, WithoutWeights)
    stream = SoundStream(MIDDLE, device="cpu", high_frequencies="auto")
    assert (stream.latency, stream.extension.output_rate) == (0, 16000)
    assert stream.extension.notes == ("no high frequencies are added: the weights are missing",)
    assert stream.advance(slices(magnitudes(60)), 60, last=True).shape == (1, 59 * MIDDLE.hop_length)


# Levels


@pytest.mark.parametrize("level", ["peak", "loudness", "recorded", "raw"])
@pytest.mark.parametrize("stereo", [False, True])
def test_white_images_stay_silent(level: str, stereo: bool) -> None:
    params = V1.replace(stereo=stereo)
    settings = DecodeSettings(level=level, params=params, high_frequencies="on", device="cpu")
    decoded = image_to_audio(Image.new("RGB", (64, 512), (255, 255, 255)), settings)
    assert decoded.clip.samples.shape == (params.channels, 63 * 441)
    assert not decoded.clip.samples.any()


@pytest.mark.parametrize("exponent", [-60, -20, 40])
def test_high_frequencies_do_not_depend_on_the_level(exponent: int) -> None:
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.normal(size=(2, 44100))).astype(np.float32)
    planned = plan_extension(V1, "on")
    scale = np.float32(2.0**exponent)
    assert np.array_equal(
        extend_waveform(samples * scale, planned, "cpu"), extend_waveform(samples, planned, "cpu") * scale
    )
