"""The webui's model, LoRAs and samplers as a :class:`~riffusion_ext.generate.backends.base.Backend`.

Generation between two prompts differs from an ordinary one only in the conditioning and the initial noise. So the
webui's two Processing classes are used, with these two replaced.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from modules import call_queue, extra_networks, processing, rng, scripts, sd_samplers, shared
from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Activity, OnImage, Request
from riffusion_ext.host.base import HostObject
from riffusion_ext.host.model.batches import MixedBatchError, check_uniform
from riffusion_ext.host.model.checkpoint import chosen_name
from riffusion_ext.host.model.conditioning import mix_composables, mix_schedules
from riffusion_ext.host.model.noise import MixedNoise
from riffusion_ext.host.model.tiling import wrap_in_time

if TYPE_CHECKING:
    import torch

__all__ = ["WebuiBackend", "sampler_names", "usual_sampler"]

_PREFERRED = ("DPM++ 2M", "Euler")
"""Default samplers. Neither adds noise in its steps, which would be the same throughout a song."""

_EXTRA_NETWORK = re.compile(r"<\w+:[^<>]+>")

_SETTINGS = {  # settings that would change the images otherwise
    "img2img_color_correction": False,
    "img2img_fix_steps": False,
    "sd_vae_encode_method": "Full",
    "sd_vae_decode_method": "Full",
    "initial_noise_multiplier": 1.0,
    "eta_noise_seed_delta": 0,
    "return_mask": False,
    "return_mask_composite": False,
    "overlay_inpaint": True,
    "save_images_before_highres_fix": False,
}


def sampler_names() -> list[str]:
    """Return the names of the host's samplers."""
    return [sampler.name for sampler in sd_samplers.visible_samplers()]


def usual_sampler() -> str:
    """Return the name of the default sampler."""
    names = sampler_names()
    return next((name for name in _PREFERRED if name in names), names[0])


class _Interpolating:
    """Mixin of the two Processing classes below: interpolates conditioning and noise of the requests."""

    requests: Sequence[Request] = ()
    exit_stack: ExitStack
    prompts: list[str]
    negative_prompts: list[str]
    c: HostObject
    uc: HostObject
    extra_network_data: HostObject

    def parse_extra_network_prompts(self) -> None:
        super().parse_extra_network_prompts()  # type: ignore[misc]
        self.second_prompts, data = extra_networks.parse_prompts([request.prompts[1] for request in self.requests])
        merged = {kind: list(found) for kind, found in self.extra_network_data.items()}
        for kind, found in (data or {}).items():
            known = [network.items for network in merged.setdefault(kind, [])]
            merged[kind] += [network for network in found if network.items not in known]
        self.extra_network_data = merged

    def setup_conds(self) -> None:
        super().setup_conds()  # type: ignore[misc]
        if any(request.loop for request in self.requests):
            self.exit_stack.enter_context(wrap_in_time(_convolutional_models(self.sd_model)))  # type: ignore[attr-defined]
        if any(request.alpha > 0 for request in self.requests):
            self._mix()
        check_uniform(self.c.batch, one_weight=hasattr(self.sd_model, "forge_objects"))  # type: ignore[attr-defined]

    def _mix(self) -> None:
        first, first_negative, texts = self.c, self.uc, (self.prompts, self.negative_prompts)
        self.prompts = self.second_prompts
        self.negative_prompts = [request.negatives[1] for request in self.requests]
        try:
            super().setup_conds()  # type: ignore[misc]
            self.c = _mix_conditioning(first, self.c, self.requests)
            self.uc = _mix_negative(first_negative, self.uc, self.requests)
        finally:
            self.prompts, self.negative_prompts = texts

    def sample(self, *args: HostObject, **kwargs: HostObject) -> HostObject:
        if any(request.alpha > 0 and len(set(request.seeds)) > 1 for request in self.requests):
            first = self.rng  # type: ignore[has-type]
            second = rng.ImageRNG(first.shape, [request.seeds[1] % 2**32 for request in self.requests])
            self.rng = MixedNoise(first, second, [request.alpha for request in self.requests])
        return super().sample(*args, **kwargs)  # type: ignore[misc]


class _FromNoise(_Interpolating, processing.StableDiffusionProcessingTxt2Img):
    """Text to image between two prompts."""


class _FromImage(_Interpolating, processing.StableDiffusionProcessingImg2Img):
    """Image to image between two prompts."""


class WebuiBackend:
    """Backend of the checkpoint that is selected when it is created; it generates with no other one.

    Parameters
    ----------
    max_batch
        Maximum number of images in a batch.
    """

    def __init__(self, *, max_batch: int = 4) -> None:
        self.max_batch = max_batch
        self.interrupted = False
        self._model = chosen_name()
        self._interrupt_requested = self._waiting = self._generating = False
        self._lock = threading.Lock()  # held from the check of _generating to the interrupt

    @property
    def name(self) -> str:
        """Name of the checkpoint, loaded or not."""
        return self._model or "webui"

    @property
    def activity(self) -> Activity | None:
        """The host's progress in steps; see :attr:`riffusion_ext.generate.backends.base.Backend.activity`."""
        if self._waiting:
            return Activity(waiting=True)
        if self._generating and shared.state.sampling_steps:
            steps = shared.state.sampling_steps
            return Activity(min(shared.state.sampling_step + 1, steps), steps)
        return None

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        """Generate images; see :meth:`riffusion_ext.generate.backends.base.Backend.generate`.

        Waits while the host is working. Every image has its infotext as ``info["parameters"]``.
        """
        self.interrupted = self._interrupt_requested = False
        generated: list[Image.Image] = []
        numbered = list(enumerate(requests))
        # LoRAs change the model's weights, so they are the same for a whole batch.
        for _, group in groupby(numbered, key=lambda pair: _extra_networks(pair[1])):
            batch = list(group)
            images = self._generate([request for _, request in batch])
            for (number, _), image in zip(batch, images):  # noqa: B905 - fewer when interrupted
                on_image(number, image)
                generated.append(image)
            if self.interrupted:
                break
        return generated

    def interrupt(self) -> None:
        """Stop the current generation of this backend, also while it waits for the host."""
        self._interrupt_requested = True
        with self._lock:
            if self._generating:  # otherwise the host is working for somebody else
                shared.state.interrupt()

    def _generate(self, requests: Sequence[Request]) -> list[Image.Image]:
        if requests[0].denoise == 0:
            return [request.init.copy() for request in requests if request.init is not None]
        self._waiting = True
        with call_queue.queue_lock:
            self._waiting = False
            if self._interrupt_requested:
                self.interrupted = True
                return []
            self._check_model()
            shared.state.begin(job="riffusion")
            shared.state.sampling_steps = 0  # the previous job's
            self._generating = True
            try:
                generated = self._process_uniform(requests)
                self.interrupted = bool(shared.state.interrupted or shared.state.skipped)
            finally:
                with self._lock:
                    self._generating = False
                shared.state.end()
                shared.total_tqdm.clear()
        # Interrupted images are still noisy.
        return [] if self.interrupted else generated

    def _check_model(self) -> None:
        """Raise an error if another checkpoint was selected: a song's windows must be of one model."""
        now = chosen_name()
        if self._model and now != self._model:
            raise RiffusionError(
                f"the model of the webui was changed from {self._model} to {now}; "
                f"what was begun goes on with {self._model} only"
            )

    def _process_uniform(self, requests: Sequence[Request]) -> list[Image.Image]:
        """Generate a batch, divided by kinds of prompts, so that each image is the same as if generated alone."""
        try:
            return self._process(requests)
        except MixedBatchError as error:
            kinds = error.kinds
        images: dict[int, Image.Image] = {}
        for kind in sorted(set(kinds)):
            part = [number for number, found in enumerate(kinds) if found == kind]
            images |= zip(part, self._process([requests[number] for number in part]))  # noqa: B905
        return [images[number] for number in sorted(images)]

    def _process(self, requests: Sequence[Request]) -> list[Image.Image]:
        first = requests[0]
        values: dict[str, object] = {
            "outpath_samples": "",
            "outpath_grids": "",
            "prompt": [request.prompts[0] for request in requests],
            "negative_prompt": [request.negatives[0] for request in requests],
            "seed": [request.seeds[0] % 2**32 for request in requests],
            "subseed": [0] * len(requests),
            "subseed_strength": 0,
            "sampler_name": first.sampler or usual_sampler(),
            "batch_size": len(requests),
            "n_iter": 1,
            "steps": first.steps,
            "cfg_scale": first.cfg,
            "width": first.width,
            "height": first.height,
            "restore_faces": False,
            "tiling": False,
            "do_not_save_samples": True,
            "do_not_save_grid": True,
            "override_settings": {key: value for key, value in _SETTINGS.items() if key in shared.opts.data_labels},
        }
        kind: HostObject = _FromNoise
        if first.denoise is not None:
            kind = _FromImage
            values |= {
                "init_images": [request.init for request in requests],
                "denoising_strength": first.denoise,
                "mask": first.mask,
                "mask_blur": 0,
                "mask_round": False,
                "inpainting_fill": 1,
                "inpaint_full_res": False,
                "initial_noise_multiplier": 1.0,
            }
        p = kind(**values)
        p.requests = requests
        p.scripts, p.script_args = scripts.ScriptRunner(), ()
        with ExitStack() as p.exit_stack, closing(p):
            processed = processing.process_images(p)
        images = processed.images[processed.index_of_first_image :][: len(requests)]
        if len(images) < len(requests) and not (shared.state.interrupted or shared.state.skipped):
            raise RiffusionError(f"the webui returned {len(images)} images where {len(requests)} were asked for")
        for image, text, request in zip(images, processed.infotexts[processed.index_of_first_image :], requests):  # noqa: B905
            _check_generated(image, request.mask)
            image.info["parameters"] = text
        return [image if image.mode == "RGB" else image.convert("RGB") for image in images]


def _check_generated(image: Image.Image, mask: Image.Image | None) -> None:
    """Raise an error for black images, which hosts make of NaN. As a spectrogram, black is the loudest sound."""
    pixels = np.asarray(image.convert("L"))
    generated = pixels if mask is None else pixels[np.asarray(mask) == 255]
    if generated.size and not generated.any():
        raise RiffusionError(
            "the model generated nothing but black, as it does when its numbers overflow: try another VAE or prompt, "
            "or start the webui with --no-half-vae or --no-half"
        )


def _extra_networks(request: Request) -> tuple[str, ...]:
    return tuple(sorted({found for prompt in request.prompts for found in _EXTRA_NETWORK.findall(prompt)}))


def _convolutional_models(model: HostObject) -> list[torch.nn.Module]:
    """Return the denoiser and the autoencoder of a model of A1111 or Forge."""
    forge = getattr(model, "forge_objects", None)
    if forge is not None:
        return [forge.unet.model.diffusion_model, forge.vae.first_stage_model]
    return [model.model.diffusion_model, model.first_stage_model]


def _mix_conditioning(first: HostObject, second: HostObject, requests: Sequence[Request]) -> HostObject:
    def entry_like(schedule: HostObject) -> HostObject:
        return type(schedule[0].schedules[0])

    batch = [
        mix_composables(a, b, request.alpha, type(a[0]), entry_like(a))
        for a, b, request in zip(first.batch, second.batch, requests, strict=True)
    ]
    return type(first)(shape=first.shape, batch=batch)


def _mix_negative(first: HostObject, second: HostObject, requests: Sequence[Request]) -> HostObject:
    if first is None or second is None:  # Forge at CFG 1
        return second if first is None else first
    return [
        mix_schedules(a, b, request.alpha, type(a[0])) for a, b, request in zip(first, second, requests, strict=True)
    ]
