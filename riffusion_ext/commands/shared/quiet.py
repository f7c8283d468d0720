"""Keep messages of C libraries about damaged files off the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["mute_library_stderr"]

_STDERR = 2


@contextmanager
def mute_library_stderr() -> Iterator[None]:
    """Keep ``sys.stderr``, and drop all other output to its file descriptor, also that of child processes."""
    before = sys.stderr
    try:
        is_real = before.fileno() == _STDERR
    except (OSError, ValueError, AttributeError):  # replaced, or missing
        is_real = False
    if not is_real:
        yield
        return
    before.flush()
    saved = os.dup(_STDERR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    sys.stderr = os.fdopen(saved, "w", buffering=1, encoding=before.encoding, errors="backslashreplace")
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, _STDERR)
        sys.stderr.close()
        sys.stderr = before
