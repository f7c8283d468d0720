"""``/run_vst/``: requests of the VST plugin, and the replies that its decoder accepts."""

from __future__ import annotations

import base64
import io
import json
import re
import struct
import wave
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from riffusion_ext.api.compat.vst import read_plugin_audio
from riffusion_ext.errors import RiffusionError
from tests.unit.api.conftest import MakeClient
from tests.unit.generate.fake_backends import InterruptibleBackend, as_it_is

ROUTE = "/run_vst/"


def wav(samples: np.ndarray, *, frames: int | None = None) -> bytes:
    """Return a WAV file as the plugin writes it: always 44100 Hz, with `frames` in its header."""
    data = samples.astype("<i2").tobytes()
    size = len(data) if frames is None else 2 * frames
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, 44100, 88200, 2, 16)
    return head + struct.pack("<4sI", b"data", size) + data


def tune(count: int) -> np.ndarray:
    time = np.arange(count) / 44100
    return np.rint(9000 * np.sin(2 * np.pi * 440 * time) * np.exp(-3 * (time % 0.5)))


def other_wav(kind: int, channels: int, bits: int, *, extensible: bool = False) -> bytes:
    data = bytes(44100 * channels * bits // 8)
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else kind, channels, 44100, 0, channels * bits // 8, bits)
    if extensible:
        form += struct.pack("<HHIH14s", 22, bits, 0, kind, b"")
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ((1, 2, 24), "24-bit stereo"),
        ((1, 1, 24), "24-bit mono"),
        ((1, 2, 16), "16-bit stereo"),
        ((3, 1, 32), "32-bit float mono"),
        ((1, 6, 16), "16-bit 6 channels"),
        ((2, 1, 4), "WAVE format 2, mono"),
    ],
)
@pytest.mark.parametrize("extensible", [False, True])
def test_audio_other_than_16_bit_mono_is_refused(form: tuple[int, int, int], said: str, extensible: bool) -> None:
    sound = base64.b64encode(other_wav(*form, extensible=extensible)).decode()
    with pytest.raises(RiffusionError, match=f"must be a WAV file of 16-bit mono, got {said}"):
        read_plugin_audio({"audio": sound})


def test_extensible_header_of_16_bit_mono_is_accepted() -> None:
    sound = base64.b64encode(other_wav(1, 1, 16, extensible=True)).decode()
    assert read_plugin_audio({"audio": sound}).samples.shape == (1, 44100)


def ask(sound: bytes, **changes: Any) -> str:
    end = {"prompt": "piano", "seed": -123456789, "denoising": 0.3, "guidance": 7.0}
    body = {"alpha": 0.1, "num_inference_steps": 25, "start": end, "end": {**end, "prompt": "guitar"}}
    return json.dumps({**body, "audio": base64.b64encode(sound).decode(), **changes})


@pytest.mark.parametrize("factor", [1, 2])
def test_reply_with_high_frequencies_has_the_length_and_rate_of_the_input(
    client: TestClient, studio: InterruptibleBackend, monkeypatch: pytest.MonkeyPatch, factor: int
) -> None:
    from riffusion_ext.spectrogram import high_frequencies
    from tests.unit import extenders

    extenders.use(monkeypatch)
    for module in (extenders, high_frequencies):
        monkeypatch.setattr(module, "output_rate", lambda rate: factor * rate)
    studio.draw = as_it_is
    values = client.post(ROUTE, content=ask(wav(tune(220500)))).json()
    with wave.open(io.BytesIO(base64.b64decode(values["audio"]))) as file:
        assert (file.getframerate(), file.getnframes()) == (44100, 220500 - 22)
        heard = np.frombuffer(file.readframes(220500), "<i2").astype(float)
    power = np.square(np.abs(np.fft.rfft(heard * np.hanning(len(heard)))))
    hertz = np.fft.rfftfreq(len(heard), 1 / 44100)
    added = power[np.abs(hertz - extenders.HERTZ) < 20].sum()
    assert added > 100 * power[np.abs(hertz - 14000) < 20].sum()


@pytest.mark.parametrize("count", [220500, 240000])
@pytest.mark.parametrize("frames", [None, 0])
def test_plugin_gets_its_own_sound_back_from_an_identity_backend(
    client: TestClient, studio: InterruptibleBackend, count: int, frames: int | None
) -> None:
    studio.draw = as_it_is
    samples = tune(count)
    reply = client.post(ROUTE, content=ask(wav(samples, frames=frames)), headers={"Accept": "application/json"})
    assert reply.status_code == 200, reply.text
    values = reply.json()
    assert list(values) == ["audio"]
    assert re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", values["audio"])  # one line, because its decoder accepts nothing else
    data = base64.b64decode(values["audio"])
    assert len(data) == 2 * count  # including the header, to fill the plugin's buffer
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 44100)
        assert file.getnframes() == count - 22
        heard = np.frombuffer(file.readframes(count), "<i2").astype(float)
    kept = 10 * np.log10(np.mean(samples**2) / np.mean(heard**2))
    assert abs(kept) < 2  # at the level of the input
    assert {request.width for request in studio.requests} == {512}
    assert len(studio.requests) == -(-(1 + count // 441) // 512)
    assert {request.seeds for request in studio.requests} == {(2**32 - 123456789,) * 2}


def test_mask_id_adds_a_mask_to_the_request(client: TestClient, studio: InterruptibleBackend) -> None:
    reply = client.post(ROUTE, content=ask(wav(tune(44100)), mask_image_id="mask_top_third_95"))
    assert reply.status_code == 200
    assert studio.requests[0].mask is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"audio": None}, "audio"),
        ({"audio": 5}, "audio"),
        ({"audio": "???"}, "base64"),
        ({"audio": ""}, "0.1 to 30 s"),
        ({"audio": base64.b64encode(bytes(100)).decode()}, "0.1 to 30 s"),
        ({"audio": "A" * 10_000_000}, "longer than the 30 s"),
        ({"audio": base64.b64encode(bytes(31 * 88200)).decode()}, "0.1 to 30 s"),
        ({"start": {}}, "start.seed"),
        ({"mask_image_id": "../../x"}, "Invalid mask image"),
        ({"num_inference_steps": 151}, "num_inference_steps"),
    ],
)
def test_errors_are_json(client: TestClient, changes: dict[str, Any], said: str) -> None:
    reply = client.post(ROUTE, content=ask(wav(tune(44100)), **changes))
    assert reply.status_code == 400
    assert list(reply.json()) == ["error"]
    assert said in reply.json()["error"]


def test_vst_route_without_a_model_answers_an_error(make_client: MakeClient) -> None:
    reply = make_client(generates=False).post(ROUTE, content=ask(wav(tune(44100))))
    assert reply.status_code == 501
    assert list(reply.json()) == ["error"]


def test_samples_are_found_with_any_header() -> None:
    samples = tune(44100)
    plain = samples.astype("<i2").tobytes()
    extra = wav(samples)[:36] + b"LIST" + struct.pack("<I", 4) + b"INFO" + wav(samples)[36:]
    for data in (plain, wav(samples), wav(samples, frames=0), extra, wav(samples) + b"\x01"):
        clip = read_plugin_audio({"audio": base64.encodebytes(data).decode()})
        assert np.array_equal(np.rint(clip.samples[0] * 32768), samples)
    with pytest.raises(RiffusionError):
        read_plugin_audio({})


def test_white_images_come_back_as_silence(client: TestClient, studio: InterruptibleBackend) -> None:
    studio.draw = lambda request: Image.new("RGB", (request.width, request.height), "white")
    reply = client.post(ROUTE, content=ask(wav(np.zeros(44100))))
    assert reply.status_code == 200
    assert not np.frombuffer(base64.b64decode(reply.json()["audio"])[44:], "<i2").any()
