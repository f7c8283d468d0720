"""What is known about a song before it is cut: everything the later steps look at, in one pass over the file.

Nothing here grows with the song but a few numbers for each 10 ms: three hours are some 100 MB.
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
from riffusion_ext.spectrogram.encode import mel_pieces
from riffusion_ext.spectrogram.mel import hz_to_mel

__all__ = ["BANDS", "SongMeasure", "measure_song", "mel_of_song", "sketch_of"]

BANDS = 32
"""Bands of the sketch."""

_FULL_SCALE = 32768.0
_FLOOR_DB = -120.0
_Array = npt.NDArray[np.float32]
Tick = Callable[[], None]


def _no_tick() -> None:
    """Do nothing."""


@dataclass(frozen=True, eq=False)
class SongMeasure:
    """A song in numbers, T columns long.

    Attributes
    ----------
    sample_rate, channels
        Of the file.
    duration
        In seconds.
    sketch : np.ndarray [shape=(T, 32), float16]
        Level of the strongest of 16 neighbouring mel rows, lowest first, in dB. A full-scale sine reads 4 in the lowest
        bands and up to 17 in the highest, whose rows are wider.
        Rows under 20 Hz are left out: there is the offset.
    low : np.ndarray [shape=(T,), float16]
        Level of the strongest of those rows, likewise; -120 where there are none.
    peak : np.ndarray [shape=(T,), float32]
        Largest absolute sample of the file; full scale is 1.
    energy : np.ndarray [shape=(T,), float32]
        Mean square of what the image shows: mixed to its channels, without offset, in its range of frequencies.
    file_energy, mixed_energy : np.ndarray [shape=(T,), float32]
        Mean square of the file's own samples, and of those mixed to the channels of the image.
    clipped : np.ndarray [shape=(T,), float32]
        Share of the file's samples that were cut off at its own limit.
    still : np.ndarray [shape=(T,), bool]
        Whether the mixed samples are of one value.
    last_step, least_step : np.ndarray [shape=(T,), float32]
        The last change from a mixed sample to the next, and the smallest; 0 and infinity where there is none.
    chroma : np.ndarray [shape=(12,), float64]
        Energy of the pitch classes from C on.
    loudness
        Integrated, in LUFS (ITU-R BS.1770-4); -inf for silence.
    max_value
        Largest mel magnitude.
    change
        How the partials change around every fourth column.
    column_seconds
        Length of a column.
    notes
        Sentences about samples that were repaired.
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
        """Length in columns."""
        return len(self.sketch)


def measure_song(
    path: Path, params: SpectrogramParams, *, keep_columns: int = 0, tick: Tick = _no_tick
) -> tuple[SongMeasure, _Array | None]:
    """Go through a song once.

    Parameters
    ----------
    path
        Any sound file that can be read.
    params
        Parameters of the images: columns are ``hop_length`` long.
    keep_columns
        Keep the mel magnitudes of a song that has no more columns than this.
    tick
        Called after each piece of 20 s. What it raises ends the work.

    Returns
    -------
    measure
        The numbers.
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
    # One block: the system gives memory as it is written to, and has all of it back where a song turns out too long.
    # Pieces would leave holes behind.
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
    """Mel magnitudes of a song [C, t, n_mels], piece by piece, in 16-bit sample units; as for :func:`measure_song`."""
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
    """Learns what the samples themselves say while they pass."""

    def __init__(self, params: SpectrogramParams) -> None:
        self._channels, self._column_seconds = params.channels, params.hop_length / params.sample_rate
        self._samples = 0
        self._stats: ColumnStats | None = None
        self._loudness: Loudness | None = None
        self._shown = ShownEnergy(params)
        self._format = (0, 0)
        self._notes: tuple[str, ...] = ()

    def measure_file(self, pieces: Iterable[AudioClip]) -> Iterator[AudioClip]:
        """Learn from the file's pieces; passes them on mixed."""
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
        """Learn from the samples that are drawn."""
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
        assert self._stats is not None  # there was a piece, else reading had failed
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
    """Count the rows whose middle lies below a frequency, in Hz."""
    lowest, highest = hz_to_mel(params.min_frequency), hz_to_mel(params.max_frequency)
    corners = np.linspace(lowest, highest, params.num_frequencies + 2)
    return int((corners[1:-1] < hz_to_mel(frequency)).sum())


def sketch_of(mel: _Array, params: SpectrogramParams) -> npt.NDArray[np.float16]:
    """Return levels of 32 bands.

    Parameters
    ----------
    mel : np.ndarray [shape=(t, n_mels)]
        Mel magnitudes of sound in 16-bit sample units.
    params
        Their parameters.

    Returns
    -------
    np.ndarray [shape=(t, 32)]
        In dB, without the rows under 20 Hz; see :class:`SongMeasure`.
    """
    edges = np.linspace(0, mel.shape[1], BANDS + 1).astype(int)[:-1]
    return _level(np.maximum.reduceat(mel, np.maximum(edges, _rows_below(LOWEST_HZ, params)), axis=1), params)


def _level(mel: _Array, params: SpectrogramParams) -> npt.NDArray[np.float16]:
    """Mel magnitudes in dB over a full-scale sine's strongest bin."""
    # A full-scale sine puts this into its strongest bin: half the sum of the window, which is half its length.
    full = _FULL_SCALE * params.win_length / 4
    return np.maximum(20 * np.log10(np.maximum(mel / full, 1e-7)), _FLOOR_DB).astype(np.float16)
