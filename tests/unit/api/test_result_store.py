"""Storage: files of a reply can always be fetched, and jobs whose results would not fit are refused at once."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from riffusion_ext.api import result_store
from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.errors import ApiError
from riffusion_ext.api.responses import accept
from riffusion_ext.jobs import Job
from riffusion_ext.spectrogram import codec
from tests.unit.api.conftest import V1, MakeClient, ended, sentence, sound_bytes, upload
from tests.unit.small import SMALL_TEXT


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_store, "UPLOAD_TIMEOUT_S", 0.0)


def images(client: TestClient, clip: str, **more: Any) -> Any:
    return client.post(f"{V1}/audio-to-images", json={"clip": clip, "preset": SMALL_TEXT, **more})


@pytest.mark.parametrize("wait", [True, False])
def test_more_images_than_allowed_are_refused_before_any_work(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    client = make_client(images=20)
    clip = upload(client, "clips", sound_bytes(3.0))["id"]
    monkeypatch.setattr(codec, "_mel_of", lambda *a: pytest.fail("drawn"))
    query = {"wait": str(wait).lower()}
    body = {"clip": clip, "preset": SMALL_TEXT, "columns": 2}
    text = sentence(client.post(f"{V1}/audio-to-images", json=body, params=query), 413)
    assert "images of 2 columns, 20 are allowed" in text
    assert client.service.jobs.all() == []  # type: ignore[attr-defined]


def test_results_larger_than_the_storage_are_refused_before_any_work(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(kept_bytes=60_000)
    clip = upload(client, "clips", sound_bytes(3.0))["id"]
    monkeypatch.setattr(codec, "_mel_of", lambda *a: pytest.fail("drawn"))
    assert "60000 are kept" in sentence(images(client, clip, columns=64), 413)
    assert "60000 are kept" in sentence(client.post(f"{V1}/clips", content=sound_bytes(5.0)), 413)
    assert "60000 are kept" in sentence(client.post(f"{V1}/datasets", json={"clips": [clip], "overlap": 0.9}), 413)
    assert "60000 are kept" in sentence(client.post(f"{V1}/songs", json={"score": "0:30 | funk"}), 413)


def test_files_of_a_reply_can_be_fetched_under_concurrent_load(make_client: MakeClient) -> None:
    client = make_client(kept_files=60)
    clip = upload(client, "clips", sound_bytes(1.0))["id"]
    start = threading.Barrier(6)

    def ask(_: int) -> Any:
        start.wait(20)
        return images(client, clip, columns=4)

    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(ask, range(6)))
    served = [reply for reply in replies if reply.status_code == 200]
    assert 1 <= len(served) < 6
    for reply in replies:
        if reply.status_code != 200:
            assert "are kept, most of them younger than 120 s" in sentence(reply, 503)
            assert 1 <= int(reply.headers["retry-after"]) <= 121
            continue
        assert len(reply.json()["pictures"]) == 26
        for view in reply.json()["pictures"]:
            assert client.get(view["url"]).status_code == 200


def test_upload_waits_for_room_and_does_not_evict_recent_clips(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = make_client(kept_bytes=2 * len(sound_bytes(0.5)))
    urls = [upload(client, "clips", sound_bytes(0.5))["url"] for _ in range(2)]
    refused = client.post(f"{V1}/clips", content=sound_bytes(0.5))
    assert "younger than 120 s" in sentence(refused, 503)
    assert int(refused.headers["retry-after"]) > 60
    assert [client.get(url).status_code for url in urls] == [200, 200]
    assert len(list((tmp_path / "scratch" / "api" / "clips").iterdir())) == 2
    monkeypatch.setattr(result_store, "UPLOAD_TIMEOUT_S", 20.0)
    client.service.files["clips"]._lifetime = 0.1  # type: ignore[attr-defined]
    for id_ in client.service.files["clips"]._expires:  # type: ignore[attr-defined]
        client.service.files["clips"]._expires[id_] = 0.0  # type: ignore[attr-defined]
    assert len([upload(client, "clips", sound_bytes(0.5)) for _ in range(3)]) == 3
    assert client.get(urls[0]).status_code == 404


@pytest.fixture
def service(client: TestClient) -> ApiContext:
    return client.service  # type: ignore[attr-defined]


def made(service: ApiContext, size: int = 10) -> Path:
    path = service.folder("pictures") / secrets.token_hex(8)
    path.write_bytes(bytes(size))
    return path


def test_files_of_a_failed_job_are_removed(service: ApiContext) -> None:
    library = service.files["pictures"]

    def fails(job: Job) -> dict[str, Any]:
        service.results.save("pictures", made(service), title="a")
        service.results.reserve("pictures", 5, 100)
        service.results.save("pictures", made(service), title="b")
        raise ApiError(422, "no")

    def tells_what_is_not_finite(job: Job) -> dict[str, Any]:
        record = service.results.save("pictures", made(service), title="a")
        return {"pictures": [{"id": record.id, "max_value": float("nan")}]}

    for work in (fails, tells_what_is_not_finite):
        accept(service, "kind", "convert", work)
        job = service.jobs.all()[-1]
        assert job.wait(10)
        assert (job.state, len(library)) == ("failed", 0)
        assert list(service.folder("pictures").iterdir()) == []
    assert (library._reserved_files, library._reserved_bytes) == (0, 0)
    assert service.jobs.all()[-1].error == "the result is not valid JSON: pictures.0.max_value is nan"


def test_long_job_waits_for_room_to_store_its_result(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_store, "_POLL_INTERVAL_S", 0.01)
    service: ApiContext = make_client(kept_files=1).service  # type: ignore[attr-defined]
    library = service.files["pictures"]
    first = service.results.save("pictures", made(service), title="a")
    asked = threading.Event()
    reserve = library.reserve
    monkeypatch.setattr(library, "reserve", lambda *more, **named: (asked.set(), reserve(*more, **named))[1])

    def work(job: Job) -> dict[str, Any]:
        return {"id": service.results.save("pictures", made(service), title="b").id}

    accept(service, "kind", "paint", work)
    job = service.jobs.all()[-1]
    assert asked.wait(10)
    assert library.get(first.id) is not None
    library._expires[first.id] = 0.0
    assert job.wait(10)
    assert library.get(first.id) is None
    assert job.result is not None
    assert library.get(job.result["id"]) is not None

    service.results._timeout_s = 0.0
    accept(service, "kind", "paint", work)
    again = service.jobs.all()[-1]
    assert again.wait(10)
    assert again.result is not None
    for kept in (job.result, again.result):  # expensive results are kept, and recent clips are not removed for them
        assert library.get(kept["id"]) is not None


def test_loop_is_stored_even_when_storage_is_full(make_client: MakeClient) -> None:
    client = make_client(kept_files=2)
    service: ApiContext = client.service  # type: ignore[attr-defined]
    urls = [upload(client, "clips", sound_bytes(0.5))["url"] for _ in range(2)]
    service.results._timeout_s = 0.0
    view = ended(client, client.post(f"{V1}/loops", json={"prompt": "a", "bars": 1, "bpm": 360}))
    urls.append(view["result"]["clip"]["url"])
    assert [client.get(url).status_code for url in urls] == [200, 200, 200]
