"""Long spectrograms in blocks: exact lengths, bounded pieces, and inaudible seams."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import AudioClip
from riffusion_ext.spectrogram import SpectrogramParams
from riffusion_ext.spectrogram.encode import mel_spectrogram
from riffusion_ext.spectrogram.inversion import blocks
from riffusion_ext.spectrogram.inversion.blocks import reconstruct_long
from riffusion_ext.spectrogram.inversion.griffin_lim import PROGRAMS, Program, reconstruct
from riffusion_ext.spectrogram.inversion.resample import to_sample_rate
from riffusion_ext.spectrogram.stft import working_rate
from tests.unit.magnitudes import mel_of_clip, slices
from tests.unit.small import TINY

FAST = PROGRAMS["fast"]
ROUGH = Program(updates=1, start=1, stages=())  # no iterations, for tests of lengths and order


def seams(frames: int, scale: int = 1) -> list[int]:
    """Return the frames where a block fades to the next."""
    lap, stride = blocks._OVERLAP * scale, (blocks.BLOCK - blocks._OVERLAP) * scale
    return [start + (blocks._KEPT - blocks._FADE // 2) * scale for start in range(stride, frames - lap, stride)]


def image_error(mel: torch.Tensor, signal: np.ndarray, params: SpectrogramParams) -> np.ndarray:
    """Return the mean absolute difference of the images per frame, in levels."""
    again = mel_spectrogram(torch.from_numpy(to_sample_rate(signal, params)), params)
    images = [255 * (x / mel.max()).clamp(0, 1) ** 0.25 for x in (mel, again)]
    error: np.ndarray = (images[0] - images[1]).abs().mean(dim=(0, 2)).numpy()
    return error


def excess(
    mel: torch.Tensor,
    signal: np.ndarray,
    one_pass: np.ndarray,
    params: SpectrogramParams,
    places: list[int],
    reach: int,
) -> float:
    """Return the ratio of the error within `reach` frames of the seams to that elsewhere.

    Both are relative to the error of one pass, because some parts of the music are harder than others.
    """
    error = image_error(mel, signal, params) / image_error(mel, one_pass, params)
    near = np.zeros(len(error), bool)
    for seam in places:
        near[seam - reach : seam + reach] = True
    return float(error[near].mean() / error[~near].mean())


def test_spectrogram_that_fits_is_reconstructed_in_one_block(tune: Any, small: SpectrogramParams) -> None:
    mel = mel_of_clip(tune(1.0, rate=16000), small)
    long = reconstruct_long(slices(mel), mel.shape[1], small, FAST)
    assert np.array_equal(long, reconstruct(mel, small, FAST).numpy())


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(2, 500),
    batch=st.integers(1, 2),
    block=st.sampled_from([100, 120, 576]),
    step=st.sampled_from([10, 4, 2]),
)
def test_length_is_exact_and_blocks_overlap(frames: int, batch: int, block: int, step: int) -> None:
    params = TINY.replace(step_size_ms=step)
    up, down = working_rate(params)
    asked: list[tuple[int, int]] = []

    def mel_between(start: int, stop: int) -> torch.Tensor:
        asked.append((start, stop))
        return torch.rand(batch, stop - start, 24)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", block)
        signal = reconstruct_long(mel_between, frames, params, ROUGH)
    assert signal.shape == (batch, (frames - 1) * params.hop_length * up // down)
    assert signal.dtype == np.float32
    assert np.isfinite(signal).all()
    assert asked[0][0] == 0
    assert asked[-1][1] == frames
    scale = {10: 1, 4: 3, 2: 5}[step]
    assert all(stop - start <= block * scale for start, stop in asked)
    assert all(later[0] == earlier[1] - blocks._OVERLAP * scale for earlier, later in pairwise(asked))


def test_steady_tone_has_no_gap_or_step_at_block_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 100)
    time = np.arange(8000 * 4) / 8000
    clip = AudioClip(0.5 * np.sin(2 * np.pi * 440 * time)[None].astype(np.float32), 8000)
    mel = mel_of_clip(clip, TINY)
    signal = to_sample_rate(reconstruct_long(slices(mel), mel.shape[1], TINY, FAST), TINY)[0] / 32768
    loudness = np.sqrt((signal[: len(signal) // 80 * 80].reshape(-1, 80) ** 2).mean(axis=1))[5:-5]
    steps = np.abs(np.diff(20 * np.log10(np.convolve(loudness, np.ones(4) / 4, "valid"))))
    assert steps.max() < 0.3
    # The phase continues linearly: a break would be a second frequency.
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    frequency = np.fft.rfftfreq(len(signal), 1 / 8000)
    assert spectrum[np.abs(frequency - 440) < 5].sum() > 0.98 * spectrum.sum()


@pytest.mark.parametrize("step", [10, 5])
def test_seams_are_no_worse_than_the_rest(
    tune: Any, small: SpectrogramParams, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    params = small.replace(step_size_ms=step)
    scale = 10 // step
    monkeypatch.setattr(blocks, "BLOCK", 160)
    mel = mel_of_clip(tune(15.0 / scale, rate=16000), params)
    frames, places = mel.shape[1], seams(mel.shape[1], scale)
    assert len(places) >= 6
    signal = reconstruct_long(slices(mel), frames, params, FAST)
    assert excess(mel, signal, reconstruct(mel, params, FAST).numpy(), params, places, 6 * scale) <= 1.10

    # No click: the second difference is nowhere larger than in one pass.
    hop = signal.shape[1] // (frames - 1)
    bend = np.abs(np.diff(signal[0], n=2))
    highest = np.lib.stride_tricks.sliding_window_view(bend, hop)[::hop].max(axis=1)
    at_seams = max(highest[seam - 4 * scale : seam + 4 * scale].max() for seam in places)
    assert at_seams <= 10 ** (3 / 20) * max(np.percentile(highest, 99), np.median(highest))


def test_default_parameters_give_no_click_or_step_at_block_borders(tune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 192)
    params = SpectrogramParams()
    clip = tune(8.0)
    mel = mel_of_clip(clip, params)
    frames = mel.shape[1]
    one_pass, streamed = reconstruct(mel, params, FAST).numpy(), reconstruct_long(slices(mel), frames, params, FAST)
    assert excess(mel, streamed, one_pass, params, seams(frames), 6) <= 1.10
    whole, signal = (to_sample_rate(sound, params)[0] for sound in (one_pass, streamed))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(signal, 441), 882)[::441] * np.hanning(882)
    high = (np.abs(np.fft.rfft(windows))[:, 12000 * 882 // 44100 :] ** 2).sum(axis=1)
    places = seams(frames)
    assert len(places) >= 5
    loudest = max(high[seam - 2 : seam + 3].max() for seam in places)
    assert 10 * np.log10(loudest / np.percentile(high, 99)) <= 3.0

    def levels(sound: np.ndarray, seam: int) -> np.ndarray:
        sides = (sound[(seam - 12) * 441 : seam * 441], sound[seam * 441 : (seam + 12) * 441])
        return np.array([10 * np.log10((side**2).mean()) for side in sides])

    for seam in places:
        step = np.diff(levels(signal, seam) - levels(whole[: len(signal)], seam))[0]
        assert abs(step) <= 0.3


def test_progress_rises_to_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 100)
    for frames in (5, 100, 101, 136, 137, 400):
        told: list[float] = []
        reconstruct_long(lambda start, stop: torch.rand(1, stop - start, 24), frames, TINY, FAST, tick=told.append)
        assert told == sorted(told)
        assert told[-1] == 1.0
        assert told[0] < 1.0
        assert len(told) == len(set(told))
