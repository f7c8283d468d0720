"""Routes of jobs: events, cancelling and limits; jobs do not depend on their client."""

from __future__ import annotations

import json
import time

import pytest
from starlette.testclient import TestClient

from riffusion_ext.jobs import Lane
from tests.unit.api.conftest import V1, MakeClient, ended, sentence
from tests.unit.generate.fake_backends import InterruptibleBackend

LOOP = {"prompt": "bass", "bars": 1, "bpm": 360}
SONG = {"score": "0:06 | funk", "width": 256, "overlap": 64}


def events_of(text: str) -> list[tuple[str, dict]]:
    events = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            events.append((fields["event"], json.loads(fields["data"])))
    return events


def test_events_follow_a_job_to_its_end(client: TestClient) -> None:
    job = client.post(f"{V1}/loops", json=LOOP).json()
    reply = client.get(f"{job['url']}/events")
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = events_of(reply.text)
    assert [name for name, _ in events] == ["progress"] * (len(events) - 1) + ["end"]
    shares = [view["progress"] for _, view in events]
    assert shares == sorted(shares)
    assert events[-1][1]["state"] == "done"
    assert events[-1][1]["result"]["clip"]["url"].startswith(f"{V1}/clips/")
    assert events_of(client.get(f"{job['url']}/events").text) == [events[-1]]  # also for a late client
    assert client.service.listeners == 0  # type: ignore[attr-defined]


def test_listeners_are_limited(make_client: MakeClient) -> None:
    client = make_client(listeners=0)
    job = client.post(f"{V1}/loops", json=LOOP).json()
    assert "follow jobs" in sentence(client.get(f"{job['url']}/events"), 503)


def test_waiting_job_is_cancelled_at_once_and_running_job_soon(
    client: TestClient, studio: InterruptibleBackend
) -> None:
    studio.go_on.clear()
    first = client.post(f"{V1}/songs", json=SONG)
    assert studio.at_work.wait(20)
    second = client.post(f"{V1}/loops", json=LOOP)
    health = client.get(f"{V1}/health").json()
    assert health == {"status": "ok", "jobs": {"waiting": 1, "running": 1}}
    assert client.post(f"{second.json()['url']}/cancel").json()["state"] == "cancelled"
    assert client.post(f"{first.json()['url']}/cancel").json()["state"] == "running"
    view = ended(client, first, state="cancelled")
    assert view["result"] == {"complete": False}
    assert [item["state"] for item in client.get(f"{V1}/jobs").json()["jobs"]] == ["cancelled"] * 2
    studio.go_on.set()
    ended(client, client.post(f"{V1}/loops", json=LOOP))  # the backend is free again


def test_audio_generated_before_a_stop_is_available(client: TestClient, studio: InterruptibleBackend) -> None:
    studio.max_batch = 1
    generate = studio.draw

    def once(request: object) -> object:
        if studio.generated >= 1:
            studio.go_on.clear()
        return generate(request)  # type: ignore[arg-type]

    studio.draw = once  # type: ignore[assignment]
    reply = client.post(f"{V1}/songs", json={**SONG, "join": "plain"})
    end = time.monotonic() + 120
    while studio.generated < 2 and time.monotonic() < end:
        time.sleep(0.02)
    client.post(f"{reply.json()['url']}/cancel")
    view = ended(client, reply, state="cancelled")
    assert view["result"]["complete"] is False
    assert 2.5 < view["result"]["clip"]["duration"] < 6.0


def test_job_that_exceeds_its_time_limit_fails(make_client: MakeClient, studio: InterruptibleBackend) -> None:
    client = make_client(lanes={"paint": Lane(seconds=0.3)})
    studio.go_on.clear()
    view = ended(client, client.post(f"{V1}/loops", json=LOOP), state="failed")
    assert "longer than the 0.3 s" in view["error"]


def test_more_jobs_than_may_wait_are_refused(make_client: MakeClient, studio: InterruptibleBackend) -> None:
    client = make_client(lanes={"paint": Lane(waiting=2)})
    studio.go_on.clear()
    replies = [client.post(f"{V1}/loops", json=LOOP)]
    assert studio.at_work.wait(20)
    replies += [client.post(f"{V1}/loops", json=LOOP) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [202, 202, 202, 429, 429]
    assert replies[-1].headers["retry-after"] == "5"
    assert "waiting already" in sentence(replies[-1], 429)


def test_oldest_jobs_are_removed_from_the_list(make_client: MakeClient, image: bytes) -> None:
    client = make_client(lanes={"convert": Lane(kept=3)})
    for _ in range(6):
        sent = client.post(f"{V1}/pictures", content=image).json()["id"]
        assert client.post(f"{V1}/image-to-audio", json={"picture": sent}).status_code == 200
    assert len(client.get(f"{V1}/jobs").json()["jobs"]) <= 4


@pytest.mark.parametrize("path", ["/jobs/nothing", "/jobs/nothing/events"])
def test_unknown_job_gets_404(client: TestClient, path: str) -> None:
    assert "no job of this id" in sentence(client.get(V1 + path), 404)
    assert "no job of this id" in sentence(client.post(f"{V1}/jobs/nothing/cancel"), 404)


def test_job_with_unserialisable_result_does_not_break_the_list(client: TestClient) -> None:
    good = client.post(f"{V1}/loops", json=LOOP)
    ended(client, good)
    jobs = client.service.jobs  # type: ignore[attr-defined]
    bad = jobs.submit("bad", "convert", lambda job: {"max_value": float("nan")})
    worse = jobs.submit("worse", "convert", lambda job: {"a": 1})
    assert bad.wait(10)
    assert worse.wait(10)
    worse.result, worse.progress = {"a": float("inf"), "b": object()}, float("nan")  # any result of a future version
    views = client.get(f"{V1}/jobs").json()["jobs"]
    assert [view["kind"] for view in views] == ["worse", "bad", "loop"]
    assert [view["state"] for view in views] == ["done", "failed", "done"]
    assert views[1]["error"] == "the result is not valid JSON: max_value is nan"
    assert (views[0]["result"], "cannot be shown" in views[0]["error"]) == (None, True)
    assert list(views[0]) == list(views[2])
    for job in (bad, worse):
        assert client.get(f"{V1}/jobs/{job.id}").status_code == 200
        assert events_of(client.get(f"{V1}/jobs/{job.id}/events").text)[-1][0] == "end"
        assert client.post(f"{V1}/jobs/{job.id}/cancel").status_code == 200


def test_events_contain_no_nan(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    job = client.service.jobs.submit("bad", "convert", lambda job: {})  # type: ignore[attr-defined]
    assert job.wait(10)
    job.result = {"a": float("nan")}
    text = client.get(f"{V1}/jobs/{job.id}/events").text
    assert "NaN" not in text
    assert events_of(text)[-1][1]["result"] is None


def test_listeners_are_limited_across_all_jobs(make_client: MakeClient) -> None:
    client = make_client(listeners=1)
    job = client.service.jobs.submit("a", "convert", lambda job: {})  # type: ignore[attr-defined]
    assert job.wait(10)
    for _ in range(3):
        assert client.get(f"{V1}/jobs/{job.id}/events").status_code == 200
    client.service.listeners = 1  # type: ignore[attr-defined]
    refused = client.get(f"{V1}/jobs/{job.id}/events")
    assert "1 clients follow jobs" in sentence(refused, 503)
    assert refused.headers["retry-after"] == "5"
    assert client.service.listeners == 1  # type: ignore[attr-defined]


def test_job_list_omits_large_results(client: TestClient) -> None:
    large = {"pictures": [{"id": str(number)} for number in range(2000)]}
    for result in (large, {"id": 1}):
        assert client.service.jobs.submit("a", "convert", lambda job, result=result: result).wait(10)  # type: ignore[attr-defined]
    views = client.get(f"{V1}/jobs").json()["jobs"]
    assert [view["result"] for view in views] == [{"id": 1}, None]
    assert client.get(f"{V1}/jobs/{views[1]['id']}").json()["result"] == large
