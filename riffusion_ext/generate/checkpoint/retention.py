"""Decide which folders of windows stay on disk: unfinished ones, and the few that were finished last.

Windows of a finished song remain useful: to look at, to send elsewhere, to decode at another level, or to hear what
changed. So the last finished folders are kept.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

__all__ = ["MAX_FINISHED_FOLDERS", "mark", "remove_old", "unmark"]

MAX_FINISHED_FOLDERS = 8
"""Number of marked folders that are kept."""

_MARK = "finished"


def mark(folder: Path) -> None:
    """Mark a folder as finished, so that it may be removed; its age counts from the last mark."""
    with suppress(OSError):  # then the folder is never removed, which is no reason to fail
        (folder / _MARK).touch()


def unmark(folder: Path) -> None:
    """Remove the mark of a folder, because there is work to do in it."""
    with suppress(OSError):  # usually there is no mark
        (folder / _MARK).unlink()


def remove_old(folder: Path, *, max_finished: int = MAX_FINISHED_FOLDERS) -> None:
    """Remove marked subfolders except the `max_finished` marked last; errors are ignored."""
    with suppress(OSError):  # another process may be removing folders too
        marks = sorted((path.stat().st_mtime_ns, path) for path in folder.glob(f"*/{_MARK}"))
        for _, path in marks[: max(len(marks) - max_finished, 0)]:
            shutil.rmtree(path.parent, ignore_errors=True)
