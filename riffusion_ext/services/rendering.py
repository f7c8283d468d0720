"""Render a song, riff, loop or interpolation: the one way of pages, command line and HTTP routes from piece to sound.

::

    piece + backend --render_piece--> images --sound_of_piece--> clip --piece.write--> file

A song, riff or loop keeps its images in a folder and does not generate again what is there: rendering it once more
resumes it. An interpolation keeps its images in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from riffusion_ext.progress import Stage, Stages

if TYPE_CHECKING:
    from riffusion_ext.audio import AudioClip
    from riffusion_ext.generate.backends.base import Activity, Backend
    from riffusion_ext.generate.checkpoint.runner import Event
    from riffusion_ext.generate.piece import Piece

__all__ = ["OnProgress", "Rendered", "render_piece", "sound_of_piece", "sound_progress"]

OnProgress = Callable[["Activity | Event | Stage"], object]
"""Is told what the backend does, how many windows there are, and how far the sound is."""


@dataclass(frozen=True)
class Rendered:
    """How generating the windows ended: how many there are and were wanted, whether it was stopped, or failed."""

    done: int
    total: int
    stopped: bool = False
    error: Exception | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.stopped and self.error is None


def render_piece(
    piece: Piece,
    backend: Backend,
    *,
    batch: int = 1,
    limit: int | None = None,
    on_progress: OnProgress = lambda item: None,
    cancelled: Callable[[], bool] = lambda: False,
    after_batch: Callable[[], object] = lambda: None,
) -> Rendered:
    """Generate the windows of a piece that are not there yet; never raises an error of the backend or the files.

    Parameters
    ----------
    piece
        Song, riff, loop or interpolation.
    backend
        Generates the images.
    batch
        Images at once, at most.
    limit
        See :meth:`~riffusion_ext.generate.piece.Piece.generate`.
    on_progress
        Is told the backend's activity and the events of the piece, from the thread that calls or one of the backend's.
    cancelled
        Whether to stop; asked again and again. What is finished is kept.
    after_batch
        Called after each batch, such as to decode what can be heard already. Its errors end the work.
    """
    from riffusion_ext.generate.backends.batch_limit import BatchLimit
    from riffusion_ext.generate.checkpoint.runner import Progress, Stopped

    done = total = 0
    try:
        for event in piece.generate(BatchLimit(backend, batch, on_progress, cancelled), limit=limit):
            on_progress(event)
            if isinstance(event, Stopped):
                return Rendered(event.done, event.total, stopped=True)
            if not isinstance(event, Progress):
                continue
            done, total = event.done, event.total
            after_batch()
            if done < total and cancelled():
                return Rendered(done, total, stopped=True)
    except KeyboardInterrupt:
        return Rendered(done, total, stopped=True)
    except Exception as error:
        return Rendered(done, total, error=error)
    return Rendered(done, total)


def sound_of_piece(piece: Piece, rendered: Rendered, on_progress: OnProgress = lambda item: None) -> AudioClip | None:
    """Return the sound of a piece as far as it is rendered without a gap; None: nothing can be heard.

    Parameters
    ----------
    piece
        After :func:`render_piece`.
    rendered
        What that returned.
    on_progress
        Is told a :class:`~riffusion_ext.progress.Stage` as the sound is made, where the piece can say how far it is.
    """
    return piece.sound(progress=sound_progress(rendered, on_progress) if piece.in_parts else None)


def sound_progress(rendered: Rendered, on_progress: OnProgress) -> Callable[[float], None]:
    """Return what takes in the part of the sound that is made, 0 to 1, and tells it as a stage in windows."""
    return Stages(on_progress).begin_parts("making the sound", "windows", max(rendered.done, 1))
