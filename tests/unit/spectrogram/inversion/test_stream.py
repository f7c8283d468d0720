"""Streaming: sound decoded while its spectrogram is still being generated."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import AudioClip
from riffusion_ext.errors import RiffusionError
from riffusion_ext.spectrogram import SpectrogramParams
from riffusion_ext.spectrogram.codec import source_to_audio
from riffusion_ext.spectrogram.encode import mel_spectrogram
from riffusion_ext.spectrogram.inversion.resample import to_sample_rate
from riffusion_ext.spectrogram.inversion.stream import SoundStream
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.spectrogram.source import Source
from tests.unit.magnitudes import slices
from tests.unit.small import TINY

STEREO = TINY.replace(stereo=True)


def tune(frames: int, params: SpectrogramParams = TINY) -> np.ndarray:
    """Return magnitudes of plucked notes."""
    rng = np.random.default_rng(5)
    samples = np.zeros((params.channels, (frames - 1) * params.hop_length))
    for start in range(0, samples.shape[1], 2000):
        time = np.arange(min(4000, samples.shape[1] - start)) / params.sample_rate
        pitch = 110 * 2 ** (rng.integers(0, 30) / 12)
        samples[:, start : start + len(time)] += 0.2 * np.exp(-5 * time) * np.sin(2 * np.pi * pitch * time)
    wave = torch.from_numpy(samples.astype(np.float32) * np.float32(32768))
    mel: np.ndarray = mel_spectrogram(wave, params).numpy()
    return mel


def streamed(mel: np.ndarray, stops: list[int], params: SpectrogramParams = TINY) -> list[np.ndarray]:
    stream = SoundStream(params, device="cpu")
    pieces = [stream.advance(slices(mel), stop) for stop in stops]
    return [*pieces, stream.advance(slices(mel), mel.shape[1], last=True)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 500), max_size=5), st.integers(2, 200), st.sampled_from([TINY, STEREO]))
def test_streamed_pieces_equal_the_whole_for_any_piece_sizes(steps: list[int], rest: int, params: SpectrogramParams):
    stops = [int(stop) for stop in np.cumsum(steps)]
    mel = tune((stops[-1] if stops else 0) + rest, params)
    stream = SoundStream(params, device="cpu")
    pieces: list[np.ndarray] = []
    for stop in stops:
        pieces.append(stream.advance(slices(mel), stop))
        given_out = sum(piece.shape[1] for piece in pieces)
        assert given_out <= max(stop - stream.margin, 0) * params.hop_length
        assert given_out % params.hop_length == 0
        assert stream.first_needed <= stop
    pieces.append(stream.advance(slices(mel), mel.shape[1], last=True))
    whole = np.concatenate(pieces, axis=1)
    assert whole.shape == (params.channels, (mel.shape[1] - 1) * params.hop_length)
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()


def test_large_pieces_are_returned_up_to_the_margin():
    mel = tune(700)
    stream = SoundStream(TINY, device="cpu")
    for stop in (300, 450, 600):
        stream.advance(slices(mel), stop)
        assert stream._emitted == stop - stream.margin


def test_stream_in_one_piece_equals_the_whole_song():
    mel = tune(1400)
    source = Source(TINY, mel.shape[1], 1.0, (), slices(mel))
    song = source_to_audio(source, DecodeSettings(level="raw", device="cpu")).clip.samples
    np.testing.assert_array_equal(np.concatenate(streamed(mel, []), axis=1), song)
    late = np.concatenate(streamed(mel, [1399]), axis=1)
    np.testing.assert_allclose(late[:, : 1000 * TINY.hop_length], song[:, : 1000 * TINY.hop_length], atol=1e-6)


def test_resampled_pieces_equal_the_resampled_whole(monkeypatch: pytest.MonkeyPatch):
    mel, raw = tune(900), []
    grow = SoundStream._grow

    def watched(stream: SoundStream, mel: np.ndarray, *, last: bool) -> np.ndarray:
        raw.append(grow(stream, mel, last=last))
        return raw[-1]

    monkeypatch.setattr(SoundStream, "_grow", watched)
    pieces = streamed(mel, list(range(100, 900, 90)))
    assert len(raw) > 5
    whole = to_sample_rate(np.concatenate(raw, axis=1), TINY) / 32768
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-6)


def test_frames_in_the_margin_may_still_change():
    mel = tune(500)
    other = mel.copy()
    other[:, 300:] *= 0.5
    stream = SoundStream(TINY, device="cpu")
    first = stream.advance(slices(mel), 300 + stream.margin)
    rest = stream.advance(slices(other), 500, last=True)
    assert first.shape[1] + rest.shape[1] == 499 * TINY.hop_length


def test_seams_are_no_worse_than_the_rest():
    """The image of the sound is as accurate at the seams as elsewhere."""
    mel = tune(1700)
    stops = list(range(200, 1700, 150))
    whole = np.concatenate(streamed(mel, stops), axis=1)
    margin = SoundStream(TINY, device="cpu").margin
    again = mel_spectrogram(torch.from_numpy(whole * np.float32(32768)), TINY).numpy()
    error = np.abs((again / mel.max()).clip(0, 1) ** 0.25 - (mel / mel.max()) ** 0.25).mean(axis=(0, 2))
    near = np.zeros(mel.shape[1], bool)
    for stop in stops:
        near[stop - margin - 12 : stop - margin + 12] = True
    assert error[near].mean() < 1.15 * error[~near].mean()
    level = 10 * np.log10((again**2).mean(axis=(0, 2)) / (mel**2).mean(axis=(0, 2)))
    assert abs(level[near].mean() - level[~near].mean()) < 0.3, "no cancellation, in dB"


def test_reference_engine_cannot_stream():
    with pytest.raises(RiffusionError, match="fast, best"):
        SoundStream(TINY, "reference")


def test_streamed_samples_form_an_audible_clip():
    clip = AudioClip(np.concatenate(streamed(tune(120), [90]), axis=1), TINY.sample_rate)
    assert clip.peak > 0.05
