"""Sound files, players and messages for a host's finished images.

Independent of the webui: settings and folders come from a :class:`~riffusion_ext.host.base.Host`. Errors become
messages, and the host's images are never changed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

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

__all__ = ["AudioSaver", "Cancelled"]

P = ParamSpec("P")

_TRAINED_HEIGHT = 512
_BATCH_SIZE = 8
"""Images inverted together. Their sound is written before the next ones start, so that any batch fits in memory."""
_LOSSY = {".jpg", ".jpeg", ".webp", ".avif"}


class Cancelled(Exception):
    """The user pressed Interrupt while sound was being made."""


class AudioSaver:
    """Decodes the images of one run and saves their sound.

    Parameters
    ----------
    host
        Provides settings and folders.
    job
        Collects clips and messages.
    options
        Values of the panel's controls.
    library
        Library of clips, which assigns ids.
    cancelled
        Called repeatedly; True stops the work.
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
        self._params = options.params  # None: those of each image

    def run(self, images: Sequence[GeneratedImage]) -> None:
        """Save the sound of every finished image, and the joined clip if it is requested."""
        finished = [image for image in images if not image.origin.unfinished]
        if len(finished) < len(images):
            count = len(images) - len(finished)
            self.job.add_message(f"{count} interrupted image{'s' * (count > 1)} got no sound.")
        if not finished:
            return
        self._warn_of_height(finished)
        self._warn_of_level(finished)
        ending = "." + self._format()
        clips: list[Decoded] = []  # before their level is set
        for start in range(0, len(finished), _BATCH_SIZE):
            try:
                clips += self._make(finished[start : start + _BATCH_SIZE], ending)
            except Cancelled:
                missing = len(finished) - start
                count_text = f"{missing} image{'s' * (missing > 1)}"
                self.job.add_message(
                    f"{count_text} got no sound: interrupted while the sound was being made.", "warning"
                )
                return
        if self.options.joined and len(clips) > 1:
            self._guard("Joined clip", self._save_joined, finished[0], clips, ending)

    def _make(self, images: Sequence[GeneratedImage], ending: str) -> list[Decoded]:
        """Save the sound of a few images; return the clips if they are to be joined, else an empty list."""
        clips: list[Decoded] = []
        for image, decoded in zip(images, self._decode(images), strict=True):
            if isinstance(decoded, Exception):
                self._failed(self._name(image), decoded)
                continue
            of_all = decoded.extension.notes if decoded.extension is not None else ()
            for note in decoded.notes:  # those of all images without a name, so that they are shown once
                named = f"{note[0].upper()}{note[1:]}." if note in of_all else f"{self._name(image)}: {note}"
                self.job.add_message(named)
            if self.options.joined:
                clips.append(decoded)
            self._guard(self._name(image), self._save, image, decoded, ending)
        return clips

    def _warn_of_height(self, images: Sequence[GeneratedImage]) -> None:
        # Forge's default height is 640. Then a frequency is in another row than in the model's training images.
        chosen = self.options.params
        trained = chosen.num_frequencies if chosen else _TRAINED_HEIGHT
        odd = sorted({image.image.height for image in images} - {trained})
        if odd:
            heights = ", ".join(map(str, odd))
            self.job.add_message(  # the same text for every image and cell, so that it is shown once
                f"The height is {heights} px. {'These' if chosen else 'Riffusion'} models are trained on images "
                f"{trained} px high; at another height melodies come out of tune. Set Height to {trained}."
            )

    def _warn_of_level(self, images: Sequence[GeneratedImage]) -> None:
        if self.options.level != "recorded":
            return
        if any(image.start is None or image.start.max_value is None for image in images):
            self.job.add_message(
                "No level is recorded in these images; riffusion's usual one is taken. Level recorded is for img2img "
                "with a start image that records it, such as one made from a song in the Riffusion tab."
            )

    # -- image -> clip

    def _decode(self, images: Sequence[GeneratedImage]) -> list[Decoded | Exception]:
        """Decode images to clips, with an error in place of each clip that failed."""
        from riffusion_ext.audio import RAW
        from riffusion_ext.convert.decode import decode_all
        from riffusion_ext.spectrogram.settings import DecodeSettings

        # Without a level: it is set for each clip, and once for the joined clip.
        options = self.options
        settings = DecodeSettings(
            engine=options.engine,
            level=RAW,
            channels=options.channels,
            device=self.host.device(),
            high_frequencies=options.high_frequencies,
        )
        # The parameters are passed as metadata of the image, the same as in its file.
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

        requested = self.options.format
        if requested in available_formats():
            return requested
        self.job.add_message(
            f"{requested.upper()} files need the Python package soundfile, which is missing; WAV is written instead.",
            "warning",
        )
        return "wav"

    def _save(self, image: GeneratedImage, decoded: Decoded, ending: str) -> None:
        from riffusion_ext.audio import apply_level, save_clip

        origin = image.origin
        clip = apply_level(decoded.clip, self.options.level)
        extra: dict[str, object] = {"prompt": origin.prompt, "seed": origin.seed, **decoded.recipe}
        level = decoded.max_value if decoded.recorded else None
        download = f"{origin.seed}-{_slug(origin.prompt)}{ending}"
        save = partial(save_clip, clip, params=decoded.params, max_value=level, title=origin.prompt, recipe=extra)
        path, temporary = self._write(save, image.saved_as, ending)
        record = self.library.add(
            path,
            title=origin.prompt,
            duration=clip.duration,
            seed=origin.seed,
            infotext=image.infotext,
            download_name=download if temporary else path.name,
            image=image.saved_as.name if image.saved_as else "",
            temporary=temporary,
        )
        self.job.add_clip(record)
        self._save_sidecar(image, decoded)

    def _save_joined(self, first: GeneratedImage, clips: Sequence[Decoded], ending: str) -> None:
        from riffusion_ext.audio import join_at_level, save_clip

        whole = join_at_level([decoded.clip for decoded in clips], self.options.level, crossfade=self.options.crossfade)
        title = f"{len(clips)} clips: {first.origin.prompt}"
        save = partial(save_clip, whole, params=clips[0].params, title=title, recipe=clips[0].recipe)
        path, temporary = self._write(save, first.saved_as, "-joined" + ending)
        record = self.library.add(
            path,
            title=f"All {len(clips)} clips joined",
            duration=whole.duration,
            download_name=f"{_slug(first.origin.prompt)}-joined{ending}" if temporary else path.name,
            temporary=temporary,
        )
        self.job.add_clip(record)

    def _write(self, save: Callable[..., Path], image_path: Path | None, ending: str) -> tuple[Path, bool]:
        """Write beside the image, or into the scratch folder if it is not saved or its folder is not writable.

        Returns
        -------
        path
            The sound file.
        temporary
            Whether it is in the scratch folder.
        """
        subtype = SUBTYPES.get(str(self.host.setting("riffusion_subtype", DEFAULTS["riffusion_subtype"])), "pcm16")
        if ending.endswith(".flac") and subtype == "float":
            subtype = "pcm24"
        if image_path is not None:
            try:
                path = image_path.with_name(shorten_name(image_path.stem, ending))
                return save(path=path, subtype=subtype), False
            except (RiffusionError, OSError) as error:
                self.host.report(f"Riffusion: no sound file beside {image_path}", error)
                self.job.add_message(f"Not saved beside the image, only playable here: {error}", "error")
        path = self.host.scratch_folder() / f"{secrets.token_hex(8)}{ending}"
        return save(path=path, subtype=subtype), True

    def _save_sidecar(self, image: GeneratedImage, decoded: Decoded) -> None:
        path = image.saved_as
        if (
            path is None
            or path.suffix.lower() not in _LOSSY
            or not self.host.setting("riffusion_sidecar", DEFAULTS["riffusion_sidecar"])
        ):
            return
        sidecar = path.with_suffix(".png")
        if sidecar.exists():  # possibly the user's own file
            self.job.add_message(f"{sidecar.name} exists already, so no PNG was kept beside {path.name}.", "warning")
            return
        from riffusion_ext.metadata import save_image

        text = {"parameters": image.infotext} if image.infotext else {}
        max_value = image.start.max_value if image.start else None
        save_image(image.image, sidecar, decoded.params, max_value, **text)

    # -- trouble

    def _guard(self, name: str, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            work(*args, **kwargs)
        except Exception as error:
            self._failed(name, error)

    def _failed(self, name: str, error: Exception) -> None:
        expected = isinstance(error, RiffusionError)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        self.host.report(f"Riffusion: {name}: no sound: {reason}", None if expected else error)
        self.job.add_message(f"{name}: no sound: {reason}", "error")

    @staticmethod
    def _name(image: GeneratedImage) -> str:
        return image.saved_as.name if image.saved_as else f"Image of seed {image.origin.seed}"


def _slug(prompt: str) -> str:
    """Return the prompt in a form that is valid in file names of any system."""
    return "-".join(re.findall(r"\w+", prompt))[:60].rstrip("-") or "riffusion"
