"""Remote webuis as a backend, over real connections."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.responses import RedirectResponse

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Activity, Backend, BackendUnavailableError, RefusedError, Request
from riffusion_ext.generate.backends.remote import RemoteWebui
from riffusion_ext.generate.backends.remotes import Webuis
from riffusion_ext.generate.checkpoint.runner import Finished, Progress, Stopped
from riffusion_ext.generate.score.parser import parse_score
from riffusion_ext.generate.song import Song, SongSettings
from tests.unit.small import SMALL
from tests.unit.webuis import Model, Process, free_port, serving, webui

PLAIN = Request(("a", "b"), 0.5, seeds=(1, 2), steps=3, width=64, height=64)
Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that serves a model or an application."""
    with ExitStack() as stack:

        def start(what: Model | FastAPI | None, credentials: str = "", **more) -> str:
            folder = tmp_path / f"served{len(list(tmp_path.glob('served*')))}"
            folder.mkdir()
            app = what if isinstance(what, FastAPI) else webui(what, folder, credentials, **more)
            return stack.enter_context(serving(app))

        yield start


def song(folder: Path) -> Song:
    score = parse_score("0:03 | funk -- vocals\n0:03 | jazz | cfg 9").resolve_seeds(7)
    return Song(SongSettings(score, width=128, overlap=32, steps=2, params=SMALL), folder)


def windows(piece: Song) -> list[bytes]:
    folder = piece.windows_folder
    assert folder is not None
    return [path.read_bytes() for path in sorted(folder.glob("*.png"))]


@pytest.fixture
def local(tmp_path: Path) -> list[bytes]:
    """Return the windows of the song generated without HTTP."""
    piece = song(tmp_path / "local")
    list(piece.generate(Model()))
    assert len(windows(piece)) == 6
    return windows(piece)


def text_of(call: Callable[[], object], kind: type[RiffusionError] = BackendUnavailableError) -> str:
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert "secret" not in text
    return text


def test_remote_song_equals_the_local_one_byte_for_byte(serve: Serve, local: list[bytes], tmp_path: Path) -> None:
    models = [Model(delay=0.1), Model(delay=0.1)]
    backend = Webuis([serve(model) for model in models]).backend()
    assert (backend.name, backend.max_batch) == ("tiny", 4)
    piece = song(tmp_path / "remote")
    events = list(piece.generate(backend))
    assert isinstance(events[-1], Progress)
    assert windows(piece) == local
    assert all(model.requests for model in models)
    assert sum(len(model.requests) for model in models) == 6


def test_init_images_are_transferred_unchanged_and_once_each(serve: Serve) -> None:
    model = Model(max_batch=3)
    init, mask = Image.radial_gradient("L").resize((64, 64)), Image.linear_gradient("L").resize((64, 64))
    other = Image.merge("RGB", [init, mask, init])
    request = replace(PLAIN, denoise=0.6, init=init.convert("RGB"), mask=mask, negatives=("x", "é"), loop=True)
    requests = [request, replace(request, alpha=0.0), replace(request, init=other, seeds=(2**32 + 5, -1))]
    remote = RemoteWebui(serve(model))
    assert remote.name == "tiny"
    images = remote.generate(requests, lambda number, image: None)
    assert model.requests == [*requests[:2], replace(requests[2], seeds=(5, 2**32 - 1))]
    assert images[1].info == {"parameters": "a\nSteps: 3, Seed: 1"}
    assert remote.capabilities.samplers == ("Euler", "DPM++ 2M")
    assert remote.capabilities.usual_sampler == "DPM++ 2M"
    assert remote.activity is None


def test_remote_reports_steps_and_interrupt_stops_the_server(serve: Serve) -> None:
    model = Model()
    model.go_on.clear()
    remote = RemoteWebui(serve(model))
    generated: list[list[Image.Image]] = []
    thread = threading.Thread(target=lambda: generated.append(remote.generate([PLAIN], lambda *_: None)))
    thread.start()
    assert model.at_work.wait(20)
    for activity in (Activity(2, 5), Activity(waiting=True)):
        model.activity = activity
        end = time.monotonic() + 120
        while remote.activity != activity:
            assert time.monotonic() < end
            time.sleep(0.02)
    remote.interrupt()
    thread.join(20)
    assert model.interrupt_requested.is_set()
    assert generated == [[]]
    assert remote.interrupted
    model.go_on.set()
    assert len(remote.generate([PLAIN], lambda *_: None)) == 1
    assert not remote.interrupted


def test_remote_work_stops_when_the_caller_disconnects(serve: Serve) -> None:
    model = Model()
    model.go_on.clear()
    remote = RemoteWebui(serve(model), timeout=20)
    followed = remote._wait_for_end

    def broken(job: str) -> dict:
        assert model.at_work.wait(20)
        remote._wait_for_end = followed  # type: ignore[method-assign]
        raise KeyboardInterrupt

    remote._wait_for_end = broken  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        remote.generate([PLAIN], lambda *_: None)
    assert model.interrupt_requested.wait(20)


def test_passwords_are_checked_and_never_shown(
    serve: Serve, local: list[bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = serve(Model(), "ann:se cret/@,bob:two")
    here = url.removeprefix("http://")
    piece = song(tmp_path / "remote")
    list(piece.generate(Webuis([f"http://ann:se%20cret%2F%40@{here}"]).backend()))
    assert windows(piece) == local
    for wrong in (f"ann:nosecret@{here}", f"http://bob@{here}"):
        said = text_of(lambda wrong=wrong: Webuis([wrong]).backend())
        assert said == f"user or password are wrong on {url}; they are given as in http://user:password@{here}"
    assert "a user and a password are asked for" in text_of(lambda: Webuis([url]).backend())
    assert "secret" not in repr(RemoteWebui(f"http://ann:secret@{here}")._client.address)
    assert base64.b64encode(b"ann:secret").decode() not in repr(
        RemoteWebui(f"http://ann:secret@{here}")._client.address
    )


@pytest.mark.parametrize("address", ["", "ftp://a:secret@b", "http://", "http://a:secret@b:x", "http://b/?q", "a b:1"])
def test_invalid_address_is_refused_without_showing_its_password(address: str) -> None:
    assert "looks like http://127.0.0.1:7860" in text_of(lambda: Webuis([address]), RiffusionError)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("localhost:7860", "http://localhost:7860"),
        ("https://u:p@host/sub/", "https://host/sub"),
        ("http://[::1]:7860/", "http://[::1]:7860"),
    ],
)
def test_addresses_are_accepted_in_the_forms_that_users_type(address: str, url: str) -> None:
    assert RemoteWebui(address).url == url


def test_proxy_of_the_environment_is_not_used_for_loopback(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert Webuis([serve(Model())]).backend().name == "tiny"


def page(*routes: str, status: int = 200) -> FastAPI:
    app = FastAPI()
    for route in routes:
        app.add_api_route(route, lambda: {"mode": "blocks"}, status_code=status)
    return app


def test_error_names_what_answered_at_the_address(serve: Serve, tmp_path: Path) -> None:
    from riffusion_ext.api.routes.page import mount_media
    from riffusion_ext.library import ClipLibrary

    quiet = page("/config")
    mount_media(quiet, ClipLibrary())
    away = FastAPI()
    away.add_api_route("/riffusion/v1/capabilities", lambda: RedirectResponse("https://elsewhere.example/"))
    old = FastAPI()
    old.add_api_route("/riffusion/v1/capabilities", lambda: {"paints": True, "model": "tiny", "samplers": []})
    html = FastAPI()
    html.add_api_route("/riffusion/v1/capabilities", lambda: "<html>")
    broken = FastAPI()
    broken.add_api_route("/riffusion/v1/capabilities", lambda: {"detail": "out of order"}, status_code=500)
    for app, said in (
        (quiet, "runs without --api"),
        (page("/config", "/sdapi/v1/samplers"), "has no Riffusion extension, or an old one"),
        (page("/config"), "runs without --api, or has no Riffusion extension"),
        (page(), "is no webui"),
        (html, "is no webui"),
        (away, "leads elsewhere, give the address https://elsewhere.example/"),
        (old, "is another version"),
        (broken, "out of order"),
        (None, "no model is available on http"),
    ):
        assert said in text_of(lambda app=app: RemoteWebui(serve(app)).check())
    assert "nothing listens on http" in text_of(lambda: RemoteWebui(f"http://127.0.0.1:{free_port()}").check())
    assert "no machine called" in text_of(lambda: RemoteWebui("http://no.such.name.invalid:1").check())


def test_https_address_of_an_http_server_is_reported(serve: Serve) -> None:
    url = serve(Model()).replace("http:", "https:")
    assert "it may be an http:// address" in text_of(lambda: RemoteWebui(url).check())


@contextmanager
def dumb() -> Iterator[str]:
    """Accept connections and never answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_webui_that_never_answers_is_lost(serve: Serve, local: list[bytes], tmp_path: Path) -> None:
    with dumb() as url:
        assert text_of(lambda: RemoteWebui(url, timeout=0.3).check()) == f"{url} does not answer"
        told: list[str] = []
        backend = Webuis([url, serve(Model())], timeout=0.5, log=told.append).backend()
        piece = song(tmp_path / "remote")
        list(piece.generate(backend))
    assert windows(piece) == local
    assert told == [f"{url} does not answer; continuing with the others"]


def test_webui_that_stops_answering_during_a_job_is_lost(serve: Serve, local: list[bytes], tmp_path: Path) -> None:
    """The server hangs, as when its machine is suspended: connections are accepted and nothing is sent."""
    hanging = Model()
    asleep = threading.Event()

    class Sleeper:
        def __init__(self, app) -> None:
            self.app = app

        async def __call__(self, scope, receive, send) -> None:
            if "/jobs/" in scope["path"] and hanging.requests:
                asleep.wait(30)
            await self.app(scope, receive, send)

    app = FastAPI()
    app.mount("/", Sleeper(webui(hanging, tmp_path)))
    told: list[str] = []
    webuis = Webuis([serve(app), serve(Model(delay=0.05))], timeout=0.6, log=told.append)
    piece = song(tmp_path / "remote")
    list(piece.generate(webuis.backend()))
    asleep.set()
    assert windows(piece) == local
    assert "does not answer; what it had to do is done elsewhere" in told[0]


def test_different_models_are_refused_by_name(serve: Serve) -> None:
    one, two = serve(Model()), serve(Model(name="big"))
    said = text_of(lambda: Webuis([one, two]).backend(), RiffusionError)
    assert said == f"the webuis must all have the same model chosen, they have tiny on {one}, big on {two}"


def test_changed_checkpoint_stops_the_request(serve: Serve) -> None:
    model = Model()
    backend = Webuis([serve(model)]).backend()
    backend.generate([PLAIN], lambda *_: None)
    model.name = "other"
    said = text_of(lambda: backend.generate([PLAIN], lambda *_: None))
    assert "has the model other chosen now, tiny is needed" in said
    assert len(model.requests) == 1


def test_only_common_samplers_are_offered_and_repeated_addresses_count_once(serve: Serve) -> None:
    one, two = serve(Model()), serve(Model(), samplers=["Heun", "DPM++ 2M"])
    webuis = Webuis([one, two, f"{one}/"])
    assert webuis.backend().max_batch == 4
    assert (webuis.samplers(), webuis.usual_sampler()) == (["DPM++ 2M"], "DPM++ 2M")


def test_invalid_request_is_refused_at_once(serve: Serve) -> None:
    models = [Model(), Model()]
    backend = Webuis([serve(model) for model in models]).backend()
    said = text_of(lambda: backend.generate([replace(PLAIN, sampler="nope")], lambda *_: None), RefusedError)
    assert said == "there is no sampler 'nope'; there are Euler, DPM++ 2M"
    assert not any(model.requests for model in models)


def test_errors_of_the_remote_model_are_raised(serve: Serve) -> None:
    failing = Model()
    failing.draw = lambda request: 1 / 0
    url = serve(failing)
    said = text_of(lambda: Webuis([url]).backend().generate([PLAIN], lambda *_: None), RiffusionError)
    assert said == f"{url}: ZeroDivisionError: division by zero"
    both = Webuis([url, serve(Model())]).backend()
    assert len(both.generate([PLAIN] * 2, lambda *_: None)) == 2


@pytest.mark.slow
def test_song_continues_without_a_killed_webui_and_is_resumed_after_both_are_killed(
    local: list[bytes], tmp_path: Path
) -> None:
    servers = [Process(0.4), Process(0.4)]
    try:
        urls = [server.ready() for server in servers]
        piece = song(tmp_path / "one killed")
        told: list[str] = []
        finished = 0
        for event in piece.generate(Webuis(urls, log=told.append).backend().limit_batch(1)):
            if isinstance(event, Finished):
                finished += 1
                if finished == 1:
                    servers[0].kill()
        assert windows(piece) == local
        assert urls[0] in told[0]

        piece = song(tmp_path / "both killed")

        def generate(backend: Backend) -> None:
            for event in piece.generate(backend):
                assert not isinstance(event, Stopped)
                if isinstance(event, Finished):
                    servers[1].kill()

        backend = Webuis(urls, log=told.append).backend().limit_batch(1)
        said = text_of(lambda: generate(backend))
        assert said == f"none of the 2 webuis can generate: nothing listens on {urls[0]}; nothing listens on {urls[1]}"
        kept = windows(piece)
        assert 0 < len(kept) < len(local)
        assert "none of the 2" in text_of(lambda: Webuis(urls).backend())
        servers[1].start()
        servers[1].ready()
        list(piece.generate(Webuis(urls, log=told.append).backend()))
        assert windows(piece) == local
    finally:
        for server in servers:
            server.kill()
