"""Songs: prompts over time to minutes of music, generated window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from riffusion_ext.audio import AudioClip, apply_level
from riffusion_ext.audio.workload import check
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Request
from riffusion_ext.generate.bounds import DENOISE, JOINS, STEPS
from riffusion_ext.generate.checkpoint.recipe import image_id
from riffusion_ext.generate.checkpoint.runner import ReadImage, RenderFolder
from riffusion_ext.generate.piece import WindowedPiece
from riffusion_ext.generate.score.keyframes import Score
from riffusion_ext.generate.windows.init_images import PATTERNS, beat_image, tile_columns
from riffusion_ext.generate.windows.masks import combine_masks, soft_mask
from riffusion_ext.generate.windows.outpaint import outpaint_init
from riffusion_ext.generate.windows.plan import Plan, Window, check_overlap, check_width, plan_plain, plan_song
from riffusion_ext.generate.windows.preview import image_of, sound_of
from riffusion_ext.generate.windows.warnings import skipped_keyframes
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.spectrogram.workload import decode_workload
from riffusion_ext.validation.numbers import in_range, shown

__all__ = ["INFOTEXT_KEY", "JOINS", "Song", "SongSettings"]

INFOTEXT_KEY = "Riffusion song"


@dataclass(frozen=True)
class SongSettings:
    """Settings of a song.

    Parameters
    ----------
    score
        Prompts over time.
    join
        How windows meet, one of :data:`JOINS`.
    beat
        Pattern of the beat in the init images, one of :data:`~riffusion_ext.generate.windows.init_images.PATTERNS`;
        ignored if an image is passed. It needs the tempo of the score.
    bridge_denoise
        Denoising strength of windows between others if there is no init image.
    width, overlap, seeds
        See :func:`~riffusion_ext.generate.windows.plan.plan_song`.
    steps, sampler
        See :class:`~riffusion_ext.generate.backends.base.Request`.
    params
        Spectrogram parameters of the images.
    level
        See :func:`~riffusion_ext.audio.level.apply_level`.

    Raises
    ------
    RiffusionError
        A choice is unknown, a number is out of range, or a beat has no tempo.
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

    def resolve_seeds(self, seed: int = -1) -> SongSettings:
        """Return the settings with resolved seeds, so that the song can be reproduced."""
        return replace(self, score=self.score.resolve_seeds(seed))


class Song(WindowedPiece):
    """A song and the folder where it is generated.

    Parameters
    ----------
    settings
        Seeds of -1 are resolved: see :attr:`settings`. To resume an unfinished song, pass those.
    folder
        Folder for windows. Each song has its own folder inside, named after a digest of all that determines its
        images. Old ones of finished songs are removed, see :mod:`riffusion_ext.generate.checkpoint.retention`.
    seed_picture
        Init image of the windows, repeated along the song; None: the beat, or noise alone.
    mask
        White is regenerated, black is kept of the init image. Scaled to the windows.
    before
        Image that the song continues: it starts with its last columns.
    decode
        Engine, device and high frequencies of the sound.

    Raises
    ------
    RiffusionError
        The settings contradict each other, or the song needs more memory than is allowed.
    """

    kind = "song"
    infotext_key = INFOTEXT_KEY
    settings: SongSettings

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
        settings = settings.resolve_seeds()
        super().__init__(settings, folder, decode)
        if mask is not None and seed_picture is None and settings.beat == "none":
            raise RiffusionError("a mask keeps parts of an init image, so it needs one: choose an image or a beat")
        self._init_image = seed_picture
        images = {"seed_picture": seed_picture, "mask": mask, "before": before}
        self._images = {name: image_id(image) for name, image in images.items() if image is not None}
        height = settings.params.num_frequencies
        self._mask = None if mask is None else mask.convert("L").resize((settings.width, height))
        self._before = None if before is None else tile_columns(before, 0, before.width, height)
        self.plan = self._plan()

    def _plan(self) -> Plan:
        settings = self.settings
        columns = settings.params.columns_of_samples(settings.score.samples(settings.params.sample_rate))
        check(decode_workload(settings.params, columns, engine=self.decode.engine, factor=self.extension.factor))
        if settings.join == "plain":
            if self._before is not None:
                raise RiffusionError("a song that goes on from an image needs windows that overlap, not plain ones")
            return plan_plain(settings.score, settings.params, width=settings.width, seeds=settings.seeds)
        known = 0 if self._before is None else min(settings.overlap, self._before.width // 8 * 8)
        return plan_song(
            settings.score,
            settings.params,
            width=settings.width,
            overlap=settings.overlap,
            seeds=settings.seeds,
            known_start=known,
        )

    def _layers(self) -> Iterator[RenderFolder]:
        record = {
            "model": self._model,
            "steps": self.settings.steps,
            "sampler": self.settings.sampler,
            "beat": self.settings.beat,
            "bpm": self.settings.score.bpm,
            "beats_per_bar": self.settings.score.beats_per_bar,
            "bridge_denoise": self.settings.bridge_denoise,
            "pictures": self._images,
        }
        yield self._render_folder(self.plan, record, self._request)

    def _request(self, window: Window, read_image: ReadImage) -> Request:
        moment, height = window.moment, self.settings.params.num_frequencies
        init = self._start_image(window)
        denoise: float | None = moment.denoise
        if init is None and window.known_left + window.known_right:
            denoise = self.settings.bridge_denoise
            init = self._outpaint_init(None, window, read_image)
        elif init is not None:
            init = self._outpaint_init(init, window, read_image)
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
            mask=combine_masks(soft_mask(window.width, height, window.known_left, window.known_right), self._mask),
        )

    def _start_image(self, window: Window) -> Image.Image | None:
        """Return the init image of a window without regard to its neighbours; None: noise alone."""
        params, score = self.settings.params, self.settings.score
        if self._init_image is not None:
            return tile_columns(self._init_image, window.start, window.width, params.num_frequencies)
        if self.settings.beat == "none":
            return None
        return beat_image(
            score.bpm or 0.0,
            self.settings.beat,
            params,
            start=window.start,
            width=window.width,
            beats_per_bar=score.beats_per_bar,
        )

    def _outpaint_init(self, init: Image.Image | None, window: Window, read_image: ReadImage) -> Image.Image:
        """Paste the known columns of neighbours over both ends; see :mod:`riffusion_ext.generate.windows.outpaint`."""
        left, right = window.known_left, window.known_right
        known: list[np.ndarray | None] = [None, None]
        if left and window.number:
            before = self.plan.windows[window.number - 1]
            known[0] = np.asarray(read_image(before.number).convert("RGB"))[:, window.start - before.start :][:, :left]
        elif left and self._before is not None:
            known[0] = np.asarray(self._before)[:, -left:]
        if right:
            after = self.plan.windows[window.number + 1]
            known[1] = np.asarray(read_image(after.number).convert("RGB"))[:, : window.end - after.start][:, -right:]
        return outpaint_init(init, known[0], known[1], (window.width, self.settings.params.num_frequencies))

    @property
    def windows_folder(self) -> Path | None:
        """Folder with the images of the windows; None before generation has begun."""
        return self._works[0].folder / "windows" if self._works else None

    def _decode(
        self, plan: Plan, first: int, decode: DecodeSettings, progress: Callable[[float], None] | None
    ) -> AudioClip:
        work = self._works[0]

        def read(number: int) -> Image.Image:
            return work.image(first + number)

        clip = sound_of(plan, read, decode, measured=work.measured, first=first, progress=progress)
        return apply_level(clip, self.settings.level)

    def image(self, *, columns: int | None = None) -> Image.Image | None:
        """Return the last `columns` playable columns as one image, which another song can continue.

        Without a number, all of them. None if nothing is playable yet.
        """
        plan = self.playable()
        if plan is None:
            return None
        work = self._works[0]
        start = 0 if columns is None else max(plan.columns - columns, 0)
        return image_of(plan, work.image, start=start, measured=work.measured)

    @property
    def notes(self) -> list[str]:
        """Warnings about keyframes that will not be audible."""
        return [*skipped_keyframes(self.plan, self.settings.score.keyframes), *super().notes]

    @property
    def seed(self) -> int:
        """Seed of the first keyframe."""
        return self.settings.score.keyframes[0].seed
