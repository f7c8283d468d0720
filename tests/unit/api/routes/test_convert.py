"""Conversion routes in a real application."""

from __future__ import annotations

import base64
import gc
import io
import math
import struct
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from riffusion_ext.api.schemas import ImageToAudio
from riffusion_ext.metadata import read_record
from tests.unit.api.conftest import V1, MakeClient, ended, image_bytes, sentence, sound_bytes, upload
from tests.unit.extenders import FACTOR, MIDDLE, WithoutWeights, use
from tests.unit.small import SMALL, SMALL_TEXT


def test_image_is_converted_to_a_sound_that_can_be_fetched(client: TestClient, image: bytes) -> None:
    sent = upload(client, "pictures", image, "folder/funky bass.png")
    assert (sent["name"], sent["width"], sent["height"]) == ("funky bass.png", 64, 64)
    reply = client.post(f"{V1}/image-to-audio", json={"picture": sent["id"]})
    assert reply.status_code == 200, reply.text
    clip = reply.json()
    assert clip["duration"] == pytest.approx(0.63)
    assert (clip["sample_rate"], clip["channels"], clip["name"]) == (8000, 1, "funky bass.wav")
    sound = client.get(clip["url"])
    assert sound.headers["content-type"] == "audio/wav"
    assert len(sound.content) == clip["bytes"]
    with wave.open(io.BytesIO(sound.content)) as file:
        assert file.getnframes() == 63 * SMALL.hop_length


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3"])
def test_images_and_sounds_can_be_sent_and_returned_inline(client: TestClient, image: bytes, form: str) -> None:
    text = base64.encodebytes(image).decode()
    for prefix in ("", "data:image/png;base64,"):
        reply = client.post(
            f"{V1}/image-to-audio", json={"image": prefix + text, "format": form, "inline": True}
        ).json()
        head, _, body = reply["audio"].partition(",")
        assert head == f"data:{client.get(reply['url']).headers['content-type']};base64"
        assert base64.b64decode(body, validate=True) == client.get(reply["url"]).content
    (job, _) = client.get(f"{V1}/jobs").json()["jobs"]
    assert "audio" not in job["result"]  # stored results stay small


def test_tiles_of_a_sound_share_names_parameters_and_level(client: TestClient) -> None:
    song = upload(client, "clips", sound_bytes(3.0), "my song.wav")
    body = {"clip": song["id"], "columns": 128, "preset": SMALL_TEXT}
    drawn = client.post(f"{V1}/audio-to-images", json=body).json()
    assert [item["name"] for item in drawn["pictures"]] == [f"my song_{n:05d}.png" for n in range(3)]
    assert len({item["max_value"] for item in drawn["pictures"]}) == 1
    image = Image.open(io.BytesIO(client.get(drawn["pictures"][0]["url"]).content))
    assert image.size == (128, 64)
    assert read_record(image).params == SMALL
    assert drawn["duration"] == 3.0

    body = {"audio": base64.b64encode(sound_bytes(1.0)).decode(), "columns": None, "preset": SMALL_TEXT, "inline": True}
    one = client.post(f"{V1}/audio-to-images", json=body).json()["pictures"]
    assert [(item["width"], item["height"]) for item in one] == [(101, 64)]
    assert one[0]["image"].startswith("data:image/png;base64,iVBOR")


def test_wait_false_returns_a_job(client: TestClient, image: bytes) -> None:
    sent = upload(client, "pictures", image)
    view = ended(client, client.post(f"{V1}/image-to-audio?wait=false", json={"picture": sent["id"]}))
    assert (view["kind"], view["progress"], view["error"]) == ("image-to-audio", 1.0, None)
    assert client.get(view["result"]["url"]).status_code == 200
    song = upload(client, "clips", sound_bytes(1.0))
    reply = client.post(f"{V1}/audio-to-images?wait=false", json={"clip": song["id"], "preset": SMALL_TEXT})
    assert len(ended(client, reply)["result"]["pictures"]) == 1
    text = base64.b64encode(image).decode()
    assert "upload" in sentence(client.post(f"{V1}/image-to-audio?wait=false", json={"image": text}), 422)


def test_invalid_conversions_are_refused_in_one_sentence(
    client: TestClient, image: bytes, make_client: MakeClient
) -> None:
    def heard(status: int = 422, **body: object) -> str:
        return sentence(client.post(f"{V1}/image-to-audio", json=body), status)

    text = base64.b64encode(image).decode()
    assert heard() == "give picture or image, one of the two"
    assert heard(image="%%%") == "image is not in base64"
    assert heard(image="") == "image is empty"
    assert "not an image" in heard(image=base64.b64encode(b"hello").decode())
    assert "damaged" in heard(image=base64.b64encode(image[: len(image) // 2]).decode())
    assert "no image of this id" in heard(404, picture="../../etc/passwd")
    assert heard(image=text, engine="worst").startswith("engine: ")
    assert heard(image=text, levle="peak").startswith("levle: ")
    assert "not understood" in heard(image=text, preset="hop=3")
    assert "max_frequency" in heard(image=text, preset="max_frequency=9e9")
    one = io.BytesIO()
    Image.new("RGB", (1, 64)).save(one, "PNG")
    assert "at least 2 columns" in heard(image=base64.b64encode(one.getvalue()).decode())

    def drawn(status: int = 422, **body: object) -> str:
        return sentence(client.post(f"{V1}/audio-to-images", json=body), status)

    sound = base64.b64encode(sound_bytes(1.0)).decode()
    assert drawn() == "give clip or audio, one of the two"
    assert "not a sound file" in drawn(audio=base64.b64encode(b"#EXTM3U\nfile:///secret.wav\n").decode())
    assert "the sound cannot be read" in drawn(audio=base64.b64encode(b"fLaC" + bytes(90)).decode())
    assert "past the end" in drawn(audio=sound, start=99)
    assert drawn(audio=sound, columns=1).startswith("columns: ")
    assert drawn(audio=sound, duration=-1).startswith("duration: ")

    tight = make_client(pixels=4000, columns=50, sound_seconds=0.5, upload_bytes=2000)
    assert "4000" in sentence(tight.post(f"{V1}/image-to-audio", json={"image": text}), 413)
    assert "1 s long, 0.5 s" in sentence(tight.post(f"{V1}/audio-to-images", json={"audio": sound}), 413)
    assert "2000 bytes" in sentence(tight.post(f"{V1}/clips", content=bytes(3000)), 413)
    assert list((tight.service.folder("clips")).iterdir()) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", None), (b"{", None), (b"[]", None), (b"null", None), (b"\xff\xfe", None), (b"[" * 100_000, None)],
)
def test_bodies_without_valid_json_are_refused(client: TestClient, body: bytes, kind: str | None) -> None:
    for route in ("image-to-audio", "audio-to-images", "songs", "datasets"):
        reply = client.post(f"{V1}/{route}", content=body, headers={"Content-Type": "application/json"})
        assert reply.status_code in (400, 422), (route, reply.text)
        sentence(reply, reply.status_code)


def test_unpaired_surrogates_in_a_body_give_an_error_reply(client: TestClient) -> None:
    for body in (b'{"\\ud800": 1}', b'{"picture": "\\ud800"}', b'{"image": "x", "preset": "\\udfff"}'):
        reply = client.post(f"{V1}/image-to-audio", content=body, headers={"Content-Type": "application/json"})
        assert reply.status_code in (404, 422)
        sentence(reply, reply.status_code)


def wav(rate: int, seconds: float = 1.0, *, bad: tuple[float, ...] = ()) -> bytes:
    """Return a WAV file of 32-bit floats, some of them bad."""
    samples = np.full(round(rate * seconds), 0.25, np.float32)
    samples[rate // 2 : rate // 2 + len(bad)] = bad
    head = struct.pack("<4sI8sIHHIIHH", b"RIFF", 36 + samples.nbytes, b"WAVEfmt ", 16, 3, 1, rate, 4 * rate, 4, 32)
    return head + struct.pack("<4sI", b"data", samples.nbytes) + samples.tobytes()


@pytest.mark.parametrize("rate", [1, 500, 999, 768001, 2**32 - 1])
def test_sample_rates_out_of_range_are_refused_on_upload(client: TestClient, rate: int) -> None:
    sound = wav(1000)
    sound = sound[:24] + struct.pack("<I", rate) + sound[28:]
    expected = f"the sample rate must be a whole number of Hz between 1000 and 768000, got {rate}"
    assert expected in sentence(client.post(f"{V1}/clips", content=sound), 422)
    text = base64.b64encode(sound).decode()
    assert expected in sentence(client.post(f"{V1}/audio-to-images", json={"audio": text}), 422)


def test_nine_channels_are_refused_on_upload(client: TestClient) -> None:
    sound = wav(8000)
    sound = sound[:22] + struct.pack("<H", 9) + sound[24:32] + struct.pack("<H", 36) + sound[34:]
    assert "1 to 8 channels, got 9" in sentence(client.post(f"{V1}/clips", content=sound), 422)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 3e38])
def test_few_bad_samples_are_repaired_with_a_note_and_many_are_refused(client: TestClient, bad: float) -> None:
    few = base64.b64encode(wav(8000, bad=(bad, bad))).decode()
    drawn = client.post(f"{V1}/audio-to-images", json={"audio": few, "preset": SMALL_TEXT}).json()
    assert "2 bad samples were repaired, the first at 0.500 s" in drawn["notes"][0]
    assert all(0 < item["max_value"] < 1e9 for item in drawn["pictures"])
    many = base64.b64encode(wav(8000, bad=(bad,) * 500)).decode()
    assert "500 of 8000 samples" in sentence(client.post(f"{V1}/audio-to-images", json={"audio": many}), 422)
    assert client.get(f"{V1}/jobs").status_code == 200


def test_decoded_size_is_limited_too(make_client: MakeClient, image: bytes) -> None:
    tight = make_client(memory_bytes=100_000_000)
    sound = base64.b64encode(wav(1000, 10.0)).decode()
    body = {"audio": sound, "preset": "sample_rate=192000, stereo=true, max_frequency=20000"}
    said = sentence(tight.post(f"{V1}/audio-to-images", json=body), 422)
    assert "of memory, 100 MB are allowed here" in said
    text = base64.b64encode(image).decode()
    assert "100 MB" in sentence(tight.post(f"{V1}/image-to-audio", json={"image": text}), 422)


def test_failed_request_is_not_kept_with_its_job(client: TestClient) -> None:
    wanted = base64.b64encode(b"an image of 7919").decode()

    def kept() -> list[ImageToAudio]:
        gc.collect()
        return [item for item in gc.get_objects() if type(item) is ImageToAudio and item.image == wanted]

    reply = client.post(f"{V1}/image-to-audio", json={"image": wanted})
    assert "not an image" in sentence(reply, 422)
    assert len(client.service.jobs.all()) == 1  # type: ignore[attr-defined]
    # The job's thread may have sent its answer and still be on its way out.
    deadline = time.monotonic() + 30
    while kept() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert kept() == []


def test_high_frequencies_are_added_unless_the_body_says_off(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    sent = upload(client, "pictures", image_bytes(params=MIDDLE, path=tmp_path))
    for more, rate, factor in (({}, 48000, FACTOR), ({"high_frequencies": "off"}, 16000, 1)):
        clip = client.post(f"{V1}/image-to-audio", json={"picture": sent["id"], **more}).json()
        assert (clip["sample_rate"], clip["duration"], clip["notes"]) == (rate, 0.63, [])
        with wave.open(io.BytesIO(client.get(clip["url"]).content)) as file:
            assert (file.getframerate(), file.getnframes()) == (rate, factor * 63 * MIDDLE.hop_length)
    use(monkeypatch, WithoutWeights)
    clip = client.post(f"{V1}/image-to-audio", json={"picture": sent["id"]}).json()
    assert clip["notes"] == ["no high frequencies are added: the weights are missing"]
    body = {"picture": sent["id"], "high_frequencies": "loud"}
    assert sentence(client.post(f"{V1}/image-to-audio", json=body), 422).startswith("high_frequencies: ")
