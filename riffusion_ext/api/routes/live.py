"""Routes that the page "Live" polls while a jam plays: its state, audio chunks and images.

As for the players' route, they are open to everybody who may open the page. Only the page that started a jam knows its
id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from riffusion_ext.api.errors import refusal
from riffusion_ext.api.routes.page import PageLogin, prepend_routes

if TYPE_CHECKING:
    from riffusion_ext.api.access.allow_list import AllowList
    from riffusion_ext.generate.live.registry import JamRegistry
    from riffusion_ext.generate.live.session import Jam

__all__ = ["LIVE", "mount_live", "report"]

LIVE = "/riffusion/live"
"""URL prefix of the ids of jams."""

_TYPES = {"chunk": "application/octet-stream", "strip": "image/png"}
_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_CACHED = {"Cache-Control": "private, max-age=600", "X-Content-Type-Options": "nosniff"}
_MAX_DIGITS = 15


def report(jam: Jam, *, chunk: int = 0, strip: int = 0, shown: int = 0) -> dict[str, object]:
    """Return the state of a jam for the page, as JSON.

    Parameters
    ----------
    jam
        The jam of the page.
    chunk, strip, shown
        Numbers of the first chunk, strip and message that the page does not have yet.
    """
    params, activity = jam.settings.params, jam.activity
    return {
        "rate": jam.store.sample_rate,
        "channels": params.channels,
        "hop": jam.store.hop,
        "height": params.num_frequencies,
        "state": _state(jam),
        "why": _why(jam),
        "step": [activity.step, activity.steps] if activity is not None and activity.steps else [0, 0],
        "samples": jam.store.samples,
        "heard": jam.position,
        "speed": jam.throughput.speed,
        "needed": jam.throughput.needed,
        "aim": jam.settings.ahead,
        "chunks": [asdict(item) for item in jam.store.chunks(chunk)],
        "strips": [asdict(item) for item in jam.store.strips(strip)],
        "turns": [asdict(turn) for turn in jam.changes()],
        "queue": [{"key": item.key, "prompt": item.prompt} for item in jam.prompts.queued],
        "recording": jam.recording,
        "shown": jam.recordings[shown:],
    }


def _state(jam: Jam) -> str:
    if jam.error is not None:
        return "failed"
    if jam.ended or jam.should_end():
        return "ended"
    if jam.activity is not None and jam.activity.waiting:
        return "waiting"
    return "resting" if jam.is_ahead else "painting"


def _why(jam: Jam) -> str:
    from riffusion_ext.convert import explain

    return "" if jam.error is None else explain(jam.error)


def mount_live(app: Starlette, jams: JamRegistry, allow_list: AllowList | None = None) -> None:
    """Add the routes of the page to an application; `allow_list` as for :func:`riffusion_ext.api.app.mount`."""
    login = PageLogin(app)

    def with_jam(reply: Callable[[Request, Jam], Response]) -> Callable[[Request], Response]:
        # Not a coroutine: it reads files, so starlette calls it in a thread.
        def endpoint(request: Request) -> Response:
            if not login.is_logged_in(request):
                return refusal(401, "log in on the page first")
            jam = jams.get(request.path_params["id_"])
            if jam is None:
                return refusal(404, "this jam is over; start another one")
            return reply(request, jam)

        return endpoint

    routes = [
        Route(f"{LIVE}/{{id_}}", with_jam(_report), methods=["GET"], include_in_schema=False),
        Route(f"{LIVE}/{{id_}}/stop", with_jam(_stop), methods=["POST"], include_in_schema=False),
        Route(f"{LIVE}/{{id_}}/drop/{{key:int}}", with_jam(_drop), methods=["POST"], include_in_schema=False),
        Route(f"{LIVE}/{{id_}}/{{kind}}/{{number:int}}", with_jam(_media), methods=["GET"], include_in_schema=False),
    ]
    prepend_routes(app, routes, allow_list)


def _report(request: Request, jam: Jam) -> Response:
    values = {}
    for name in ("heard", "chunk", "strip", "shown"):
        text = request.query_params.get(name, "0")
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
            return refusal(400, f"{name} must be a whole number of 0 or more")
        values[name] = int(text)
    jam.report_position(values.pop("heard"))
    return JSONResponse(report(jam, **values), headers=_NO_STORE)


def _stop(request: Request, jam: Jam) -> Response:
    jam.stop()
    return JSONResponse({}, headers=_NO_STORE)


def _drop(request: Request, jam: Jam) -> Response:
    return JSONResponse({"dropped": jam.prompts.drop(request.path_params["key"])}, headers=_NO_STORE)


def _media(request: Request, jam: Jam) -> Response:
    jam.keep_alive()  # over a slow connection, fetching may take longer than the timeout of a closed page
    kind, number = request.path_params["kind"], request.path_params["number"]
    if kind not in _TYPES or not jam.store.has(kind, number):
        return refusal(404, "there is no such piece, or not any more")
    try:
        data = jam.store.path(kind, number).read_bytes()
    except OSError:  # removed just now
        return refusal(404, "there is no such piece, or not any more")
    return Response(data, headers=_CACHED, media_type=_TYPES[kind])
