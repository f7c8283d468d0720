"""Music without an end, painted a little ahead of what is heard.

::

    windows   [      0      ]
                       [      1      ]                 each goes on from the end of the one before
                                 [      2      ]
    settled   ------------------->                     columns that no later window fades into
    sound     =================|                       final samples: the stream needs a little of what follows
                    ^ heard                            painting rests while the sound is far enough ahead of it
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from riffusion_ext.audio.stream_level import SteadyLevel
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files import scratch
from riffusion_ext.generate.backends.base import Activity, Backend, Request
from riffusion_ext.generate.backends.batch_limit import BatchLimit
from riffusion_ext.generate.checkpoint.recipe import host_values
from riffusion_ext.generate.live.chunk_store import ChunkStore
from riffusion_ext.generate.live.settings import JamSettings
from riffusion_ext.generate.live.throughput import Throughput
from riffusion_ext.generate.score.keyframes import Moment
from riffusion_ext.generate.score.prompt_queue import PromptQueue, with_other_noise
from riffusion_ext.generate.windows.init_images import beat_picture
from riffusion_ext.generate.windows.masks import soft_mask
from riffusion_ext.generate.windows.outpaint import between
from riffusion_ext.generate.windows.rolling_blend import RollingBlend
from riffusion_ext.spectrogram.inversion.stream import SoundStream
from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = ["PATIENCE", "Jam", "PromptChange", "Recording"]

PATIENCE = 20.0
"""Seconds without a word from the page, after which it is taken for closed."""

_BEHIND = 20.0  # seconds kept behind what is heard: the page shows some of it
_LOOK_AGAIN = 0.1


@dataclass(frozen=True)
class PromptChange:
    """What is heard from a sample on: between two prompts, `alpha` of the way."""

    start: int
    prompt: str
    to: str
    alpha: float


@dataclass(frozen=True)
class Recording:
    """A recording: samples ``first <= s < stop`` of the jam, and what was heard in them."""

    first: int
    stop: int
    turns: tuple[PromptChange, ...]


class Jam:
    """A jam, painted by a thread of its own from :meth:`start` to :meth:`stop`.

    Parameters
    ----------
    settings
        Seeds of -1 are decided here.
    backend
        Paints.
    folder
        For what is played; the jam's own, removed at the end.
    decode
        Engine and device for the sound.
    keep
        Is given each finished recording; returns what the page shows of it.

    Attributes
    ----------
    error
        What ended it; None: nothing so far, or the user.
    shown
        What `keep` returned.
    host
        What the host said of itself, in the first picture.
    activity
        What the backend is at; None where there is nothing to say.
    resting
        Whether enough is painted for now.
    heard
        Samples that were played.
    journey, pace, tape
        What is wanted, how fast it is painted, and what came of it.
    """

    def __init__(
        self,
        settings: JamSettings,
        backend: Backend,
        folder: Path,
        decode: DecodeSettings | None = None,
        keep: Callable[[Jam, Recording], str] = lambda jam, take: "",
    ) -> None:
        self.settings = settings = settings.settled()
        params = settings.params
        decode = decode or DecodeSettings()
        self.backend = BatchLimit(backend, 1, self._note_activity, self.stopped_or_left)
        self.journey = PromptQueue(settings.keyframe(), settings.travel)
        self.pace = Throughput(settings.ahead)
        self.tape = ChunkStore(folder, params.sample_rate, params.channels, params.hop_length)
        self._ribbon = RollingBlend(params, settings.width, settings.overlap)
        self._stream = SoundStream(params, decode.engine, decode.device)
        self._level = SteadyLevel(params.sample_rate, params.channels)
        self._keep, self.shown = keep, list[str]()
        self._turns: deque[PromptChange] = deque()
        self.host: dict[str, str] = {}
        self.activity: Activity | None = None
        self.error: Exception | None = None
        self.resting = False
        self._stop, self._ended, self._gone = (threading.Event() for _ in range(3))
        self.heard = 0
        self._seen, self._words = time.monotonic(), threading.Condition()
        self._recording: int | None = None
        self._recorder = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="riffusion-jam")

    # --- what the page does --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to paint."""
        scratch.sweep(self.tape.folder.parent, "")  # what jams of killed programs have left
        scratch.claim(self.tape.folder)
        self._thread.start()

    def hear(self, sample: int) -> None:
        """Take the page's word for what is heard now: all before this sample was played."""
        with self._words:
            self.heard = max(self.heard, min(sample, self.tape.samples))
            self._seen = time.monotonic()
            self._words.notify_all()

    def seen(self) -> None:
        """Take note that the page is there: it asks for something."""
        self._seen = time.monotonic()

    def stop(self) -> None:
        """Let it end soon, in the middle of a picture; a recording is finished first."""
        self.stop_recording()
        self._stop.set()

    def close(self) -> None:
        """Let it end as where the page is closed, but at once: the program ends."""
        self._finish_recording()
        self._stop.set()
        self._seen = -math.inf

    def record(self) -> None:
        """Begin to record with what is heard now.

        Raises
        ------
        RiffusionError
            The jam has ended.
        """
        if self.ended:
            raise RiffusionError("the jam has ended; start one, then record")
        if self._recording is None:
            self._recording = self.heard

    def stop_recording(self, patience: float = 1.0) -> None:
        """Finish the recording, where there is one, with what is heard when the page is next heard of."""
        if self._recording is None:
            return
        with self._words:
            self._words.wait(patience)
        self._finish_recording()

    @property
    def recording(self) -> int | None:
        """Samples recorded so far; None: it does not record."""
        return None if self._recording is None else self.heard - self._recording

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._ended.is_set()

    @property
    def gone(self) -> bool:
        """Whether nothing of it is left: it has ended, and nobody listens any more."""
        return self._gone.is_set()

    def stopped_or_left(self) -> bool:
        """Whether it is to end: the user wants it to, or the page is closed."""
        return self._stop.is_set() or time.monotonic() - self._seen > PATIENCE

    def turns(self) -> list[PromptChange]:
        """Return what is heard, from about now on; the past that is recorded is kept, but no page shows it."""
        turns = list(self._turns)
        behind = self.heard - math.ceil(_BEHIND * self.settings.params.sample_rate)
        first = max((number for number, turn in enumerate(turns) if turn.start <= behind), default=0)
        return turns[first:]

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the thread."""
        self._thread.join(timeout)

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._play()
        except Exception as error:
            self.error = error
        try:
            self._finish()
        except Exception as error:
            self.error = self.error or error
        self._ended.set()
        while time.monotonic() - self._seen < PATIENCE:  # the page plays the rest
            time.sleep(_LOOK_AGAIN)
        self._gone.set()
        with self._recorder:
            scratch.release(self.tape.folder)

    def _play(self) -> None:
        ahead = self.settings.ahead * self.settings.params.sample_rate
        while not self.stopped_or_left():
            self.resting = self.tape.samples - self.heard >= ahead
            if self.resting:
                self._stop.wait(_LOOK_AGAIN)
                continue
            began, before = time.monotonic(), self.tape.samples
            if not self._window():
                return
            self.pace.add((self.tape.samples - before) / self.settings.params.sample_rate, time.monotonic() - began)
            self._forget()

    def _window(self) -> bool:
        """Paint the next window and make it sound; False where the backend was stopped."""
        moment = self.journey.next()
        got: list[Image.Image] = []
        try:
            self._paint(moment, got)
        except Exception:  # such as numbers that overflow in the model, with just this noise
            if self.stopped_or_left():
                return False
            got.clear()
            moment = with_other_noise(moment)
            self._paint(moment, got)
        self.activity = None
        if not got:
            return self._interrupted()
        start = self._ribbon.settled
        if not self.host and isinstance(text := got[0].info.get("parameters"), str):
            self.host = host_values(text)
        picture = got[0].convert("RGB")
        self._ribbon.add(picture, moment)
        sample = start * self.settings.params.hop_length
        self._turns.append(PromptChange(sample, moment.a.prompt, moment.b.prompt, moment.alpha))
        self.tape.add_picture(start, picture.crop((0, 0, self._ribbon.settled - start, picture.height)))
        self._sound(last=False)
        return True

    def _paint(self, moment: Moment, got: list[Image.Image]) -> None:
        self.backend.generate([self._request(moment)], lambda index, picture: got.append(picture))

    def _interrupted(self) -> bool:
        if not self.stopped_or_left():
            raise RiffusionError("The generation was interrupted in the webui, so the jam has ended.")
        return False

    def _request(self, moment: Moment) -> Request:
        settings, ribbon = self.settings, self._ribbon
        width, height = settings.width, settings.params.num_frequencies
        known = ribbon.end_of_last()
        init = None
        if settings.beat != "none":
            init = beat_picture(
                settings.bpm,
                settings.beat,
                settings.params,
                start=ribbon.settled,
                width=width,
                beats_per_bar=settings.beats_per_bar,
            )
        denoise = None if init is None else moment.denoise
        if known is not None:
            denoise = settings.bridge_denoise if init is None else moment.denoise
            init = between(init, known, None, (width, height))
        return Request(
            prompts=(moment.a.prompt, moment.b.prompt),
            alpha=moment.alpha,
            negatives=(moment.a.negative, moment.b.negative),
            seeds=(moment.a.seed, moment.b.seed),
            cfg=moment.cfg,
            denoise=denoise,
            steps=settings.steps,
            sampler=settings.sampler,
            width=width,
            height=height,
            init=init,
            mask=None if known is None else soft_mask(width, height, settings.overlap, 0),
        )

    def _sound(self, *, last: bool) -> None:
        """Put on the tape what can be heard now."""
        ribbon, stream = self._ribbon, self._stream
        frames = ribbon.end if last else min(ribbon.settled + stream.margin, ribbon.end)
        samples = stream.advance(ribbon.mel, frames, last=last)
        self.tape.add(self._level.add(samples, last=last), last=last)
        ribbon.forget(stream.first_needed)

    def _finish(self) -> None:
        """Let what is painted sound to its end, unless the user has stopped; finish a recording."""
        if not self.stopped_or_left() and self._ribbon.end:
            self._sound(last=True)
        if self.error is None and not self._stop.is_set():
            self._finish_recording()  # the page is closed
        elif self.error is not None:
            while self._recording is not None and self.heard < self.tape.samples and not self.stopped_or_left():
                time.sleep(_LOOK_AGAIN)  # what is painted is still being played
            self._finish_recording()

    def _finish_recording(self) -> None:
        with self._recorder:
            first = self._recording
            if first is not None and self.heard > first:
                stop = self.heard
                # A copy: the thread that paints appends to it.
                turns = [turn for turn in list(self._turns) if turn.start < stop]
                begun = max((turn.start for turn in turns if turn.start <= first), default=0)
                take = Recording(first, stop, tuple(turn for turn in turns if turn.start >= begun))
                self.shown.append(self._keep(self, take))
            self._recording = None

    def _forget(self) -> None:
        """Remove what is long past, unless it is being recorded."""
        behind = self.heard - math.ceil(_BEHIND * self.settings.params.sample_rate)
        if self._recording is not None:
            behind = min(behind, self._recording)
        if behind > 0:
            self.tape.forget(behind)
            while len(self._turns) > 1 and self._turns[1].start <= behind:
                self._turns.popleft()

    def _note_activity(self, activity: Activity) -> None:
        self.activity = activity
