"""``/run_inference/``: requests of the original server's clients, and the replies they expect."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from riffusion_ext.api.compat.assets import MASKS, SEEDS, mask_image, seed_image
from tests.unit.api.conftest import MakeClient
from tests.unit.generate.fake_backends import InterruptibleBackend

ROUTE = "/run_inference/"

# As riffusion-app sends it: integers where numbers are whole, no negative prompt, no mask.
RECORDED = (
    '{"alpha":0.25,"num_inference_steps":50,"seed_image_id":"og_beat","mask_image_id":null,'
    '"start":{"prompt":"church bells on sunday","seed":42,"denoising":0.75,"guidance":7},'
    '"end":{"prompt":"jazz with piano","seed":42,"denoising":0.85,"guidance":9}}'
)


def recorded(**changes: Any) -> dict[str, Any]:
    return {**json.loads(RECORDED), **changes}


def test_recorded_request_gets_the_reply_of_the_original(client: TestClient, studio: InterruptibleBackend) -> None:
    # The app's proxy sends text/plain, so the content type is not checked without an origin.
    reply = client.post(ROUTE, content=RECORDED, headers={"Content-Type": "text/plain"})
    assert reply.status_code == 200, reply.text
    values = reply.json()
    assert list(values) == ["image", "audio", "duration_s"]
    head, _, body = values["image"].partition(",")
    assert head == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(body, validate=True)))
    assert (image.format, image.size) == ("JPEG", (512, 512))
    head, _, body = values["audio"].partition(",")
    assert head == "data:audio/mpeg;base64"
    assert base64.b64decode(body, validate=True)[:2] in (b"\xff\xfb", b"ID", b"\xff\xf3", b"\xff\xfa")
    assert values["duration_s"] == pytest.approx(5.11)
    (request,) = studio.requests
    assert request.prompts == ("church bells on sunday", "jazz with piano")
    assert (request.alpha, request.steps, request.seeds) == (0.25, 50, (42, 42))
    assert (request.cfg, request.denoise) == (7.5, pytest.approx(0.775))
    assert request.init is not None
    assert np.array_equal(np.asarray(request.init), np.asarray(seed_image("og_beat")))
    assert request.mask is None


@pytest.mark.parametrize("kind", ["text/plain", "text/plain;x=application/json", "multipart/form-data; boundary=a", ""])
@pytest.mark.parametrize("route", [ROUTE, "/run_vst/"])
def test_cross_site_requests_without_json_are_refused(
    client: TestClient, studio: InterruptibleBackend, route: str, kind: str
) -> None:
    """Content types that a browser sends cross-site without a preflight."""
    headers = {"Origin": "https://elsewhere.example", **({"Content-Type": kind} if kind else {})}
    reply = client.post(route, content=RECORDED, headers=headers)
    assert (reply.status_code, "must send the content type application/json" in reply.text) == (415, True)
    assert studio.requests == []


def test_allowed_origin_gets_cors_headers(client: TestClient, studio: InterruptibleBackend) -> None:
    headers = {"Origin": "http://localhost:3000", "Content-Type": "application/json; charset=utf-8"}
    assert client.post(ROUTE, content=RECORDED, headers=headers).status_code == 200


def test_defaults_are_those_of_the_original(client: TestClient, studio: InterruptibleBackend) -> None:
    body = {"start": {"prompt": "a", "seed": 1}, "end": {"prompt": "b", "seed": 2}, "alpha": 0, "worklet": 1}
    assert client.post("/run_inference", json=body).status_code == 200  # also without the slash
    (request,) = studio.requests
    assert (request.steps, request.cfg, request.denoise, request.negatives) == (50, 7.0, 0.75, ("", ""))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_seed_image_and_mask_exists(seed: str) -> None:
    image = seed_image(seed)
    assert (image.mode, image.size) == ("RGB", (512, 512))
    assert np.asarray(image).min() < 60  # not silent
    for mask in MASKS:
        assert (mask_image(mask).mode, mask_image(mask).size) == ("L", (512, 512))


def test_negative_prompts_masks_and_seeds_reach_the_backend(client: TestClient, studio: InterruptibleBackend) -> None:
    end = {"prompt": "b", "seed": -5, "negative_prompt": "noise"}
    start = {"prompt": "a", "seed": 2**40 + 3, "negative_prompt": None}
    body = recorded(start=start, end=end, seed_image_id="motorway", mask_image_id="mask_gradient_top_70")
    assert client.post(ROUTE, json=body).status_code == 200
    assert client.post(ROUTE, json={**body, "mask_image_id": ""}).status_code == 200
    request, other = studio.requests
    assert request.negatives == ("", "noise")
    assert request.seeds == (3, 2**32 - 5)
    assert request.mask is not None
    assert request.mask.tobytes() == mask_image("mask_gradient_top_70").tobytes()
    assert other.mask is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed_image_id": "nope"}, "Invalid seed image: nope"),
        ({"seed_image_id": "../../etc/passwd"}, "Invalid seed image: ../../etc/passwd"),
        ({"seed_image_id": "og_beat.png"}, "Invalid seed image: og_beat.png"),
        ({"seed_image_id": "og_beat\x00"}, "Invalid seed image: og_beat\x00"),
        ({"seed_image_id": "/etc/passwd"}, "Invalid seed image: "),
        ({"mask_image_id": "../x"}, "Invalid mask image: ../x"),
        ({"alpha": None}, 'missing value for field "alpha"'),
        ({"alpha": "0.5"}, 'wrong value type for field "alpha"'),
        ({"alpha": 1.5}, "alpha must lie between 0 and 1"),
        ({"alpha": float("nan")}, "numbers must be finite"),
        ({"start": None}, 'missing value for field "start"'),
        ({"end": {"seed": 1}}, 'missing value for field "prompt"'),
        ({"end": {"prompt": "a"}}, 'missing value for field "end.seed"'),
        ({"end": {"prompt": "a", "seed": True}}, 'wrong value type for field "seed"'),
        ({"end": {"prompt": "a", "seed": 1, "guidance": 1e9}}, "guidance must lie between 0 and 100"),
        ({"num_inference_steps": 10**6}, "num_inference_steps must lie between 1 and 150"),
        ({"num_inference_steps": 0}, "num_inference_steps must lie between 1 and 150"),
    ],
)
def test_errors_are_plain_text(client: TestClient, changes: dict[str, Any], said: str) -> None:
    reply = client.post(ROUTE, content=json.dumps(recorded(**changes)))
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.text.startswith(said)


def test_guidance_below_1_disables_guidance_as_in_the_original(
    client: TestClient, studio: InterruptibleBackend
) -> None:
    start, end = ({"prompt": "a", "seed": 1, "guidance": guidance} for guidance in (0, 0.5))
    assert client.post(ROUTE, content=json.dumps(recorded(start=start, end=end))).status_code == 200
    assert studio.requests[0].cfg == 1.0


def test_inference_without_a_model_answers_an_error(make_client: MakeClient) -> None:
    reply = make_client(generates=False).post(ROUTE, content=RECORDED)
    assert reply.status_code == 501
    assert "webui" in reply.text


def test_job_does_not_keep_image_and_sound(client: TestClient, studio: InterruptibleBackend) -> None:
    assert client.post(ROUTE, content=RECORDED).status_code == 200
    (job,) = client.service.jobs.all()  # type: ignore[attr-defined]
    assert job.result == {"complete": True}


def test_disconnected_client_causes_no_generation(client: TestClient, studio: InterruptibleBackend) -> None:
    studio.go_on.clear()
    arrives = [{"type": "http.request", "body": RECORDED.encode(), "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        if len(arrives) == 1:
            while not studio.at_work.is_set():
                await asyncio.sleep(0.01)
        return arrives.pop(0)

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": ROUTE, "headers": [], "query_string": b""}
    asyncio.run(client.app(scope, receive, send))  # type: ignore[arg-type]
    (job,) = client.service.jobs.all()  # type: ignore[attr-defined]
    assert job.wait(10)
    assert job.state == "cancelled"
    assert studio.interrupted


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = ["start", "end", "alpha", "num_inference_steps", "seed_image_id", "mask_image_id", "audio"]
_BODIES = st.one_of(
    st.binary(max_size=200),
    _JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(_FIELDS), _JSON).map(lambda value: json.dumps(recorded(**value)).encode()),
    st.tuples(st.integers(0, len(RECORDED)), st.binary(min_size=1, max_size=3)).map(
        lambda cut: RECORDED[: cut[0]].encode() + cut[1] + RECORDED[cut[0] :].encode()
    ),
)


@pytest.mark.parametrize("route", ["/run_inference/", "/run_inference", "/run_vst/", "/run_vst"])
@settings(
    max_examples=int(os.environ.get("RIFFUSION_FUZZ", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=_BODIES)
def test_arbitrary_bytes_are_refused_by_the_compatibility_routes(route: str, body: bytes, nobody: TestClient) -> None:
    reply = nobody.post(route, content=body)
    assert reply.status_code in (400, 501), (reply.status_code, reply.text)
    if "vst" in route:
        assert list(reply.json()) == ["error"]


@pytest.fixture
def nobody(make_client: MakeClient) -> TestClient:
    """Return a client of a server without a model: valid requests get 501."""
    return make_client(generates=False)
