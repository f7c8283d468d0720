"""Registry of the jams of this process, by unguessable ids."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError

if TYPE_CHECKING:  # the host imports this module at startup
    from riffusion_ext.generate.live.session import Jam

__all__ = ["JAMS", "JamRegistry"]


class JamRegistry:
    """Registry of jams.

    Parameters
    ----------
    max_jams
        Most jams that may generate at once: they share one model.
    """

    def __init__(self, max_jams: int = 4) -> None:
        self._max_jams = max_jams
        self._jams: dict[str, Jam] = {}
        self._lock = threading.Lock()

    def start(self, jam: Jam) -> str:
        """Start a jam, and return its id.

        Raises
        ------
        RiffusionError
            Too many jams play already.
        """
        with self._lock:
            self._jams = {id_: other for id_, other in self._jams.items() if not other.is_closed}
            # A jam that must end does not count: its page may have stopped it to start this one.
            playing = sum(not (other.ended or other.should_end()) for other in self._jams.values())
            if playing >= self._max_jams:
                raise RiffusionError(f"{playing} jams play here already; stop one of them first")
            id_ = secrets.token_urlsafe(12)
            self._jams[id_] = jam
            jam.start()
        return id_

    def get(self, id_: str) -> Jam | None:
        """Return the jam with an id; None if there is none."""
        with self._lock:
            jam = self._jams.get(id_)
        return None if jam is None or jam.is_closed else jam

    def close(self, timeout: float = 10.0) -> None:
        """End all jams before the program exits: save recordings and remove the rest."""
        with self._lock:
            jams = list(self._jams.values())
        for jam in jams:
            jam.close()
        for jam in jams:
            jam.join(timeout)


JAMS = JamRegistry()
"""The jams of this process."""
