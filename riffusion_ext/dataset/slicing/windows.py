"""Window positions in a song."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from riffusion_ext.dataset.settings import SliceSettings

__all__ = ["window_starts"]

_TOLERANCE = 3  # columns by which a mark may come early: bars are not measured to the millisecond


def window_starts(columns: int, settings: SliceSettings, marks: npt.NDArray[np.int64] | None = None) -> list[int]:
    """Return the first columns of a song's windows.

    ::

        columns   |---------------------------------------------|
        windows   [   0   ][   1   ][   2   ][   3   ]             last="drop"
                  [   0   ][   1   ][   2   ][   3   ][   4 .....  last="pad"
                  [   0   ][   1   ][   2   ][   3   ]
                                                 [   4   ]         last="back"

    Parameters
    ----------
    columns
        Length of the song.
    settings
        Width and overlap of windows, and treatment of the end.
    marks : np.ndarray [shape=(M,), ascending], optional
        Columns of beats or bars. Each window starts at the first mark at least a step after the previous start. Without
        marks, windows start one step apart from the beginning.

    Returns
    -------
    list of int
        Ascending and distinct. Windows that reach past the end must be padded.
    """
    width, step = settings.columns, settings.step
    if columns < width:
        return [0] if settings.last != "drop" and columns > 0 else []
    latest = columns - width
    if marks is None or not len(marks):
        starts = list(range(0, columns, step))
    else:
        starts = _on_marks(marks[marks < columns], step)
    following = next((start for start in starts if start > latest), None)
    starts = [start for start in starts if start <= latest]
    end = starts[-1] + width if starts else 0
    if end < columns and settings.last == "back" and (not starts or starts[-1] < latest):
        starts.append(latest)
    elif end < columns and settings.last == "pad":
        starts.append(following if following is not None else starts[-1] + step if starts else 0)
    return starts


def _on_marks(marks: npt.NDArray[np.int64], step: int) -> list[int]:
    starts: list[int] = []
    place = 0
    while place < len(marks):
        starts.append(int(marks[place]))
        place = int(np.searchsorted(marks, starts[-1] + step - _TOLERANCE))
    return starts
