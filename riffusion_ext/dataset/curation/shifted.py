"""Fingerprinting: find the same recording in two songs at any offset (another file of it, a later start, an excerpt).

Every other column of a window's levels gives a word of 30 bits: which bands rise more than their neighbours, now and a
little later (after Haitsma and Kalker 2002, "A highly robust audio fingerprinting system"). Gain, equalisers and codecs
leave most of these bits unchanged. Each word that two songs have in common votes for an offset, and offsets with many
votes are examined more closely::

    song A   |....a....b.c......|            words in common: a, b, c
    song B         |....a....b.c......|      all at the same offset: the windows there are compared
                   ^ offset

The final decision compares the levels of what two windows share, each band without its mean: over time, these rise and
fall alike only in the same recording. Words that occur in very many windows carry no information and are left out, so
that no music, however many loops it has, makes this slow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from riffusion_ext.dataset.analysis.levels import BANDS, HOP, decibels, powers

__all__ = ["Shifted", "find_shifted"]

_LAG = 2  # frames over which a rise is measured: 160 ms
_WORDS_PER_FRAME = 4  # words per frame
_RISE = 1.0  # dB by which a band must rise more than its neighbour
_RANGE_DB = 25.0  # below the mean level of the window, down to which levels are used
_WORD_SAMPLING = 2  # one of this many words is used, chosen by its hash
_MAX_WINDOWS_PER_WORD = 64  # more common words are left out
_MAX_REFERENCE_WINDOWS = 8  # the best windows with a word are compared with all others that have it
_MAX_PAIRS = 1 << 24  # maximum number of such pairs; if there are more, words are sampled
_OFFSET_TOLERANCE = 8  # columns by which equal offsets may differ
_MIN_VOTES = 4  # words that must agree on an offset
_MAX_OFFSETS = 24  # offsets of two songs that are examined more closely
_MAX_SHIFT = 0.55  # of a step: maximum distance of two windows in time
_MIN_CHANGE_DB = 1.0  # RMS change of the compared levels over time, in dB
_WORDS_BATCH, _PAIRS_BATCH = 1024, 1024  # windows


@dataclass(frozen=True, eq=False)
class Shifted:
    """Pairs of windows that hold the same recording, each pair in both directions, in rising order.

    Attributes
    ----------
    one, other : np.ndarray [shape=(P,), int]
        Indices of the windows.
    later : np.ndarray [shape=(P,), int]
        Columns by which the other window begins later in the recording.
    """

    one: np.ndarray
    other: np.ndarray
    later: np.ndarray

    def of(self, one: int, other: int) -> int | None:
        """Return by how many columns the other window begins later; None if they are not a pair."""
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
    """Find windows of different songs that hold mostly the same recording.

    Parameters
    ----------
    levels : np.ndarray [shape=(N, F, 16), uint8]
        As from :func:`~riffusion_ext.dataset.analysis.levels.window_levels`.
    quality : np.ndarray [shape=(N,)]
        If very many windows are alike, only the best are compared with the others.
    song, first_column : np.ndarray [shape=(N,), int]
        Song of each window, and first column of the window in it.
    step
        Columns from a window to the next. Windows of one recording are a pair if they are no more than 0.55 of a step
        apart, so that a shifted window has one or two partners in the other song, and not more.
    limit
        Maximum distance of what two windows share, 0 to 2. Copies were up to 0.4 apart, other music 0.8 and more.
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
    """List the occurrences of words that several windows have: window, column, and where each word's entries begin.

    Entries are sorted by word, then by quality, best first.
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
    pairs = int(np.minimum(counts[useful], _MAX_REFERENCE_WINDOWS).astype(np.int64) @ counts[useful])
    if pairs > _MAX_PAIRS:
        useful &= _hash(words[begins]) < (1 << 32) * _MAX_PAIRS // pairs
    place = (keys[np.repeat(useful, counts)] & np.uint64((1 << 33) - 1)).astype(np.int64)
    order = np.argsort(rank)
    place, column = np.divmod(place, levels.shape[1] * HOP)
    begins = np.concatenate([[0], np.cumsum(counts[useful])])
    return order[place], column, begins


def _words(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sampled words of windows, with window and column of each."""
    power = powers(levels)
    floor = power.sum(axis=2).mean(axis=1) * np.float32(10.0 ** (-_RANGE_DB / 10.0))
    height = decibels(power, floor[:, None, None])
    rise = np.diff(height[:, _LAG:] - height[:, :-_LAG], axis=2)
    bits = np.zeros((len(levels), (rise.shape[1] - 1) * _WORDS_PER_FRAME, BANDS), bool)
    for part in range(_WORDS_PER_FRAME):
        share = np.float32(part / _WORDS_PER_FRAME)
        bits[:, part::_WORDS_PER_FRAME, : BANDS - 1] = (1 - share) * rise[:, :-1] + share * rise[:, 1:] > _RISE
    half = np.packbits(bits, axis=2).astype(np.uint32) @ np.array([256, 1], np.uint32)
    now, later = half[:, : -_LAG * _WORDS_PER_FRAME], half[:, _LAG * _WORDS_PER_FRAME :]
    words = (now << np.uint32(15)) | (later >> np.uint32(1))  # the last bit of each half is 0
    fresh = np.ones(words.shape, bool)
    fresh[:, 1:] = words[:, 1:] != words[:, :-1]
    sampled = _hash(words) % _WORD_SAMPLING == 0
    window, place = np.nonzero(fresh & sampled & (now != 0) & (later != 0))
    return words[window, place], window, place * (HOP // _WORDS_PER_FRAME)


def _hash(words: np.ndarray) -> np.ndarray:
    """Return a 32-bit hash of each word."""
    mixed = words.astype(np.uint32) * np.uint32(2654435761)
    return (mixed ^ (mixed >> np.uint32(15))) * np.uint32(2246822519)


# -- offsets


def _offsets(
    window: np.ndarray, column: np.ndarray, begins: np.ndarray, song: np.ndarray, first_column: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs of songs, each with an offset in columns for which several words vote."""
    place = first_column[window] + column
    span_columns, songs = int(place.max(initial=0)) + 1, int(song.max()) + 1
    begins_of = np.repeat(begins[:-1], np.diff(begins))
    found = []
    for hub in range(_MAX_REFERENCE_WINDOWS):
        later = np.flatnonzero(begins_of + hub < np.arange(len(place)))
        best = begins_of[later] + hub
        one, other = song[window[best]], song[window[later]]
        offset = np.where(one < other, 1, -1) * (place[later] - place[best])
        pair = np.minimum(one, other) * songs + np.maximum(one, other)
        found.append((pair * (4 * span_columns) + offset + span_columns)[one != other])
    pair, offset = np.divmod(_peak_offsets(np.sort(np.concatenate(found)), 4 * span_columns), 4 * span_columns)
    return pair // songs, pair % songs, offset - span_columns


def _peak_offsets(keys: np.ndarray, span: int) -> np.ndarray:
    """Return the peaks among sorted keys, each a pair of songs and an offset; for each pair the best few."""
    votes = np.searchsorted(keys, keys + _OFFSET_TOLERANCE, "right") - np.arange(len(keys))
    candidates = np.flatnonzero(votes >= _MIN_VOTES)
    # One peak of each neighbourhood: the median of the keys that vote for its best one. If one recording runs slightly
    # faster, the offset drifts, and there are many.
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
    """Return pairs of windows that are near each other in time at the given offsets.

    Returns
    -------
    one, other
        Indices of windows.
    later
        Columns by which the other begins later.
    alignment
        Index of the offset.
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
    """Concatenate the ranges from each start to its stop; return the numbers and the index of each one's range."""
    count = np.maximum(stop - start, 0)
    which = np.repeat(np.arange(len(count)), count)
    return np.arange(len(which)) + np.repeat(start - np.cumsum(count) + count, count), which


def _distances(levels: np.ndarray, one: np.ndarray, other: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Return the distances of windows in what they share, 0 to 2; infinite if the levels there hardly change."""
    found = np.full(len(one), np.inf, np.float32)
    for start in range(0, len(one), _PAIRS_BATCH):
        part = slice(start, start + _PAIRS_BATCH)
        found[part] = _distance(levels[one[part]], levels[other[part]], later[part])
    return found


def _distance(one: np.ndarray, other: np.ndarray, later: np.ndarray) -> np.ndarray:
    whole, rest = np.divmod(later, HOP)
    frame = np.arange(one.shape[1]) - whole[:, None]  # in the other, for each frame of the one; `rest` interpolates
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
    """Keep, for each window and each other song, only the pairs of one alignment: the one with the most pairs."""
    count = np.bincount(alignment, minlength=1)
    order = np.lexsort((alignment, -count[alignment]))
    chosen = np.ones(len(one), bool)
    for mine, theirs in ((one, other), (other, one)):
        _, first, which = np.unique(
            mine[order] * (int(song.max()) + 1) + song[theirs[order]], return_index=True, return_inverse=True
        )
        chosen[order] &= alignment[order] == alignment[order[first]][which]
    return chosen
