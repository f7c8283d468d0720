"""Convert between float and integer samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["decode", "quantize"]


def quantize(samples: npt.NDArray[np.float32], bits: int) -> npt.NDArray[np.int32]:
    """Round float samples to integers, clipping at full scale.

    Parameters
    ----------
    samples : np.ndarray [dtype=float32]
        Full scale ±1.0.
    bits
        16 or 24.

    Returns
    -------
    np.ndarray [same shape, dtype=int32]
        ``-2 ** (bits - 1)`` to ``2 ** (bits - 1) - 1``. The scale is the power of two that :func:`decode` divides by,
        so reading and rewriting a file is lossless.
    """
    full = 2 ** (bits - 1)  # both limits are exact in float32 up to 24 bits
    scaled = samples * np.float32(full)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -full, full - 1, out=scaled)
    return scaled.astype(np.int32)


def decode(raw: bytes, *, width: int, is_float: bool) -> npt.NDArray[np.float32]:
    """Convert little-endian sample data to floats.

    Parameters
    ----------
    raw
        A whole number of samples.
    width
        Bytes of a sample: 1 (unsigned), 2, 3 or 4 for integers; 4 or 8 for floats.
    is_float
        Whether the samples are IEEE floats.

    Returns
    -------
    np.ndarray [shape=(samples,), dtype=float32]
        Full scale ±1.0.
    """
    if is_float:
        with np.errstate(over="ignore"):  # a double out of range becomes infinity, which is repaired or refused later
            return np.frombuffer(raw, f"<f{width}").astype(np.float32)
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:
        # In the upper 24 of 32 bits, the sign bit is in the right place.
        padded = np.zeros((len(raw) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        raw, width = padded.tobytes(), 4
    return np.frombuffer(raw, f"<i{width}").astype(np.float32) * np.float32(2.0 ** (1 - 8 * width))
