"""Background work of a page: one run at a time, with progress, Stop, and a timeout for pages that were closed."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.players import escape, message

__all__ = ["BackgroundTask", "format_minutes", "progress_bar"]

_POLL_INTERVAL_S = 0.4  # between two reads of the progress
_TIMEOUT_S = 20.0  # without a read of the progress; then the page counts as closed

OnProgress = Callable[[object], None]
Cancelled = Callable[[], bool]


class BackgroundTask:
    """Runs the work of a page in a thread, one run at a time.

    Parameters
    ----------
    busy
        Error message for a press during a run.
    stopping
        HTML that the page shows from Stop until the run has ended.
    """

    def __init__(self, busy: str, stopping: str) -> None:
        self._busy_text = busy
        self.stopping_html = stopping
        self._stop = threading.Event()
        self._busy = threading.Lock()

    @property
    def stopping(self) -> bool:
        """Whether the current run was told to stop and has not ended yet."""
        return self._busy.locked() and self._stop.is_set()

    def stop(self) -> str:
        """Tell the current run to stop; return what the page shows until it does, "" if there is no run."""
        self._stop.set()
        return self.stopping_html if self._busy.locked() else ""

    def follow(self, work: Callable[[OnProgress, Cancelled], object]) -> Iterator[object]:
        """Start the work in a thread, and yield its progress, None at intervals without any, and last its result.

        The work is cancelled when the iterator is closed, or is not advanced for :data:`_TIMEOUT_S`: after a page was
        closed, gradio stops to advance the iterator, but closes it only at a later event. Until the work has ended, no
        other run can start.

        Raises
        ------
        RiffusionError
            A run is going on. Exceptions of the work are raised again.
        """
        if not self._busy.acquire(blocking=False):
            raise RiffusionError(self._busy_text)
        stop = self._stop = threading.Event()  # of this run alone: the next one must not clear it
        events: queue.Queue[tuple[bool, object]] = queue.Queue()
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
    """Return the HTML of a progress bar.

    Parameters
    ----------
    share
        Part of the work that is done, 0 to 1.
    text
        Shown below the bar.
    label
        What is counted, for screen readers.
    """
    percent = f"{100 * share:.1f}"
    return (
        f'<div class="riffusion-progress" role="progressbar" aria-label="{escape(label)}" aria-valuenow="{percent}">'
        f'<div style="width:{percent}%"></div></div>{message(text)}'
    )


def format_minutes(seconds: float) -> str:
    """Format a duration in seconds as minutes: ``2:05 min``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"
