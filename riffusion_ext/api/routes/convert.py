"""Routes for conversions: image to audio, and audio to images."""

from __future__ import annotations

import base64
import secrets
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, Query
from starlette.responses import Response

from riffusion_ext.api.context import ApiContext, clip_view, file_view
from riffusion_ext.api.errors import ApiError, AsciiJSON
from riffusion_ext.api.inputs import (
    check_text,
    decode_base64,
    decode_image,
    parse_params,
    read_sound,
    read_stored_sound,
    write_sound,
)
from riffusion_ext.api.requests.json_route import json_route
from riffusion_ext.api.requests.threads import in_thread
from riffusion_ext.api.responses import accept, run_and_wait
from riffusion_ext.api.routes.media import TYPES
from riffusion_ext.api.schemas import AudioToImages, ImageToAudio
from riffusion_ext.jobs import Job, Work

if TYPE_CHECKING:
    from riffusion_ext.params import SpectrogramParams

__all__ = ["router"]

_PIXEL_BYTES = 3
_FILE_BYTES = 1 << 14
"""Maximum size of an image or audio file without its pixels or samples."""

_WAIT = Query(True, description="false: answer 202 with a job at once")


def router(service: ApiContext) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(tags=["conversion"], route_class=json_route(service.limits))

    @routes.post("/image-to-audio", summary="A spectrogram image to sound")
    async def image_to_audio(body: ImageToAudio, wait: bool = _WAIT) -> Response:
        _require_one("picture", body.picture, "image", body.image)
        check_text(body.preset)
        if body.picture:
            service.find("pictures", body.picture)
        if not wait:
            _require_id(body.picture, "picture", body.inline)
        inline = ("clips", "audio") if body.inline else None
        return await _answer(service, "image-to-audio", partial(_image_to_audio, service, body), wait, inline)

    @routes.post("/audio-to-images", summary="A sound to spectrogram images")
    async def audio_to_images(body: AudioToImages, wait: bool = _WAIT) -> Response:
        _require_one("clip", body.clip, "audio", body.audio)
        check_text(body.preset)
        params = _params(body)
        if body.clip:
            record = service.find("clips", body.clip)
            _check_images(service, body, params, record.duration - body.start)
        if not wait:
            _require_id(body.clip, "clip", body.inline)
        inline = ("pictures", "image") if body.inline else None
        return await _answer(service, "audio-to-images", partial(_audio_to_images, service, body), wait, inline)

    return routes


async def _answer(service: ApiContext, route: str, work: Work, wait: bool, inline: tuple[str, str] | None) -> Response:
    """Respond with a job at once, or wait for its result.

    `inline` gives the kind of files that the result contains as data URLs, and their field.
    """
    if not wait:
        return accept(service, route, "convert", work)
    job = await run_and_wait(service, route, "convert", work)
    return await _reply(service, job, *inline) if inline else AsciiJSON(job.result)


def _require_one(name: str, value: str | None, other: str, other_value: str | None) -> None:
    if (value is None) == (other_value is None):
        raise ApiError(422, f"give {name} or {other}, one of the two")


def _require_id(id_: str | None, name: str, inline: bool) -> None:
    """Require an id and no inline result for a queued job, as files in its body would stay in memory."""
    if id_ is None or inline:
        raise ApiError(422, f"without waiting, upload first and give the id as {name}, and get the result by its url")


async def _reply(service: ApiContext, job: Job, kind: str, name: str) -> Response:
    """Respond with a result that contains its files; they are not kept with the job."""
    result = dict(job.result or {})
    items = result["pictures"] if kind == "pictures" else [result]
    assert isinstance(items, list)
    views = [dict(view) for view in items]
    size = sum(view["bytes"] for view in views)
    if size > service.limits.inline_bytes:
        text = f"the result has {size} bytes, {service.limits.inline_bytes} are given inline; get it by its url"
        raise ApiError(413, text)
    for view in views:
        view[name] = await in_thread(_data_url, service.find(kind, view["id"]).path)
    return AsciiJSON(result | {"pictures": views} if kind == "pictures" else views[0])


def _image_to_audio(service: ApiContext, body: ImageToAudio, job: Job) -> dict[str, object]:
    from riffusion_ext.audio.save import save_clip
    from riffusion_ext.convert import check_format
    from riffusion_ext.spectrogram.codec import images_to_audio
    from riffusion_ext.spectrogram.settings import DecodeSettings, available_engines

    check_format(body.format)
    if body.engine not in available_engines():
        raise ApiError(422, f"the engine {body.engine} is not there; there are {', '.join(available_engines())}")
    limits = service.limits
    if body.picture is not None:
        record = service.find("pictures", body.picture)
        data, title = record.path.read_bytes(), record.title
    else:
        data, title = decode_base64(body.image or "", "image"), "picture"
    image, _ = decode_image(data, limits)
    if image.width > limits.columns:
        raise ApiError(413, f"the image is {image.width} px wide, {limits.columns} are allowed")
    settings = DecodeSettings(
        engine=body.engine,
        level=body.level,
        channels=body.channels,
        params=parse_params(body.preset),
        device=service.device(),
        high_frequencies=body.high_frequencies,
    )

    def on_progress(share: float) -> None:
        job.check()
        job.report(share)

    sound = images_to_audio([image], settings, progress=on_progress)[0]
    if isinstance(sound, BaseException):
        raise sound
    service.results.reserve("clips", 1, 2 * sound.clip.samples.size + _FILE_BYTES)
    path = service.folder("clips") / f"{secrets.token_hex(8)}.{body.format}"
    max_value = sound.max_value if sound.recorded else None
    save_clip(sound.clip, path, sound.params, max_value=max_value, title=title, recipe=sound.recipe)
    name = f"{title}.{body.format}"
    record = service.results.save("clips", path, title=title, duration=sound.clip.duration, download_name=name)
    view = clip_view(service, record, sample_rate=sound.clip.sample_rate, channels=sound.clip.channels)
    view["notes"] = list(sound.notes)
    return view


def _audio_to_images(service: ApiContext, body: AudioToImages, job: Job) -> dict[str, object]:
    from riffusion_ext.metadata import save_image
    from riffusion_ext.spectrogram.codec import audio_to_image, audio_to_images

    params = _params(body)
    if body.clip is not None:
        title = service.find("clips", body.clip).title
        clip = read_stored_sound(service, body.clip, start=body.start, duration=body.duration)
    else:
        title = "sound"
        path = write_sound(service, decode_base64(body.audio or "", "audio"))
        try:
            clip = read_sound(path, service.limits, start=body.start, duration=body.duration)
        finally:
            path.unlink()
    service.results.reserve("pictures", *_check_images(service, body, params, clip.duration))
    job.check()
    if body.columns is None:
        encoded = [audio_to_image(clip, params)]
    else:
        encoded = audio_to_images(clip, params, columns=body.columns, level=body.level)
    views = []
    for number, image in enumerate(encoded):
        job.check()
        path = service.folder("pictures") / f"{secrets.token_hex(8)}.png"
        save_image(image.image, path, image.params, image.max_value)
        name = f"{title}.png" if body.columns is None else f"{title}_{number:05d}.png"
        record = service.results.save("pictures", path, title=name.removesuffix(".png"), download_name=name)
        view = file_view(service, "pictures", record)
        view |= {"width": image.image.width, "height": image.image.height, "max_value": image.max_value}
        views.append(view)
        job.report((number + 1) / len(encoded))
    return {"pictures": views, "duration": round(clip.duration, 6), "notes": list(clip.notes)}


def _params(body: AudioToImages) -> SpectrogramParams:
    from riffusion_ext.params import PRESETS

    return parse_params(body.preset) or PRESETS["riffusion-v1"]


def _check_images(
    service: ApiContext, body: AudioToImages, params: SpectrogramParams, seconds: float
) -> tuple[int, int]:
    """Return the number of images for a clip, and their maximum size in bytes.

    Raises
    ------
    ApiError
        There are more images or columns than allowed.
    """
    limits = service.limits
    seconds = min(max(seconds, 0.0), body.duration or seconds)
    columns = params.columns_of_samples(round(seconds * params.sample_rate))
    rows = params.num_frequencies
    max_columns = min(2 * limits.columns, limits.pixels // rows)
    if columns > max_columns:
        raise ApiError(413, f"this sound makes {columns} columns of {rows} rows, {max_columns} are allowed")
    width = body.columns or max(columns, 1)
    count = max(-(-columns // width), 1)
    if count > limits.images:
        raise ApiError(413, f"this sound makes {count} images of {width} columns, {limits.images} are allowed")
    size = count * (width * rows * _PIXEL_BYTES + _FILE_BYTES)
    service.results.check("pictures", count, size)
    return count, size


def _data_url(path: Path) -> str:
    return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
