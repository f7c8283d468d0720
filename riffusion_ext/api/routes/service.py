"""Routes for the state, version and capabilities of the service."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from riffusion_ext import __version__
from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.errors import AsciiJSON
from riffusion_ext.api.requests.threads import in_thread

__all__ = ["router"]


def router(service: ApiContext) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(tags=["about"])

    @routes.get("/health", summary="Health of the service and number of jobs")
    async def health() -> Response:
        jobs = service.jobs
        waiting, running = jobs.count(["waiting"]), jobs.count(["running"])
        return AsciiJSON({"status": "ok", "jobs": {"waiting": waiting, "running": running}})

    @routes.get("/version", summary="Versions of the extension and of these routes")
    async def version() -> Response:
        return AsciiJSON({"version": __version__, "api": "v1", "host": service.host})

    @routes.get("/capabilities", summary="Available engines, formats, samplers and limits")
    async def capabilities() -> Response:
        return AsciiJSON(await in_thread(_capabilities, service))

    return routes


def _capabilities(service: ApiContext) -> dict[str, object]:
    from riffusion_ext.api.compat.assets import MASKS, SEEDS
    from riffusion_ext.audio.io import available_formats
    from riffusion_ext.generate.windows.init_images import PATTERNS
    from riffusion_ext.params import PRESETS
    from riffusion_ext.spectrogram.settings import available_engines

    generates = service.generates
    backend = service.backend() if generates else None
    return {
        "paints": generates,
        "model": backend.name if backend else None,
        "batch": backend.max_batch if backend else 0,
        "samplers": list(service.model.samplers()) if generates else [],
        "usual_sampler": service.model.usual_sampler() if generates else "",
        "engines": list(available_engines()),
        "formats": list(available_formats()),
        "presets": list(PRESETS),
        "beats": list(PATTERNS),
        "seed_images": list(SEEDS),
        "mask_images": list(MASKS),
        "limits": service.limits.as_dict(),
    }
