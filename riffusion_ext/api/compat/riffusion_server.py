"""``POST /run_inference/`` of the original server, so that its clients work unchanged.

Request: ``start`` and ``end`` (``prompt``, ``seed``, ``negative_prompt``, ``denoising``, ``guidance``), ``alpha``,
``num_inference_steps``, ``seed_image_id``, ``mask_image_id``. Reply: ``image`` (a JPEG) and ``audio`` (an MP3) as data
URLs, and ``duration_s``. Errors are 400 with plain text.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from riffusion_ext.api.compat.assets import MASKS, SEEDS, mask_image, seed_image
from riffusion_ext.api.compat.input import InferenceInput, text_of
from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.generation import JobProgress, render
from riffusion_ext.api.routes.media import TYPES
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.interpolation import Interpolation, InterpolationSettings
from riffusion_ext.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

    from riffusion_ext.audio import AudioClip

__all__ = ["check_images", "run_inference"]

_DEFAULT_SEED = "og_beat"
_JPEG_QUALITY = 95


def check_images(values: Mapping[str, object], mask: str) -> str:
    """Check the names of the seed image and the mask; return that of the seed image.

    Raises
    ------
    RiffusionError
        A name is unknown. Names are looked up in a list and never become part of a path.
    """
    seed = text_of(values, "seed_image_id", _DEFAULT_SEED)
    if seed not in SEEDS:
        raise RiffusionError(f"Invalid seed image: {seed[:100]}")
    if mask and mask not in MASKS:
        raise RiffusionError(f"Invalid mask image: {mask[:100]}")
    return seed


def run_inference(service: ApiContext, inputs: InferenceInput, seed: str, job: Job) -> dict[str, object]:
    """Generate an image and return the response."""
    from riffusion_ext.params import PRESETS
    from riffusion_ext.spectrogram.settings import DecodeSettings

    mask = mask_image(inputs.mask) if inputs.mask else None
    settings = InterpolationSettings(inputs.start, inputs.end, inputs.steps, "", seed_image(seed), mask)
    decode = DecodeSettings(
        level="loudness",
        channels="mono",
        params=PRESETS["riffusion-v1"],
        device=service.device(),
        high_frequencies="auto",
    )
    interpolation = Interpolation(settings, [inputs.alpha], decode)
    _, clip = render(service, interpolation, job, JobProgress(job, 1))
    if clip is None:
        return {"complete": False}
    return {"image": _image(interpolation.images[0]), "audio": _audio(clip), "duration_s": clip.duration}


def _image(image: Image.Image) -> str:
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=_JPEG_QUALITY)
    return _data_url("image/jpeg", file.getvalue())


def _audio(clip: AudioClip) -> str:
    """Encode a clip as MP3, or as WAV if MP3 cannot be written: clients play either."""
    from riffusion_ext.audio.formats import soundfile_io
    from riffusion_ext.audio.formats.wav import write_wav
    from riffusion_ext.audio.io import available_formats

    if "mp3" in available_formats():
        return _data_url(TYPES[".mp3"], soundfile_io.encode(clip, "mp3", subtype="pcm16", tags={}))
    file = io.BytesIO()
    write_wav(file, clip, subtype="pcm16", tags={})
    return _data_url(TYPES[".wav"], file.getvalue())


def _data_url(type_: str, data: bytes) -> str:
    return f"data:{type_};base64,{base64.b64encode(data).decode('ascii')}"
