"""Files by id: ranges, ETag, content types and names; never by path."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from riffusion_ext.api.routes.media import parse_range
from tests.unit.api.conftest import V1, MakeClient, sentence, sound_bytes, upload


@given(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 40)), st.integers(1, 30))
def test_a_range_is_the_slice_of_the_file(first: int, last: int | None, size: int) -> None:
    data = bytes(range(size))
    header = f"bytes={first}-{'' if last is None else last}"
    if last is not None and last < first:
        assert parse_range(header, size) is None
    elif first >= size:
        with pytest.raises(ValueError, match=str(size)):
            parse_range(header, size)
    else:
        start, stop = parse_range(header, size) or (0, 0)
        assert data[start:stop] == (data[first:] if last is None else data[first : last + 1])


@given(st.integers(1, 40), st.integers(1, 30))
def test_a_range_from_the_end_is_the_tail(count: int, size: int) -> None:
    assert parse_range(f"bytes=-{count}", size) == (max(size - count, 0), size)


@pytest.mark.parametrize("header", ["", "bytes=", "bytes=-", "items=0-1", "bytes=0-1,4-5", "bytes=a-b", "bytes=٣-"])
def test_unsupported_range_headers_are_ignored(header: str) -> None:
    assert parse_range(header, 10) is None


def test_range_requests_return_parts_of_a_clip(client: TestClient) -> None:
    data = sound_bytes(1.0)
    url = upload(client, "clips", data, "song.wav")["url"]
    whole = client.get(url)
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-length"] == str(len(data))
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-disposition"] == "inline; filename=\"song.wav\"; filename*=UTF-8''song.wav"
    for header, part in (
        ("bytes=0-", data),
        ("bytes=100-199", data[100:200]),
        ("bytes=100-999999", data[100:]),
        ("bytes=-50", data[-50:]),
    ):
        reply = client.get(url, headers={"Range": header})
        assert (reply.status_code, reply.content) == (206, part)
        start = len(data) - len(part) if header != "bytes=100-199" else 100
        assert reply.headers["content-range"] == f"bytes {start}-{start + len(part) - 1}/{len(data)}"
        assert reply.headers["content-type"] == "audio/wav"
    past = client.get(url, headers={"Range": f"bytes={len(data)}-"})
    sentence(past, 416)
    assert past.headers["content-range"] == f"bytes */{len(data)}"
    head = client.head(url, headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.content, head.headers["content-length"]) == (206, b"", "10")


def test_matching_etag_gets_304(client: TestClient, image: bytes) -> None:
    url = upload(client, "pictures", image)["url"]
    tag = client.get(url).headers["etag"]
    for header in (tag, f'"other", W/{tag}', "*"):
        again = client.get(url, headers={"If-None-Match": header})
        assert (again.status_code, again.content) == (304, b"")
    part = {"Range": "bytes=0-3"}
    assert client.get(url, headers={**part, "If-Range": tag}).status_code == 206
    assert client.get(url, headers={**part, "If-Range": '"other"'}).status_code == 200


def test_media_route_serves_clips_of_the_pages_only(client: TestClient, tmp_path: Path) -> None:
    data = sound_bytes(1.0)
    (tmp_path / "a.wav").write_bytes(data)
    pages = client.service._page_clips  # type: ignore[attr-defined]
    id_ = pages.add(tmp_path / "a.wav", title="a", duration=1.0).id
    for url in (f"/riffusion/media/{id_}", f"{V1}/clips/{id_}"):
        reply = client.get(url, headers={"Range": "bytes=4-7"})
        assert (reply.status_code, reply.content) == (206, data[4:8])
        sentence(client.get(url, headers={"Range": "bytes=999999-"}), 416)
    sentence(client.get("/riffusion/media/nothing"), 404)
    sent = upload(client, "clips", data)["id"]  # uploads of the API are not served to the pages
    sentence(client.get(f"/riffusion/media/{sent}"), 404)


PATHS = (
    "../secret.wav",
    "..%2fsecret.wav",
    "..%252fsecret.wav",
    "%2e%2e/%2e%2e/etc/passwd",
    "/etc/passwd",
    "..\\secret.wav",
    "C:%5Csecret.wav",
    "file:///etc/passwd",
    "%00",
    "a%0d%0aX-Evil:%201",
    "." * 300,
)


@pytest.mark.parametrize("id_", PATHS)
def test_id_is_never_used_as_a_path(client: TestClient, id_: str, tmp_path: Path) -> None:
    (tmp_path / "scratch" / "api").mkdir(parents=True, exist_ok=True)
    for folder in (tmp_path, tmp_path / "scratch", tmp_path / "scratch" / "api"):
        (folder / "secret.wav").write_bytes(b"secret")
    upload(client, "clips", sound_bytes(0.5))
    for kind in ("clips", "pictures", "archives", "jobs"):
        reply = client.get(f"{V1}/{kind}/{id_}", follow_redirects=True)
        assert reply.status_code in (404, 405), reply.text
        assert b"secret" not in reply.content
        assert "x-evil" not in reply.headers
    assert client.get(f"/riffusion/media/{id_}").status_code == 404


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd.wav"),
        ("C:\\songs\\my song.wav", "my song.wav"),
        ('a"\r\nX-Evil: 1.wav', "X-Evil: 1.wav"),
        ("", "sound.wav"),
        ("...", "sound.wav"),
        ("日本.flac", "日本.wav"),
        ("x" * 299, "x" * 116 + ".wav"),
    ],
)
def test_uploaded_file_name_never_becomes_a_path_or_header(
    client: TestClient, name: str, kept: str, tmp_path: Path
) -> None:
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    sent = upload(client, "clips", sound_bytes(0.5), name)
    assert sent["name"] == kept
    (new,) = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert new.parent == tmp_path / "scratch" / "api" / "clips"
    reply = client.get(sent["url"])
    assert reply.status_code == 200
    assert "x-evil" not in reply.headers
    assert "\n" not in reply.headers["content-disposition"]


def test_uploads_that_are_neither_audio_nor_image_are_removed(client: TestClient, image: bytes, tmp_path: Path) -> None:
    for kind, data in (("clips", image), ("pictures", sound_bytes(0.5)), ("clips", b"RIFF"), ("pictures", b"x")):
        sentence(client.post(f"{V1}/{kind}", content=data), 422)
    assert "empty" in sentence(client.post(f"{V1}/clips"), 422)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".png"] == []
    assert list((tmp_path / "scratch" / "api" / "pictures").iterdir()) == []


def test_oldest_files_are_removed_when_room_is_used_up(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(kept_bytes=3 * len(sound_bytes(0.5)), kept_seconds=0.0)
    urls = [upload(client, "clips", sound_bytes(0.5))["url"] for _ in range(5)]
    assert [client.get(url).status_code for url in urls] == [404, 404, 200, 200, 200]
    assert len(list((tmp_path / "scratch" / "api" / "clips").iterdir())) == 3
