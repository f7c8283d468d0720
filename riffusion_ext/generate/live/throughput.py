"""How fast a jam is generated, and how much must be there before it is worth while to begin to play."""

from __future__ import annotations

from collections import deque

__all__ = ["MIN_PLAY_S", "Throughput"]

MIN_PLAY_S = 30.0
"""Where generation is slower than playing, what is played without a pause lasts about so many seconds."""

_WINDOWS = 4
_SAFETY = 1.25
_DELIVERY = 1.0  # seconds: the page asks every 0.4, loads what is new, and must have it 0.1 before it is due


class Throughput:
    """Measures the last few windows.

    Parameters
    ----------
    ahead
        Seconds generated ahead at most: no more than that can be waited for.
    """

    def __init__(self, ahead: float) -> None:
        self._ahead = ahead
        self._last: deque[tuple[float, float]] = deque(maxlen=_WINDOWS)

    def add(self, sound: float, work: float) -> None:
        """Take note of so many seconds of sound, and of work for them."""
        self._last.append((sound, work))

    @property
    def speed(self) -> float | None:
        """Seconds of sound made in a second; None: nothing is known yet."""
        last = tuple(self._last)  # the thread that generates adds to it
        sound, work = (sum(part) for part in zip(*last, strict=True)) if last else (0.0, 0.0)
        return sound / work if work > 0 and sound > 0 else None

    @property
    def needed(self) -> float:
        """Seconds that must be there before playing begins, or goes on after a pause; `ahead` while nothing is known.

        While they are played, the next window is finished and delivered; where that cannot last, at least
        :data:`STRETCH` can be played without a pause.
        """
        speed = self.speed
        if speed is None:
            return self._ahead
        window = max(sound for sound, _ in tuple(self._last))
        next_one = _SAFETY * window / speed + _DELIVERY
        play = MIN_PLAY_S * max(0.0, 1.0 - speed)
        return min(max(next_one, play), self._ahead)
