"""Content types of request bodies: some are refused because pages of other sites may send them without a preflight."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.api.conftest import V1, MakeClient, image_bytes

LOOP = json.dumps({"prompt": "a", "bars": 1, "bpm": 120}).encode()
SAFELISTED = [
    "text/plain",
    "text/plain;charset=UTF-8",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
]
BROWSERS = [{"Origin": "http://testserver"}, {"Sec-Fetch-Site": "same-origin"}]


@pytest.mark.parametrize("kind", ["", *SAFELISTED, "application/octet-stream", "application/jsonp", "json"])
@pytest.mark.parametrize("path", ["songs", "riffs", "loops", "image-to-audio", "audio-to-images", "datasets"])
def test_body_without_a_json_content_type_is_refused(make_client: MakeClient, kind: str, path: str) -> None:
    client = make_client()
    headers = {"Content-Type": kind} if kind else {}
    reply = client.post(f"{V1}/{path}", content=LOOP, headers=headers)
    assert reply.status_code == 415
    assert "application/json" in reply.json()["detail"]
    reply = client.post(f"{V1}/{path}", content=iter([LOOP]), headers=headers)  # chunked, without a Content-Length
    assert reply.status_code == 415


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_content_types_are_accepted(make_client: MakeClient, kind: str) -> None:
    reply = make_client().post(f"{V1}/loops", content=b"{}", headers={"Content-Type": kind})
    assert reply.status_code == 422
    assert "prompt" in reply.json()["detail"]


@pytest.mark.parametrize("browser", BROWSERS)
@pytest.mark.parametrize("kind", ["", *SAFELISTED])
def test_uploads_of_browser_pages_need_a_content_type(
    make_client: MakeClient, kind: str, browser: dict[str, str], tmp_path: Path
) -> None:
    client = make_client()
    headers = {**browser, **({"Content-Type": kind} if kind else {})}
    assert client.post(f"{V1}/pictures", content=image_bytes(path=tmp_path), headers=headers).status_code == 415
    headers["Content-Type"] = "image/png"
    assert client.post(f"{V1}/pictures", content=image_bytes(path=tmp_path), headers=headers).status_code == 201


def test_requests_of_node_scripts_do_not_count_as_browser_pages(make_client: MakeClient, tmp_path: Path) -> None:
    headers = {"Sec-Fetch-Mode": "cors", "Content-Type": "text/plain;charset=UTF-8"}
    assert make_client().post("/run_inference/", content=b"{}", headers=headers).status_code == 400
    assert make_client().post(f"{V1}/pictures", content=image_bytes(path=tmp_path), headers=headers).status_code == 201


@pytest.mark.parametrize("kind", ["", "application/x-www-form-urlencoded", "image/png"])
def test_programs_may_send_any_content_type(make_client: MakeClient, kind: str, tmp_path: Path) -> None:
    headers = {"Content-Type": kind} if kind else {}
    assert make_client().post(f"{V1}/pictures", content=image_bytes(path=tmp_path), headers=headers).status_code == 201


def test_request_without_a_body_needs_no_content_type(make_client: MakeClient) -> None:
    assert make_client().post(f"{V1}/jobs/x/cancel").status_code == 404


@pytest.mark.parametrize("browser", BROWSERS)
@pytest.mark.parametrize("path", ["/run_inference/", "/run_vst/"])
def test_pages_must_send_json_to_the_original_routes(
    make_client: MakeClient, path: str, browser: dict[str, str]
) -> None:
    reply = make_client().post(path, content=b"{}", headers={**browser, "Content-Type": "text/plain"})
    assert reply.status_code == 415


@pytest.mark.parametrize("route", ["pictures", "clips"])
def test_form_upload_is_refused_with_the_expected_body(make_client: MakeClient, route: str) -> None:
    reply = make_client().post(f"{V1}/{route}", files={"file": ("song.mp3", b"ID3", "audio/mpeg")})
    assert reply.status_code == 415
    assert "--data-binary @FILE" in reply.json()["detail"]
