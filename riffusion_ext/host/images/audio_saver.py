"""From a host's finished images to sound files, players and messages.

Knows nothing of webui: a :class:`~riffusion_ext.host.base.Host` answers what it needs. Whatever goes wrong becomes a
message; the images are the host's and are never touched.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.paths import shorten_name
from riffusion_ext.host.base import Host
from riffusion_ext.host.images.generated_images import GeneratedImage
from riffusion_ext.host.images.generation_job import GenerationJob
from riffusion_ext.host.images.image_record import record_of, with_record
from riffusion_ext.host.settings import DEFAULTS, SUBTYPES
from riffusion_ext.library import LIBRARY, ClipLibrary
from riffusion_ext.options.sound import SoundOptions

if TYPE_CHECKING:
    from riffusion_ext.spectrogram.codec import Decoded

__all__ = ["Cancelled", "SoundMaker"]

_TRAINED_HEIGHT = 512
_AT_ONCE = 8
"""Images inverted together. Their sound is written before the next are begun, so that any batch fits in memory."""
_LOSSY = {".jpg", ".jpeg", ".webp", ".avif"}


class Cancelled(Exception):
    """The user pressed Interrupt while the sound was being made."""


class SoundMaker:
    """Makes the sound of one batch.

    Parameters
    ----------
    host, job
        Where settings come from and messages go to; what the batch belongs to.
    options
        The user's choices.
    library
        Where clips get their ids.
    cancelled
        Asked now and then; True stops the work.
    """

    def __init__(
        self,
        host: Host,
        job: GenerationJob,
        options: SoundOptions,
        *,
        library: ClipLibrary = LIBRARY,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.host, self.job, self.options, self.library = host, job, options, library
        self._cancelled = cancelled
        self._params = options.params  # None leaves them to each image

    def run(self, images: Sequence[GeneratedImage]) -> None:
        """Make, save and announce the sound of every finished image, then the joined clip if it is wanted."""
        finished = [image for image in images if not image.made.unfinished]
        if len(finished) < len(images):
            count = len(images) - len(finished)
            self.job.say(f"{count} interrupted image{'s' * (count > 1)} got no sound.")
        if not finished:
            return
        self._remark_on_height(finished)
        self._remark_on_level(finished)
        ending = "." + self._format()
        clips: list[Decoded] = []  # without a level yet
        for start in range(0, len(finished), _AT_ONCE):
            try:
                clips += self._make(finished[start : start + _AT_ONCE], ending)
            except Cancelled:
                missing = len(finished) - start
                images_ = f"{missing} image{'s' * (missing > 1)}"
                self.job.say(f"{images_} got no sound: interrupted while the sound was being made.", "warning")
                return
        if self.options.joined and len(clips) > 1:
            self._guard("Joined clip", self._keep_joined, finished[0], clips, ending)

    def _make(self, images: Sequence[GeneratedImage], ending: str) -> list[Decoded]:
        """Make the sound of a few images; returns the clips to join later, none where they are not to be joined."""
        clips: list[Decoded] = []
        for image, decoded in zip(images, self._decode(images), strict=True):
            if isinstance(decoded, Exception):
                self._failed(self._name(image), decoded)
                continue
            for note in decoded.notes:
                self.job.say(f"{self._name(image)}: {note}")
            if self.options.joined:
                clips.append(decoded)
            self._guard(self._name(image), self._keep, image, decoded, ending)
        return clips

    def _remark_on_height(self, images: Sequence[GeneratedImage]) -> None:
        # Forge starts with a height of 640; a frequency then lies where the model never saw it.
        odd = sorted({image.image.height for image in images} - {_TRAINED_HEIGHT})
        if odd:
            heights = ", ".join(map(str, odd))
            self.job.say(  # the same words for every image and cell, so that it is said once
                f"The height is {heights} px. Riffusion models are trained on images {_TRAINED_HEIGHT} px high; at "
                f"another height melodies come out of tune. Set Height to {_TRAINED_HEIGHT}."
            )

    def _remark_on_level(self, images: Sequence[GeneratedImage]) -> None:
        if self.options.level != "recorded":
            return
        if any(image.start is None or image.start.max_value is None for image in images):
            self.job.say(
                "No level is recorded in these images; riffusion's usual one is taken. Level recorded is for img2img "
                "with a start image that records it, such as one made from a song in the Riffusion tab."
            )

    # -- image -> clip

    def _decode(self, images: Sequence[GeneratedImage]) -> list[Decoded | Exception]:
        """Turn the images of a batch into sound, an error in the place of one that cannot be."""
        from riffusion_ext.audio import RAW
        from riffusion_ext.convert.decode import decode_all
        from riffusion_ext.spectrogram.settings import DecodeSettings

        # Without a level: each clip gets its own, and all of them joined get one together.
        options = self.options
        settings = DecodeSettings(
            engine=options.engine, level=RAW, channels=options.channels, device=self.host.device()
        )
        # The parameters go in as the image's own record, the same that its file carries.
        recorded = [with_record(image.image, self._record(image)) for image in images]

        def progress(_: float) -> None:
            if self._cancelled():
                raise Cancelled

        def on_failure(error: Exception) -> None:
            self.host.report("Riffusion: the batch could not be made into sound at once; trying one by one", error)

        progress(0.0)
        return list(decode_all(recorded, settings, progress=progress, on_failure=on_failure, propagate=(Cancelled,)))

    def _record(self, image: GeneratedImage) -> str:
        return record_of(self._params, image.start, image.image.height)

    # -- clip -> file, library, page

    def _format(self) -> str:
        from riffusion_ext.audio.io import available_formats

        wanted = self.options.format
        if wanted in available_formats():
            return wanted
        self.job.say(
            f"{wanted.upper()} files need the Python package soundfile, which is missing; WAV is written instead.",
            "warning",
        )
        return "wav"

    def _keep(self, image: GeneratedImage, decoded: Decoded, ending: str) -> None:
        from riffusion_ext.audio import apply_level, save_clip

        made = image.made
        clip = apply_level(decoded.clip, self.options.level)
        extra: dict[str, object] = {"prompt": made.prompt, "seed": made.seed}
        level = decoded.max_value if decoded.recorded else None
        download = f"{made.seed}-{_words(made.prompt)}{ending}"
        save = partial(save_clip, clip, params=decoded.params, max_value=level, title=made.prompt, recipe=extra)
        path, temporary = self._write(save, image.saved_as, ending)
        record = self.library.add(
            path,
            title=made.prompt,
            duration=clip.duration,
            seed=made.seed,
            infotext=image.infotext,
            download_name=download if temporary else path.name,
            image=image.saved_as.name if image.saved_as else "",
            temporary=temporary,
        )
        self.job.add_clip(record)
        self._keep_sidecar(image, decoded)

    def _keep_joined(self, first: GeneratedImage, clips: Sequence[Decoded], ending: str) -> None:
        from riffusion_ext.audio import join_at_level, save_clip

        whole = join_at_level([made.clip for made in clips], self.options.level, crossfade=self.options.crossfade)
        save = partial(save_clip, whole, params=clips[0].params, title=f"{len(clips)} clips: {first.made.prompt}")
        path, temporary = self._write(save, first.saved_as, "-joined" + ending)
        record = self.library.add(
            path,
            title=f"All {len(clips)} clips joined",
            duration=whole.duration,
            download_name=f"{_words(first.made.prompt)}-joined{ending}" if temporary else path.name,
            temporary=temporary,
        )
        self.job.add_clip(record)

    def _write(self, save: Callable[..., Path], beside: Path | None, ending: str) -> tuple[Path, bool]:
        """Write beside the image; where that is not saved, or its folder takes nothing, into the scratch folder."""
        subtype = SUBTYPES.get(self.host.setting("riffusion_subtype", DEFAULTS["riffusion_subtype"]), "pcm16")
        if ending.endswith(".flac") and subtype == "float":
            subtype = "pcm24"
        if beside is not None:
            try:
                path = beside.with_name(shorten_name(beside.stem, ending))
                return save(path=path, subtype=subtype), False
            except (RiffusionError, OSError) as error:
                self.host.report(f"Riffusion: no sound file beside {beside}", error)
                self.job.say(f"Not saved beside the image, only playable here: {error}", "error")
        path = self.host.scratch_folder() / f"{secrets.token_hex(8)}{ending}"
        return save(path=path, subtype=subtype), True

    def _keep_sidecar(self, image: GeneratedImage, decoded: Decoded) -> None:
        path = image.saved_as
        if (
            path is None
            or path.suffix.lower() not in _LOSSY
            or not self.host.setting("riffusion_sidecar", DEFAULTS["riffusion_sidecar"])
        ):
            return
        kept = path.with_suffix(".png")
        if kept.exists():  # it may be the user's own
            self.job.say(f"{kept.name} exists already, so no PNG was kept beside {path.name}.", "warning")
            return
        from riffusion_ext.metadata import save_image

        text = {"parameters": image.infotext} if image.infotext else {}
        max_value = image.start.max_value if image.start else None
        save_image(image.image, kept, decoded.params, max_value, **text)

    # -- trouble

    def _guard(self, name: str, work: Callable[..., Any], *args: Any) -> None:
        try:
            work(*args)
        except Exception as error:
            self._failed(name, error)

    def _failed(self, name: str, error: Exception) -> None:
        expected = isinstance(error, RiffusionError)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        self.host.report(f"Riffusion: {name}: no sound: {reason}", None if expected else error)
        self.job.say(f"{name}: no sound: {reason}", "error")

    @staticmethod
    def _name(image: GeneratedImage) -> str:
        return image.saved_as.name if image.saved_as else f"Image of seed {image.made.seed}"


def _words(prompt: str) -> str:
    """Return the prompt as part of a file name that any system takes."""
    return "-".join(re.findall(r"\w+", prompt))[:60].rstrip("-") or "riffusion"
