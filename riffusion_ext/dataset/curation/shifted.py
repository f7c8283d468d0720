"""The same recording in two songs, at whatever moment: another file of it, a later start, a piece of it.

Each window's levels are read as words of 30 bits every other column: which bands rise more than their neighbours, now
and a little later (after Haitsma and Kalker 2002, "A highly robust audio fingerprinting system"). Levels, equalisers
and codecs leave most of these bits alone. Two songs that have a word in common have so at an offset, and where many
words agree on one it is looked closer at::

    song A   |....a....b.c......|            words in common: a, b, c
    song B         |....a....b.c......|      all at the same offset: the windows there are compared
                   ^ offset

Then the windows decide, by the levels of what they share, each band without its mean: as a music's time runs on, these
rise and fall alike only if it is the same recording. Words that are in very many windows tell nothing, and are left
out; so no music, however many loops it has, makes this slow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from riffusion_ext.dataset.analysis.levels import BANDS, HOP, decibels, powers

__all__ = ["Shifted", "find_shifted"]

_LAG = 2  # frames over which levels rise or fall: 160 ms
_DETAIL = 4  # words in the time of a frame
_RISE = 1.0  # dB by which a band must rise more than its neighbour
_RANGE_DB = 25.0  # under the mean level of the window, over which levels are looked at
_SAMPLE = 2  # of so many words one is used, the same one everywhere
_MAX_WINDOWS_PER_WORD = 64  # windows that have a word, from which on it tells nothing
_HUBS = 8  # the best windows that have a word are compared with all others that have it
_MAX_PAIRS = 1 << 24  # such pairs; of the words that make more, a part is used
_OFFSET_TOLERANCE = 8  # columns by which offsets may differ that are the same
_MIN_VOTES = 4  # words that must agree on an offset
_MAX_OFFSETS = 24  # of two songs, that are looked closer at
_MAX_SHIFT = 0.55  # of a step, by which two windows may lie apart
_MIN_CHANGE_DB = 1.0  # dB by which levels must change in what is compared, on average
_WORDS_BATCH, _PAIRS_BATCH = 1024, 1024  # windows


@dataclass(frozen=True, eq=False)
class Shifted:
    """Pairs of windows that hold the same recording, each pair in both directions, in rising order.

    Attributes
    ----------
    one, other : np.ndarray [shape=(P,), int]
        Numbers of the windows.
    later : np.ndarray [shape=(P,), int]
        Columns by which the other window begins later in the recording.
    """

    one: np.ndarray
    other: np.ndarray
    later: np.ndarray

    def of(self, one: int, other: int) -> int | None:
        """Return by how many columns the other window begins later; None for no pair."""
        start, stop = np.searchsorted(self.one, [one, one + 1])
        place = np.flatnonzero(self.other[start:stop] == other)
        return int(self.later[start + place[0]]) if len(place) else None


def find_shifted(
    levels: np.ndarray,
    quality: np.ndarray,
    song: np.ndarray,
    first_column: np.ndarray,
    step: int,
    limit: float,
) -> Shifted:
    """Find windows of different songs that hold the same recording, for the most part.

    Parameters
    ----------
    levels : np.ndarray [shape=(N, F, 16), uint8]
        As of :func:`~riffusion_ext.dataset.analysis.levels.window_levels`.
    quality : np.ndarray [shape=(N,)]
        Where very many windows are alike, the best are compared with the others.
    song, first_column : np.ndarray [shape=(N,), int]
        Song of each window, and where in it the window begins.
    step
        Columns from a window to the next. Windows of one recording are a pair if they are no more than 0.55 of it
        apart: a window that was cut elsewhere has one or two such partners in the other song, and not more.
    limit
        Largest distance of what they share, 0 to 2. Copies were up to 0.4 apart, other music 0.8 and more.
    """
    songs, song = np.unique(song, return_inverse=True)
    if len(songs) < 2 or levels.shape[1] <= 3 * _LAG:
        return _pairs_of(*(np.zeros(0, np.int64),) * 3)
    first_column = np.asarray(first_column, np.int64)
    rank = np.empty(len(levels), np.int64)
    rank[np.lexsort((np.arange(len(levels)), -np.asarray(quality)))] = np.arange(len(levels))
    window, column, starts = _entries(levels, rank)
    one, other, offset = _offsets(window, column, starts, song, first_column)
    one, other, later, alignment = _neighbours((one, other), offset, song, first_column, round(_MAX_SHIFT * step))
    near = _distances(levels, one, other, later) <= limit
    one, other, later, alignment = (values[near] for values in (one, other, later, alignment))
    best = _best_alignments(one, other, alignment, song)
    return _pairs_of(one[best], other[best], later[best])


def _pairs_of(one: np.ndarray, other: np.ndarray, later: np.ndarray) -> Shifted:
    both = np.concatenate([one, other]), np.concatenate([other, one]), np.concatenate([later, -later])
    order = np.lexsort((both[1], both[0]))
    return Shifted(*(values[order] for values in both))


# -- words


def _entries(levels: np.ndarray, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List words that several windows have: window and column of each, ordered by word, and where each word begins.

    Of the same word the best window comes first.
    """
    found = []
    for start in range(0, len(levels), _WORDS_BATCH):
        words, window, column = _words(levels[start : start + _WORDS_BATCH])
        place = rank[window + start] * (levels.shape[1] * HOP) + column
        found.append((words.astype(np.uint64) << np.uint64(33)) | place.astype(np.uint64))
    keys = np.sort(np.concatenate(found))
    words = (keys >> np.uint64(33)).astype(np.int64)
    begins = np.flatnonzero(np.diff(words, prepend=-1))
    counts = np.diff(begins, append=len(words))
    useful = (counts > 1) & (counts <= _MAX_WINDOWS_PER_WORD)
    pairs = int(np.minimum(counts[useful], _HUBS).astype(np.int64) @ counts[useful])
    if pairs > _MAX_PAIRS:
        useful &= _hash(words[begins]) < (1 << 32) * _MAX_PAIRS // pairs
    place = (keys[np.repeat(useful, counts)] & np.uint64((1 << 33) - 1)).astype(np.int64)
    order = np.argsort(rank)
    place, column = np.divmod(place, levels.shape[1] * HOP)
    begins = np.concatenate([[0], np.cumsum(counts[useful])])
    return order[place], column, begins


def _words(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return words of windows that are used, with window and column of each."""
    power = powers(levels)
    floor = power.sum(axis=2).mean(axis=1) * np.float32(10.0 ** (-_RANGE_DB / 10.0))
    height = decibels(power, floor[:, None, None])
    rise = np.diff(height[:, _LAG:] - height[:, :-_LAG], axis=2)
    bits = np.zeros((len(levels), (rise.shape[1] - 1) * _DETAIL, BANDS), bool)
    for part in range(_DETAIL):
        share = np.float32(part / _DETAIL)
        bits[:, part::_DETAIL, : BANDS - 1] = (1 - share) * rise[:, :-1] + share * rise[:, 1:] > _RISE
    half = np.packbits(bits, axis=2).astype(np.uint32) @ np.array([256, 1], np.uint32)
    now, later = half[:, : -_LAG * _DETAIL], half[:, _LAG * _DETAIL :]
    words = (now << np.uint32(15)) | (later >> np.uint32(1))  # the last bit of each half is 0
    fresh = np.ones(words.shape, bool)
    fresh[:, 1:] = words[:, 1:] != words[:, :-1]
    sampled = _hash(words) % _SAMPLE == 0
    window, place = np.nonzero(fresh & sampled & (now != 0) & (later != 0))
    return words[window, place], window, place * (HOP // _DETAIL)


def _hash(words: np.ndarray) -> np.ndarray:
    """Return numbers of 32 bits that have nothing to do with what the words mean, the same one for the same word."""
    mixed = words.astype(np.uint32) * np.uint32(2654435761)
    return (mixed ^ (mixed >> np.uint32(15))) * np.uint32(2246822519)


# -- offsets


def _offsets(
    window: np.ndarray, column: np.ndarray, begins: np.ndarray, song: np.ndarray, first_column: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs of songs, each with an offset in columns that several words agree on."""
    place = first_column[window] + column
    span_columns, songs = int(place.max(initial=0)) + 1, int(song.max()) + 1
    begins_of = np.repeat(begins[:-1], np.diff(begins))
    found = []
    for hub in range(_HUBS):
        later = np.flatnonzero(begins_of + hub < np.arange(len(place)))
        best = begins_of[later] + hub
        one, other = song[window[best]], song[window[later]]
        offset = np.where(one < other, 1, -1) * (place[later] - place[best])
        pair = np.minimum(one, other) * songs + np.maximum(one, other)
        found.append((pair * (4 * span_columns) + offset + span_columns)[one != other])
    pair, offset = np.divmod(_peak_offsets(np.sort(np.concatenate(found)), 4 * span_columns), 4 * span_columns)
    return pair // songs, pair % songs, offset - span_columns


def _peak_offsets(keys: np.ndarray, span: int) -> np.ndarray:
    """Return those of sorted keys, of pairs and offsets, near which there are many; for each pair the best few."""
    votes = np.searchsorted(keys, keys + _OFFSET_TOLERANCE, "right") - np.arange(len(keys))
    candidates = np.flatnonzero(votes >= _MIN_VOTES)
    # Of those that lie near each other one: the middle of what the best one counts. Where one of two recordings runs a
    # little faster, the offset drifts, and there are many.
    bin_ = keys[candidates] // (2 * _OFFSET_TOLERANCE)
    order = np.lexsort((candidates, -votes[candidates], bin_))
    peaks = candidates[order[np.flatnonzero(np.diff(bin_[order], prepend=-1))]]
    keys, votes = keys[peaks + votes[peaks] // 2], votes[peaks]
    order = np.lexsort((-votes, keys // span))
    begins = np.flatnonzero(np.diff(keys[order] // span, prepend=-1))
    number = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    return keys[order[number < _MAX_OFFSETS]]


# -- windows


def _neighbours(
    songs: tuple[np.ndarray, np.ndarray], offset: np.ndarray, song: np.ndarray, first_column: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs of windows that lie near each other at these offsets.

    Returns
    -------
    one, other
        Windows.
    later
        Columns by which the other begins later.
    alignment
        Number of the offset.
    """
    span = 4 * (int(first_column.max()) + 1 + reach)
    keys = song * span + first_column
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    edges = np.searchsorted(song[order], np.arange(int(song.max()) + 2))
    one, alignment = _ranges(edges[songs[0]], edges[songs[0] + 1])
    target = first_column[order[one]] + offset[alignment]
    inside = (target >= -reach) & (target < span // 2)
    one, alignment, target = one[inside], alignment[inside], target[inside]
    targets = songs[1][alignment] * span + target
    lowest, highest = (edges[songs[1][alignment] + side] for side in (0, 1))
    other, number = _ranges(
        np.maximum(np.searchsorted(keys, targets - reach), lowest),
        np.minimum(np.searchsorted(keys, targets + reach, "right"), highest),
    )
    one, other = order[one[number]], order[other]
    return one, other, first_column[other] - target[number], alignment[number]


def _ranges(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all numbers from each start to its stop, and which range each is of."""
    count = np.maximum(stop - start, 0)
    which = np.repeat(np.arange(len(count)), count)
    return np.arange(len(which)) + np.repeat(start - np.cumsum(count) + count, count), which


def _distances(levels: np.ndarray, one: np.ndarray, other: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Return how far apart windows are in what they share, 0 to 2; infinite where nothing goes on there."""
    found = np.full(len(one), np.inf, np.float32)
    for start in range(0, len(one), _PAIRS_BATCH):
        part = slice(start, start + _PAIRS_BATCH)
        found[part] = _distance(levels[one[part]], levels[other[part]], later[part])
    return found


def _distance(one: np.ndarray, other: np.ndarray, later: np.ndarray) -> np.ndarray:
    whole, rest = np.divmod(later, HOP)
    frame = np.arange(one.shape[1]) - whole[:, None]  # of the other, for each of the one; the rest is between two
    shared = (frame >= 1) & (frame < one.shape[1])
    frame = np.clip(frame, 1, one.shape[1] - 1)[:, :, None]
    rest = (rest / HOP).astype(np.float32)[:, None, None]
    weight = shared[:, :, None].astype(np.float32)
    powers_other = powers(other)
    between = [np.take_along_axis(powers_other, frame - back, axis=1) for back in (0, 1)]
    left, right = powers(one), (1 - rest) * between[0] + rest * between[1]
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    vectors = []
    for power in (left, right):
        floor = (power * weight).sum(axis=(1, 2), keepdims=True) / count * np.float32(10.0 ** (-_RANGE_DB / 10.0))
        height = decibels(power, floor)
        vectors.append((height - (height * weight).sum(axis=1, keepdims=True) / count) * weight)
    sizes = [np.sqrt((vector**2).sum(axis=(1, 2))) for vector in vectors]
    still = np.minimum(*sizes) < _MIN_CHANGE_DB * np.sqrt(count[:, 0, 0] * one.shape[2])
    product = (vectors[0] * vectors[1]).sum(axis=(1, 2)) / np.maximum(sizes[0] * sizes[1], 1e-9)
    return np.where(still, np.inf, np.sqrt(np.maximum(2.0 - 2.0 * product, 0.0)))


def _best_alignments(one: np.ndarray, other: np.ndarray, alignment: np.ndarray, song: np.ndarray) -> np.ndarray:
    """Choose, of pairs, for each window and each other song those of one alignment: that of the most pairs."""
    count = np.bincount(alignment, minlength=1)
    order = np.lexsort((alignment, -count[alignment]))
    chosen = np.ones(len(one), bool)
    for mine, theirs in ((one, other), (other, one)):
        _, first, which = np.unique(
            mine[order] * (int(song.max()) + 1) + song[theirs[order]], return_index=True, return_inverse=True
        )
        chosen[order] &= alignment[order] == alignment[order[first]][which]
    return chosen
