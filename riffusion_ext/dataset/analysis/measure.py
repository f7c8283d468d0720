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
from riffusion_ext.dataset.analysis.transitions import FineChange, SpectralChange
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.encode import mel_pieces

__all__ = ["BANDS", "SongMeasure", "measure_song", "mel_of_song"]

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
    peak, energy : np.ndarray [shape=(T,), float32]
        Largest absolute sample and mean square of a column's samples; full scale is 1.
    clipped : np.ndarray [shape=(T,), float32]
        Share of the samples in runs of three or more at the file's own limit.
    flat : np.ndarray [shape=(T,), float32]
        Share of the samples that equal the one before.
    offset : np.ndarray [shape=(T,), float32]
        Mean of the samples.
    chroma : np.ndarray [shape=(12,), float64]
        Energy of the pitch classes from C on.
    loudness
        Integrated, in LUFS (ITU-R BS.1770-4); -inf for silence.
    black
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
    peak: _Array
    energy: _Array
    clipped: _Array
    flat: _Array
    offset: _Array
    chroma: npt.NDArray[np.float64]
    loudness: float
    black: float
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
        Parameters of the pictures: columns are ``hop_length`` long.
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
    listener = _Listener(params.hop_length / params.sample_rate)
    sketches: list[npt.NDArray[np.float16]] = []
    chroma, black, columns = np.zeros(12), 0.0, 0
    change = SpectralChange()
    # One block: the system gives memory as it is written to, and has all of it back where a song turns out too long.
    # Pieces would leave holes behind.
    kept: _Array | None = np.empty((params.channels, keep_columns, params.num_frequencies), np.float32)
    for mel in _mel(listener.pass_on(read_pieces(path)), params, tick):
        mono = mel.mean(axis=0)
        sketches.append(_sketch(mono, params))
        change.add(mono)
        chroma += chroma_of_mel(mono, params)
        black = max(black, float(mel.max()))
        columns += mel.shape[1]
        if columns > keep_columns:
            kept = None
        elif kept is not None:
            kept[:, columns - mel.shape[1] : columns] = mel
    measure = listener.result(np.concatenate(sketches), chroma, black, change.finish())
    return measure, None if kept is None else kept[:, :columns]


def mel_of_song(path: Path, params: SpectrogramParams, tick: Tick = _no_tick) -> Iterator[_Array]:
    """Mel magnitudes of a song [C, t, n_mels], piece by piece, in 16-bit sample units; as for :func:`measure_song`."""
    return _mel(read_pieces(path), params, tick)


def _mel(pieces: Iterable[AudioClip], params: SpectrogramParams, tick: Tick) -> Iterator[_Array]:
    def ticking() -> Iterator[AudioClip]:
        for piece in pieces:
            tick()
            yield piece

    fitted = fit_pieces(ticking(), params.sample_rate, params.channels)
    return mel_pieces((piece * np.float32(_FULL_SCALE) for piece in fitted), params)


class _Listener:
    """Learns what the samples themselves say while they pass."""

    def __init__(self, column_seconds: float) -> None:
        self._column_seconds = column_seconds
        self._samples = 0
        self._stats: ColumnStats | None = None
        self._loudness: Loudness | None = None
        self._format = (0, 0)
        self._notes: tuple[str, ...] = ()

    def pass_on(self, pieces: Iterable[AudioClip]) -> Iterator[AudioClip]:
        for piece in pieces:
            if self._stats is None or self._loudness is None:
                self._format = (piece.sample_rate, piece.channels)
                self._stats = ColumnStats(piece.sample_rate, self._column_seconds)
                self._loudness = Loudness(piece.sample_rate, piece.channels)
            self._samples += piece.samples.shape[1]
            self._notes = piece.notes
            self._stats.add(piece.samples)
            self._loudness.add(piece.samples)
            yield piece

    def result(
        self, sketch: npt.NDArray[np.float16], chroma: npt.NDArray[np.float64], black: float, change: FineChange
    ) -> SongMeasure:
        assert self._stats is not None  # there was a piece, else reading had failed
        assert self._loudness is not None
        sample_rate, channels = self._format
        return SongMeasure(
            sample_rate=sample_rate,
            channels=channels,
            duration=self._samples / sample_rate,
            sketch=sketch,
            chroma=chroma,
            loudness=self._loudness.integrated(),
            black=black,
            change=change,
            column_seconds=self._column_seconds,
            notes=self._notes,
            **self._stats.finish(len(sketch)),
        )


def _sketch(mel: _Array, params: SpectrogramParams) -> npt.NDArray[np.float16]:
    """Levels of 32 bands [t, 32] of mel magnitudes [t, n_mels], in dB over a full-scale sine's strongest bin."""
    edges = np.linspace(0, mel.shape[1], BANDS + 1).astype(int)[:-1]
    energy = np.maximum.reduceat(mel, edges, axis=1)
    # A full-scale sine puts this into its strongest bin: half the sum of the window, which is half its length.
    full = _FULL_SCALE * params.win_length / 4
    return np.maximum(20 * np.log10(np.maximum(energy / full, 1e-7)), _FLOOR_DB).astype(np.float16)
