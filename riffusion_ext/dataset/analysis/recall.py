"""What of the music is heard again: the one thing that tells a cut from a stop, a fill, or another cymbal.

Music comes back. After a stop the same band plays on, after a bar of crash cymbals comes one of the hi-hat and then
another of the crash, and a chord returns. Of an unrelated piece nothing was heard before, and after it begins nothing
of the former is heard again::

    <----------------- memory, 30 s ----------------->t<- side, 2.4 s ->         fresh
                                    <- side, 2.4 s ->t<----------------- memory, 30 s ----------------->   gone

Each frame of a side is compared with all frames of the memory on the other side, by the correlation of their partials,
and the most alike one counts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Recall", "partials"]

_Array = npt.NDArray[np.float32]

_PER_FRAME = 2  # blocks of four columns: 80 ms
_SIDE, _MEMORY = 30, 375  # frames
_CHUNK = 128  # frames that are worked through at once; always as many, so that rounding does not hang on the pieces
_LOUDNESS_FRAMES = 12  # frames to each side whose loudest band says what is soft
_SOFT = 0.316  # added to magnitudes ** 0.25 relative to that band: what is 40 dB under it hardly counts
_SMOOTH = 16  # of 512 bands, to each side; what is as broad as this is no partial
_MIN_ENERGY = 30.0  # dB^2, summed over the bands: patterns of less are those of silence


def partials(levels: _Array) -> _Array:
    """Levels [n, bands] without their mean over the neighbouring bands, at the edges over those that there are."""
    bands = levels.shape[1]
    reach = max(1, round(_SMOOTH * bands / 512))
    total = np.concatenate([np.zeros((len(levels), 1)), np.cumsum(levels, axis=1, dtype=np.float64)], axis=1)
    low, high = np.maximum(np.arange(bands) - reach, 0), np.minimum(np.arange(bands) + reach + 1, bands)
    return levels - ((total[:, high] - total[:, low]) / (high - low)).astype(np.float32)


class Recall:
    """Measure what is heard again, of a song that comes in pieces."""

    def __init__(self) -> None:
        self._count = 0  # blocks so far
        self._rest: _Array | None = None  # a block that has no frame yet
        self._frames: _Array | None = None  # those without a pattern, and the ones around the first of them
        self._patterns: _Array | None = None  # from `_first` on
        self._first = -_MEMORY
        self._lead = 0  # of `_frames`, how many have their pattern
        self._known = 0  # patterns so far
        self._found: list[_Array] = []

    def add(self, blocks: _Array) -> None:
        """Take the next spectra [n, bands] of four columns each, magnitudes ** 0.25."""
        self._count += len(blocks)
        if self._rest is not None:
            blocks = np.concatenate([self._rest, blocks])
        whole = len(blocks) // _PER_FRAME * _PER_FRAME
        self._rest = blocks[whole:].copy()
        frames = blocks[:whole].reshape(-1, _PER_FRAME, blocks.shape[1]).mean(axis=1)
        self._frames = frames if self._frames is None else np.concatenate([self._frames, frames])
        self._add_patterns(len(self._frames) - _LOUDNESS_FRAMES)
        self._compare_until(self._known - _MEMORY)

    def finish(self) -> _Array:
        """Return how little of what follows was heard before, and of what went before is heard after: [2, blocks].

        0 for what is heard again as it was, 1 for what never is. The first and the last block lack a side, and have 0.
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
        """Turn held frames, up to one of them, into patterns of unit length."""
        assert self._frames is not None
        if self._patterns is None:
            self._patterns = np.zeros((_MEMORY, self._frames.shape[1]), np.float32)  # silence before the song
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
        """Compare the sides of all frames up to one, in whole chunks until the song ends."""
        assert self._patterns is not None
        begin = self._first + _MEMORY
        while begin + _CHUNK <= stop or (stop == self._known and begin < stop):
            have = self._patterns[begin - _MEMORY - self._first :][: _CHUNK + 2 * _MEMORY]
            padded = np.pad(have, ((0, _CHUNK + 2 * _MEMORY - len(have)), (0, 0)))
            first = min(begin, _MEMORY)  # frames of the memory before the chunk that are of the song
            after = min(self._known - begin, _CHUNK + _MEMORY)
            self._found.append(_compare(padded, first, after)[:, : min(_CHUNK, self._known - begin)])
            begin += _CHUNK
        self._patterns = self._patterns[begin - _MEMORY - self._first :].copy()
        self._first = begin - _MEMORY


def _compare(patterns: _Array, before: int, after: int) -> _Array:
    """Compare the sides of each frame of a chunk, which has a memory before it and another after: [2, chunk].

    Of the frames, `before` ahead of the chunk and `after` from its first one on are of the song.
    """
    rows = slice(_MEMORY - _SIDE, _MEMORY + _CHUNK + _SIDE)
    best = _largest_in_runs(patterns[rows] @ patterns.T, _MEMORY)  # of the memory that begins at each frame
    frame, step = np.arange(_CHUNK), np.arange(1, _SIDE)[:, None]
    found = np.zeros((2, _CHUNK), np.float32)
    for side, at, memory in ((0, frame + step, frame), (1, frame - 1 - step, frame + _MEMORY)):
        inside = (at >= -before) & (at < after)
        likeness = best[np.where(inside, at, 0) + _SIDE, memory]
        found[side] = np.where(inside, 1.0 - likeness, 0.0).sum(axis=0) / np.maximum(inside.sum(axis=0), 1)
    remembered = np.stack([frame + before, after - frame])  # frames; near the ends of a song too few to say much
    return found * np.minimum(remembered / _SIDE, 1.0).astype(np.float32)


def _largest_in_runs(values: _Array, length: int) -> _Array:
    """Largest of `length` values from each on [n, m - length + 1]."""
    count, width = values.shape[1] - length + 1, 1
    while 2 * width <= length:
        values = np.maximum(values[:, :-width], values[:, width:])
        width *= 2
    return np.maximum(values[:, :count], values[:, length - width :][:, :count])
