"""The route for single images, with a fake backend."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from riffusion_ext.generate.backends.base import Request
from tests.unit.api.conftest import V1, MakeClient, ended, sentence, upload
from tests.unit.generate.fake_backends import InterruptibleBackend, by_seed

ONE = {"prompts": ["a", "b"], "width": 64, "height": 64}


def png(mode: str, size: tuple[int, int] = (128, 64), seed: int = 1) -> tuple[Image.Image, bytes]:
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    image = Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))
    file = io.BytesIO()
    image.save(file, "PNG")
    return image, file.getvalue()


def body_of(request: Request, init: str | None, mask: str | None) -> dict[str, Any]:
    values = {name: getattr(request, name) for name in Request.__dataclass_fields__}
    lists = {name: list(values[name]) for name in ("prompts", "negatives", "seeds")}
    return {**values, **lists, "init": init, "mask": mask}


def test_request_and_image_are_transferred_unchanged(client: TestClient, studio: InterruptibleBackend) -> None:
    studio.draw = lambda request: signed(by_seed(request))

    def signed(image: Image.Image) -> Image.Image:
        image.info["parameters"] = "café\nSteps: 3"
        return image

    (init, init_file), (mask, mask_file) = png("RGB"), png("L")
    ids = upload(client, "pictures", init_file)["id"], upload(client, "pictures", mask_file)["id"]
    request = Request(
        ("funk [a|b]", "jazz"), 0.25, ("x", "y"), (7, 2**32 - 1), 8.5, 0.6, 3, "Euler", 128, 64, init, mask, True
    )
    plain = Request(("funk", "funk"), steps=3, width=128, height=64)
    sent = {"requests": [body_of(request, *ids), body_of(plain, None, None)], "model": "studio"}
    result = ended(client, client.post(f"{V1}/paintings", json=sent))["result"]
    assert (result["model"], result["complete"], len(result["pictures"])) == ("studio", True, 2)
    assert studio.requests == [request, plain]
    for view, asked in zip(result["pictures"], (request, plain), strict=True):
        got = Image.open(io.BytesIO(client.get(view["url"]).content))
        assert (view["width"], view["height"]) == got.size
        assert np.array_equal(np.asarray(got), np.asarray(by_seed(asked)))
        assert got.info["parameters"] == "café\nSteps: 3"


def test_compatible_requests_are_generated_in_batches(client: TestClient, studio: InterruptibleBackend) -> None:
    requests = [{**ONE, "seeds": [number, 0], "cfg": 7 if number < 3 else 8} for number in range(4)]
    ended(client, client.post(f"{V1}/paintings", json={"requests": requests}))
    assert [[request.seeds[0] for request in batch] for batch in studio.batches] == [[0, 1], [2], [3]]
    assert client.get(f"{V1}/capabilities").json()["batch"] == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompts": ["a"]}, "prompts takes two values"),
        ({"negatives": ["a", "b", "c"]}, "negatives takes two values"),
        ({"seeds": []}, "seeds takes two values"),
        ({"width": 100}, "multiple of 64"),
        ({"steps": 151}, "steps: "),
        ({"sampler": "nope"}, "there are Euler, DPM++ 2M"),
        ({"denoise": 0.5}, "only one of them was given"),
        ({"init": "../../x", "denoise": 0.5}, "no image of this id"),
        ({"prompts": ["a", "b" * 20_001]}, "at most 20000 characters"),
        ({"alpha": 2}, "alpha"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_invalid_requests_are_refused_at_once(client: TestClient, change: dict[str, Any], said: str) -> None:
    reply = client.post(f"{V1}/paintings", json={"requests": [{**ONE, **change}]})
    assert reply.status_code in (404, 422)
    assert said in sentence(reply, reply.status_code)
    assert client.get(f"{V1}/jobs").json()["jobs"] == []


def test_init_image_of_another_size_and_mask_without_image_are_refused(client: TestClient) -> None:
    image = upload(client, "pictures", png("RGB")[1])["id"]
    for change in ({"init": image, "denoise": 0.5}, {"mask": image}):
        said = sentence(client.post(f"{V1}/paintings", json={"requests": [{**ONE, **change}]}), 422)
        assert "64 x 64" in said or "a mask needs an image" in said


def test_a_server_may_allow_fewer_steps(make_client: MakeClient) -> None:
    client = make_client(steps=20)
    for route, body in (
        ("paintings", {"requests": [{**ONE, "steps": 21}]}),
        ("songs", {"score": "0:05 | a", "steps": 21}),
    ):
        assert "at most 20 steps" in sentence(client.post(f"{V1}/{route}", json=body), 422)


def test_requests_are_limited_in_number_and_pixels(make_client: MakeClient) -> None:
    client = make_client(pictures=3, pixels=3 * 64 * 64 - 1)
    for count, status, said in ((0, 422, "1 to 3"), (4, 422, "at most 3 requests"), (3, 413, "12287 are allowed")):
        assert said in sentence(client.post(f"{V1}/paintings", json={"requests": [ONE] * count}), status)
    assert "webui" in sentence(make_client(generates=False).post(f"{V1}/paintings", json={"requests": [ONE]}), 501)


def test_request_for_another_model_is_refused(client: TestClient, studio: InterruptibleBackend) -> None:
    body = {"requests": [ONE], "model": "riffusion"}
    assert "from riffusion to studio" in sentence(client.post(f"{V1}/paintings", json=body), 409)
    studio.go_on.clear()  # also while the request waits
    ahead = client.post(f"{V1}/paintings", json={"requests": [ONE]})
    reply = client.post(f"{V1}/paintings", json={**body, "model": "studio"})
    studio.name = "other"
    studio.go_on.set()
    ended(client, ahead)
    assert "from studio to other" in ended(client, reply, state="failed")["error"]


def test_cancelling_a_job_interrupts_the_backend(client: TestClient, studio: InterruptibleBackend) -> None:
    studio.go_on.clear()
    reply = client.post(f"{V1}/paintings", json={"requests": [ONE] * 3})
    assert studio.at_work.wait(20)
    client.post(f"{reply.json()['url']}/cancel")
    view = ended(client, reply, state="cancelled")
    assert view["result"] == {"pictures": [], "model": "studio", "complete": False}


def test_interrupt_by_the_user_of_the_server_differs_from_a_timeout(
    client: TestClient, studio: InterruptibleBackend
) -> None:
    studio.go_on.clear()
    reply = client.post(f"{V1}/paintings", json={"requests": [ONE]})
    assert studio.at_work.wait(20)
    studio.interrupt()
    assert "interrupted" in ended(client, reply, state="failed")["error"]
