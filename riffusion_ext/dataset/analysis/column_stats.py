"""A few numbers about the samples of every column, gathered while a song goes by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ColumnStats"]

_LOUD = 0.5  # a limit below that is none: a run of equal samples there is a square wave, or silence
_AT_LIMIT = 0.98

_Array = npt.NDArray[np.float32]


class ColumnStats:
    """Peak, energy, offset, clipping and standstill of each column of a song.

    Parameters
    ----------
    sample_rate
        Of the samples, in Hz.
    seconds
        Length of a column. Columns begin at whole multiples of it, at the sample that comes next.
    """

    def __init__(self, sample_rate: int, seconds: float) -> None:
        self._per_column = sample_rate * seconds
        self._held: _Array | None = None  # [C, n]: `lead` samples of the column before, then what was not counted
        self._lead = 0
        self._start = 0  # number of the first sample that was not counted
        self._columns = 0
        self._parts: list[_Array] = []

    def add(self, samples: _Array) -> None:
        """Take the next samples [C, n]."""
        held = samples if self._held is None else np.concatenate([self._held, samples], axis=1)
        last = int((self._start + held.shape[1] - self._lead) / self._per_column + 1e-9)
        if last > self._columns:
            numbers = np.arange(self._columns, last + 1)
            edges = np.ceil(numbers * self._per_column - 1e-6).astype(np.int64) - self._start + self._lead
            stop = int(edges[-1])
            self._parts.append(_numbers(held[:, :stop], edges[:-1], np.diff(edges)))
            held = np.ascontiguousarray(held[:, stop - 1 :])
            self._start += stop - self._lead
            self._columns, self._lead = last, 1
        self._held = held

    def finish(self, columns: int) -> dict[str, _Array]:
        """Return ``peak``, ``energy``, ``offset``, ``clipped`` and ``flat``, each [columns].

        Columns past the last sample repeat the last one's.
        """
        rest = 0 if self._held is None else self._held.shape[1] - self._lead  # samples of a column that is not full
        if self._held is not None and rest:
            self._parts.append(_numbers(self._held, np.array([self._lead]), np.array([rest])))
        table = np.concatenate(self._parts, axis=1) if self._parts else np.zeros((6, 1), np.float32)
        table = np.pad(table, ((0, 0), (0, max(columns - table.shape[1], 0))), mode="edge")[:, :columns]
        peak, energy, offset, runs, plateau, flat = table
        limit = max(_LOUD, _AT_LIMIT * float(peak.max(initial=0.0)))
        return {
            "peak": peak,
            "energy": energy,
            "offset": offset,
            "clipped": np.where(plateau >= limit, runs, np.float32(0.0)),
            "flat": flat,
        }


def _numbers(samples: _Array, starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> _Array:
    """Six numbers [6, n] of columns that begin at `starts` in `samples` [C, S] and are `counts` long."""
    size = np.abs(samples)
    same = np.zeros(samples.shape, bool)
    same[:, 1:] = samples[:, 1:] == samples[:, :-1]
    run = same & np.roll(same, 1, axis=1)  # the third and later samples of a run; the first two are added by the shifts
    run[:, :-1] |= run[:, 1:]
    run[:, :-1] |= run[:, 1:]
    run &= size >= _LOUD

    def over(values: npt.NDArray[np.generic], reduce: np.ufunc = np.add) -> _Array:
        return reduce.reduceat(values, starts, axis=1).astype(np.float32)

    return np.stack(
        [
            over(size, np.maximum).max(axis=0),
            (over(np.square(samples, dtype=np.float64)) / counts).mean(axis=0),
            (over(samples.astype(np.float64)) / counts).mean(axis=0),
            (over(run.astype(np.int32)) / counts).max(axis=0),
            over(np.where(run, size, np.float32(0.0)), np.maximum).max(axis=0),
            (over(same.all(axis=0, keepdims=True).astype(np.int32)) / counts).max(axis=0),
        ]
    ).astype(np.float32)
