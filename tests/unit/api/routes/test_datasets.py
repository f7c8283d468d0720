"""Training sets from uploaded songs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.unit.api.conftest import V1, MakeClient, ended, sentence, sound_bytes, upload
from tests.unit.small import SMALL_TEXT


def test_songs_become_an_archive_of_images_and_captions(client: TestClient, tmp_path: Path) -> None:
    songs = [upload(client, "clips", sound_bytes(4.0, seed=n), "my song.wav")["id"] for n in range(2)]
    body = {
        "clips": [*songs, songs[0]],
        "trigger": "mymusic",
        "preset": SMALL_TEXT,
        "columns": 64,
        "transition": None,
        "duplicate": None,
        "silence_db": None,
        "target": 900,
    }
    view = ended(client, client.post(f"{V1}/datasets", json=body))
    result = view["result"]
    assert (result["songs"], result["failed"], result["complete"]) == (2, [], True)
    assert 0 < result["kept"] <= result["windows"]
    (note,) = result["notes"]
    assert note.startswith(f"{result['kept']} windows are kept, 900 were wanted; ")
    reply = client.get(result["archive"]["url"])
    assert reply.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        names = archive.namelist()
        images = [name for name in names if name.startswith("pictures/") and name.endswith(".png")]
        assert len(images) == result["kept"]
        captions = {archive.read(name.replace(".png", ".txt")).decode() for name in images}
        assert all(caption.startswith("mymusic, my song") for caption in captions)
        assert {"concepts_list.json", "manifest.json"} <= set(names)
        for name in names:  # no server path is revealed
            assert str(tmp_path).encode() not in archive.read(name), name
    assert list((tmp_path / "scratch" / "api" / "datasets").iterdir()) == []


def test_report_of_a_damaged_song_contains_no_server_path(client: TestClient, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, 8000 * 6)
    soundfile.write(file, noise, 8000, format="FLAC")
    half = len(file.getvalue()) // 2
    kept = upload(client, "clips", file.getvalue()[:half] + bytes(half), "bad.flac")
    assert kept["notes"][0].startswith("the file breaks off after ")
    songs = [kept["id"]]
    songs.append(upload(client, "clips", sound_bytes(4.0), "good.wav")["id"])
    view = ended(client, client.post(f"{V1}/datasets", json={"clips": songs, "preset": SMALL_TEXT, "columns": 64}))
    (failed,) = view["result"]["failed"]
    assert failed["song"] == "bad.flac"
    assert failed["reason"].startswith("bad.flac breaks off after ")
    assert str(tmp_path) not in str(view)
    with zipfile.ZipFile(io.BytesIO(client.get(view["result"]["archive"]["url"]).content)) as archive:
        assert [name for name in archive.namelist() if str(tmp_path).encode() in archive.read(name)] == []


def test_folder_without_training_set_is_refused(client: TestClient, make_client: MakeClient) -> None:
    song = upload(client, "clips", sound_bytes(1.0))["id"]

    def said(status: int, **body: object) -> str:
        return sentence(client.post(f"{V1}/datasets", json=body), status)

    assert "1 to 500 songs, got 0" in said(422, clips=[])
    assert "no clip of this id" in said(404, clips=["../../etc/passwd"])
    assert "no clip of this id" in said(404, clips=[song, "x" * 1000])
    assert "columns" in said(422, clips=[song], columns=5)
    assert "formats" in said(422, clips=[song], formats=["exe"])
    assert "nope" in said(422, clips=[song], caption="{nope}")
    assert "collection" in said(422, clips=[song], collection="/etc")
    assert "at most 1 clips" in sentence(make_client(songs=1).post(f"{V1}/datasets", json={"clips": ["a", "b"]}), 422)
