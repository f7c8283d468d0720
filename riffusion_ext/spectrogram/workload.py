"""Workload estimates of encoding and decoding images; see :mod:`riffusion_ext.audio.workload`.

::

    encode    samples --STFT--> mel [C, T, n_mels] --> image [n_mels, T]      all of mel is in memory
    decode    image --> mel, block by block --> waveform [C, T * hop]         all samples are in memory, in a few copies
"""

from __future__ import annotations

import math

from riffusion_ext.audio.workload import FLOAT, Workload, format_seconds
from riffusion_ext.params import SpectrogramParams

__all__ = ["MAX_WHOLE_SAMPLES", "decode_workload", "encode_workload"]

MAX_WHOLE_SAMPLES = 1 << 25
"""Most samples, in all channels, for which a sound is encoded as a whole: six minutes in stereo."""

_WHOLE_COPIES = 5
"""Copies of such a sound in memory."""

_STRIP_RATIO = 4
"""Size of the whole mel matrix relative to its dense strips, at least."""

_BLOCK_BYTES = 128 << 20
"""Bytes of work buffers of constant size, and of the pieces of a long sound."""

_CELL_BYTES = 150
"""Bytes for a cell of a block during phase reconstruction."""

_SOUND_COPIES = 5
"""Copies of a waveform in memory: reconstructed, resampled, levelled in two steps, encoded."""

_PIXEL_BYTES = 32
"""Bytes for a pixel while an image is read: as stored, as RGB, and for the stereo detection."""

_ITERATIONS = {"fast": 8, "best": 48}
_REFERENCE_CELL_BYTES = 48  # bytes for a bin of the original's FFT


def encode_workload(params: SpectrogramParams, seconds: float) -> Workload:
    """Estimate encoding a sound as one or several images.

    Parameters
    ----------
    params
        Parameters of the images.
    seconds
        Duration of the sound.
    """
    samples = math.ceil(seconds * params.sample_rate)
    columns, channels, height = params.columns_of_samples(samples), params.channels, params.num_frequencies
    cells = columns * channels * height
    memory = FLOAT * cells + 6 * columns * height
    memory += _WHOLE_COPIES * FLOAT * min(samples * channels, MAX_WHOLE_SAMPLES)
    memory += _stft_bytes(params) + _filter_bytes(params, params.n_fft // 2 + 1)
    what = f"drawing {format_seconds(seconds)} of sound as {columns:,} columns of {height} rows"
    products = columns * channels * (_fft_products(params.n_fft) + _mel_products(params, params.n_fft))
    return Workload(what, memory, products)


def decode_workload(
    params: SpectrogramParams, columns: int, *, images: int = 1, engine: str = "fast", pixels: int = 0, factor: int = 1
) -> Workload:
    """Estimate decoding columns to sound.

    Parameters
    ----------
    params
        Parameters of the image; ``num_frequencies`` is its height.
    columns
        Width of an image, or of all tiles of a song.
    images
        Number of images of this width in the batch.
    engine
        As in :class:`~riffusion_ext.spectrogram.settings.DecodeSettings`.
    pixels
        Pixels of an image that must be read first.
    factor
        Samples of the sound for each reconstructed sample: 2 or more if the bandwidth extension raises the sample rate.
    """
    from riffusion_ext.spectrogram.inversion.blocks import block_frames
    from riffusion_ext.spectrogram.stft import working_rate

    up, down = working_rate(params)
    window = params.win_length * up // down
    samples = params.samples_of_columns(columns) * params.channels * images
    frames = min(columns, block_frames(params)) * params.channels * images
    what = (
        f"turning {columns:,} columns into {format_seconds(columns * params.hop_length / params.sample_rate)} of sound"
    )
    what += f" at {params.sample_rate} Hz" + (f", {images} times" if images > 1 else "")
    memory = _SOUND_COPIES * FLOAT * samples * factor + _PIXEL_BYTES * pixels + _stft_bytes(params)
    if engine == "reference":
        cells = columns * params.channels * images * (params.n_fft // 2 + 1)
        return Workload(what, memory + _REFERENCE_CELL_BYTES * cells, 200 * cells * 40)
    memory += frames * (_CELL_BYTES * (window + 1) + 24 * params.num_frequencies) + _filter_bytes(params, window + 1)
    iteration = 2 * _fft_products(2 * window) + 2 * _mel_products(params, 2 * window)
    return Workload(what, memory, samples // params.hop_length * iteration * _ITERATIONS[engine])


def _stft_bytes(params: SpectrogramParams) -> int:
    """Return the bytes for the blocks of an STFT and a piece of its samples."""
    return _BLOCK_BYTES + 8 * FLOAT * params.channels * (params.n_fft + 2 * params.win_length)


def _filter_bytes(params: SpectrogramParams, bins: int) -> int:
    """Return the bytes for the mel filters and their inverse, and for computing them."""
    return 2 * FLOAT * bins * params.num_frequencies // _STRIP_RATIO + 600 * (bins + params.n_fft)


def _fft_products(length: int) -> int:
    return math.ceil(2.5 * length * math.log2(length))


def _mel_products(params: SpectrogramParams, length: int) -> int:
    return (length // 2 + 1) * params.num_frequencies // _STRIP_RATIO
