"""The STFT grid: frames, transforms, padding and the working sample rate."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.spectrogram import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.stft import FrameGrid, frame_grid, working_rate

CPU = torch.device("cpu")


def grid_of(hop: int, win: int, oversampling: int) -> FrameGrid:
    window = torch.nn.functional.pad(torch.hann_window(win), (0, -win % hop))
    return FrameGrid(8000.0, hop, win, win * oversampling, window)


def resynthesise(grid: FrameGrid, signal: torch.Tensor, frames: int) -> torch.Tensor:
    """Transform a signal, transform its spectra back, and overlap-add them."""
    spectra = grid.analyse(grid.frames(grid.pad(signal, frames)))
    return grid.signal(grid.synthesise(spectra) * grid.normaliser(frames), frames)


@settings(max_examples=60, deadline=None)
@given(
    hop=st.integers(1, 40),
    ratio=st.floats(2, 9),
    oversampling=st.integers(1, 2),
    more=st.integers(0, 20),
    batch=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_overlap_add_is_the_identity(
    hop: int, ratio: float, oversampling: int, more: int, batch: int, seed: int
) -> None:
    grid = grid_of(hop, math.ceil(hop * ratio), oversampling)
    frames = grid.overlap + 2 + more
    signal = torch.randn(batch, (frames - 1) * hop, generator=torch.Generator().manual_seed(seed))
    np.testing.assert_allclose(
        resynthesise(grid, signal, frames).numpy(), signal.numpy(), rtol=0, atol=2e-5, equal_nan=False
    )


@pytest.mark.parametrize(("hop", "win"), [(10, 100), (7, 64), (16, 32), (10, 95)])
@pytest.mark.parametrize("oversampling", [1, 2])
def test_spectra_equal_those_of_torch(hop: int, win: int, oversampling: int) -> None:
    grid = grid_of(hop, win, oversampling)
    frames = 40
    signal = torch.randn(2, (frames - 1) * hop, generator=torch.Generator().manual_seed(1))
    ours = grid.analyse(grid.frames(grid.pad(signal, frames)))
    padded = torch.nn.functional.pad(signal, (win // 2, win - win // 2), mode="reflect")
    theirs = torch.stft(padded, win, hop, window=torch.hann_window(win), center=False, return_complex=True).transpose(
        1, 2
    )
    # The last frame's window reaches one sample past the range that both mirror equally.
    assert ours[:, : frames - 1, ::oversampling][..., : theirs.shape[-1]].abs().numpy() == pytest.approx(
        theirs[:, : frames - 1].abs().numpy(), abs=1e-4
    )


@settings(max_examples=60, deadline=None)
@given(hop=st.integers(1, 40), ratio=st.floats(6, 12), more=st.integers(0, 20), data=st.data())
def test_every_nth_frame_gives_the_same_signal(hop: int, ratio: float, more: int, data: st.DataObject) -> None:
    grid = grid_of(hop, math.ceil(hop * ratio), data.draw(st.integers(1, 2)))
    step = data.draw(st.integers(1, grid.overlap // 3))
    offset, frames = data.draw(st.integers(0, step - 1)), grid.overlap + 2 + more
    signal = torch.randn(2, (frames - 1) * hop, generator=torch.Generator().manual_seed(more))
    spectra = grid.analyse(grid.frames(grid.pad(signal, frames))[:, offset::step])
    sums = grid.synthesise(spectra, step=step).view(2, -1)
    padded = grid.empty(2, frames)
    here = padded.view(2, -1)[:, offset * hop :][:, : sums.shape[1]]
    here += sums[:, : here.shape[1]]
    again = grid.signal(padded * grid.normaliser(frames, step, offset), frames)
    np.testing.assert_allclose(again.numpy(), signal.numpy(), rtol=0, atol=1e-4, equal_nan=False)


def test_overlap_add_in_parts_equals_the_whole() -> None:
    grid = grid_of(10, 64, 2)
    frames = 30
    spectra = torch.randn(1, frames, grid.bins, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    whole, parts = grid.synthesise(spectra), grid.empty(1, frames)
    for start in range(0, frames, 7):
        part = grid.synthesise(spectra[:, start : start + 7])
        parts[:, start : start + part.shape[1]] += part
    np.testing.assert_allclose(parts.numpy(), whole.numpy(), rtol=0, atol=1e-5, equal_nan=False)


@pytest.mark.parametrize("win", [95, 100])
@pytest.mark.parametrize("oversampling", [1, 2])
def test_reused_buffers_do_not_change_the_result(win: int, oversampling: int) -> None:
    grid = grid_of(10, win, oversampling)
    buffer, windowed = grid.new_buffer(2, 8), torch.zeros(2, 8, grid.n_fft)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        spectra = torch.randn(2, 8, grid.bins, dtype=torch.complex64, generator=generator)
        fresh = grid.synthesise(spectra)
        assert torch.equal(grid.synthesise(spectra, buffer), fresh)
        frames = torch.randn(2, 8, grid.overlap * 10, generator=generator)
        assert torch.equal(grid.analyse(frames, buffer=windowed, out=torch.empty_like(spectra)), grid.analyse(frames))


def test_the_padding_mirrors_the_signal() -> None:
    grid = grid_of(10, 60, 1)
    frames = 20
    signal = torch.arange(190.0)[None]
    flat = grid.pad(signal, frames).view(-1)
    expected = np.pad(signal[0].numpy(), 30, mode="reflect")
    assert np.array_equal(flat[: len(expected)].numpy(), expected)
    assert torch.equal(grid.signal(grid.pad(signal, frames), frames), signal)


def test_normaliser_is_zero_in_the_padding() -> None:
    grid = grid_of(10, 60, 1)
    flat = grid.normaliser(20).view(-1)
    assert not flat[:30].any()
    assert not flat[30 + 190 :].any()
    assert bool((flat[30 : 30 + 190] > 0).all())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("riffusion-v1", 21000), ("20khz-stereo", 42000)],
)
def test_working_rates_of_the_presets_are_known(name: str, expected: int) -> None:
    up, down = working_rate(PRESETS[name])
    assert 44100 * up / down == expected


@settings(max_examples=200, deadline=None)
@given(
    rate=st.sampled_from([8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000]),
    step=st.floats(1, 20),
    ratio=st.floats(2, 10),
    highest=st.integers(100, 4000),
    longer=st.integers(1, 2),
)
def test_working_rate_keeps_its_invariants(rate: int, step: float, ratio: float, highest: int, longer: int) -> None:
    params = SpectrogramParams(
        sample_rate=rate, step_size_ms=step, window_duration_ms=ratio * step, padded_duration_ms=ratio * step,
        max_frequency=highest,
    )  # fmt: skip
    up, down = working_rate(params)
    assert 1 <= up <= down
    assert params.hop_length * up % down == params.win_length * up % down == 0
    assert (up, down) == (1, 1) or rate * up / down >= 2.1 * highest * (1 - 1e-9)
    grid = frame_grid(params, longer, CPU)
    assert grid.hop_length * down == params.hop_length * up
    assert grid.window.shape[0] == grid.overlap * grid.hop_length >= grid.win_length
    assert grid.n_fft == longer * grid.win_length
    assert grid.spacing * grid.n_fft == pytest.approx(rate * up / down)
    assert grid.spacing * (grid.bins - 1) >= highest - grid.spacing


def test_frame_grid_is_cached_and_immutable() -> None:
    grid = frame_grid(SpectrogramParams(), 1, CPU)
    assert frame_grid(SpectrogramParams(), 1, CPU) is grid
    assert replace(grid, n_fft=1).n_fft == 1
    with pytest.raises(AttributeError):
        grid.n_fft = 1  # type: ignore[misc]
