"""Measure how fast a jam is generated, and how much sound must be buffered before playback starts."""

from __future__ import annotations

from collections import deque

__all__ = ["MIN_PLAY_S", "Throughput"]

MIN_PLAY_S = 30.0
"""Seconds of playback without a pause, if generation is slower than playback."""

_WINDOWS = 4
_SAFETY_FACTOR = 1.25
_DELIVERY_S = 1.0  # seconds: the page polls every 0.4, loads new chunks, and needs them 0.1 before they are due


class Throughput:
    """Speed of generation, over the last few windows.

    Parameters
    ----------
    ahead
        Most seconds generated ahead, the upper limit of the buffer.
    """

    def __init__(self, ahead: float) -> None:
        self._ahead = ahead
        self._last: deque[tuple[float, float]] = deque(maxlen=_WINDOWS)

    def add(self, sound: float, work: float) -> None:
        """Add a measurement: seconds of sound, and seconds of work for them."""
        self._last.append((sound, work))

    @property
    def speed(self) -> float | None:
        """Seconds of sound generated per second; None if nothing is measured yet."""
        last = tuple(self._last)  # the generating thread appends to it
        sound, work = (sum(part) for part in zip(*last, strict=True)) if last else (0.0, 0.0)
        return sound / work if work > 0 and sound > 0 else None

    @property
    def needed(self) -> float:
        """Seconds to buffer before playback starts or resumes; `ahead` if nothing is measured yet.

        While they are played, the next window is generated and delivered. If generation is slower than playback, they
        last for at least :data:`MIN_PLAY_S` without a pause.
        """
        speed = self.speed
        if speed is None:
            return self._ahead
        window = max(sound for sound, _ in tuple(self._last))
        next_one = _SAFETY_FACTOR * window / speed + _DELIVERY_S
        play = MIN_PLAY_S * max(0.0, 1.0 - speed)
        return min(max(next_one, play), self._ahead)
