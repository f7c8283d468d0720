"""Generation routes, with a fake backend."""

from __future__ import annotations

import io
import re
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from riffusion_ext.api.openapi import EXAMPLES
from riffusion_ext.metadata import read_record
from tests.unit.api.conftest import V1, MakeClient, ended, sentence, sound_bytes, upload
from tests.unit.generate.fake_backends import InterruptibleBackend

SONG = {"score": "0:03 | funk -- vocals | cfg 8\n0:03 | jazz", "width": 256, "overlap": 64, "seed": 7, "steps": 2}
END = {"prompt": "bells", "seed": 1}


def seconds_of(client: TestClient, url: str) -> float:
    with wave.open(io.BytesIO(client.get(url).content)) as file:
        return file.getnframes() / file.getframerate()


def test_song_has_its_exact_length_and_can_be_continued(client: TestClient, studio: InterruptibleBackend) -> None:
    view = ended(client, client.post(f"{V1}/songs", json=SONG))
    result = view["result"]
    assert view["kind"] == "song"
    assert result["complete"] is True
    assert result["seed"] == 7
    assert seconds_of(client, result["clip"]["url"]) == result["clip"]["duration"] == 6.0
    assert '"cfg": 8.0' in result["infotext"] or "CFG scale: 8" in result["infotext"]
    assert studio.requests[0].negatives[0] == "vocals"
    assert {request.steps for request in studio.requests} == {2}
    assert client.get(result["end"]["url"]).headers["content-type"] == "image/png"

    generated = len(studio.requests)  # the same song is not generated again
    again = ended(client, client.post(f"{V1}/songs", json=SONG))
    assert len(studio.requests) == generated
    assert again["result"]["clip"]["id"] != result["clip"]["id"]

    # another one continues from its end
    more = {**SONG, "score": "0:02 | soul", "before": result["end"]["id"]}
    ended(client, client.post(f"{V1}/songs", json=more))
    assert studio.requests[generated].mask is not None


def test_song_can_be_made_from_keyframes_and_a_seed_image(client: TestClient, studio: InterruptibleBackend) -> None:
    file = io.BytesIO()
    Image.new("RGB", (512, 512), "gray").save(file, "PNG")
    seed = upload(client, "pictures", file.getvalue())["id"]
    body = {
        "keyframes": [{"prompt": "a", "bars": 1, "seed": 3, "denoise": 0.5}, {"prompt": "b", "bars": 0}],
        "bpm": 120,
        "width": 256,
        "seed_picture": seed,
        "format": "flac",
    }
    view = ended(client, client.post(f"{V1}/songs", json=body))
    assert view["result"]["clip"]["name"] == "a.flac"
    assert view["result"]["clip"]["duration"] == 2.0
    assert all(request.init is not None for request in studio.requests)


def test_riff_is_as_long_as_its_song(client: TestClient, studio: InterruptibleBackend) -> None:
    song = upload(client, "clips", sound_bytes(3.0, rate=44100), "tune.wav")
    body = {"clip": song["id"], "prompt": "brass band", "denoise": "0:00 0.2, 0:02 0.4", "width": 256, "overlap": 64}
    view = ended(client, client.post(f"{V1}/riffs", json=body))
    assert view["result"]["clip"]["duration"] == 3.0
    assert view["result"]["clip"]["name"] == "tune.wav"
    assert {request.denoise for request in studio.requests} <= {round(0.2 + 0.01 * n, 2) for n in range(21)}
    short = ended(client, client.post(f"{V1}/riffs", json={**body, "preview": True, "seed": 5}))
    assert 0 < short["result"]["clip"]["duration"] < 3.0


@pytest.mark.parametrize(
    ("change", "said"),
    [({"width": 100}, "multiple of 64"), ({"width": 256, "overlap": 129}, "half the width"), ({"spread": 2}, "spread")],
)
def test_riff_with_invalid_window_sizes_is_refused_at_once(client: TestClient, change: dict, said: str) -> None:
    song = upload(client, "clips", sound_bytes(1.0, rate=44100), "tune.wav")
    reply = client.post(f"{V1}/riffs", json={"clip": song["id"], "prompt": "brass band", **change})
    assert said in sentence(reply, 422)


def test_loop_has_its_exact_length(client: TestClient, studio: InterruptibleBackend) -> None:
    body = {"prompt": "bass", "bars": 1, "bpm": 130, "beat": "backbeat", "steps": 3, "sampler": "Euler"}
    view = ended(client, client.post(f"{V1}/loops", json=body))
    assert view["result"]["samples"] == round(4 * 60 / 130 * 44100)
    assert studio.requests[0].loop
    assert b"smpl" in client.get(view["result"]["clip"]["url"]).content


def test_interpolation_goes_from_start_to_end(client: TestClient, studio: InterruptibleBackend) -> None:
    body = {"start": END, "end": {"prompt": "drums", "seed": -1, "cfg": 9}, "count": 3, "seed_image": "vibes"}
    body |= {"mask_image": "mask_top_third_75", "steps": 4}
    view = ended(client, client.post(f"{V1}/interpolations", json=body))
    result = view["result"]
    assert [step["alpha"] for step in result["steps"]] == [0.0, 0.5, 1.0]
    assert [request.cfg for request in studio.requests] == [7.0, 8.0, 9.0]
    assert all(request.mask is not None and request.init is not None for request in studio.requests)
    images = [Image.open(io.BytesIO(client.get(step["picture"]["url"]).content)) for step in result["steps"]]
    assert len({np.asarray(image).tobytes() for image in images}) == 3
    assert read_record(images[0]).params.sample_rate == 44100
    assert result["clip"]["duration"] == pytest.approx((3 * 512 - 1) * 0.01)


@pytest.mark.parametrize(
    ("route", "body", "said"),
    [
        ("songs", {}, "give score or keyframes"),
        ("songs", {"score": "", "keyframes": []}, "give score or keyframes"),
        ("songs", {"score": "nonsense"}, "line 1"),
        ("songs", {"score": "8 bars | a"}, "tempo"),
        ("songs", {"score": "0:20 | a", "width": 100}, "64"),
        ("songs", {"score": "0:20 | a", "steps": 151}, "steps: "),
        ("songs", {"score": "59:59 | a"}, "at most 1800 s"),
        ("songs", {"score": "0:20 | a", "beat": "backbeat"}, "tempo"),
        ("songs", {"score": "0:20 | a", "sampler": "nope"}, "there are Euler, DPM++ 2M"),
        ("songs", {"score": "0:20 | a", "seed_picture": "../a"}, "no image of this id"),
        ("songs", {"score": "0:20 | \ud800"}, "score"),
        ("songs", {"keyframes": [{"prompt": "a"}]}, "seconds"),
        ("songs", {"keyframes": [{"prompt": "a", "seconds": 0.01}] * 2001}, "at most 2000 keyframes"),
        ("riffs", {"clip": "x", "keyframes": [{"prompt": "a", "seconds": 0.01}] * 2001}, "at most 2000 keyframes"),
        ("songs", {"keyframes": [{"prompt": "a", "seconds": 5, "seed": 2**32}]}, "seed"),
        ("riffs", {"clip": "../x", "prompt": "a"}, "no clip of this id"),
        ("loops", {"prompt": "a", "bars": 100}, "a loop must be"),
        ("loops", {"prompt": "a", "bpm": 5}, "bpm"),
        ("loops", {"bpm": 100}, "prompt"),
        ("interpolations", {"start": END}, "end"),
        ("interpolations", {"start": END, "end": END, "count": 65}, "at most 64 images"),
        ("interpolations", {"start": END, "end": END, "seed_image": "../../etc/passwd"}, "seed_image must be one of"),
        ("interpolations", {"start": END, "end": END, "mask_image": "mask_top_third_75"}, "init image"),
        ("interpolations", {"start": END, "end": END, "seed_image": "vibes", "mask_image": "x/../y"}, "mask_image"),
        ("interpolations", {"start": END, "end": END, "width": 100}, "64"),
    ],
)
def test_invalid_requests_are_refused_at_once(client: TestClient, route: str, body: dict, said: str) -> None:
    import json

    text = json.dumps(body)  # json.dumps escapes surrogates, as clients may
    reply = client.post(f"{V1}/{route}", content=text, headers={"Content-Type": "application/json"})
    assert reply.status_code in (404, 422)
    told = sentence(reply, reply.status_code)
    assert said in told or "a text holds half of a character" in told
    assert client.get(f"{V1}/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    ("route", "name"), [(r, "seed_picture") for r in ("songs", "loops", "interpolations")] + [("songs", "before")]
)
@pytest.mark.parametrize("size", [(8000, 1), (1, 8000)])
def test_extremely_narrow_image_is_refused_before_scaling(
    client: TestClient, route: str, name: str, size: tuple[int, int]
) -> None:
    file = io.BytesIO()
    Image.new("L", size).save(file, "PNG")
    body = {"songs": {"score": "0:03 | a"}, "loops": {"prompt": "a"}, "interpolations": {"start": END, "end": END}}
    image = upload(client, "pictures", file.getvalue())["id"]
    reply = client.post(f"{V1}/{route}", json={**body[route], name: image, "steps": 1})
    assert "the longer side 7812" in sentence(reply, 413)


def test_request_without_a_model_is_refused(make_client: MakeClient) -> None:
    client = make_client(generates=False)
    for route in ("songs", "riffs", "loops", "interpolations"):
        body = EXAMPLES[f"/{route}"]
        assert "webui" in sentence(client.post(f"{V1}/{route}", json=body), 501)
    assert client.get(f"{V1}/capabilities").json()["paints"] is False


def test_backend_errors_are_reported_by_the_job(client: TestClient, studio: InterruptibleBackend) -> None:
    def fail(request: object) -> Image.Image:
        raise RuntimeError("/home/me/models/x.safetensors: out of paint")

    studio.draw = fail
    view = ended(client, client.post(f"{V1}/loops", json={"prompt": "a"}), state="failed")
    assert view["error"] == "RuntimeError: x.safetensors: out of paint"
    assert view["result"] is None


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("songs", {**SONG, "score": "0:02 | funk: AC/DC"}),
        ("loops", {"prompt": "funk: AC/DC", "bars": 1, "bpm": 400}),
        ("interpolations", {"start": {"prompt": "funk: AC/DC"}, "end": {"prompt": "jazz"}, "count": 1, "width": 256}),
    ],
)
def test_result_is_saved_on_request(
    make_client: MakeClient, tmp_path: Path, route: str, body: dict[str, object]
) -> None:
    client = make_client()
    saved = set()
    for _ in range(2):
        result = ended(client, client.post(f"{V1}/{route}", json={**body, "save": True, "format": "flac"}))["result"]
        path = tmp_path / "results" / result["saved"]
        assert re.fullmatch(rf"{route}/\d+-\d+-\d+/[\d-]+ funk AC DC.*\.flac", result["saved"])
        assert path.read_bytes() == client.get(result["clip"]["url"]).content
        saved.add(path)
    assert {path for path in (tmp_path / "results").rglob("*") if path.is_file()} == saved
    assert len(saved) == 2
    view = ended(client, client.post(f"{V1}/{route}", json=body))
    assert "saved" not in view["result"]
    refused = make_client(output=False).post(f"{V1}/{route}", json={**body, "save": True})
    assert "save is not available" in sentence(refused, 422)


def test_result_that_cannot_be_saved_is_still_available(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file in the folder's place")
    body = {"prompt": "a", "bars": 1, "bpm": 400, "save": True}
    result = ended(client, client.post(f"{V1}/loops", json=body))["result"]
    assert result["saved"] is None
    assert str(tmp_path) not in result["not_saved"]
    assert client.get(result["clip"]["url"]).status_code == 200
