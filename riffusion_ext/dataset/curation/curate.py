"""Decide which windows are kept, and give reasons for the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from riffusion_ext.dataset.analysis.features import Features
from riffusion_ext.dataset.curation.diversity import choose_diverse
from riffusion_ext.dataset.curation.duplicates import find_duplicates
from riffusion_ext.dataset.curation.shifted import find_shifted
from riffusion_ext.dataset.settings import CurateSettings
from riffusion_ext.errors import RiffusionError

__all__ = ["Reason", "Verdict", "curate"]

_MAX_QUIET = 0.5  # fraction of a window that may be pauses
_MAX_EMPTY = 0.35  # fraction of a window that may be nearly silent before the music bursts out
_MIN_DROPOUT_S = 0.03  # s
_SHIFTED_FACTOR = 2.5  # limit for shifted windows of one recording, relative to that for duplicates
_MAX_SHIFTED_DISTANCE = 0.6  # maximum of that limit: other music is never nearer
_MAX_RUMBLE_DB = 20.0  # above this, the loudest of the music is half as dark as it should be, or less
_MIN_LOSS_DB = 10.0  # loss of level by mixing or by the image's frequency range, from which it is reported


@dataclass(frozen=True)
class Reason:
    """Reason for rejecting a window.

    Attributes
    ----------
    kind
        One of :data:`~riffusion_ext.dataset.settings.REASONS`.
    text
        Clause with the measured value and the limit.
    other
        Index of the window it is a duplicate of, or None.
    """

    kind: str
    text: str
    other: int | None = None


@dataclass(frozen=True, eq=False)
class _Layout:
    """Layout of the windows: song and first column of each, width, step in columns, and seconds per column."""

    song: np.ndarray
    first: np.ndarray
    columns: int
    step: int
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """Whether a window is kept, and all reasons if it is not."""

    kept: bool
    reasons: tuple[Reason, ...] = ()


def curate(
    features: Features,
    song_of: np.ndarray,
    first_columns: np.ndarray,
    columns: int,
    settings: CurateSettings,
    *,
    step: int | None = None,
    column_seconds: float = 0.01,
) -> list[Verdict]:
    """Decide about all windows of a set.

    Duplicates are searched among the windows that pass all other checks, so that each has a kept representative. The
    target number is chosen from the rest.

    Parameters
    ----------
    features
        Features of N windows.
    song_of : np.ndarray [shape=(N,), int]
        Index of the song of each window.
    first_columns : np.ndarray [shape=(N,), int]
        First column of each window in its song.
    columns
        Width of the windows.
    settings
        Limits of the checks.
    step
        Columns from a window of a song to the next; `columns` unless windows overlap.
    column_seconds
        Duration of a column.

    Returns
    -------
    list of Verdict
        One for each window; deterministic.

    Raises
    ------
    RiffusionError
        The arrays have different lengths.
    """
    song_of, first_columns = np.asarray(song_of), np.asarray(first_columns)
    if not len(features) == len(song_of) == len(first_columns):
        raise RiffusionError(
            f"features, songs and first columns must belong to the same windows, got {len(features)}, "
            f"{len(song_of)} and {len(first_columns)} of them"
        )
    reasons: list[list[Reason]] = [[] for _ in song_of]
    _check_position(reasons, song_of, first_columns, settings)
    _check_sound(reasons, features, settings)
    if settings.duplicate is not None:
        place = _Layout(song_of, first_columns, columns, step or columns, column_seconds)
        _check_duplicates(reasons, features, place, settings.duplicate)
    if settings.target is not None:
        _choose_target(reasons, features, song_of, settings.target)
    return [Verdict(not found, tuple(found)) for found in reasons]


def _unrejected(reasons: list[list[Reason]]) -> np.ndarray:
    return np.array([n for n, found in enumerate(reasons) if not found], np.int64)


def _check_position(
    reasons: list[list[Reason]], song_of: np.ndarray, first_columns: np.ndarray, settings: CurateSettings
) -> None:
    """Reject the first and last windows of each song that is long enough."""
    order = np.lexsort((first_columns, song_of))
    for windows in np.split(order, np.flatnonzero(np.diff(song_of[order])) + 1):
        if len(windows) <= 2 * (settings.first + settings.last):
            continue
        for place, window in enumerate(windows[: settings.first].tolist(), 1):
            reasons[window].append(Reason("intro", _position_text(place, settings.first, "first")))
        for place, window in enumerate(windows[::-1][: settings.last].tolist(), 1):
            reasons[window].append(Reason("ending", _position_text(place, settings.last, "last")))


def _position_text(place: int, count: int, end: str) -> str:
    if count == 1:
        return f"it is the {end} window of the song, which is left out"
    return f"it is number {place} of the song's {end} {count} windows, which are left out"


def _check_sound(reasons: list[list[Reason]], features: Features, settings: CurateSettings) -> None:
    """Reject windows that are silent, clipped, broken, or contain an abrupt transition."""

    def reject(kind: str, flags: np.ndarray, text: Callable[[int], str]) -> None:
        for window in np.flatnonzero(flags).tolist():
            reasons[window].append(Reason(kind, text(window)))

    level, quiet, clipped, dropout, rumble = (
        getattr(features, name) for name in ("level_db", "quiet", "clipped", "dropout", "rumble")
    )
    min_level, max_transition, max_clipped = settings.silence_db, settings.transition, settings.clipping
    if min_level is not None:
        reject("silence", level < min_level, lambda n: _silence_text(features, n, min_level))
        reject(
            "silence",
            (quiet > _MAX_QUIET) & (level >= min_level),
            lambda n: f"{quiet[n]:.0%} of it are pauses, more than {_MAX_QUIET:.0%}",
        )
        reject(
            "silence",
            (features.burst > _MAX_EMPTY) & (quiet <= _MAX_QUIET) & (level >= min_level),
            lambda n: (
                f"the first {features.burst[n]:.0%} of it are nearly silent before the music bursts out, "
                f"more than {_MAX_EMPTY:.0%}"
            ),
        )
    if max_transition is not None:
        reject(
            "transition",
            features.transition > max_transition,
            lambda n: (
                f"{features.transition_at[n]:.2f} s into it the music changes as at a cut between two pieces: "
                f"{features.transition[n]:.2f} on a scale to 1, more than {max_transition:.2f}"
            ),
        )
    if max_clipped is not None:
        reject(
            "clipping",
            clipped > max_clipped,
            lambda n: f"{clipped[n]:.2%} of its samples are clipped, more than {max_clipped:.2%}",
        )
    if settings.broken:
        reject(
            "broken",
            dropout >= _MIN_DROPOUT_S,
            lambda n: f"the sound drops out for {dropout[n]:.2f} s, {_MIN_DROPOUT_S:g} s or longer",
        )
        reject(
            "broken",
            (rumble > _MAX_RUMBLE_DB) & (level >= (-120.0 if min_level is None else min_level)),
            lambda n: (
                f"an offset from zero, or what lies under 20 Hz, is {rumble[n]:.0f} dB above the rest of its image, "
                f"more than {_MAX_RUMBLE_DB:.0f} dB"
            ),
        )


def _silence_text(features: Features, window: int, min_level: float) -> str:
    """Return the level of a silent window as text, and the cause if its file is not silent."""
    level, own, mixed = (float(values[window]) for values in (features.level_db, features.file_db, features.mixed_db))
    if own < min_level or own - level < _MIN_LOSS_DB:
        return f"its level is {level:.1f} dBFS, under {min_level:g} dBFS"
    why = (
        "its channels cancel each other out when they are mixed"
        if own - mixed >= _MIN_LOSS_DB
        else "all else is an offset from zero, or lies outside the image's range of frequencies"
    )
    return f"its level in the image is {level:.1f} dBFS, under {min_level:g} dBFS, though its file has {own:.1f}: {why}"


def _check_duplicates(reasons: list[list[Reason]], features: Features, place: _Layout, likeness: float) -> None:
    """Reject windows that nearly equal a kept one, or are mostly the same recording."""
    windows = _unrejected(reasons)
    embedding, song, first = features.embedding[windows], place.song[windows], place.first[windows]
    # Rounded, so that either the copy or the original is preferred in all windows.
    penalty = np.round(features.transition + features.quiet + 10.0 * features.clipped, 1)[windows]
    limit = 1.0 - likeness
    shifted = find_shifted(
        features.levels[windows], -penalty, song, first, place.step, min(_SHIFTED_FACTOR * limit, _MAX_SHIFTED_DISTANCE)
    )
    found = find_duplicates(
        embedding,
        -penalty,
        limit,
        song=song,
        first_column=first,
        columns=place.columns,
        pairs=(shifted.one, shifted.other),
    )
    for n in np.flatnonzero(found != np.arange(len(found))).tolist():
        distance = float(np.linalg.norm(embedding[n] - embedding[found[n]]))
        lag = shifted.of(n, found[n])
        if lag is None or distance <= limit:
            text = f"{1.0 - distance:.0%} like another window, and {likeness:.0%} count as the same"
        else:
            text = _shifted_text(lag, place)
        reasons[windows[n]].append(Reason("duplicate", text, int(windows[found[n]])))


def _shifted_text(lag: int, place: _Layout) -> str:
    share = max(1.0 - abs(lag) / place.columns, 0.0)
    when = f"{abs(lag) * place.seconds:.2f} s {'later' if lag >= 0 else 'earlier'}"
    return f"{share:.0%} of it is the same recording as another window, which begins {when}"


def _choose_target(reasons: list[list[Reason]], features: Features, song_of: np.ndarray, target: int) -> None:
    """Reject all but the `target` most diverse of the remaining windows."""
    windows = _unrejected(reasons)
    chosen = choose_diverse(features.embedding[windows], song_of[windows], target)
    text = f"{len(windows)} windows are good and {target} are wanted; the chosen ones differ more from each other"
    for window in np.delete(windows, chosen).tolist():
        reasons[window].append(Reason("surplus", text))
