"""A backend that is held to smaller batches, and interrupted as soon as its images are not wanted any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from PIL import Image

from riffusion_ext.generate.backends.base import Activity, Backend, OnImage, Request, accepts_mixed

__all__ = ["BatchLimit"]

_LOOK_AGAIN = 0.2


class BatchLimit:
    """A backend that is given at most so many images at once, and interrupted when they are not wanted any more.

    Parameters
    ----------
    backend
        Generates.
    most
        1 or more.
    on_activity
        Is told the backend's :class:`~riffusion_ext.generate.backends.base.Activity` whenever it is another.
    cancelled
        Whether to stop; asked again and again while the backend is at work.
    """

    def __init__(
        self, backend: Backend, most: int, on_activity: Callable[[Activity], object], cancelled: Callable[[], bool]
    ) -> None:
        held = getattr(backend, "held_to", None)  # several: so many each
        self._backend: Backend = backend if held is None else held(most)
        self._most = most if held is None else None
        self._on_activity, self._cancelled = on_activity, cancelled

    @property
    def name(self) -> str:
        """That of the backend."""
        return self._backend.name

    @property
    def max_batch(self) -> int:
        """The smaller one of the backend's and ours; of several backends, the sum of them."""
        takes = self._backend.max_batch
        return max(1, takes if self._most is None else min(takes, self._most))

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
        over = threading.Event()
        threading.Thread(target=self._watch, args=(over,), daemon=True, name="riffusion-stop").start()
        try:
            return self._backend.generate(requests, on_image)
        finally:
            over.set()

    def interrupt(self) -> None:
        """Interrupt the backend."""
        self._backend.interrupt()

    def _watch(self, over: threading.Event) -> None:
        said = None
        while not over.wait(_LOOK_AGAIN):  # more than once: the wish may come before the backend has begun
            activity = self._backend.activity
            if activity is not None and activity != said:
                said = activity
                self._on_activity(said)
            if self._cancelled():
                self._backend.interrupt()
