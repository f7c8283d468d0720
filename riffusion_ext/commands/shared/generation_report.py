"""Progress of the commands that generate."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from riffusion_ext.progress import Stage

if TYPE_CHECKING:
    from riffusion_ext.generate.backends.base import Activity
    from riffusion_ext.generate.checkpoint.runner import Event, Progress

__all__ = ["ProgressPrinter"]

_CLEAR_LINE = "\r\x1b[K"


class ProgressPrinter:
    """Print progress on stderr: on a terminal in one changing line, otherwise a line for each batch."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._live = quiet, sys.stderr.isatty()
        self._began = time.monotonic()
        self._progress: Progress | None = None
        self._shown = False

    @property
    def seconds(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._began

    def __call__(self, item: Activity | Event | Stage) -> None:
        """Report an event of the rendering."""
        from riffusion_ext.generate.backends.base import Activity
        from riffusion_ext.generate.checkpoint.runner import Progress

        if isinstance(item, Progress):
            self.progress(item)
        elif isinstance(item, Stage):
            self.stage(item)
        elif isinstance(item, Activity):
            self.activity(item)

    def progress(self, progress: Progress) -> None:
        """Report how many windows are finished."""
        self._progress = progress
        if self._live:
            self.show(self._text())
        elif progress.done:
            self.show(f"{progress.done}/{progress.total} windows{self._left()}")

    def stage(self, stage: Stage) -> None:
        """Report a stage after the generation."""
        if self._live or stage.is_mark:
            self.show(stage.text)

    def activity(self, activity: Activity) -> None:
        """Report the activity of the webui; only on a terminal."""
        if self._live and self._progress is not None:
            if activity.waiting:
                self.show(f"{self._text()}, waiting until the webui has finished its other work")
            elif activity.steps:
                self.show(f"{self._text()}, step {activity.step} of {activity.steps}")

    def _text(self) -> str:
        assert self._progress is not None
        return f"window {min(self._progress.done + 1, self._progress.total)} of {self._progress.total}{self._left()}"

    def _left(self) -> str:
        left = self._progress.seconds_left if self._progress else None
        return "" if not left else f", {left:.0f} s left"

    def show(self, text: str) -> None:
        """Show a text about the current work, unless quiet."""
        if not self._quiet:
            sys.stderr.write(f"{_CLEAR_LINE}{text}" if self._live else f"{text}\n")
            sys.stderr.flush()
            self._shown = self._live

    def note(self, text: str) -> None:
        """Print a line that stays visible, even if quiet."""
        self.close()
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Clear the changing line."""
        if self._shown:
            sys.stderr.write(_CLEAR_LINE)
            self._shown = False

    def result(self, text: str) -> None:
        """Print a result on stdout."""
        self.close()
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
