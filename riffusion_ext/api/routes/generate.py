"""Routes that generate songs, riffs and loops. Each responds with 202 and a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import Response

from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.errors import ApiError
from riffusion_ext.api.generation import JobProgress, check_save, render, store_image, store_result, work_folder
from riffusion_ext.api.inputs import check_text, open_stored_image, read_stored_sound
from riffusion_ext.api.requests.json_route import json_route
from riffusion_ext.api.requests.threads import in_thread
from riffusion_ext.api.responses import accept
from riffusion_ext.api.schemas import Keyframe, Loop, Riff, Song, pick_fields
from riffusion_ext.convert import check_format
from riffusion_ext.jobs import Job

if TYPE_CHECKING:
    from riffusion_ext.generate.loop import LoopSettings
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.score import keyframes as core
    from riffusion_ext.generate.song import SongSettings
    from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = ["router"]

_BYTES_A_SECOND = 44100 * 2
"""Bytes per second of a 16-bit mono clip. If this fits, a second channel does too."""


def router(service: ApiContext) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(tags=["painting"], route_class=json_route(service.limits))

    @routes.post("/songs", status_code=202, summary="A song from prompts over time")
    async def song(body: Song) -> Response:
        _check_body(service, body)
        return await in_thread(_song, service, body)

    @routes.post("/riffs", status_code=202, summary="A new version of a song")
    async def riff(body: Riff) -> Response:
        _check_body(service, body)
        service.find("clips", body.clip)
        return await in_thread(_riff, service, body)

    @routes.post("/loops", status_code=202, summary="A seamless loop of a few bars")
    async def loop(body: Loop) -> Response:
        _check_body(service, body)
        return await in_thread(_loop, service, body)

    return routes


def _check_body(service: ApiContext, body: Song | Riff | Loop) -> None:
    service.check_backend()
    service.check_sampler(body.sampler)
    check_format(body.format)
    check_text(body.sampler)
    check_save(service, body.save)
    if body.steps > service.limits.steps:
        raise ApiError(422, f"at most {service.limits.steps} steps are allowed here, got {body.steps}")
    parts = len(getattr(body, "keyframes", None) or ())
    if parts > service.limits.parts:
        raise ApiError(422, f"at most {service.limits.parts} keyframes are allowed here, got {parts}")


def _save_kind(kind: str, body: Song | Riff | Loop) -> str:
    return kind if body.save else ""


def _decode_settings(service: ApiContext, body: Song | Riff | Loop) -> DecodeSettings:
    from riffusion_ext.spectrogram.settings import DecodeSettings, available_engines

    engine = body.engine
    if engine not in available_engines():
        raise ApiError(422, f"the engine {engine} is not there; there are {', '.join(available_engines())}")
    return DecodeSettings(engine=engine, device=service.device(), high_frequencies=body.high_frequencies)


def keyframes_of(items: Sequence[Keyframe]) -> tuple[core.Keyframe, ...]:
    """Convert keyframes to those of the core."""
    from riffusion_ext.generate.score.keyframes import Keyframe as Core

    names = ("prompt", "negative", "seed", "denoise", "cfg", "seconds", "bars")
    for item in items:
        check_text(item.prompt, item.negative)
    return tuple(Core(**pick_fields(item, *names)) for item in items)


def _check_length(service: ApiContext, seconds: float) -> None:
    if seconds > service.limits.song_seconds:
        raise ApiError(422, f"at most {service.limits.song_seconds:g} s are generated at a time, got {seconds:g} s")
    service.results.check("clips", 1, round(seconds * _BYTES_A_SECOND))


def _song_settings(service: ApiContext, body: Song) -> SongSettings:
    from riffusion_ext.generate.score.keyframes import Score
    from riffusion_ext.generate.score.parser import parse_score
    from riffusion_ext.generate.song import SongSettings

    check_text(body.score)
    if (body.score is None) == (body.keyframes is None):
        raise ApiError(422, "give score or keyframes, one of the two")
    time = pick_fields(body, "bpm", "beats_per_bar", "power", "loop")
    score = (
        parse_score(body.score, **time) if body.score is not None else Score(keyframes_of(body.keyframes or ()), **time)
    )
    _check_length(service, score.seconds)
    names = ("join", "beat", "bridge_denoise", "width", "overlap", "seeds", "steps", "sampler", "level")
    return SongSettings(score, **pick_fields(body, *names)).resolve_seeds(body.seed)


def _song(service: ApiContext, body: Song) -> Response:
    from riffusion_ext.generate import song as core

    decode = _decode_settings(service, body)
    images = {name: open_stored_image(service, getattr(body, name)) for name in ("seed_picture", "mask", "before")}
    song = core.Song(_song_settings(service, body), work_folder(service, "songs"), decode=decode, **images)
    first = song.settings.score.keyframes[0]

    def work(job: Job) -> dict[str, object]:
        progress = JobProgress(job, len(song.plan.windows))
        rendered, clip = render(service, song, job, progress, batch=body.batch)
        if clip is None:
            return {"complete": False}
        complete, kind = rendered.complete, _save_kind("songs", body)
        result = store_result(service, song, clip, body.format, first.prompt, complete=complete, save_as=kind)
        end = song.image(columns=body.width)
        if end is not None:  # another song can continue from it
            result["end"] = store_image(service, end, song.settings.params, first.prompt)
        return result | {"notes": song.notes}

    return accept(service, "song", "paint", work)


def _riff_settings(body: Riff) -> RiffSettings:
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.score.automation import parse_curve
    from riffusion_ext.generate.score.keyframes import Keyframe as Core

    check_text(body.prompt, body.negative, body.denoise, body.cfg, body.wet)
    if (body.prompt is None) == (body.keyframes is None):
        raise ApiError(422, "give prompt or keyframes, one of the two")
    if body.keyframes is not None:
        keyframes = keyframes_of(body.keyframes)
        if not keyframes:
            raise ApiError(422, "keyframes is empty")
    else:
        keyframes = (Core(body.prompt or "", body.negative, body.seed, seconds=1.0),)
    names = ("start", "duration", "channels", "spread", "law", "width", "overlap", "seeds", "steps", "sampler", "level")
    return RiffSettings(
        keyframes,
        denoise=parse_curve(body.denoise, name="denoise", low=0.0, high=1.0),
        cfg=parse_curve(body.cfg, name="cfg", low=1.0, high=30.0),
        wet=parse_curve(body.wet, name="wet", low=0.0, high=1.0),
        **pick_fields(body, *names),
    )


def _riff(service: ApiContext, body: Riff) -> Response:
    from riffusion_ext.generate import riff as core

    decode = _decode_settings(service, body)
    settings = _riff_settings(body)
    title = service.find("clips", body.clip).title

    def work(job: Job) -> dict[str, object]:
        riff = core.Riff(read_stored_sound(service, body.clip), settings, work_folder(service, "riffs"), decode=decode)
        _check_length(service, riff.plan.seconds)
        progress = JobProgress(job)
        rendered, clip = render(service, riff, job, progress, batch=body.batch, limit=1 if body.preview else None)
        if clip is None:
            return {"complete": False}
        complete, kind = rendered.complete, _save_kind("riffs", body)
        result = store_result(service, riff, clip, body.format, title, complete=complete, save_as=kind)
        return result | {"notes": riff.notes}

    return accept(service, "riff", "paint", work)


def _loop_settings(body: Loop) -> LoopSettings:
    from riffusion_ext.generate.loop import LoopSettings

    check_text(body.prompt, body.negative)
    names = ("negative", "seed", "cfg", "denoise", "bars", "bpm", "beats_per_bar", "beat", "steps", "sampler", "level")
    return LoopSettings(body.prompt, **pick_fields(body, *names))


def _loop(service: ApiContext, body: Loop) -> Response:
    from riffusion_ext.generate import loop as core

    decode = _decode_settings(service, body)
    image = open_stored_image(service, body.seed_picture)
    loop = core.Loop(_loop_settings(body), work_folder(service, "loops"), seed_picture=image, decode=decode)

    def work(job: Job) -> dict[str, object]:
        progress = JobProgress(job, 1)
        rendered, clip = render(service, loop, job, progress)
        if clip is None:
            return {"complete": False}
        complete, kind = rendered.complete, _save_kind("loops", body)
        result = store_result(service, loop, clip, body.format, body.prompt, complete=complete, save_as=kind)
        return result | {"samples": clip.samples.shape[1], "notes": loop.notes}

    return accept(service, "loop", "paint", work)
