"""Near-duplicate detection: find windows that sound the same without comparing all pairs.

A window is a duplicate if a better, kept window lies within the limit. From the best window to the worst, each one that
is not yet a duplicate is kept, and its whole neighbourhood becomes its duplicates. So no two kept windows are nearer to
each other than the limit, and none is rejected in favour of a rejected one: similarity is not chained.

The windows are sorted into the leaves of a k-d tree (Bentley 1975) on the principal components of the embedding.
Batches of windows are resolved one after the other, each searching its neighbours in the leaves within the limit::

    by quality:  | batch | batch | batch | ...
                     |
                     +-> kept ones -> leaves within the limit -> near in the main components -> near

Distances in the main components, and to the bounding box of a leaf, are never larger than the real ones, so none is
missed.

Extra pairs that count as duplicates can be passed, and are resolved in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["find_duplicates"]

_DIRECTIONS = 24  # principal components in which windows are compared first
_EDGES = 8  # of these, the number used for bounding boxes
_LEAF, _BATCH = 512, 1024  # windows
_PAIRS = 16384  # whose real distance is computed at once: 12 MB
_ROUNDING = 1e-4  # by which a squared distance in the main components may be too large


def find_duplicates(
    embedding: np.ndarray,
    quality: np.ndarray,
    limit: float,
    *,
    song: np.ndarray | None = None,
    first_column: np.ndarray | None = None,
    columns: int = 0,
    pairs: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Find near-duplicates among windows.

    Parameters
    ----------
    embedding : np.ndarray [shape=(N, D), float32]
        Unit vectors.
    quality : np.ndarray [shape=(N,)]
        The better of two duplicates is kept; of equal ones, the first.
    limit
        Maximum distance of duplicates, 0 to 2.
    song, first_column : np.ndarray [shape=(N,), int], optional
        Windows of one song that share columns are never duplicates of each other.
    columns
        Width of the windows, for the same rule.
    pairs : tuple of np.ndarray [shape=(P,), int], optional
        Windows that are duplicates of each other, whatever their distance: each pair in both directions, the first
        array ascending.

    Returns
    -------
    np.ndarray [shape=(N,), int]
        Index of the window that each is a duplicate of; its own index if it is kept.
    """
    count = len(embedding)
    representative = np.arange(count)
    if not count:
        return representative
    windows = _Windows(
        np.ascontiguousarray(embedding, np.float32),
        np.arange(count) if song is None else np.asarray(song),
        np.zeros(count, np.int64) if first_column is None else np.asarray(first_column, np.int64),
        columns,
        limit,
        _Pairs(*(pairs or (np.zeros(0, np.int64),) * 2)),
    )
    leaves = windows.leaves(np.arange(count))
    boxes = np.array([(windows.places[leaf].min(axis=0), windows.places[leaf].max(axis=0)) for leaf in leaves])
    free = np.ones(count, bool)
    order = np.lexsort((np.arange(count), -np.asarray(quality)))
    for start in range(0, count, _BATCH):
        batch = order[start : start + _BATCH]
        batch = batch[free[batch]]
        free[batch] = False
        kept = batch[_resolve_batch(windows, batch, representative)]
        reached, was_free = windows.reach(kept, boxes), free.copy()
        for number in np.flatnonzero(reached.any(axis=0)).tolist():
            leaf = leaves[number] = leaves[number][free[leaves[number]]]
            near = kept[reached[:, number]]
            keepers, duplicates = windows.pairs(near, leaf)
            # Of several keepers the best comes first, and is written last.
            representative[leaf[duplicates[::-1]]] = near[keepers[::-1]]
            free[leaf[duplicates]] = False
        keepers, duplicates = windows.extra.of(kept)
        place = np.full(count, len(kept))
        place[kept] = np.arange(len(kept))
        better = was_free[duplicates] & (keepers < place[representative[duplicates]])
        keepers, duplicates = keepers[better], duplicates[better]
        representative[duplicates[::-1]] = kept[keepers[::-1]]
        free[duplicates] = False
    return representative


def _resolve_batch(windows: _Windows, batch: np.ndarray, representative: np.ndarray) -> np.ndarray:
    """Resolve duplicates within a batch, best first: return which are kept, and set the others' representatives."""
    kept = np.ones(len(batch), bool)
    first, second = windows.pairs(batch, batch)
    position, others = windows.extra.of(batch)
    place = np.full(len(representative), -1)
    place[batch] = np.arange(len(batch))
    first, second = np.concatenate([first, position]), np.concatenate([second, place[others]])
    later = first < second
    first, second = first[later], second[later]
    order = np.argsort(first, kind="stable")
    first, second = first[order], second[order]
    edges = np.searchsorted(first, np.arange(len(batch) + 1))
    for keeper in np.flatnonzero(np.diff(edges)).tolist():
        if kept[keeper]:
            others = second[edges[keeper] : edges[keeper + 1]]
            others = others[kept[others]]
            kept[others] = False
            representative[batch[others]] = batch[keeper]
    return kept


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Extra pairs of duplicates, sorted by the first window."""

    one: np.ndarray
    other: np.ndarray

    def of(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return positions in `windows` that have pairs, and their partners, in the order of `windows`."""
        start, stop = np.searchsorted(self.one, [windows, windows + 1])
        position = np.repeat(np.arange(len(windows)), stop - start)
        place = np.arange(len(position)) + np.repeat(stop - np.cumsum(stop - start), stop - start)
        return position, self.other[place]


@dataclass(eq=False)
class _Windows:
    """All windows, and their coordinates in the principal components."""

    embedding: np.ndarray
    song: np.ndarray
    first: np.ndarray
    columns: int
    limit: float
    extra: _Pairs

    def __post_init__(self) -> None:
        centred = self.embedding - self.embedding.mean(axis=0)
        _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        self.places = centred @ directions[:, : -_DIRECTIONS - 1 : -1].astype(np.float32)
        square, one = (self.places**2).sum(axis=1, keepdims=True), np.ones((len(centred), 1), np.float32)
        # The squared distance of a and b is the product of [a, 1, square of a] and [-2 b, square of b, 1].
        self._left, self._right = np.hstack([self.places, one, square]), np.hstack([-2 * self.places, square, one])

    def leaves(self, windows: np.ndarray) -> list[np.ndarray]:
        """Divide windows recursively at the median of the component with the largest spread."""
        if len(windows) <= _LEAF:
            return [windows]
        places = self.places[windows, :_EDGES]
        order = windows[np.argsort(places[:, int(np.ptp(places, axis=0).argmax())], kind="stable")]
        return self.leaves(order[: len(order) // 2]) + self.leaves(order[len(order) // 2 :])

    def reach(self, windows: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Return which windows [n] may have neighbours in which boxes [m, 2, components]: [n, m]."""
        squared = np.zeros((len(windows), len(boxes)), np.float32)
        for direction in range(min(_EDGES, boxes.shape[2])):
            place = self.places[windows, direction, None]
            outside = np.maximum(boxes[:, 0, direction] - place, place - boxes[:, 1, direction])
            squared += np.maximum(outside, 0.0) ** 2
        return squared <= self.limit**2 + _ROUNDING

    def pairs(self, some: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions in `some` and in `others` of duplicate pairs, in the order of `some`."""
        row, column = np.nonzero(self._left[some] @ self._right[others].T <= self.limit**2 + _ROUNDING)
        one, other = some[row], others[column]
        shared = (self.song[one] == self.song[other]) & (np.abs(self.first[one] - self.first[other]) < self.columns)
        near = ~shared
        for start in range(0, len(one), _PAIRS):
            part = slice(start, start + _PAIRS)
            distance = self.embedding[one[part]] - self.embedding[other[part]]
            near[part] &= np.einsum("nd,nd->n", distance, distance) <= self.limit**2
        return row[near], column[near]
