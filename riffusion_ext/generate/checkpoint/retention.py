"""What stays on the disk: all songs that were stopped, and the windows of the few that were finished last.

Windows of a finished song are still good for something: to look at, to send elsewhere, to hear the song at another
level or what was gained and lost. So they stay a while, until those of others have taken their place.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

__all__ = ["KEPT", "mark", "remove_old", "unmark"]

KEPT = 8
"""Marked folders that stay."""

_MARK = "finished"


def mark(folder: Path) -> None:
    """Note that what a folder was wanted for is done, so that it may go when it is old: as old as its last mark."""
    with suppress(OSError):  # then it stays for good, which is no reason to fail
        (folder / _MARK).touch()


def unmark(folder: Path) -> None:
    """Note that a folder must not go, because there is work to do in it."""
    with suppress(OSError):  # there is none, as a rule
        (folder / _MARK).unlink()


def remove_old(folder: Path, *, kept: int = KEPT) -> None:
    """Remove the marked folders in a folder, but those that were marked last; what cannot be removed stays."""
    with suppress(OSError):  # another process may be tidying as well
        marks = sorted((path.stat().st_mtime_ns, path) for path in folder.glob(f"*/{_MARK}"))
        for _, path in marks[: max(len(marks) - kept, 0)]:
            shutil.rmtree(path.parent, ignore_errors=True)
