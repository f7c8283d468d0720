"""Sample statistics of every column of a song, computed while it is streamed."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import numpy.typing as npt

from riffusion_ext.dataset.analysis.clipping import REACH, Cuts, find_cuts

__all__ = ["ColumnStats", "ColumnValues"]

_CHUNK = 128  # columns processed together; always the same ones, whatever the sizes of the pieces
_MIN_LIMIT = 0.1  # peaks below this are no clipping limit
_AT_LIMIT = 0.98
_SQUARE_SHARE = 0.75  # a column with a larger fraction at its limits is a square wave with sloping flanks
_FLAT_SHARE = 0.99  # fraction of samples equal to the one before, from which a column is constant
_MIN_POWER = 1e-10  # variance, above which a column is a wave with corners

_Array = npt.NDArray[np.float32]
_Places = npt.NDArray[np.int64]


class ColumnValues(TypedDict):
    """Statistics of the columns, as in :class:`~riffusion_ext.dataset.analysis.measure.SongMeasure`; arrays [T]."""

    peak: _Array
    file_energy: _Array
    mixed_energy: _Array
    clipped: _Array
    still: npt.NDArray[np.bool_]
    last_step: _Array
    min_step: _Array


class ColumnStats:
    """Peak, energy, clipping and constancy of each column of a song, at the file's own sample rate.

    Parameters
    ----------
    sample_rate
        Sample rate in Hz.
    seconds
        Duration of a column. Columns begin at the first sample at or after each multiple of it.
    """

    def __init__(self, sample_rate: int, seconds: float) -> None:
        self._per_column = sample_rate * seconds
        self._held: list[_Array] = []  # the file's samples and the mixed ones, with context already counted
        self._first = 0  # index of the first held sample
        self._columns = 0
        self._parts: list[_Array] = []
        self._cuts: list[Cuts] = []
        self._peaks = np.zeros(0, np.float32)  # of each channel and polarity

    def add(self, samples: _Array, mixed: _Array) -> None:
        """Add the next samples: the file's own [C, n], and those mixed to the channels of the image [c, n]."""
        new = [samples, mixed]
        held = [np.concatenate(pair, axis=1) for pair in zip(self._held, new, strict=True)] if self._held else new
        peaks = np.stack([samples.max(axis=1), -samples.min(axis=1)], axis=1).ravel()
        self._peaks = np.maximum(self._peaks, peaks) if len(self._peaks) else peaks
        self._held, end = held, self._first + held[0].shape[1]
        while int(self._edges(_CHUNK)[-1]) + REACH <= end:
            self._count(self._edges(_CHUNK))
        keep = max(int(self._edges(0)[0]) - REACH - self._first, 0)
        self._held = [np.ascontiguousarray(part[:, keep:]) for part in held]
        self._first += keep

    def finish(self, columns: int) -> ColumnValues:
        """Return ``peak``, ``file_energy``, ``mixed_energy``, ``clipped``, ``still``, ``last_step`` and ``min_step``.

        Each is an array [columns]. Columns past the last sample repeat the last column.
        """
        end = self._first + (self._held[0].shape[1] if self._held else 0)
        while int(self._edges(0)[0]) < end:
            edges = self._edges(_CHUNK)
            whole = edges[edges < end]
            self._count(np.append(whole, min(int(self._edges(len(whole))[-1]), end)))
        table = np.concatenate(self._parts, axis=1) if self._parts else np.zeros((6, 1), np.float32)
        clipped = self._clipped(table.shape[1])
        missing = (0, max(columns - table.shape[1], 0))
        peak, file_energy, mixed_energy, still, last, min_step = np.pad(table, ((0, 0), missing), mode="edge")[
            :, :columns
        ]
        return {
            "peak": peak,
            "file_energy": file_energy,
            "mixed_energy": mixed_energy,
            "clipped": np.pad(clipped, missing, mode="edge")[:columns],
            "still": still > 0,
            "last_step": last,
            "min_step": min_step,
        }

    def _edges(self, columns: int) -> _Places:
        """Return the first samples of the next columns, and the end of the last one."""
        numbers = self._columns + np.arange(columns + 1)
        return np.ceil(numbers * self._per_column - 1e-6).astype(np.int64)

    def _count(self, edges: _Places) -> None:
        """Process the columns between edges, using the samples around them as context."""
        start = max(int(edges[0]) - REACH, self._first) - self._first
        inside = edges - self._first - start
        samples, mixed = (part[:, start : start + int(inside[-1]) + REACH] for part in self._held)
        cuts = find_cuts(samples, inside)
        self._cuts.append(cuts._replace(column=cuts.column + self._columns))
        self._parts.append(_numbers(samples, mixed, inside))
        self._columns += len(edges) - 1

    def _clipped(self, columns: int) -> _Array:
        """Return the fraction of clipped samples of each column, in its worst channel."""
        found = Cuts(*(np.concatenate(parts) for parts in zip(*self._cuts, strict=True))) if self._cuts else None
        share = np.zeros((columns, max(len(self._peaks), 2)), np.float32)
        if found is not None:
            limits = np.maximum(_MIN_LIMIT, _AT_LIMIT * self._peaks)[found.side]
            at_limit = found.level >= limits
            share[found.column[at_limit], found.side[at_limit]] = found.share[at_limit]
        of_channel = share.reshape(columns, -1, 2).sum(axis=2)
        worst: _Array = np.where(of_channel > _SQUARE_SHARE, np.float32(0.0), of_channel).max(axis=1)
        return worst


def _numbers(samples: _Array, mixed: _Array, edges: _Places) -> _Array:
    """Return six statistics [6, n] of the columns between edges [n + 1]."""
    counts = np.diff(edges)

    def reduce_columns(values: npt.NDArray[np.generic], ufunc: np.ufunc = np.add) -> npt.NDArray[np.float64]:
        return ufunc.reduceat(values[:, : int(edges[-1])], edges[:-1], axis=1).astype(np.float64)

    def mean_square(values: _Array) -> npt.NDArray[np.float64]:
        return reduce_columns(np.square(values, dtype=np.float64)) / counts

    steps = np.zeros((1, mixed.shape[1]), np.float32)
    steps[:, 1:] = np.abs(np.diff(mixed, axis=1)).max(axis=0)
    same = steps == 0
    same[:, 0] = False
    squares = mean_square(mixed)
    variance = (squares - np.square(reduce_columns(mixed.astype(np.float64)) / counts)).max(axis=0)
    still = (reduce_columns(same.astype(np.int32))[0] >= _FLAT_SHARE * (counts - (edges[:-1] == 0))) & (
        variance <= _MIN_POWER
    )
    own = squares if samples is mixed else mean_square(samples)
    peak = reduce_columns(np.abs(samples), np.maximum).max(axis=0)
    last = steps[0, reduce_columns(np.where(steps > 0, np.arange(steps.shape[1]), 0), np.maximum)[0].astype(np.int64)]
    min_step = reduce_columns(np.where(steps > 0, steps, np.inf), np.minimum)[0]
    return np.stack([peak, own.mean(axis=0), squares.mean(axis=0), still, last, min_step]).astype(np.float32)
