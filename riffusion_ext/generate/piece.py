"""What a song, a riff, a loop and an interpolation have in common.

A :class:`Piece` is generated as images and heard as one sound. A :class:`WindowedPiece` (song, riff, loop) is a plan of
windows whose images are kept in a folder, so that it can be resumed, and its sound file records the recipe: each kind
plans its windows and makes their requests; the rest is here.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from riffusion_ext.audio import AudioClip
from riffusion_ext.audio.save import save_clip
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Backend, Request
from riffusion_ext.generate.checkpoint.recipe import infotext, to_record
from riffusion_ext.generate.checkpoint.retention import remove_old
from riffusion_ext.generate.checkpoint.runner import Event, ReadImage, RenderFolder, RenderJob, run_layers
from riffusion_ext.generate.windows.plan import Plan, Window
from riffusion_ext.generate.windows.segments import plan_part, with_fast_engine
from riffusion_ext.params import DEFAULT_MAX_VALUE, SpectrogramParams
from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = ["Piece", "WindowedPiece", "short_digest"]


class Piece(ABC):
    """Something that a model generates as images and that is heard as one sound.

    :func:`~riffusion_ext.services.rendering.render_piece` generates it.

    Attributes
    ----------
    in_parts
        Whether :meth:`sound` reports progress.
    decode
        Engine and device for the sound.
    """

    in_parts: ClassVar[bool] = True

    def __init__(self, decode: DecodeSettings | None) -> None:
        self.decode = decode or DecodeSettings()

    @property
    @abstractmethod
    def seed(self) -> int:
        """The seed that was chosen."""

    @property
    def notes(self) -> list[str]:
        """Sentences about what will not be heard."""
        return []

    @abstractmethod
    def generate(self, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
        """Generate the images.

        Parameters
        ----------
        backend
            Generates the images.
        limit
            Only the first so many, to listen before the whole piece is there.

        Yields
        ------
        Event
            As :func:`~riffusion_ext.generate.checkpoint.runner.run_layers`.
        """

    @abstractmethod
    def sound(self, *, progress: Callable[[float], None] | None = None) -> AudioClip | None:
        """Return the piece as far as it can be heard without a gap, at the level of choice; None: nothing yet."""

    @abstractmethod
    def _sound_params(self) -> SpectrogramParams:
        """Return the parameters of the images that the sound is made from."""

    def _recipe(self) -> Mapping[str, object]:
        """Return what the tags of a sound file hold besides the parameters."""
        return {}

    def _loop_points(self, path: Path, clip: AudioClip) -> tuple[int, int] | None:
        """Return first and last sample of what a player repeats; None for nothing."""
        return None

    def write(self, path: Path, clip: AudioClip, *, title: str = "", subtype: str = "pcm16") -> Path:
        """Write a sound of this piece, with all that is needed to make it again."""
        return save_clip(
            clip,
            path,
            self._sound_params(),
            title=title or path.stem,
            recipe=self._recipe(),
            subtype=subtype,
            loop=self._loop_points(path, clip),
        )


class WindowedPiece(Piece):
    """A song, riff or loop: a piece with a plan of windows, and the folder where they are generated.

    Attributes
    ----------
    kind
        Name of the recipe in the tags of a sound file.
    infotext_key
        Name of the recipe in generation parameters.
    settings
        With every seed decided.
    folder
        Each piece has folders of its own inside, named after all that decides its images.
    plan
        The windows.
    """

    kind: ClassVar[str]
    infotext_key: ClassVar[str]

    settings: Any
    folder: Path
    plan: Plan

    def __init__(self, settings: Any, folder: Path, decode: DecodeSettings | None) -> None:
        super().__init__(decode)
        self.settings, self.folder = settings, folder
        self._works: list[RenderFolder] = []
        self._model = ""
        self._images: Mapping[str, str] = {}

    # -- what each kind says

    @abstractmethod
    def _layers(self) -> Iterator[RenderFolder]:
        """Make or find the folders of the layers; the model is known."""

    @abstractmethod
    def _decode(
        self, plan: Plan, first: int, decode: DecodeSettings, progress: Callable[[float], None] | None
    ) -> AudioClip:
        """Return the sound of a part of the plan that begins with window `first`, at the level of choice."""

    def _infotext_fields(self) -> dict[str, Any]:
        """Return prompt, negative, size and extra values for the generation parameters: those of the first window."""
        moment = self.plan.windows[0].moment
        return {
            "prompt": moment.a.prompt,
            "negative": moment.a.negative,
            "size": (self.plan.windows[0].width, self.settings.params.num_frequencies),
            "extra": {"CFG scale": moment.cfg, "Seed": moment.a.seed},
        }

    def _prepare(self, limit: int | None) -> None:
        """Make what the first so many windows need before they are generated."""

    # -- windows

    def generate(self, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
        """Generate the windows that are not there yet, of all layers from left to right.

        Parameters
        ----------
        backend
            Generates the images.
        limit
            Only the first so many windows, to listen before the whole piece is there.

        Yields
        ------
        Event
            As :func:`~riffusion_ext.generate.checkpoint.runner.run_layers`.
        """
        self.open(backend.name)
        self._prepare(limit)
        yield from run_layers(self._works, backend, limit=limit)
        remove_old(self.folder)

    def open(self, model: str) -> None:
        """Make or find the layers' folders; the windows that are there can be heard then.

        Parameters
        ----------
        model
            :attr:`~riffusion_ext.generate.backends.base.Backend.name` of what generates, or generated, the images.
        """
        self._model, self._works = model, []
        for work in self._layers():  # one by one: generation parameters depend on the first
            self._works.append(work)

    def _render_folder(
        self,
        plan: Plan,
        record: Mapping[str, object],
        request: Callable[[Window, ReadImage], Request],
        max_value: Callable[[int], float] = lambda number: DEFAULT_MAX_VALUE,
    ) -> RenderFolder:
        """Return the folder of a layer, named after the record and the plan; see :class:`RenderJob`."""
        job = RenderJob(plan, request, max_value, record, self.infotext())
        return RenderFolder(self.folder / short_digest([record, plan.to_json()]), job)

    def playable(self) -> Plan | None:
        """Return the plan of what can be heard: from the first window to the last that all layers have."""
        plans = [work.playable() for work in self._works]
        count = min((len(plan.windows) if plan else 0 for plan in plans), default=0)
        return self.plan.head(count) if count else None

    # -- sound

    def sound(self, *, progress: Callable[[float], None] | None = None) -> AudioClip | None:
        """Return the sound of the windows that :meth:`beginning` finds; see :meth:`Piece.sound`."""
        plan = self.playable()
        return None if plan is None else self._decode(plan, 0, self.decode, progress)

    def part(self, first: int, stop: int) -> AudioClip:
        """Return the sound of some windows by themselves, all of them finished: something to hear before the end.

        By the fast engine, whatever was chosen for the piece.

        Parameters
        ----------
        first, stop
            Numbers of the first window, and of the one behind the last.

        Raises
        ------
        RiffusionError
            A window is not there.
        """
        if not self._works:
            raise RiffusionError("nothing has been generated yet")
        return self._decode(plan_part(self.plan, first, stop), first, with_fast_engine(self.decode), None)

    # -- file

    def infotext(self) -> str:
        """Return generation parameters from which the piece can be made again."""
        return infotext(
            self.infotext_key,
            self.settings,
            **self._infotext_fields(),
            host=self._works[0].host_values() if self._works else {},
            model=self._model,
            images=self._images,
        )

    def _sound_params(self) -> SpectrogramParams:
        params: SpectrogramParams = self.settings.params
        return params

    def _recipe(self) -> Mapping[str, object]:
        return {self.kind: to_record(self.settings), "parameters": self.infotext()}


def short_digest(value: object) -> str:
    """Return 16 characters that stand for a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
