"""The folder of a training set: lock, records, images and texts."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riffusion_ext.dataset.settings import SliceSettings
from riffusion_ext.dataset.slicing.slice_song import SongRecord, slice_song
from riffusion_ext.dataset.songs import Song
from riffusion_ext.dataset.store import Store, record_key
from riffusion_ext.errors import RiffusionError
from tests.unit.dataset.conftest import MakeSong

KEY = "0" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "out")


@pytest.fixture
def record(store: Store, make_song: MakeSong, tmp_path: Path) -> SongRecord:
    """Store a record under KEY with its images, and return it."""
    song = Song(make_song(tmp_path / "a.wav", 2.0), "a.wav")
    with store.locked():
        made = slice_song(song, "d", SliceSettings(columns=64), store.fresh, lambda: None)
        store.save_record(KEY, made)
    return made


# --- the lock --------------------------------------------------------------------------------------------------------


def test_second_run_is_refused_while_the_folder_is_locked(store: Store) -> None:
    with store.locked():
        with pytest.raises(RiffusionError, match=r"another run is working in .*out"), Store(store.out).locked():
            pass
        assert (store.work_folder / "lock").exists()
    with Store(store.out).locked():
        pass


def test_the_lock_is_free_after_an_error(store: Store) -> None:
    with pytest.raises(KeyError), store.locked():
        raise KeyError
    with store.locked():
        pass


def test_lock_of_a_killed_run_is_released(store: Store, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from riffusion_ext.dataset.store import Store\n"
        "with Store(Path(sys.argv[1])).locked(): print('locked', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(store.out)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(RiffusionError, match="another run"), store.locked():
            pass
    finally:
        process.kill()
        process.communicate()
    with store.locked():
        pass


def test_unwritable_output_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(RiffusionError, match="cannot be written to"), Store(out).locked():
            pass


def test_stop_request_is_seen_by_other_processes_and_ends_with_the_run(store: Store) -> None:
    with store.locked():
        assert not store.stop_requested
        store.stop()
        assert Store(store.out).stop_requested
    assert not store.stop_requested
    store.stop()
    with store.locked():
        assert not store.stop_requested, "the request was for another run"


def test_temporary_files_of_killed_runs_are_removed(store: Store) -> None:
    half = [".0123456789ab.png", ".0123456789ab.txt", ".0123456789ab", ".ba9876543210.json"]
    mine = [".hidden", ".0123456789ab.png.bak", "0123456789ab.png", ".DS_Store", ".0123456789AB.png"]
    folders = ("", "pictures", "rejected", ".riffusion", ".riffusion/songs", ".export", "kohya/10_x", "audio")
    for folder in folders:
        (store.out / folder).mkdir(parents=True, exist_ok=True)
        for name in (*half, *mine):
            (store.out / folder / name).write_text("x")
    with store.locked():
        pass
    for folder in folders:
        found = {path.name for path in (store.out / folder).iterdir() if path.is_file()} - {"lock"}
        assert found == set(mine), folder


# --- records ---------------------------------------------------------------------------------------------------------


def test_record_round_trips(store: Store, record: SongRecord) -> None:
    back = store.load_record(KEY)
    assert back is not None
    for item in fields(SongRecord):
        if item.name != "features":
            assert getattr(back, item.name) == getattr(record, item.name), item.name
    for name, array in record.features.to_arrays().items():
        assert np.array_equal(back.features.to_arrays()[name], array), name


def test_record_bytes_do_not_depend_on_the_time(store: Store, record: SongRecord) -> None:
    path = store.work_folder / "songs" / f"{KEY}.npz"
    first = path.read_bytes()
    time.sleep(2.1)  # zip archives store times in steps of two seconds
    store.save_record(KEY, record)
    assert path.read_bytes() == first


def test_non_finite_numbers_survive_the_store(store: Store, record: SongRecord) -> None:
    silent = SongRecord(**{item.name: getattr(record, item.name) for item in fields(record)} | {"loudness": -np.inf})
    store.save_record(KEY, silent)
    back = store.load_record(KEY)
    assert back is not None
    assert back.loudness == -np.inf


def test_record_with_a_missing_image_is_ignored(store: Store, record: SongRecord) -> None:
    (store.fresh / record.files[1]).unlink()
    assert store.load_record(KEY) is None


def test_unknown_song_has_no_record(store: Store) -> None:
    assert store.load_record("f" * 32) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_record_is_read_completely_or_not_at_all(data: st.DataObject, store: Store, record: SongRecord) -> None:
    store.save_record(KEY, record)
    path = store.work_folder / "songs" / f"{KEY}.npz"
    good = path.read_bytes()
    kind = data.draw(st.sampled_from(["cut", "flip", "empty", "noise"]))
    if kind == "cut":
        path.write_bytes(good[: data.draw(st.integers(0, len(good) - 1))])
    elif kind == "flip":
        bad = bytearray(good)
        bad[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(bytes(bad))
    else:
        path.write_bytes(b"" if kind == "empty" else data.draw(st.binary(max_size=200)))
    back = store.load_record(KEY)
    assert back is None or back.files == record.files


@pytest.mark.parametrize("text", ["", "[]", "3", '{"format": 1}', '{"format": 9}', '{"format": 1, "name": "x"}'])
def test_record_of_another_format_is_ignored(text: str, store: Store, record: SongRecord) -> None:
    arrays = {**record.features.to_arrays(), "record": np.frombuffer(text.encode(), np.uint8)}
    np.savez(store.work_folder / "songs" / f"{KEY}.npz", **arrays)
    assert store.load_record(KEY) is None


def test_record_keys_differ_for_different_inputs() -> None:
    keys = [
        record_key("a", "d", "f", None),
        record_key("b", "d", "f", None),
        record_key("a", "e", "f", None),
        record_key("a", "d", "g", None),
        record_key("a", "d", "f", 1.0),
        record_key("a", "d", "f", 2.0),
        record_key("a\udcff", "d", "f", None),
    ]
    assert len(set(keys)) == len(keys)
    assert record_key("a", "d", "f", None) == keys[0]


# --- images --------------------------------------------------------------------------------------------------------


def test_rejected_image_is_moved_and_its_caption_removed(store: Store, record: SongRecord) -> None:
    file = record.files[0]
    assert store.find(file) == store.fresh / file
    assert store.place(file, kept=True) == store.images / file
    store.write_text(f"pictures/{Path(file).stem}.txt", "caption")
    assert store.place(file, kept=True).is_file()
    assert store.place(file, kept=False) == store.rejected / file
    assert not any(store.images.iterdir())
    assert store.find(file) == store.rejected / file


def test_caption_is_removed_before_its_image_is_moved(
    store: Store, record: SongRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = record.files[0]
    store.place(file, kept=True)
    caption = (store.images / file).with_suffix(".txt")
    caption.write_text("words")

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            store.place(file, kept=False)
    assert not caption.exists()
    assert store.place(file, kept=False) == store.rejected / file


def test_missing_image_is_named_in_the_error(store: Store) -> None:
    with pytest.raises(RiffusionError, match=r"the image x\.png is gone"):
        store.place("x.png", kept=True)


def test_only_own_images_are_moved_to_the_rejected(store: Store, record: SongRecord) -> None:
    for file in record.files:
        store.place(file, kept=True)
    (store.images / "mine.png").write_bytes(b"x")
    store.reject_others({record.files[0]})
    assert sorted(path.name for path in store.images.iterdir()) == sorted(["mine.png", record.files[0]])
    assert sorted(path.name for path in store.rejected.iterdir()) == sorted(record.files[1:])


# --- texts -----------------------------------------------------------------------------------------------------------


def test_json_with_undecodable_names_round_trips(store: Store) -> None:
    values = {"a": [1, "ü 名 😀 \udcff", None], "b": {"c": True}}
    path = store.write_json("x.json", values)
    assert store.read_json("x.json") == values
    assert path.read_bytes().decode("utf-8").count("名") == 1


def test_unchanged_files_are_not_rewritten(store: Store) -> None:
    path = store.write_json("x.json", {"a": 1})
    before = path.stat().st_mtime_ns
    store.write_json("x.json", {"a": 1})
    assert path.stat().st_mtime_ns == before


def test_missing_json_file_reads_as_empty(store: Store) -> None:
    assert store.read_json("x.json") == {}


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_damaged_json_file_is_reported_and_kept(data: bytes, store: Store) -> None:
    store.out.mkdir()
    (store.out / "review.json").write_bytes(data)
    with pytest.raises(RiffusionError, match=r"review\.json.*repair it or move it away"):
        store.read_json("review.json")
    assert (store.out / "review.json").read_bytes() == data
