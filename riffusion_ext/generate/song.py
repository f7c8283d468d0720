"""Text to minutes of music: prompts that travel, painted window by window."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from riffusion_ext.audio import AudioClip, apply_level
from riffusion_ext.audio.io import write_audio
from riffusion_ext.audio.workload import check
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Backend, Request
from riffusion_ext.generate.bounds import DENOISE, JOINS, STEPS
from riffusion_ext.generate.checkpoint.recipe import infotext, picture_id, to_record
from riffusion_ext.generate.checkpoint.retention import remove_old
from riffusion_ext.generate.checkpoint.runner import Event, OpenPicture, RenderFolder, RenderJob, run
from riffusion_ext.generate.score.keyframes import Score
from riffusion_ext.generate.windows.init_images import PATTERNS, beat_picture, tiled
from riffusion_ext.generate.windows.masks import combined, soft_mask
from riffusion_ext.generate.windows.outpaint import between
from riffusion_ext.generate.windows.plan import Plan, Window, check_overlap, check_width, plan_plain, plan_song
from riffusion_ext.generate.windows.preview import picture_of, sound_of
from riffusion_ext.generate.windows.segments import part_of, quickly
from riffusion_ext.generate.windows.warnings import passed_over
from riffusion_ext.metadata import audio_tags
from riffusion_ext.params import DEFAULT_MAX_VALUE, PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.spectrogram.workload import inverting
from riffusion_ext.validation.numbers import in_range, shown

__all__ = ["INFOTEXT_KEY", "JOINS", "Song", "SongSettings"]

INFOTEXT_KEY = "Riffusion song"


@dataclass(frozen=True)
class SongSettings:
    """How a song is made.

    Parameters
    ----------
    score
        What it is, over time.
    join
        One of :data:`JOINS`.
    beat
        Pattern of the seed picture, one of :data:`~riffusion_ext.generate.windows.init_images.PATTERNS`; not used
        where a picture is given. It needs the tempo of the score.
    bridge_denoise
        Strength with which windows between others are painted where there is no seed picture.
    width, overlap, seeds
        See :func:`~riffusion_ext.generate.windows.plan.plan_song`.
    steps, sampler
        See :class:`~riffusion_ext.generate.backends.base.Request`.
    params
        Of the pictures.
    level
        See :func:`~riffusion_ext.audio.level.apply_level`.

    Raises
    ------
    RiffusionError
        A choice is unknown, a number out of range, or a beat has no tempo.
    """

    score: Score
    join: str = "outpaint"
    beat: str = "none"
    bridge_denoise: float = 1.0
    width: int = 512
    overlap: int = 128
    seeds: str = "auto"
    steps: int = 30
    sampler: str = ""
    params: SpectrogramParams = PRESETS["riffusion-v1"]
    level: str = "peak"

    def __post_init__(self) -> None:
        for name, choices in (("join", JOINS), ("beat", PATTERNS)):
            if getattr(self, name) not in choices:
                raise RiffusionError(f"{name} must be one of {', '.join(choices)}, got {shown(getattr(self, name))}")
        if self.beat != "none" and self.score.bpm is None:
            raise RiffusionError(f"the beat {self.beat!r} needs a tempo: say how many beats per minute")
        in_range("the number of steps", self.steps, *STEPS)
        in_range("the strength of the bridges", self.bridge_denoise, *DENOISE)
        check_width(self.width)
        if self.join != "plain":
            check_overlap(self.overlap, self.width)

    def settled(self, seed: int = -1) -> SongSettings:
        """Return the settings with every seed decided, so that the song can be made again."""
        return replace(self, score=self.score.settled(seed))


class Song:
    """A song, and the folder where it is painted.

    Parameters
    ----------
    settings
        Seeds of -1 are decided here: :attr:`settings` has them. To go on with an unfinished song, give those.
    folder
        For windows; each song has a folder of its own inside, named after all that decides its pictures. Old ones of
        finished songs are removed, see :mod:`riffusion_ext.generate.checkpoint.retention`.
    seed_picture
        What the windows start from, repeated along the song; None: the beat, or noise alone.
    mask
        Where the seed picture is repainted: white all, black nothing. Scaled to the windows.
    before
        A picture that the song goes on from: it begins with the last columns of it.
    decode
        Engine and device for the sound.

    Raises
    ------
    RiffusionError
        The settings do not fit together, or the song needs more memory than is allowed.
    """

    def __init__(
        self,
        settings: SongSettings,
        folder: Path,
        *,
        seed_picture: Image.Image | None = None,
        mask: Image.Image | None = None,
        before: Image.Image | None = None,
        decode: DecodeSettings | None = None,
    ) -> None:
        self.settings = settings = settings.settled()
        self.folder = folder
        self.decode = decode or DecodeSettings()
        if mask is not None and seed_picture is None and settings.beat == "none":
            raise RiffusionError("a mask keeps parts of an init image, so it needs one: choose an image or a beat")
        self._seed = seed_picture
        given = {"seed_picture": seed_picture, "mask": mask, "before": before}
        self._pictures = {name: picture_id(picture) for name, picture in given.items() if picture is not None}
        self._model = ""
        height = settings.params.num_frequencies
        self._mask = None if mask is None else mask.convert("L").resize((settings.width, height))
        self._before = None if before is None else tiled(before, 0, before.width, height)
        self.plan = self._plan()
        self._work: RenderFolder | None = None

    def _plan(self) -> Plan:
        wanted = self.settings
        columns = wanted.params.columns_of_samples(wanted.score.samples(wanted.params.sample_rate))
        check(inverting(wanted.params, columns, engine=self.decode.engine))
        if wanted.join == "plain":
            if self._before is not None:
                raise RiffusionError("a song that goes on from an image needs windows that overlap, not plain ones")
            return plan_plain(wanted.score, wanted.params, width=wanted.width, seeds=wanted.seeds)
        known = 0 if self._before is None else min(wanted.overlap, self._before.width // 8 * 8)
        return plan_song(
            wanted.score,
            wanted.params,
            width=wanted.width,
            overlap=wanted.overlap,
            seeds=wanted.seeds,
            known_start=known,
        )

    def paint(self, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
        """Paint the windows that are not there yet; see :func:`~riffusion_ext.generate.checkpoint.runner.run`."""
        self._model, self._work = backend.name, None
        record = {
            "model": backend.name,
            "steps": self.settings.steps,
            "sampler": self.settings.sampler,
            "beat": self.settings.beat,
            "bpm": self.settings.score.bpm,
            "beats_per_bar": self.settings.score.beats_per_bar,
            "bridge_denoise": self.settings.bridge_denoise,
            "pictures": self._pictures,
        }
        key = hashlib.sha256(json.dumps([record, self.plan.to_json()]).encode()).hexdigest()[:16]
        job = RenderJob(self.plan, self._request, lambda number: DEFAULT_MAX_VALUE, record, self.infotext())
        self._work = RenderFolder(self.folder / key, job)
        yield from run(self._work, backend, limit=limit)
        remove_old(self.folder)

    def _request(self, window: Window, open_picture: OpenPicture) -> Request:
        moment, height = window.moment, self.settings.params.num_frequencies
        init = self._start_picture(window)
        denoise: float | None = moment.denoise
        if init is None and window.known_left + window.known_right:
            denoise = self.settings.bridge_denoise
            init = self._between(None, window, open_picture)
        elif init is not None:
            init = self._between(init, window, open_picture)
        else:
            denoise = None
        return Request(
            prompts=(moment.a.prompt, moment.b.prompt),
            alpha=moment.alpha,
            negatives=(moment.a.negative, moment.b.negative),
            seeds=window.seeds,
            cfg=moment.cfg,
            denoise=denoise,
            steps=self.settings.steps,
            sampler=self.settings.sampler,
            width=window.width,
            height=height,
            init=init,
            mask=combined(soft_mask(window.width, height, window.known_left, window.known_right), self._mask),
        )

    def _start_picture(self, window: Window) -> Image.Image | None:
        """Return what the window starts from, where it knows nothing of its neighbours."""
        params, score = self.settings.params, self.settings.score
        if self._seed is not None:
            return tiled(self._seed, window.start, window.width, params.num_frequencies)
        if self.settings.beat == "none":
            return None
        return beat_picture(
            score.bpm or 0.0,
            self.settings.beat,
            params,
            start=window.start,
            width=window.width,
            beats_per_bar=score.beats_per_bar,
        )

    def _between(self, init: Image.Image | None, window: Window, open_picture: OpenPicture) -> Image.Image:
        """Lay what the neighbours decide over both ends (:func:`~riffusion_ext.generate.windows.outpaint.between`)."""
        left, right = window.known_left, window.known_right
        known: list[np.ndarray | None] = [None, None]
        if left and window.number:
            before = self.plan.windows[window.number - 1]
            known[0] = np.asarray(open_picture(before.number).convert("RGB"))[:, window.start - before.start :][
                :, :left
            ]
        elif left and self._before is not None:
            known[0] = np.asarray(self._before)[:, -left:]
        if right:
            after = self.plan.windows[window.number + 1]
            known[1] = np.asarray(open_picture(after.number).convert("RGB"))[:, : window.end - after.start][:, -right:]
        return between(init, known[0], known[1], (window.width, self.settings.params.num_frequencies))

    @property
    def windows_folder(self) -> Path | None:
        """Where the pictures of the windows lie, once painting has begun."""
        return self._work.folder / "windows" if self._work else None

    def beginning(self) -> Plan | None:
        """Return the plan of what can be heard so far, from the first window on; None: nothing yet."""
        return self._work.beginning() if self._work else None

    def sound(self, *, progress: Callable[[float], None] | None = None) -> AudioClip | None:
        """Return the song as far as it is painted without a gap, at the level of choice; None: nothing yet."""
        plan = self.beginning()
        if plan is None or self._work is None:
            return None
        clip = sound_of(plan, self._work.picture, self.decode, measured=self._work.measured, progress=progress)
        return apply_level(clip, self.settings.level)

    def part(self, first: int, stop: int) -> AudioClip:
        """Return the sound of some windows by themselves, all of them painted: something to hear before the end.

        By the fast engine, whatever was chosen for the song.

        Parameters
        ----------
        first, stop
            Numbers of the first window, and of the one behind the last.

        Raises
        ------
        RiffusionError
            A window is not painted.
        """
        if self._work is None:
            raise RiffusionError("nothing has been generated yet")
        work, plan = self._work, part_of(self.plan, first, stop)

        def opened(number: int) -> Image.Image:
            return work.picture(first + number)

        clip = sound_of(plan, opened, quickly(self.decode), measured=work.measured, first=first)
        return apply_level(clip, self.settings.level)

    def picture(self, *, columns: int | None = None) -> Image.Image | None:
        """Return the last so many columns that can be heard as one picture, to go on from.

        Without a number, all of them. None: nothing yet.
        """
        plan = self.beginning()
        if plan is None or self._work is None:
            return None
        start = 0 if columns is None else max(plan.columns - columns, 0)
        return picture_of(plan, self._work.picture, start=start, measured=self._work.measured)

    @property
    def notes(self) -> list[str]:
        """Sentences about keyframes that will not be heard."""
        return passed_over(self.plan, self.settings.score.keyframes)

    def infotext(self) -> str:
        """Return generation parameters from which the song can be made again."""
        moment = self.plan.windows[0].moment
        return infotext(
            INFOTEXT_KEY,
            self.settings,
            prompt=moment.a.prompt,
            negative=moment.a.negative,
            size=(self.settings.width, self.settings.params.num_frequencies),
            extra={"CFG scale": moment.cfg, "Seed": moment.a.seed},
            host=self._work.host_values() if self._work else {},
            model=self._model,
            pictures=self._pictures,
        )

    def write(self, path: Path, clip: AudioClip, *, title: str = "", subtype: str = "pcm16") -> Path:
        """Write the sound of this song, with all that is needed to make it again."""
        extra = {"song": to_record(self.settings), "parameters": self.infotext()}
        tags = audio_tags(self.settings.params, title=title or path.stem, comment_extra=extra)
        return write_audio(clip, path, subtype=subtype, tags=tags)
