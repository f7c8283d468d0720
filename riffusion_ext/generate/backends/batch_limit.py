"""Limit the batch size of a backend, and interrupt it on cancellation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from PIL import Image

from riffusion_ext.generate.backends.base import Activity, Backend, OnImage, Request, accepts_mixed

__all__ = ["BatchLimit"]

_POLL_INTERVAL_S = 0.2


class BatchLimit:
    """A backend with a limited batch size that is interrupted on cancellation.

    Parameters
    ----------
    backend
        Backend that generates the images.
    limit
        Largest batch, 1 or more; for a pool of backends, of each.
    on_activity
        Called with the backend's :class:`~riffusion_ext.generate.backends.base.Activity` whenever it changes.
    cancelled
        Returns whether to stop; polled while the backend generates.
    """

    def __init__(
        self, backend: Backend, limit: int, on_activity: Callable[[Activity], object], cancelled: Callable[[], bool]
    ) -> None:
        limit_batch = getattr(backend, "limit_batch", None)  # a pool: the limit of each
        self._backend: Backend = backend if limit_batch is None else limit_batch(limit)
        self._limit = limit if limit_batch is None else None
        self._on_activity, self._cancelled = on_activity, cancelled

    @property
    def name(self) -> str:
        """Name of the backend."""
        return self._backend.name

    @property
    def max_batch(self) -> int:
        """The smaller of the backend's batch size and the limit; for a pool, the sum over its members."""
        batch = self._backend.max_batch
        return max(1, batch if self._limit is None else min(batch, self._limit))

    @property
    def accepts_mixed(self) -> bool:
        """Whether the backend accepts requests with different batch keys at once."""
        return accepts_mixed(self._backend)

    @property
    def interrupted(self) -> bool:
        """Whether the backend was interrupted."""
        return self._backend.interrupted

    @property
    def activity(self) -> Activity | None:
        """Activity of the backend."""
        return self._backend.activity

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        """Generate images; see :meth:`riffusion_ext.generate.backends.base.Backend.generate`."""
        done = threading.Event()
        threading.Thread(target=self._watch, args=(done,), daemon=True, name="riffusion-stop").start()
        try:
            return self._backend.generate(requests, on_image)
        finally:
            done.set()

    def interrupt(self) -> None:
        """Interrupt the backend."""
        self._backend.interrupt()

    def _watch(self, done: threading.Event) -> None:
        last = None
        while not done.wait(_POLL_INTERVAL_S):  # repeatedly: cancellation may come before the backend has begun
            activity = self._backend.activity
            if activity is not None and activity != last:
                last = activity
                self._on_activity(last)
            if self._cancelled():
                self._backend.interrupt()
