"""The webui's Script: the panel in txt2img and img2img, and the sound of generated images.

The host swallows exceptions of scripts, so each hook reports its own errors. The arguments of every hook are the values
of the components that :meth:`RiffusionScript.ui` returns, in the order of the table of controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from modules import scripts, shared

from riffusion_ext.errors import RiffusionError
from riffusion_ext.host import infotext
from riffusion_ext.host.base import HostObject
from riffusion_ext.host.images.audio_saver import AudioSaver
from riffusion_ext.host.images.generated_images import (
    GeneratedImage,
    ImageOrigin,
    first_pass_size,
    pick_generated,
    resize_to_first_pass,
    saved_path,
    start_record,
)
from riffusion_ext.host.images.generation_job import JOB_ATTRIBUTE, PAYLOAD_KEY, GenerationJob
from riffusion_ext.host.images.image_record import record_of
from riffusion_ext.host.settings import DEFAULTS
from riffusion_ext.host.status import other_model_warning, status_html
from riffusion_ext.host.webui import HOST, registered_panels, start_images
from riffusion_ext.host.xyz import OVERRIDE
from riffusion_ext.options.sound import AUTO, CONTROLS, ON, SoundOptions, control, options_from_args
from riffusion_ext.ui import gradio_compat
from riffusion_ext.ui.gradio_types import Component

__all__ = ["RiffusionScript"]

Item = TypeVar("Item")

_ROWS = (
    ("engine", "level"),
    ("format", "channels"),
    ("high_frequencies",),
    ("joined", "crossfade"),
    ("preset", "custom"),
)
"""Rows of the panel; arguments keep the order of the table of controls."""


class RiffusionScript(scripts.Script):
    """Converts every generated image to sound, when it is on."""

    def title(self) -> str:
        """Return the title of the panel; in lower case it is the key in API requests."""
        return "Riffusion"

    def show(self, is_img2img: bool) -> object:
        """Show the panel in both tabs, together with any other script."""
        return scripts.AlwaysVisible

    # -- page

    def ui(self, is_img2img: bool) -> list[Component]:
        """Build the panel; return the components whose values the hooks receive."""
        with gradio_compat.closed_accordion("Riffusion", self.elem_id("panel")):
            mode = gradio_compat.component(CONTROLS[0], self.elem_id("mode"))
            components = {"mode": mode}
            # Called when a page is opened. By then, the host has set the user's default of the component.
            status = gradio_compat.dynamic_html(lambda: status_html(HOST, mode.value), self.elem_id("status"))
            for ids in _ROWS:
                with gradio_compat.row():
                    for id_ in ids:
                        components[id_] = gradio_compat.component(control(id_), self.elem_id(id_))
        gradio_compat.on_change(mode, lambda value: status_html(HOST, value), [mode], [status])
        registered_panels().add_status("img2img" if is_img2img else "txt2img", mode, status)
        self.infotext_fields = [(components[item.id], infotext.reader(item)) for item in CONTROLS]
        self.paste_field_names = list(infotext.KEYS)
        return [components[item.id] for item in CONTROLS]

    # -- one press of Generate

    def setup(self, p: HostObject, *args: object) -> None:
        """Start a job. Scripts that run many jobs copy ``p``, and with it the reference to the GenerationJob."""
        setattr(p, JOB_ATTRIBUTE, GenerationJob(p))

    def process(self, p: HostObject, *args: object) -> None:
        """Write the settings into the infotext, before the first batch."""
        _job(p).origins.clear()
        if PAYLOAD_KEY in p.extra_generation_params:  # the previous run's, for its reply only
            without = {key: value for key, value in p.extra_generation_params.items() if key != PAYLOAD_KEY}
            p.extra_generation_params = without
        try:
            options = _options(p, args)
        except RiffusionError:
            infotext.remove(p.extra_generation_params)
            return  # postprocess reports the error
        if _is_on(p, options):
            infotext.write(p.extra_generation_params, options)
        else:  # in an X/Y/Z plot, the previous cell may have been on
            infotext.remove(p.extra_generation_params)

    def postprocess_image(self, p: HostObject, pp: HostObject, *args: object) -> None:
        """Record prompt and seed of each image. At the end, the lists of the host may not match the images."""
        index = getattr(p, "batch_index", 0)
        unfinished = bool(shared.state.interrupted or shared.state.skipped)
        _job(p).origins.append(ImageOrigin(str(p.prompts[index]), int(p.seeds[index]), unfinished))
        if not hasattr(scripts.Script, "postprocess_image_after_composite"):  # SD.Next has no later hook
            self.postprocess_image_after_composite(p, pp, *args)

    def postprocess_image_after_composite(self, p: HostObject, pp: HostObject, *args: object) -> None:
        """Attach the spectrogram's parameters to each image before it is saved."""
        from riffusion_ext.metadata import with_record_text

        try:
            options = _options(p, args)
            # In an enlarged image, a column is shorter than the parameters say.
            if _is_on(p, options) and pp.image.size == first_pass_size(p, pp.image):
                start = start_record(start_images(p), getattr(p, "batch_index", 0))
                record = record_of(options.params, start, pp.image.height, pp.image.width)
                if record:
                    with_record_text(pp.image, record)
        except RiffusionError:
            return  # postprocess reports the error

    def postprocess(self, p: HostObject, processed: HostObject, *args: object) -> None:
        """Make the sound after the last batch. The images are saved already, so errors do not affect them."""
        job = _job(p)
        before = len(job.payload["messages"])
        is_on = True
        try:
            options = _options(p, args)
            is_on = _is_on(p, options)
            if not is_on:
                return
            _warn_of_other_model(p, job)
            _make_sound(p, processed, job, options)
        except Exception as error:
            expected = isinstance(error, RiffusionError)
            HOST.report(f"Riffusion: no sound: {error}", None if expected else error)
            job.add_message(str(error) if expected else f"No sound: {type(error).__name__}: {error}", "error")
        finally:
            job.attach_payload(processed, relevant=is_on)
            _repeat_in_comments(processed, job.payload["messages"][before:])


def _repeat_in_comments(processed: HostObject, messages: list[dict[str, object]]) -> None:
    """Append errors to the host's comments, and without players warnings, too."""
    kinds = {"error"} if HOST.setting("riffusion_players", DEFAULTS["riffusion_players"]) else {"error", "warning"}
    texts = [str(entry["text"]) for entry in messages if entry["kind"] in kinds]
    processed.comments = "".join(f"{line}\n" for line in [*processed.comments.splitlines(), *texts])


def _job(p: HostObject) -> GenerationJob:
    job: GenerationJob | None = getattr(p, JOB_ATTRIBUTE, None)
    if job is None:  # a script called the hooks without setup
        job = GenerationJob()
        setattr(p, JOB_ATTRIBUTE, job)
    return job


def _options(p: HostObject, args: tuple[object, ...]) -> SoundOptions:
    return options_from_args(args, getattr(p, OVERRIDE, None))


def _is_on(p: HostObject, options: SoundOptions) -> bool:
    if options.mode == AUTO:
        return bool(HOST.setting("riffusion_auto", DEFAULTS["riffusion_auto"])) and _checkpoint(p)[0]
    return options.mode == ON


def _checkpoint(p: HostObject) -> tuple[bool, str]:
    # The job's own checkpoint: an override or an X/Y/Z cell may use another one than the page shows.
    return HOST.checkpoint_is_riffusion(getattr(p, "sd_model_name", None) or "")


def _warn_of_other_model(p: HostObject, job: GenerationJob) -> None:
    known, name = _checkpoint(p)
    if not known and HOST.setting("riffusion_warn", DEFAULTS["riffusion_warn"]):
        job.add_message(other_model_warning(name), "warning")


def _make_sound(p: HostObject, processed: HostObject, job: GenerationJob, options: SoundOptions) -> None:
    shared.state.textinfo = "Riffusion: making sound"
    was_interrupted = shared.state.interrupted
    try:
        saver = AudioSaver(HOST, job, options, cancelled=lambda: shared.state.interrupted and not was_interrupted)
        saver.run(_images(p, processed, job))
    finally:
        shared.state.textinfo = None


def _images(p: HostObject, processed: HostObject, job: GenerationJob) -> list[GeneratedImage]:
    """Pair each generated image with its prompt, seed, infotext, file and start image."""
    first = processed.index_of_first_image
    chosen = pick_generated(processed.images, processed.infotexts, first, _images_per_image(p))
    starts = start_images(p)
    images = []
    for number, (index, image) in enumerate(chosen):
        if len(job.origins) == len(chosen):
            origin = job.origins[number]
        else:  # a script added or removed images afterwards
            origin = ImageOrigin(str(_at(processed.all_prompts, number)), int(_at(processed.all_seeds, number)))
        size = first_pass_size(p, image)
        pixels = resize_to_first_pass(image, *size)
        if pixels is not image:
            width, height = size
            job.add_message(
                f"The sound is that of the first pass, {width} x {height}: enlarging an image changes its pitch."
            )
        start = start_record(starts, number)
        images.append(GeneratedImage(pixels, origin, processed.infotexts[index], saved_path(image), start))
    return images


def _images_per_image(p: HostObject) -> int:
    if getattr(p, "mask_for_overlay", None) is None:
        return 1
    return 1 + bool(HOST.setting("return_mask", False)) + bool(HOST.setting("return_mask_composite", False))


def _at(values: Sequence[Item], index: int) -> Item:
    return values[min(index, len(values) - 1)]
