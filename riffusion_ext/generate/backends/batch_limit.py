"""A backend that is held to smaller batches, and interrupted as soon as its images are not wanted any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from PIL import Image

from riffusion_ext.generate.backends.base import Activity, Backend, OnImage, Request, accepts_mixed

__all__ = ["BatchLimit"]

_POLL_INTERVAL_S = 0.2


class BatchLimit:
    """A backend that is given at most so many images at once, and interrupted when they are not wanted any more.

    Parameters
    ----------
    backend
        Generates.
    limit
        1 or more.
    on_activity
        Is told the backend's :class:`~riffusion_ext.generate.backends.base.Activity` whenever it is another.
    cancelled
        Whether to stop; asked again and again while the backend is at work.
    """

    def __init__(
        self, backend: Backend, limit: int, on_activity: Callable[[Activity], object], cancelled: Callable[[], bool]
    ) -> None:
        limit_batch = getattr(backend, "limit_batch", None)  # several: so many each
        self._backend: Backend = backend if limit_batch is None else limit_batch(limit)
        self._limit = limit if limit_batch is None else None
        self._on_activity, self._cancelled = on_activity, cancelled

    @property
    def name(self) -> str:
        """That of the backend."""
        return self._backend.name

    @property
    def max_batch(self) -> int:
        """The smaller one of the backend's and ours; of several backends, the sum of them."""
        batch = self._backend.max_batch
        return max(1, batch if self._limit is None else min(batch, self._limit))

    @property
    def accepts_mixed(self) -> bool:
        """Whether the backend does."""
        return accepts_mixed(self._backend)

    @property
    def interrupted(self) -> bool:
        """Whether the backend was."""
        return self._backend.interrupted

    @property
    def activity(self) -> Activity | None:
        """That of the backend."""
        return self._backend.activity

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        """Generate images."""
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
        while not done.wait(_POLL_INTERVAL_S):  # more than once: the wish may come before the backend has begun
            activity = self._backend.activity
            if activity is not None and activity != last:
                last = activity
                self._on_activity(last)
            if self._cancelled():
                self._backend.interrupt()
