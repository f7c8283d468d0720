"""Base classes of songs, riffs, loops and interpolations.

A :class:`Piece` is generated as images and decoded as one sound. A :class:`WindowedPiece` (song, riff, loop) has a plan
of windows, keeps their images in a folder so that it can be resumed, and records its recipe in the sound file. Each
kind plans its windows and makes their requests; the rest is here.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, TypedDict

from riffusion_ext.audio import AudioClip
from riffusion_ext.audio.save import save_clip
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Backend, Request
from riffusion_ext.generate.checkpoint.recipe import infotext, to_record
from riffusion_ext.generate.checkpoint.retention import remove_old
from riffusion_ext.generate.checkpoint.runner import Event, ReadImage, RenderFolder, RenderJob, run_layers
from riffusion_ext.generate.windows.plan import Plan, Window
from riffusion_ext.generate.windows.segments import plan_part, with_fast_engine
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.high_frequencies import Extension, plan_extension
from riffusion_ext.spectrogram.settings import DecodeSettings

if TYPE_CHECKING:
    from riffusion_ext.generate.checkpoint.recipe import PieceSettings

    class WindowedSettings(PieceSettings, Protocol):
        """Settings of a song, riff or loop."""

        @property
        def params(self) -> SpectrogramParams: ...


__all__ = ["InfotextFields", "Piece", "WindowedPiece", "short_digest"]


class Piece(ABC):
    """Music that a model generates as images, decoded as one sound.

    :func:`~riffusion_ext.services.rendering.render_piece` generates it.

    Attributes
    ----------
    reports_progress
        Whether :meth:`sound` reports progress.
    decode
        Engine, device and high frequencies of the sound.
    """

    reports_progress: ClassVar[bool] = True

    def __init__(self, decode: DecodeSettings | None) -> None:
        self.decode = decode or DecodeSettings()

    @property
    @abstractmethod
    def seed(self) -> int:
        """First seed of the piece, after a random choice."""

    @property
    def notes(self) -> list[str]:
        """Warnings for the user, one sentence each."""
        return [*self.extension.notes]

    @property
    def extension(self) -> Extension:
        """What is added above the highest frequency of the images; the sound has its output rate."""
        return plan_extension(self._sound_params(), self.decode.high_frequencies)

    @abstractmethod
    def generate(self, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
        """Generate the images.

        Parameters
        ----------
        backend
            Generates the images.
        limit
            Number of images from the start; None: all. For listening before the whole piece is generated.

        Yields
        ------
        Event
            See :func:`~riffusion_ext.generate.checkpoint.runner.run_layers`.
        """

    @abstractmethod
    def sound(self, *, progress: Callable[[float], None] | None = None) -> AudioClip | None:
        """Return the sound up to the first missing image, at the chosen level; None if the first one is missing."""

    @abstractmethod
    def _sound_params(self) -> SpectrogramParams:
        """Return the spectrogram parameters of the images."""

    def _recipe(self) -> Mapping[str, object]:
        """Return the recipe for the tags of a sound file, apart from the spectrogram parameters."""
        return {}

    def _loop_points(self, path: Path, clip: AudioClip) -> tuple[int, int] | None:
        """Return start and end sample of the loop for players; None if nothing loops."""
        return None

    def write(self, path: Path, clip: AudioClip, *, title: str = "", subtype: str = "pcm16") -> Path:
        """Write a sound of this piece, with its parameters and recipe in the tags."""
        return save_clip(
            clip,
            path,
            self._sound_params(),
            title=title or path.stem,
            recipe={**self._recipe(), **self.extension.recipe},
            subtype=subtype,
            loop=self._loop_points(path, clip),
        )


class InfotextFields(TypedDict):
    """Values of the first window in the generation parameters."""

    prompt: str
    negative: str
    size: tuple[int, int]
    extra: dict[str, object]


class WindowedPiece(Piece):
    """A song, riff or loop: a piece with a plan of windows, and the folder where they are generated.

    Attributes
    ----------
    kind
        Name of the recipe in the tags of a sound file.
    infotext_key
        Name of the recipe in generation parameters.
    settings
        Settings with resolved seeds.
    folder
        Parent of the folders of its layers, which are named after a digest of all that determines their images.
    plan
        Plan of the windows.
    """

    kind: ClassVar[str]
    infotext_key: ClassVar[str]

    settings: WindowedSettings
    folder: Path
    plan: Plan

    def __init__(self, settings: WindowedSettings, folder: Path, decode: DecodeSettings | None) -> None:
        super().__init__(decode)
        self.settings, self.folder = settings, folder
        self._works: list[RenderFolder] = []
        self._model = ""
        self._images: Mapping[str, str] = {}

    # -- what each kind defines

    @abstractmethod
    def _layers(self) -> Iterator[RenderFolder]:
        """Create or open the folders of the layers; the model is known."""

    @abstractmethod
    def _decode(
        self, plan: Plan, first: int, decode: DecodeSettings, progress: Callable[[float], None] | None
    ) -> AudioClip:
        """Decode a part of the plan that starts with window `first`, at the chosen level."""

    def _infotext_fields(self) -> InfotextFields:
        """Return prompt, negative prompt, size and extra values of the first window, for the generation parameters."""
        moment = self.plan.windows[0].moment
        return {
            "prompt": moment.a.prompt,
            "negative": moment.a.negative,
            "size": (self.plan.windows[0].width, self.settings.params.num_frequencies),
            "extra": {"CFG scale": moment.cfg, "Seed": moment.a.seed},
        }

    def _prepare(self, limit: int | None) -> None:
        """Make what the first `limit` windows need before they are generated; None: all."""

    # -- windows

    def generate(self, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
        """Generate the missing windows of all layers, from left to right.

        Parameters
        ----------
        backend
            Generates the images.
        limit
            Number of windows from the start; None: all.

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
        """Create or open the folders of the layers, whose finished windows can then be decoded.

        Parameters
        ----------
        model
            :attr:`~riffusion_ext.generate.backends.base.Backend.name` of the backend of the images.
        """
        self._model, self._works = model, []
        for work in self._layers():  # one by one: generation parameters depend on the first
            self._works.append(work)

    def _render_folder(
        self,
        plan: Plan,
        record: Mapping[str, object],
        request: Callable[[Window, ReadImage], Request],
        max_value: Callable[[int], float] | None = None,
    ) -> RenderFolder:
        """Return the folder of a layer, named after the record and the plan; see :class:`RenderJob`."""
        levels = max_value or (lambda number: plan.params.default_max_value)
        job = RenderJob(plan, request, levels, record, self.infotext())
        return RenderFolder(self.folder / short_digest([record, plan.to_json()]), job)

    def playable(self) -> Plan | None:
        """Return the plan of the windows up to the first that a layer lacks; None if it is the first one."""
        plans = [work.playable() for work in self._works]
        count = min((len(plan.windows) if plan else 0 for plan in plans), default=0)
        return self.plan.head(count) if count else None

    # -- sound

    def sound(self, *, progress: Callable[[float], None] | None = None) -> AudioClip | None:
        """Decode the windows of :meth:`playable`; see :meth:`Piece.sound`."""
        plan = self.playable()
        return None if plan is None else self._decode(plan, 0, self.decode, progress)

    def part(self, first: int, stop: int) -> AudioClip:
        """Decode a range of finished windows by itself with the fast engine, for listening before the end.

        Parameters
        ----------
        first, stop
            Number of the first window, and of the last + 1.

        Raises
        ------
        RiffusionError
            A window is missing.
        """
        if not self._works:
            raise RiffusionError("nothing has been generated yet")
        return self._decode(plan_part(self.plan, first, stop), first, with_fast_engine(self.decode), None)

    # -- file

    def infotext(self) -> str:
        """Return generation parameters with the recipe, from which the piece can be reproduced."""
        return infotext(
            self.infotext_key,
            self.settings,
            **self._infotext_fields(),
            host=self._works[0].host_values() if self._works else {},
            model=self._model,
            images=self._images,
        )

    def _sound_params(self) -> SpectrogramParams:
        return self.settings.params

    def _recipe(self) -> Mapping[str, object]:
        return {self.kind: to_record(self.settings), "parameters": self.infotext()}


def short_digest(value: object) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
