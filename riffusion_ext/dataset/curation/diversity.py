"""Choose a given number of windows, as different from each other as possible, evenly from all songs.

Songs take turns. Each turn chooses that song's window which is farthest from all chosen so far (Gonzalez 1985,
"Clustering to minimize the maximum intercluster distance"). Songs with few windows leave their share to the others. If
the target is smaller than the number of songs, neighbouring songs share a turn. A long song is divided into parts that
take its turns one after the other, which spreads the choice over its length.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

__all__ = ["choose_diverse"]

_MAX_GROUP_WINDOWS = 512  # maximum number of windows of a song that share a turn
_BLOCK = 4096  # chosen points per matrix product


def choose_diverse(embedding: np.ndarray, song: np.ndarray, target: int) -> np.ndarray:
    """Choose windows that are spread over the embedding, evenly from all songs.

    Parameters
    ----------
    embedding : np.ndarray [shape=(N, D), float32]
        Embedding of the windows.
    song : np.ndarray [shape=(N,), int]
        Index of the song of each window.
    target
        Number of windows to choose, 0 or more.

    Returns
    -------
    np.ndarray [shape=(min(target, N),), int]
        Indices of the chosen windows, ascending; deterministic.
    """
    count = len(embedding)
    if target >= count or target <= 0:
        return np.arange(count if target > 0 else 0)
    embedding = embedding - embedding.mean(axis=0)
    square = (embedding**2).sum(axis=1, keepdims=True)
    # The squared distance of a and b, less the square of a, is the product of [a, 1] and [-2 b, square of b].
    points, others = np.hstack([embedding, np.ones_like(square)]), np.hstack([-2.0 * embedding, square])
    cells = [_Cell(members, quota, square[members, 0], points[members]) for members, quota in _cells(song, target)]
    chosen = np.zeros(target, np.int64)
    chosen_points = np.zeros((target, others.shape[1]), np.float32)
    done = 0
    for turn in range(max(cell.quota for cell in cells)):
        for cell in cells:
            if turn < cell.quota:
                chosen[done] = cell.pick(chosen_points[:done])
                chosen_points[done] = others[chosen[done]]
                done += 1
    return np.sort(chosen)


class _Cell:
    """Windows that share turns, and the distance of each from the nearest chosen window."""

    def __init__(self, members: np.ndarray, quota: int, square: np.ndarray, points: np.ndarray) -> None:
        self.members, self.quota, self.square, self.points = members, quota, square, points
        self.nearest = np.full(len(members), np.inf, np.float32)
        self.compared = 0

    def pick(self, chosen_points: np.ndarray) -> int:
        """Return the window farthest from all chosen points; if there are none yet, the one nearest to the mean."""
        for start in range(self.compared, len(chosen_points), _BLOCK):
            distance = (self.points @ chosen_points[start : start + _BLOCK].T).min(axis=1) + self.square
            np.minimum(self.nearest, distance, out=self.nearest)
        self.compared = len(chosen_points)
        # Rounded, so that the last bits of a sum do not matter.
        score = np.round(self.nearest, 4) if len(chosen_points) else -self.square
        choice = int(score.argmax())
        self.square[choice] = -np.inf  # do not choose it again
        return int(self.members[choice])


def _cells(song: np.ndarray, target: int) -> list[tuple[np.ndarray, int]]:
    """Divide windows into groups that share turns, each with the number to choose from it, at least 1."""
    order = np.argsort(song, kind="stable")
    songs = np.split(order, np.flatnonzero(np.diff(np.asarray(song)[order])) + 1)
    if target < len(songs):
        edges = np.arange(target + 1) * len(songs) // target
        return [(np.concatenate(songs[a:b]), 1) for a, b in pairwise(edges)]
    cells = []
    for windows, quota in zip(songs, _quotas([len(windows) for windows in songs], target), strict=True):
        parts = np.array_split(windows, min(-(-len(windows) // _MAX_GROUP_WINDOWS), quota))
        cells += list(zip(parts, _quotas([len(part) for part in parts], quota), strict=True))
    return cells


def _quotas(sizes: list[int], total: int) -> list[int]:
    """Distribute `total` equally, limited by `sizes`; the remainder goes to evenly spread entries."""
    has = np.array(sizes)
    level = 0
    for bit in reversed(range(int(total).bit_length())):  # the highest level that does not exceed the total
        if np.minimum(has, level + (1 << bit)).sum() <= total:
            level += 1 << bit
    quotas = np.minimum(has, level)
    rest = total - int(quotas.sum())
    more = np.flatnonzero(has > level)
    quotas[more[np.arange(rest) * len(more) // max(rest, 1)]] += 1
    return quotas.tolist()
