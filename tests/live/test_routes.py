"""Our routes in a running webui: painted by its own model."""

from __future__ import annotations

import base64
import io
import time
import urllib.error
import urllib.request
import wave
from typing import Any

import pytest
from PIL import Image

from tests.live.client import Webui
from tests.live.client import _opener as opener

pytestmark = pytest.mark.live

V1 = "riffusion/v1"


def ended(webui: Webui, job: dict[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + 600
    while job["state"] in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.3)
        job = webui.call(f"jobs/{job['id']}", api=V1)
    assert job["state"] == "done", job["error"]
    return job["result"]


def samples(webui: Webui, clip: dict[str, Any]) -> int:
    with opener.open(webui.url + clip["url"]) as reply, wave.open(io.BytesIO(reply.read())) as sound:
        return sound.getnframes()


def test_a_loop_is_painted_and_exact_to_the_sample(webui: Webui) -> None:
    assert webui.call("capabilities", api=V1)["paints"] is True
    job = webui.call("loops", {"prompt": "bass", "bars": 1, "bpm": 180, "steps": 2}, api=V1)
    result = ended(webui, job)
    assert samples(webui, result["clip"]) == result["samples"] == round(4 * 60 / 180 * 44100)


def test_a_song_is_followed_to_its_end_by_events(webui: Webui) -> None:
    body = {"score": "0:04 | bass\n0:02 | bass", "seed": 7, "width": 256, "overlap": 64, "steps": 2}
    job = webui.call("songs", body, api=V1)
    with opener.open(f"{webui.url}{job['url']}/events", timeout=600) as reply:
        text = reply.read().decode()
    assert "step 1 of 2" in text
    assert text.rstrip().rpartition("event: ")[2].startswith("end")
    assert samples(webui, ended(webui, job)["clip"]) == 6 * 44100


def test_the_original_server_s_clients_are_answered(webui: Webui) -> None:
    end = {"prompt": "church bells", "seed": 42, "denoising": 0.75, "guidance": 7}
    body = {"alpha": 0.25, "num_inference_steps": 2, "seed_image_id": "og_beat", "mask_image_id": None, "start": end}
    reply = webui.call("", {**body, "end": {**end, "prompt": "jazz"}}, api="run_inference")
    picture = Image.open(io.BytesIO(base64.b64decode(reply["image"].partition(",")[2])))
    assert (picture.format, picture.size, reply["duration_s"]) == ("JPEG", (512, 512), 5.11)
    with pytest.raises(urllib.error.HTTPError) as refused:
        webui.call("", {**body, "end": end, "seed_image_id": "../x"}, api="run_inference")
    assert (refused.value.code, refused.value.read()) == (400, b"Invalid seed image: ../x")


def test_clips_of_the_host_s_own_api_are_found_by_their_ids(webui: Webui) -> None:
    (clip,) = webui.generate(riffusion=["On"]).clips
    for path in (f"{V1}/clips/{clip['id']}", f"riffusion/media/{clip['id']}"):
        request = urllib.request.Request(f"{webui.url}/{path}", headers={"Range": "bytes=0-3"})
        with opener.open(request) as reply:
            assert (reply.status, reply.read(), reply.headers["Content-Type"]) == (206, b"RIFF", "audio/wav")
