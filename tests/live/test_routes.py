"""Our routes in a running webui, with its own model."""

from __future__ import annotations

import base64
import io
import json
import random
import re
import time
import urllib.error
import urllib.request
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.metadata import save_image
from riffusion_ext.params import SpectrogramParams
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


def refused(request: urllib.request.Request) -> int:
    """Return the status of a failed request."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        opener.open(request, timeout=60)
    with caught.value as error:
        return error.code


def test_generated_loop_has_the_exact_length(webui: Webui) -> None:
    assert webui.call("capabilities", api=V1)["paints"] is True
    job = webui.call("loops", {"prompt": "bass", "bars": 1, "bpm": 180, "steps": 2}, api=V1)
    result = ended(webui, job)
    assert samples(webui, result["clip"]) == result["samples"] == round(4 * 60 / 180 * 44100)


def test_events_follow_a_song_to_its_end(webui: Webui) -> None:
    body = {"score": "0:04 | bass\n0:02 | bass", "seed": 7, "width": 256, "overlap": 64, "steps": 2}
    job = webui.call("songs", body, api=V1)
    with opener.open(f"{webui.url}{job['url']}/events", timeout=600) as reply:
        text = reply.read().decode()
    assert re.search(r"window \d of \d", text)
    assert text.rstrip().rpartition("event: ")[2].startswith("end")
    assert samples(webui, ended(webui, job)["clip"]) == 6 * 44100


def test_clients_of_the_original_server_get_its_reply(webui: Webui) -> None:
    end = {"prompt": "church bells", "seed": 42, "denoising": 0.75, "guidance": 7}
    body = {"alpha": 0.25, "num_inference_steps": 2, "seed_image_id": "og_beat", "mask_image_id": None, "start": end}
    reply = webui.call("", {**body, "end": {**end, "prompt": "jazz"}}, api="run_inference")
    image = Image.open(io.BytesIO(base64.b64decode(reply["image"].partition(",")[2])))
    assert (image.format, image.size, reply["duration_s"]) == ("JPEG", (512, 512), 5.11)
    with pytest.raises(urllib.error.HTTPError) as caught:
        webui.call("", {**body, "end": end, "seed_image_id": "../x"}, api="run_inference")
    assert (caught.value.code, caught.value.read()) == (400, b"Invalid seed image: ../x")


def test_clips_of_the_host_api_are_found_by_their_ids(webui: Webui) -> None:
    (clip,) = webui.generate(riffusion=["On"]).clips
    for path in (f"{V1}/clips/{clip['id']}", f"riffusion/media/{clip['id']}"):
        request = urllib.request.Request(f"{webui.url}/{path}", headers={"Range": "bytes=0-3"})
        with opener.open(request) as reply:
            assert (reply.status, reply.read(), reply.headers["Content-Type"]) == (206, b"RIFF", "audio/wav")


def test_vst_plugin_gets_one_line_with_sound_of_the_sent_length(webui: Webui) -> None:
    sound = np.rint(9000 * np.sin(np.arange(2 * 44100) / 10)).astype("<i2").tobytes()
    # As the plugin sends it: one line, three decimals, signed 32-bit seeds, a header with 0 samples.
    head = b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0D\xac\0\0\x88X\x01\0\x02\0\x10\0data\0\0\0\0"
    end = '{"prompt": "church bells", "seed": -2147483648, "denoising": 0.500, "guidance": 7.000}'
    audio = base64.b64encode(head + sound).decode()
    body = f'{{"alpha": 0.100, "num_inference_steps": 2, "start": {end}, "end": {end}, "audio": "{audio}"}}'
    request = urllib.request.Request(f"{webui.url}/run_vst/", body.encode(), {"Accept": "application/json"})
    with opener.open(request, timeout=600) as reply:
        text = reply.read().decode()
    audio = json.loads(text)["audio"]
    assert re.fullmatch("[A-Za-z0-9+/]+={0,2}", audio)
    data = base64.b64decode(audio)
    assert len(data) == len(sound)
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 44100)
        assert np.frombuffer(file.readframes(10**9), "<i2").std() > 100


def test_clips_of_every_format_support_range_requests(webui: Webui, tmp_path: Path) -> None:
    params = SpectrogramParams(num_frequencies=128)
    image = Image.effect_noise((128, 128), 60).convert("RGB")
    data = save_image(image, tmp_path / "a.png", params, 30e6).read_bytes()
    types = {"wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "mp3": "audio/mpeg"}
    formats = webui.call("capabilities", api=V1)["formats"]
    assert {"wav", "flac"} <= set(formats)
    for form in formats:
        body = {"image": base64.b64encode(data).decode(), "format": form}
        url = webui.url + webui.call("image-to-audio", body, api=V1)["url"]
        with opener.open(url) as reply:
            whole, tag = reply.read(), reply.headers["ETag"]
            assert reply.headers["Content-Type"] == types[form]
        with opener.open(urllib.request.Request(url, headers={"Range": "bytes=100-"})) as reply:
            assert (reply.status, reply.read()) == (206, whole[100:])
            assert reply.headers["Content-Range"] == f"bytes 100-{len(whole) - 1}/{len(whole)}"
        with opener.open(urllib.request.Request(url, method="HEAD")) as reply:
            assert (reply.read(), reply.headers["Content-Length"]) == (b"", str(len(whole)))
        assert refused(urllib.request.Request(url, headers={"If-None-Match": tag})) == 304


def test_random_bytes_are_refused_by_the_compatibility_routes(webui: Webui) -> None:
    rng = random.Random(5)
    for number in range(40):
        route = ("run_inference", "run_vst")[number % 2]
        body = rng.randbytes(rng.randrange(200))
        assert refused(urllib.request.Request(f"{webui.url}/{route}/", body)) == 400


def test_request_of_a_disconnected_client_is_cancelled(webui: Webui) -> None:
    end = {"prompt": "church bells", "seed": 42}
    body = json.dumps({"alpha": 0, "num_inference_steps": 150, "start": end, "end": end}).encode()
    with pytest.raises(TimeoutError):
        opener.open(f"{webui.url}/run_inference/", body, timeout=2)
    for _ in range(1000):
        job = webui.call("jobs", api=V1)["jobs"][0]
        if job["state"] not in ("waiting", "running"):
            break
        time.sleep(0.3)
    assert (job["kind"], job["state"]) == ("run_inference", "cancelled")
