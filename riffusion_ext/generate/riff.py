"""A whole song, painted over: audio to audio.

::

    song --encode--> windows, each with its own black --img2img--> windows --weave, decode--> wet --mix--> sound

What is painted is one or two layers: one ("mono"), the two sides of the song with the same noise ("stereo"), or the
same song twice with two noises, panned ("double").
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from riffusion_ext.atomic import remove_leftovers
from riffusion_ext.audio import AudioClip, apply_level
from riffusion_ext.audio.io import write_audio
from riffusion_ext.audio.mix import LAWS, double, dry_wet
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backend import Backend, Request
from riffusion_ext.generate.curves import Curve
from riffusion_ext.generate.keyframes import Keyframe, Moment, Score
from riffusion_ext.generate.listen import mel_difference, sound_of
from riffusion_ext.generate.plan import Plan, Window, plan_riff
from riffusion_ext.generate.record import infotext, to_record
from riffusion_ext.generate.run import Event, Finished, Job, OpenPicture, Progress, Stopped, Work, run
from riffusion_ext.generate.stretches import part_of
from riffusion_ext.generate.weave import HOLD_RIFF
from riffusion_ext.metadata import audio_tags, read_record, save_picture
from riffusion_ext.spectrogram.encode import mel_pieces
from riffusion_ext.spectrogram.image import mel_to_image, open_picture
from riffusion_ext.spectrogram.params import DEFAULT_MAX_VALUE, PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = ["CHANNELS", "PRESETS_RIFF", "WARNINGS", "Riff", "RiffSettings"]

CHANNELS = ("mono", "stereo", "double")
"""What is painted, see the top of the module."""

INFOTEXT_KEY = "Riffusion riff"

_FULL_SCALE = np.float32(32768.0)
_PIECE = 20 * 44100
_ALL_WET = Curve.constant(1.0)
_LEAST_BLACK = 1000.0
"""Magnitude of black in a window of silence: about the last bit of a sound of 16 bits."""


@dataclass(frozen=True)
class RiffSettings:
    """How a song is painted over.

    Parameters
    ----------
    keyframes
        What it shall become, over time; the last one stays.
    stretch
        Whether the durations of the keyframes only count in proportion, the whole being as long as the song.
    denoise, cfg
        Over time, instead of the keyframes' own; None: those.
    start, duration
        The part of the song, in seconds; None: to its end.
    channels
        One of :data:`CHANNELS`.
    spread
        How far a doubled song is panned, 0 to 1.
    wet
        Share of the result in the mix with the original, 0 to 1, over time.
    law
        One of :data:`~riffusion_ext.audio.mix.LAWS`.
    width, overlap, seeds
        See :func:`~riffusion_ext.generate.plan.plan_riff`.
    steps, sampler
        See :class:`~riffusion_ext.generate.backend.Request`.
    params
        Of the pictures.
    power
        Of the way between keyframes.
    level
        See :func:`~riffusion_ext.audio.effects.apply_level`; "recorded" keeps the song's own.
    """

    keyframes: tuple[Keyframe, ...]
    stretch: bool = True
    denoise: Curve | None = None
    cfg: Curve | None = None
    start: float = 0.0
    duration: float | None = None
    channels: str = "mono"
    spread: float = 1.0
    wet: Curve = _ALL_WET
    law: str = "equal-power"
    width: int = 512
    overlap: int = 128
    seeds: str = "fixed"
    steps: int = 30
    sampler: str = ""
    params: SpectrogramParams = PRESETS["riffusion-v1"]
    power: float = 1.0
    level: str = "recorded"

    def __post_init__(self) -> None:
        for name, choices in (("channels", CHANNELS), ("law", LAWS)):
            if getattr(self, name) not in choices:
                raise RiffusionError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if self.channels != "mono" and self.params.stereo:
            raise RiffusionError(f"pictures in stereo hold both sides already; {self.channels} needs pictures in mono")

    def settled(self, seed: int = -1) -> RiffSettings:
        """Return the settings with every seed decided, so that the riff can be made again."""
        score = Score(tuple(replace(item, seconds=1.0, bars=None) for item in self.keyframes)).settled(seed)
        pairs = zip(self.keyframes, score.keyframes, strict=True)
        return replace(self, keyframes=tuple(replace(item, seed=settled.seed) for item, settled in pairs))

    def moment_at(self, length: float) -> Callable[[float], Moment]:
        """Return what is wanted, by seconds, in a song of so many seconds."""
        keyframes = self.keyframes
        if self.stretch:
            whole = sum(item.seconds or item.bars or 0.0 for item in keyframes) or 1.0
            lengths = [(item.seconds or item.bars or 0.0) * length / whole for item in keyframes]
            keyframes = tuple(replace(item, seconds=n, bars=None) for item, n in zip(keyframes, lengths, strict=True))
        score = Score(keyframes, power=self.power)

        def at(seconds: float) -> Moment:
            moment = score.at(seconds)
            denoise = moment.denoise if self.denoise is None else round(self.denoise.at(seconds), 4)
            cfg = moment.cfg if self.cfg is None else round(self.cfg.at(seconds), 4)
            return replace(moment, denoise=denoise, cfg=cfg)

        return at


PRESETS_RIFF: dict[str, dict[str, float | int]] = {
    "Subtle": {"denoise": 0.2, "cfg": 4.0, "steps": 25},
    "Cover": {"denoise": 0.3, "cfg": 6.0, "steps": 40},
    "Bold": {"denoise": 0.4, "cfg": 8.0, "steps": 50},
}
"""Recipes that keep a song recognisable: little denoising, moderate guidance (after neurochip's guide)."""

WARNINGS = {
    "denoise": "0.2 to 0.4 keeps the song; above 0.5 it is lost.",
    "cfg": "4 to 8; above 12 the sound turns harsh.",
    "steps": "25 to 50; more takes longer and changes little.",
}
"""What to know about the numbers, for help texts."""


@dataclass(frozen=True)
class _Layer:
    """One way through all windows.

    Attributes
    ----------
    name
        Of its folder.
    channel
        Of the song: its number, or None for all of them mixed.
    seed_offset
        Added to the seeds.
    """

    name: str
    channel: int | None = None
    seed_offset: int = 0


_LAYERS = {
    "mono": (_Layer("mono"),),
    "stereo": (_Layer("left", 0), _Layer("right", 1)),
    "double": (_Layer("first"), _Layer("second", None, 1)),
}


class Riff:
    """A song that is painted over, and the folder where that happens.

    Parameters
    ----------
    clip
        The song.
    settings
        Seeds of -1 are decided here: :attr:`settings` has them. To go on with an unfinished riff, give those.
    folder
        For windows; each riff has folders of its own inside, named after all that decides its pictures.
    decode
        Engine and device for the sound.

    Raises
    ------
    RiffusionError
        The settings do not fit the song.
    """

    def __init__(
        self, clip: AudioClip, settings: RiffSettings, folder: Path, *, decode: DecodeSettings | None = None
    ) -> None:
        self.settings = settings.settled()
        self.decode = decode or DecodeSettings()
        self.folder = folder
        song = clip.resample(settings.params.sample_rate)
        self.plan = self._plan(song.samples.shape[1])
        first = self.plan.first_sample
        self.dry = AudioClip(song.samples[:, first : first + self.plan.samples], song.sample_rate)
        self._layers = _LAYERS[settings.channels]
        self._works: list[Work] = []
        self._sources: list[_Sources] = []

    def _plan(self, total: int) -> Plan:
        wanted = self.settings
        if not total:
            raise RiffusionError("the song has no samples")

        def plan(moment_at: Callable[[float], Moment]) -> Plan:
            return plan_riff(
                total,
                wanted.params,
                moment_at,
                width=wanted.width,
                overlap=wanted.overlap,
                start=wanted.start,
                duration=wanted.duration,
                seeds=wanted.seeds,
            )

        length = plan(wanted.moment_at(1.0)).seconds  # the way between the keyframes depends on it
        return plan(wanted.moment_at(length))

    def paint(self, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
        """Paint the windows that are not there yet, layer by layer.

        Parameters
        ----------
        backend
            Paints.
        limit
            Only the first so many windows, to listen before the whole song is painted.

        Yields
        ------
        Event
            As :func:`~riffusion_ext.generate.run.run`, counting the windows of all layers.
        """
        self.open(backend.name)
        count = len(self.plan.windows) if limit is None else min(max(limit, 1), len(self.plan.windows))
        total = count * len(self._layers)
        began, painted = time.monotonic(), 0
        for before, work in zip(range(0, total, count), self._works, strict=True):
            for event in run(work, backend, limit=limit):
                if isinstance(event, Finished):
                    painted += 1
                    yield event
                elif isinstance(event, Stopped):
                    yield Stopped(before + event.done, total)
                    return
                else:
                    done = before + event.done
                    each = (time.monotonic() - began) / painted if painted else None
                    yield Progress(done, total, None if each is None else each * (total - done))

    def open(self, model: str) -> None:
        """Make or find the layers' folders, and draw what they start from; what was painted there can be heard then.

        Parameters
        ----------
        model
            :attr:`~riffusion_ext.generate.backend.Backend.name` of what paints, or painted.
        """
        self._works, self._sources = [], []
        digest = hashlib.sha256(np.ascontiguousarray(self.dry.samples).data).hexdigest()
        for layer in self._layers:
            plan = _with_seeds(self.plan, layer.seed_offset)
            painting = {"model": model, "steps": self.settings.steps, "sampler": self.settings.sampler}
            record = {"song": digest, "layer": layer.name, **painting}
            key = hashlib.sha256(json.dumps([record, plan.to_json()]).encode()).hexdigest()[:16]
            sources = _Sources(self.folder / key / "sources", plan, self.dry, layer.channel)
            work = Work(
                self.folder / key, Job(plan, partial(self._request, sources), sources.black, record, self.infotext())
            )
            sources.draw()
            self._works.append(work)
            self._sources.append(sources)

    def _request(self, sources: _Sources, window: Window, _open: OpenPicture) -> Request:
        moment = window.moment
        return Request(
            prompts=(moment.a.prompt, moment.b.prompt),
            alpha=moment.alpha,
            negatives=(moment.a.negative, moment.b.negative),
            seeds=window.seeds,
            cfg=moment.cfg,
            denoise=moment.denoise,
            steps=self.settings.steps,
            sampler=self.settings.sampler,
            width=window.width,
            height=self.settings.params.num_frequencies,
            init=sources.picture(window.number).convert("RGB"),
        )

    def beginning(self) -> Plan | None:
        """Return the plan of what can be heard: from the first window to the last that all layers have."""
        plans = [work.beginning() for work in self._works]
        count = min((len(plan.windows) if plan else 0 for plan in plans), default=0)
        return self.plan.head(count) if count else None

    def wet(self, *, progress: Callable[[float], None] | None = None) -> AudioClip | None:
        """Return the result by itself, as loud as its pictures say, as far as it can be heard; None: nothing yet."""
        plan = self.beginning()
        return None if plan is None else self._wet(plan, 0, progress)

    def part(self, first: int, stop: int) -> AudioClip:
        """Return the mix of some windows by themselves, all of them painted: something to hear before the end.

        Parameters
        ----------
        first, stop
            Numbers of the first window, and of the one behind the last.

        Raises
        ------
        RiffusionError
            A window is not painted.
        """
        if not self._works:
            raise RiffusionError("nothing is painted yet")
        plan = part_of(self.plan, first, stop)
        return self.mix(self._wet(plan, first, None), begin=plan.first_sample - self.plan.first_sample)

    def _wet(self, plan: Plan, first: int, progress: Callable[[float], None] | None) -> AudioClip:
        def opened(work: Work) -> OpenPicture:
            return lambda number: work.picture(first + number)

        clips = [
            sound_of(plan, opened(work), self.decode, hold=HOLD_RIFF, progress=part)
            for work, part in zip(self._works, _parts(progress, len(self._works)), strict=True)
        ]
        if self.settings.channels == "stereo":
            return double(*clips)
        return double(*clips, width=self.settings.spread) if self.settings.channels == "double" else clips[0]

    def mix(self, wet: AudioClip, *, share: Curve | None = None, begin: int = 0) -> AudioClip:
        """Mix the result with the song, sample on sample, over the length of the result; at the level of choice.

        Parameters
        ----------
        wet
            From :meth:`wet`.
        share
            Of the result; None: that of the settings.
        begin
            Sample of the riff that the result begins with.
        """
        rate = self.dry.sample_rate
        dry = AudioClip(self.dry.samples[:, begin : begin + wet.samples.shape[1]], rate)
        share = self.settings.wet if share is None else share
        if share.fixed and share.points[0][1] == 1.0:
            mixed = wet
        else:
            mixed = dry_wet(dry, wet, lambda seconds: share.over(seconds + begin / rate), law=self.settings.law)
        return apply_level(mixed, self.settings.level)

    def difference(self, *, lost: bool = False, progress: Callable[[float], None] | None = None) -> AudioClip | None:
        """Return the sound of what the result has more than the song, or less where `lost`; None: nothing yet."""
        plan = self.beginning()
        if plan is None:
            return None
        clips = []
        parts = _parts(progress, len(self._works))
        for work, sources, part in zip(self._works, self._sources, parts, strict=True):
            pair = (sources.picture, work.picture) if lost else (work.picture, sources.picture)
            clips.append(mel_difference(plan, *pair, self.decode, hold=HOLD_RIFF, progress=part))
        return double(*clips) if len(clips) == 2 else clips[0]

    def infotext(self) -> str:
        """Return generation parameters from which the riff can be made again."""
        moment = self.plan.windows[0].moment
        extra = {"CFG scale": moment.cfg, "Seed": moment.a.seed, "Denoising strength": moment.denoise}
        return infotext(
            INFOTEXT_KEY,
            self.settings,
            prompt=moment.a.prompt,
            negative=moment.a.negative,
            size=(self.settings.width, self.settings.params.num_frequencies),
            extra=extra,
        )

    def write(self, path: Path, clip: AudioClip, *, title: str = "", subtype: str = "pcm16") -> Path:
        """Write a sound of this riff, with all that is needed to make it again."""
        extra = {"riff": to_record(self.settings), "parameters": self.infotext()}
        tags = audio_tags(self.settings.params, title=title or path.stem, comment_extra=extra)
        return write_audio(clip, path, subtype=subtype, tags=tags)


class _Sources:
    """The song as pictures of windows, each with the magnitude of its own black, in a folder."""

    def __init__(self, folder: Path, plan: Plan, song: AudioClip, channel: int | None) -> None:
        self._folder, self._plan, self._song, self._channel = folder, plan, song, channel
        self._blacks: dict[int, float] = {}

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05d}.png"

    def picture(self, number: int) -> Image.Image:
        return open_picture(self._path(number))

    def black(self, number: int) -> float:
        if number not in self._blacks:
            self._blacks[number] = read_record(self.picture(number)).max_value or DEFAULT_MAX_VALUE
        return self._blacks[number]

    def draw(self) -> None:
        """Draw the windows, in one pass through the song; what is there already stays."""
        remove_leftovers(self._folder)
        windows = [window for window in self._plan.windows if not self._path(window.number).exists()]
        if not windows:
            return
        params = self._plan.params
        held = np.zeros((params.channels, 0, params.num_frequencies), np.float32)
        begin = 0  # column that `held` begins with
        pending = iter(windows)
        window = next(pending, None)
        for piece in chain(mel_pieces(self._pieces(), params), [None]):
            if piece is not None:
                held = np.concatenate([held, piece], axis=1)
            while window is not None and (piece is None or window.end <= begin + held.shape[1]):
                mel = held[:, window.start - begin : window.end - begin]
                self._draw(window, np.pad(mel, ((0, 0), (0, window.width - mel.shape[1]), (0, 0))))
                window = next(pending, None)
            if window is None:
                return
            drop = min(max(window.start - begin, 0), held.shape[1])
            held, begin = held[:, drop:], begin + drop

    def _draw(self, window: Window, mel: npt.NDArray[np.float32]) -> None:
        params = self._plan.params
        black = max(float(mel.max()), _LEAST_BLACK)
        save_picture(mel_to_image(mel, params, black), self._path(window.number), params, black)

    def _pieces(self) -> Iterator[npt.NDArray[np.float32]]:
        """Give out samples [C, n] in 16-bit units, and silence behind the last up to the last column."""
        params, samples = self._plan.params, self._song.samples
        for start in range(0, samples.shape[1], _PIECE):
            clip = AudioClip(samples[:, start : start + _PIECE], params.sample_rate)
            if self._channel is None:
                clip = clip.to_channels(params.channels)
            else:
                clip = AudioClip(clip.to_channels(2).samples[self._channel, None], params.sample_rate)
            yield clip.samples * _FULL_SCALE
        missing = params.samples_of_columns(self._plan.columns) - samples.shape[1]
        if missing > 0:
            yield np.zeros((params.channels, missing), np.float32)


def _with_seeds(plan: Plan, offset: int) -> Plan:
    """Return the plan with so much added to its seeds."""

    def moved(window: Window) -> Window:
        a, b = window.seeds
        return replace(window, seeds=((a + offset) % 2**32, (b + offset) % 2**32))

    return replace(plan, windows=tuple(moved(window) for window in plan.windows)) if offset else plan


def _parts(progress: Callable[[float], None] | None, count: int) -> list[Callable[[float], None] | None]:
    """Return progress functions for so many equal parts of the whole."""
    if progress is None:
        return [None] * count

    def part(number: int) -> Callable[[float], None]:
        return lambda share: progress((number + share) / count)

    return [part(number) for number in range(count)]
