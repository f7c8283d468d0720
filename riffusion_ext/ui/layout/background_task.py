"""Long work behind a page: one run at a time, watched, stopped, and given up when nobody looks any more."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.players import escape, message

__all__ = ["BackgroundTask", "format_minutes", "progress_bar"]

_POLL_INTERVAL_S = 0.4  # seconds between two looks at how far the work is
_TIMEOUT_S = 20.0  # seconds without a look, after which nobody is looking any more

OnProgress = Callable[[Any], None]
Cancelled = Callable[[], bool]


class BackgroundTask:
    """The runs of a page, one at a time, and the way to stop them.

    Parameters
    ----------
    busy
        What a second press is told while the first works.
    stopping
        What is shown between the wish to stop and the end, as HTML.
    """

    def __init__(self, busy: str, stopping: str) -> None:
        self._busy_text = busy
        self.stopping_html = stopping
        self._stop = threading.Event()
        self._busy = threading.Lock()

    @property
    def stopping(self) -> bool:
        """Whether the present run was asked to end."""
        return self._busy.locked() and self._stop.is_set()

    def stop(self) -> str:
        """Ask the present run to end; returns what the page shows until it does, nothing where there is no run."""
        self._stop.set()
        return self.stopping_html if self._busy.locked() else ""

    def follow(self, work: Callable[[OnProgress, Cancelled], Any]) -> Iterator[Any]:
        """Do the work in a thread; yields what it reports, None where nothing moved, and last what came of it.

        The work stops when the iterator is closed or nobody asks it for more: of a page that was closed, gradio asks
        nothing, but it closes the iterator only at some later event. Until the work has ended, there is no other.

        Raises
        ------
        RiffusionError
            There is a run already. Errors of the work come through.
        """
        if not self._busy.acquire(blocking=False):
            raise RiffusionError(self._busy_text)
        stop = self._stop = threading.Event()  # of this run alone: the next one must not take the wish back
        events: queue.Queue[tuple[bool, Any]] = queue.Queue()
        last_poll = time.monotonic()

        def cancelled() -> bool:
            return stop.is_set() or time.monotonic() - last_poll > _TIMEOUT_S

        def run() -> None:
            try:
                outcome = work(lambda item: events.put((False, item)), cancelled)
            except Exception as error:
                outcome = error
            self._busy.release()
            events.put((True, outcome))

        threading.Thread(target=run, daemon=True, name="riffusion-run").start()
        try:
            finished = False
            while not finished:
                try:
                    finished, item = events.get(timeout=_POLL_INTERVAL_S)
                except queue.Empty:
                    item = None
                if isinstance(item, Exception):
                    raise item
                yield item
                last_poll = time.monotonic()
        finally:
            stop.set()


def progress_bar(share: float, text: str, label: str) -> str:
    """Return how far the work is, as HTML.

    Parameters
    ----------
    share
        0 to 1.
    text
        Shown below.
    label
        What is counted, for a screen reader.
    """
    percent = f"{100 * share:.1f}"
    return (
        f'<div class="riffusion-progress" role="progressbar" aria-label="{escape(label)}" aria-valuenow="{percent}">'
        f'<div style="width:{percent}%"></div></div>{message(text)}'
    )


def format_minutes(seconds: float) -> str:
    """Write a time left: ``2:05 min``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"
