"""Plan the windows of a jam: from one queued prompt to the next, without an end.

::

    queue       [ B ][ C ]                       while the queue is empty, the prompt stays, with new noise
    windows     A  A  A  A>B  A>B  A>B  B  B>C ...     a transition takes `travel` windows
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.bounds import TRAVEL
from riffusion_ext.generate.score.keyframes import Keyframe, Moment

__all__ = ["MAX_QUEUED", "MAX_TRAVEL", "PromptQueue", "QueuedPrompt", "with_other_noise"]

MAX_QUEUED = 100
MAX_TRAVEL = TRAVEL[1]


@dataclass(frozen=True)
class QueuedPrompt:
    """A prompt in the queue; the key distinguishes it from others with the same text."""

    key: int
    prompt: str
    negative: str


def with_other_noise(moment: Moment) -> Moment:
    """Return the moment with noise that no window near it has."""
    a, b = (replace(end, seed=(end.seed + 2**16) % 2**32) for end in (moment.a, moment.b))
    return replace(moment, a=a, b=b)


class PromptQueue:
    """Queue of prompts; other threads may add and drop prompts at any time.

    Parameters
    ----------
    start
        First keyframe, with its seed resolved.
    travel
        Windows of a transition, 1 to 64; the last of them has the next prompt alone.

    Raises
    ------
    RiffusionError
        The number of windows is out of range.
    """

    def __init__(self, start: Keyframe, travel: int) -> None:
        if not 1 <= travel <= MAX_TRAVEL:
            raise RiffusionError(f"a transition takes 1 to {MAX_TRAVEL} windows, got {travel}")
        self._at, self._to = start, start
        self._travel, self._step = travel, travel
        self._begun = False
        self._queue: list[QueuedPrompt] = []
        self._keys = 0
        self._lock = threading.Lock()

    @property
    def queued(self) -> tuple[QueuedPrompt, ...]:
        """Queued prompts, the next one first."""
        with self._lock:
            return tuple(self._queue)

    def add(self, prompt: str, negative: str = "") -> QueuedPrompt:
        """Queue a prompt.

        Raises
        ------
        RiffusionError
            The prompt is empty, or the queue is full.
        """
        if not prompt.strip():
            raise RiffusionError("Write a prompt first.")
        with self._lock:
            if len(self._queue) >= MAX_QUEUED:
                raise RiffusionError(f"{MAX_QUEUED} prompts wait already; drop some first")
            self._keys += 1
            queued = QueuedPrompt(self._keys, prompt.strip(), negative.strip())
            self._queue.append(queued)
            return queued

    def drop(self, key: int) -> bool:
        """Remove a prompt from the queue; False if it is no longer in it."""
        with self._lock:
            kept = [queued for queued in self._queue if queued.key != key]
            found = len(kept) < len(self._queue)
            self._queue = kept
            return found

    def next(self) -> Moment:
        """Advance by one window, and return its moment."""
        with self._lock:
            arrived = self._step == self._travel
            if arrived:
                self._at = self._to
            if arrived and self._queue and self._begun:
                queued = self._queue.pop(0)
                seed = (self._at.seed + 1) % 2**32
                self._to = replace(self._at, prompt=queued.prompt, negative=queued.negative, seed=seed)
                self._step, arrived = 0, False
            if arrived:
                if self._begun:  # new noise in each window: with the same noise the music would soon repeat itself
                    self._at = self._to = replace(self._at, seed=(self._at.seed + 1) % 2**32)
                self._begun = True
                return self._moment(0.0)
            self._step += 1
            return self._moment(self._step / self._travel)

    def _moment(self, alpha: float) -> Moment:
        return Moment(self._at, self._to, alpha, self._at.denoise, self._at.cfg)
