"""Render a song, riff, loop or interpolation: from a piece to its audio, for pages, command line and HTTP routes alike.

::

    piece + backend --render_piece--> images --sound_of_piece--> clip --piece.write--> file

The images of a song, riff or loop are kept in its folder and are not generated again, so rendering can be resumed. An
interpolation keeps its images in memory.
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
"""Called with the activity of the backend, the events of the piece, and the stages of the audio."""


@dataclass(frozen=True)
class Rendered:
    """Outcome of generating windows: number done and total, and whether it was stopped or failed."""

    done: int
    total: int
    stopped: bool = False
    error: Exception | None = None

    @property
    def complete(self) -> bool:
        """Whether all windows were generated."""
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
    """Generate the missing windows of a piece. Errors of the backend and of files are returned, not raised.

    Parameters
    ----------
    piece
        Song, riff, loop or interpolation.
    backend
        Generates the images.
    batch
        Maximum number of images at once.
    limit
        See :meth:`~riffusion_ext.generate.piece.Piece.generate`.
    on_progress
        Called with the backend's activity and the events of the piece, from this thread or one of the backend's.
    cancelled
        Polled for whether to stop. Finished windows are kept.
    after_batch
        Called after each batch, for example to decode a preview. Its errors stop the rendering.
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
    """Return the audio of a piece up to the first missing window; None if there is none.

    Parameters
    ----------
    piece
        After :func:`render_piece`.
    rendered
        Its result.
    on_progress
        Called with a :class:`~riffusion_ext.progress.Stage` while the audio is made, if the piece reports progress.
    """
    return piece.sound(progress=sound_progress(rendered, on_progress) if piece.reports_progress else None)


def sound_progress(rendered: Rendered, on_progress: OnProgress) -> Callable[[float], None]:
    """Return a callback that takes the share of finished audio, 0 to 1, and reports it as a stage in windows."""
    return Stages(on_progress).begin_parts("making the sound", "windows", max(rendered.done, 1))
