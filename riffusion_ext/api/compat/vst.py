"""``POST /run_vst/``, the route for the DAW plugin RiffusionVST.

The plugin sends 5 s of 16-bit mono as a WAV file in plain base64. The header gives 44100 Hz and possibly no samples,
whatever the rate of the DAW, so the bytes are counted and neither number is used. The response must have the length of
the input without its header, in one line of base64: that is the size of the plugin's buffer.
"""

from __future__ import annotations

import base64
import binascii
import io
import struct
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from riffusion_ext.api.compat.assets import MASKS, mask_image
from riffusion_ext.api.compat.input import InferenceInput
from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.generation import JobProgress, watch_backend
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.batches import generate_images
from riffusion_ext.generate.interpolation import InterpolationSettings
from riffusion_ext.jobs import Job
from riffusion_ext.options.generation import WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from riffusion_ext.audio import AudioClip

__all__ = ["MAX_SECONDS", "check_mask", "read_plugin_audio", "run_vst"]

MAX_SECONDS = 30.0
_RATE = 44100
_HEADER = 44
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_WIDTH = WIDTH.default  # columns of an image, as the model was trained


def read_plugin_audio(values: Mapping[str, object]) -> AudioClip:
    """Decode the audio of a request: 16-bit samples, taken as 44.1 kHz.

    Raises
    ------
    RiffusionError
        The audio is missing, too short or too long, or its header is not that of 16-bit mono.
    """
    from riffusion_ext.audio import AudioClip

    text = values.get("audio")
    if not isinstance(text, str):
        raise RiffusionError('missing value for field "audio"')
    max_samples = int(MAX_SECONDS * _RATE)
    if len(text) > 4 * max_samples:
        raise RiffusionError(f"the sound is longer than the {MAX_SECONDS:g} s that are allowed")
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise RiffusionError("audio is not in base64") from None
    _check_form(data)
    start = _data_start(data)
    samples = np.frombuffer(data[start : start + (len(data) - start) // 2 * 2], "<i2")
    if not _RATE // 10 <= len(samples) <= max_samples:
        raise RiffusionError(
            f"the sound must be 0.1 to {MAX_SECONDS:g} s long, got {len(samples) / _RATE:.2f} s at {_RATE} Hz"
        )
    return AudioClip((samples / np.float32(32768.0)).astype(np.float32)[None], _RATE)


def _check_form(data: bytes) -> None:
    """Raise a RiffusionError if a header gives a format other than 16-bit mono."""
    position = data.find(b"fmt ", 12, 4096) if data[:4] == b"RIFF" else -1
    if position < 0 or len(data) < position + 24:
        return
    kind, channels, _, _, _, bits = struct.unpack_from("<HHIIHH", data, position + 8)
    if kind == _EXTENSIBLE and len(data) >= position + 34:
        (kind,) = struct.unpack_from("<H", data, position + 32)
    if (kind, channels, bits) != (_PCM, 1, 16):
        bit_depth = {_PCM: f"{bits}-bit", _FLOAT: f"{bits}-bit float"}.get(kind, f"WAVE format {kind},")
        channel_text = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
        raise RiffusionError(f"the sound must be a WAV file of 16-bit mono, got {bit_depth} {channel_text}")


def _data_start(data: bytes) -> int:
    """Return the offset of the samples; 0 if there is no header."""
    if data[:4] != b"RIFF":
        return 0
    position = data.find(b"data", 12, 4096)
    return position + 8 if position >= 0 else min(_HEADER, len(data))


def check_mask(mask: str) -> None:
    """Raise a RiffusionError if the mask is unknown."""
    if mask and mask not in MASKS:
        raise RiffusionError(f"Invalid mask image: {mask[:100]}")


def run_vst(service: ApiContext, inputs: InferenceInput, clip: AudioClip, job: Job) -> dict[str, object]:
    """Regenerate a clip by img2img and return the response."""
    from riffusion_ext.params import PRESETS
    from riffusion_ext.spectrogram.codec import audio_to_image, image_to_audio
    from riffusion_ext.spectrogram.settings import DecodeSettings

    length = clip.samples.shape[1]
    encoded = audio_to_image(clip, PRESETS["riffusion-v1"])
    tiles = _tiles(encoded.image)  # of one clip, whose sound keeps its level and length: not a piece
    mask = mask_image(inputs.mask) if inputs.mask else None
    settings = [InterpolationSettings(inputs.start, inputs.end, inputs.steps, "", tile, mask) for tile in tiles]
    requests = [item.request(inputs.alpha) for item in settings]
    progress = JobProgress(job, len(tiles))
    backend = service.backend()
    images = generate_images(
        requests, watch_backend(backend, backend.max_batch, job, progress), on_image=progress.report_done
    )
    if len(images) < len(tiles):
        return {"complete": False}
    joined = Image.new("RGB", (_WIDTH * len(images), encoded.image.height))
    for number, image in enumerate(images):
        joined.paste(image, (_WIDTH * number, 0))
    joined.info.update(encoded.image.info)  # with the magnitude of a black pixel
    decode = DecodeSettings(level="recorded", channels="mono", device=service.device(), high_frequencies="auto")
    generated = image_to_audio(joined, decode).clip.resample(_RATE).samples
    fitted = np.zeros((1, length - _HEADER // 2), np.float32)
    count = min(fitted.shape[1], generated.shape[1])
    fitted[:, :count] = generated[:, :count]
    return {"audio": _wav(type(clip)(fitted, _RATE))}


def _tiles(image: Image.Image) -> list[Image.Image]:
    """Split an image into windows of the model's width; the last is padded with silence."""
    image = image.convert("RGB")
    tiles = []
    for start in range(0, image.width, _WIDTH):
        tile = Image.new("RGB", (_WIDTH, image.height), "white")
        tile.paste(image.crop((start, 0, min(start + _WIDTH, image.width), image.height)), (0, 0))
        tiles.append(tile)
    return tiles


def _wav(clip: AudioClip) -> str:
    from riffusion_ext.audio.formats.wav import write_wav

    file = io.BytesIO()
    write_wav(file, clip, subtype="pcm16", tags={})
    return base64.b64encode(file.getvalue()).decode("ascii")
