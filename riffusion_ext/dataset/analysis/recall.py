"""Recall: how much of the music is heard again, which distinguishes a cut from a stop, a fill, or another cymbal.

Music repeats. After a stop the same band plays on, after a bar of crash cymbals comes one of the hi-hat and then
another of the crash, and a chord returns. Nothing of an unrelated piece was heard before, and after it begins, nothing
of the previous piece is heard again::

    <----------------- memory, 30 s ----------------->t<- side, 2.4 s ->         fresh
                                    <- side, 2.4 s ->t<----------------- memory, 30 s ----------------->   gone

Each frame of a side is compared with all frames of the memory on the other side, by the correlation of their partials,
and the most similar one counts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Recall", "partials"]

_Array = npt.NDArray[np.float32]

_PER_FRAME = 2  # blocks of four columns: 80 ms
_SIDE_FRAMES, _MEMORY_FRAMES = 30, 375  # frames
_CHUNK = 128  # frames processed at once; fixed, so that rounding does not depend on the pieces
_LOUDNESS_FRAMES = 12  # frames to each side in which the loudest band is the reference
_SOFT = 0.316  # added to magnitudes ** 0.25 relative to that band: 40 dB below it hardly counts
_SMOOTH = 16  # of 512 bands, to each side; broader structures are not partials
_MIN_ENERGY = 30.0  # dB^2, summed over the bands: weaker patterns are silence


def partials(levels: _Array) -> _Array:
    """Return levels [n, bands] less their mean over the neighbouring bands; at the edges over the existing ones."""
    bands = levels.shape[1]
    reach = max(1, round(_SMOOTH * bands / 512))
    total = np.concatenate([np.zeros((len(levels), 1)), np.cumsum(levels, axis=1, dtype=np.float64)], axis=1)
    low, high = np.maximum(np.arange(bands) - reach, 0), np.minimum(np.arange(bands) + reach + 1, bands)
    return levels - ((total[:, high] - total[:, low]) / (high - low)).astype(np.float32)


class Recall:
    """Measure how much of a song is heard again, while it is streamed in pieces."""

    def __init__(self) -> None:
        self._count = 0  # number of blocks so far
        self._rest: _Array | None = None  # a block that does not fill a frame yet
        self._frames: _Array | None = None  # frames without a pattern, and those around the first of them
        self._patterns: _Array | None = None  # patterns from frame `_first` on
        self._first = -_MEMORY_FRAMES
        self._lead = 0  # number of `_frames` that have a pattern
        self._known = 0  # number of patterns so far
        self._found: list[_Array] = []

    def add(self, blocks: _Array) -> None:
        """Add the next spectra [n, bands] of four columns each, magnitudes ** 0.25."""
        self._count += len(blocks)
        if self._rest is not None:
            blocks = np.concatenate([self._rest, blocks])
        whole = len(blocks) // _PER_FRAME * _PER_FRAME
        self._rest = blocks[whole:].copy()
        frames = blocks[:whole].reshape(-1, _PER_FRAME, blocks.shape[1]).mean(axis=1)
        self._frames = frames if self._frames is None else np.concatenate([self._frames, frames])
        self._add_patterns(len(self._frames) - _LOUDNESS_FRAMES)
        self._compare_until(self._known - _MEMORY_FRAMES)

    def finish(self) -> _Array:
        """Return how little of what follows was heard before, and of what came before is heard after: [2, blocks].

        0 if all of it is heard again unchanged, 1 if nothing is. The first and the last block lack a side, and have 0.
        """
        found = np.zeros((2, self._count), np.float32)
        if self._frames is not None:
            self._add_patterns(len(self._frames))
            self._compare_until(self._known)
            values = np.concatenate([*self._found, np.zeros((2, 1), np.float32)], axis=1)
            at = np.minimum((np.arange(self._count) + 1) // _PER_FRAME, self._known)
            found[:] = values[:, np.minimum(at, values.shape[1] - 1)]
            found[:, at == 0] = 0.0
            found[:, at >= self._known] = 0.0
        return found

    def _add_patterns(self, stop: int) -> None:
        """Convert the held frames before `stop` to patterns of unit length."""
        assert self._frames is not None
        if self._patterns is None:
            self._patterns = np.zeros((_MEMORY_FRAMES, self._frames.shape[1]), np.float32)  # silence before the song
        if stop <= self._lead:
            return
        loudest = np.pad(self._frames.max(axis=1), _LOUDNESS_FRAMES)
        around = np.lib.stride_tricks.sliding_window_view(loudest, 2 * _LOUDNESS_FRAMES + 1).max(axis=1)[
            self._lead : stop
        ]
        levels = 80.0 * np.log10(self._frames[self._lead : stop] / (around[:, None] + 1e-9) + np.float32(_SOFT))
        shapes = partials(levels)
        shapes /= np.sqrt((shapes**2).sum(axis=1, keepdims=True) + _MIN_ENERGY)
        self._patterns = np.concatenate([self._patterns, shapes.astype(np.float32)])
        self._known += len(shapes)
        keep = max(stop - _LOUDNESS_FRAMES, 0)
        self._frames, self._lead = self._frames[keep:].copy(), stop - keep

    def _compare_until(self, stop: int) -> None:
        """Compare the sides of all frames before `stop`, in whole chunks until the song ends."""
        assert self._patterns is not None
        begin = self._first + _MEMORY_FRAMES
        while begin + _CHUNK <= stop or (stop == self._known and begin < stop):
            held = self._patterns[begin - _MEMORY_FRAMES - self._first :][: _CHUNK + 2 * _MEMORY_FRAMES]
            padded = np.pad(held, ((0, _CHUNK + 2 * _MEMORY_FRAMES - len(held)), (0, 0)))
            first = min(begin, _MEMORY_FRAMES)  # frames before the chunk that belong to the song
            after = min(self._known - begin, _CHUNK + _MEMORY_FRAMES)
            self._found.append(_compare(padded, first, after)[:, : min(_CHUNK, self._known - begin)])
            begin += _CHUNK
        self._patterns = self._patterns[begin - _MEMORY_FRAMES - self._first :].copy()
        self._first = begin - _MEMORY_FRAMES


def _compare(patterns: _Array, before: int, after: int) -> _Array:
    """Compare the sides of each frame of a chunk with the memories before and after it: [2, chunk].

    `before` frames ahead of the chunk and `after` frames from its first one on belong to the song.
    """
    rows = slice(_MEMORY_FRAMES - _SIDE_FRAMES, _MEMORY_FRAMES + _CHUNK + _SIDE_FRAMES)
    best = _largest_in_runs(patterns[rows] @ patterns.T, _MEMORY_FRAMES)  # over the memory that begins at each frame
    frame, step = np.arange(_CHUNK), np.arange(1, _SIDE_FRAMES)[:, None]
    found = np.zeros((2, _CHUNK), np.float32)
    for side, at, memory in ((0, frame + step, frame), (1, frame - 1 - step, frame + _MEMORY_FRAMES)):
        inside = (at >= -before) & (at < after)
        likeness = best[np.where(inside, at, 0) + _SIDE_FRAMES, memory]
        found[side] = np.where(inside, 1.0 - likeness, 0.0).sum(axis=0) / np.maximum(inside.sum(axis=0), 1)
    remembered = np.stack([frame + before, after - frame])  # frames; too few near the ends of a song
    return found * np.minimum(remembered / _SIDE_FRAMES, 1.0).astype(np.float32)


def _largest_in_runs(values: _Array, length: int) -> _Array:
    """Return the running maximum over `length` values of [n, m]: [n, m - length + 1]."""
    count, width = values.shape[1] - length + 1, 1
    while 2 * width <= length:
        values = np.maximum(values[:, :-width], values[:, width:])
        width *= 2
    return np.maximum(values[:, :count], values[:, length - width :][:, :count])
