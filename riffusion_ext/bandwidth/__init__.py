"""Bandwidth extension: predict the high frequencies that a spectrogram image does not hold.

An image of riffusion-model-v1 ends at 10 kHz. After its waveform has been reconstructed, this stage adds sound from
there to 20 kHz: a small network predicts the spectral envelope, and the octave below supplies the fine structure.
"""

from riffusion_ext.bandwidth.extender import (
    MAX_BLOCKS,
    MAX_CUTOFF,
    MIN_CUTOFF,
    TOP_FREQUENCY,
    BandwidthExtender,
    WeightsError,
    added_from,
    can_extend,
    extend,
    output_rate,
)

__all__ = [
    "MAX_BLOCKS",
    "MAX_CUTOFF",
    "MIN_CUTOFF",
    "TOP_FREQUENCY",
    "BandwidthExtender",
    "WeightsError",
    "added_from",
    "can_extend",
    "extend",
    "output_rate",
]
