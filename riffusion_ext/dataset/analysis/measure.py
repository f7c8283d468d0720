"""Measure a song before it is sliced: everything that later steps need, in one pass over the file.

Memory grows only by a few numbers for each 10 ms: about 100 MB for three hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from riffusion_ext.analysis.key import chroma_of_mel
from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.fit import fit_pieces
from riffusion_ext.audio.loudness import Loudness
from riffusion_ext.audio.stream import read_pieces
from riffusion_ext.dataset.analysis.column_stats import ColumnStats
from riffusion_ext.dataset.analysis.shown_energy import LOWEST_HZ, ShownEnergy
from riffusion_ext.dataset.analysis.transitions import FineChange, SpectralChange
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.params.mel_scale import band_corners
from riffusion_ext.spectrogram.encode import mel_pieces

__all__ = ["BANDS", "SongMeasure", "measure_song", "mel_of_song", "sketch_of"]

BANDS = 32
"""Number of bands of the sketch."""

_FULL_SCALE = 32768.0
_FLOOR_DB = -120.0
_Array = npt.NDArray[np.float32]
Tick = Callable[[], None]


def _no_tick() -> None:
    """Do nothing."""


@dataclass(frozen=True, eq=False)
class SongMeasure:
    """Measurements of a song of T columns.

    Attributes
    ----------
    sample_rate, channels
        Properties of the file.
    duration
        Duration in seconds.
    sketch : np.ndarray [shape=(T, 32), float16]
        Level of the strongest of 16 neighbouring mel rows, lowest first, in dB. A full-scale sine reads 4 in the lowest
        bands and up to 17 in the highest, whose rows are wider. Rows below 20 Hz, which hold the DC offset, are left
        out.
    low : np.ndarray [shape=(T,), float16]
        Level of the strongest of those rows, in dB; -120 if there are none.
    peak : np.ndarray [shape=(T,), float32]
        Largest absolute sample of the file; full scale is 1.
    energy : np.ndarray [shape=(T,), float32]
        Mean square of what the image shows: mixed to its channels, without DC offset, within its frequency range.
    file_energy, mixed_energy : np.ndarray [shape=(T,), float32]
        Mean square of the file's own samples, and of those mixed to the channels of the image.
    clipped : np.ndarray [shape=(T,), float32]
        Fraction of the file's samples that are clipped at its own limit.
    still : np.ndarray [shape=(T,), bool]
        Whether the mixed samples are constant.
    last_step, min_step : np.ndarray [shape=(T,), float32]
        Last and smallest nonzero difference between consecutive mixed samples; 0 and infinity if there is none.
    chroma : np.ndarray [shape=(12,), float64]
        Strength of the pitch classes, C first.
    loudness
        Integrated loudness in LUFS (ITU-R BS.1770-4); -inf for silence.
    max_value
        Largest mel magnitude.
    change
        Change of the partials around every fourth column.
    column_seconds
        Duration of a column.
    notes
        Sentences about repaired samples.
    """

    sample_rate: int
    channels: int
    duration: float
    sketch: npt.NDArray[np.float16]
    low: npt.NDArray[np.float16]
    peak: _Array
    energy: _Array
    file_energy: _Array
    mixed_energy: _Array
    clipped: _Array
    still: npt.NDArray[np.bool_]
    last_step: _Array
    min_step: _Array
    chroma: npt.NDArray[np.float64]
    loudness: float
    max_value: float
    change: FineChange
    column_seconds: float
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.sketch)


def measure_song(
    path: Path, params: SpectrogramParams, *, keep_columns: int = 0, tick: Tick = _no_tick
) -> tuple[SongMeasure, _Array | None]:
    """Measure a song in one pass.

    Parameters
    ----------
    path
        Any readable sound file.
    params
        Parameters of the images; a column is ``hop_length`` samples long.
    keep_columns
        Return the mel magnitudes, too, if the song has at most this many columns.
    tick
        Called for each piece of 20 s; may raise to end the work.

    Returns
    -------
    measure
        The measurements.
    mel : np.ndarray [shape=(C, T, n_mels), float32], optional
        What :func:`mel_of_song` would yield, in one piece; None for a longer song.

    Raises
    ------
    AudioError
        The file cannot be read, or not to its end.
    """
    stats = _SampleStats(params)
    sketches: list[npt.NDArray[np.float16]] = []
    lows: list[npt.NDArray[np.float16]] = []
    rows_below = _rows_below(LOWEST_HZ, params)
    chroma, max_value, columns = np.zeros(12), 0.0, 0
    change = SpectralChange()
    # One block: the system commits memory as it is written, and gets all of it back if the song turns out too long.
    # Separate pieces would fragment the heap.
    kept: _Array | None = np.empty((params.channels, keep_columns, params.num_frequencies), np.float32)
    for mel in _mel(stats.measure_file(read_pieces(path)), params, tick, stats.measure_shown):
        mono = mel.mean(axis=0)
        sketches.append(sketch_of(mono, params))
        lows.append(_level(mono[:, :rows_below].max(axis=1, initial=0.0), params))
        change.add(mono)
        chroma += chroma_of_mel(mono, params)
        max_value = max(max_value, float(mel.max()))
        columns += mel.shape[1]
        if columns > keep_columns:
            kept = None
        elif kept is not None:
            kept[:, columns - mel.shape[1] : columns] = mel
    measure = stats.result(np.concatenate(sketches), np.concatenate(lows), chroma, max_value, change.finish())
    return measure, None if kept is None else kept[:, :columns]


def mel_of_song(path: Path, params: SpectrogramParams, tick: Tick = _no_tick) -> Iterator[_Array]:
    """Yield the mel magnitudes of a song [C, t, n_mels], piece by piece, in 16-bit sample units."""
    return _mel(read_pieces(path), params, tick)


def _mel(
    pieces: Iterable[AudioClip],
    params: SpectrogramParams,
    tick: Tick,
    tap: Callable[[Iterator[_Array]], Iterator[_Array]] = iter,
) -> Iterator[_Array]:
    def with_ticks() -> Iterator[AudioClip]:
        for piece in pieces:
            tick()
            yield piece

    fitted = tap(fit_pieces(with_ticks(), params.sample_rate, params.channels))
    return mel_pieces((piece * np.float32(_FULL_SCALE) for piece in fitted), params)


class _SampleStats:
    """Sample-level measurements of a song, taken while its pieces are streamed."""

    def __init__(self, params: SpectrogramParams) -> None:
        self._channels, self._column_seconds = params.channels, params.hop_length / params.sample_rate
        self._samples = 0
        self._stats: ColumnStats | None = None
        self._loudness: Loudness | None = None
        self._shown = ShownEnergy(params)
        self._format = (0, 0)
        self._notes: tuple[str, ...] = ()

    def measure_file(self, pieces: Iterable[AudioClip]) -> Iterator[AudioClip]:
        """Measure the file's pieces, and yield them mixed to the channels of the image."""
        for piece in pieces:
            if self._stats is None or self._loudness is None:
                self._format = (piece.sample_rate, piece.channels)
                self._stats = ColumnStats(piece.sample_rate, self._column_seconds)
                self._loudness = Loudness(piece.sample_rate, piece.channels)
            self._samples += piece.samples.shape[1]
            self._notes = piece.notes
            mixed = piece.to_channels(self._channels)
            self._stats.add(piece.samples, mixed.samples)
            self._loudness.add(piece.samples)
            yield mixed

    def measure_shown(self, pieces: Iterator[_Array]) -> Iterator[_Array]:
        """Measure the samples that the image shows, and yield them unchanged."""
        for samples in pieces:
            self._shown.add(samples)
            yield samples

    def result(
        self,
        sketch: npt.NDArray[np.float16],
        low: npt.NDArray[np.float16],
        chroma: npt.NDArray[np.float64],
        max_value: float,
        change: FineChange,
    ) -> SongMeasure:
        assert self._stats is not None  # reading raises for a file without samples
        assert self._loudness is not None
        sample_rate, channels = self._format
        return SongMeasure(
            sample_rate=sample_rate,
            channels=channels,
            duration=self._samples / sample_rate,
            sketch=sketch,
            low=low,
            energy=self._shown.finish(len(sketch)),
            chroma=chroma,
            loudness=self._loudness.integrated(),
            max_value=max_value,
            change=change,
            column_seconds=self._column_seconds,
            notes=self._notes,
            **self._stats.finish(len(sketch)),
        )


def _rows_below(frequency: float, params: SpectrogramParams) -> int:
    """Count the mel rows whose centre is below a frequency, in Hz."""
    return int((band_corners(params)[1:-1] < frequency).sum())


def sketch_of(mel: _Array, params: SpectrogramParams) -> npt.NDArray[np.float16]:
    """Return the levels of 32 bands.

    Parameters
    ----------
    mel : np.ndarray [shape=(t, n_mels)]
        Mel magnitudes of sound in 16-bit sample units.
    params
        Parameters of the spectrogram.

    Returns
    -------
    np.ndarray [shape=(t, 32)]
        Levels in dB, without the rows below 20 Hz; see :class:`SongMeasure`.
    """
    edges = np.linspace(0, mel.shape[1], BANDS + 1).astype(int)[:-1]
    return _level(np.maximum.reduceat(mel, np.maximum(edges, _rows_below(LOWEST_HZ, params)), axis=1), params)


def _level(mel: _Array, params: SpectrogramParams) -> npt.NDArray[np.float16]:
    """Convert mel magnitudes to dB relative to the strongest bin of a full-scale sine."""
    # Magnitude of a full-scale sine in its strongest bin: half the sum of the window, which is half its length.
    full = _FULL_SCALE * params.win_length / 4
    return np.maximum(20 * np.log10(np.maximum(mel / full, 1e-7)), _FLOOR_DB).astype(np.float16)
