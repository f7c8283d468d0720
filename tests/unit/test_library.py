"""The library of clips: bounded, thread-safe, and never a path by id."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from riffusion_ext.library import ClipLibrary, FullError
from tests.unit.waiting import Clock


def test_ids_are_opaque_and_find_their_clip(tmp_path: Path) -> None:
    library = ClipLibrary()
    one, two = (library.add(tmp_path / "a.wav", title="a", duration=1.0) for _ in range(2))
    assert one.id != two.id
    assert library.get(one.id) == one
    assert "a" not in (one.id, "wav")
    assert library.get(str(tmp_path / "a.wav")) is None
    assert one.download_name == "a.wav"


def test_newest_clip_of_an_infotext_is_found(tmp_path: Path) -> None:
    library = ClipLibrary()
    library.add(tmp_path / "a.wav", title="a", duration=1.0, infotext="x")
    newer = library.add(tmp_path / "b.wav", title="a", duration=1.0, infotext="x")
    assert library.find("x") == newer
    assert library.find("") is None
    assert library.find("y") is None


def test_least_recently_used_clips_are_removed_with_their_files(tmp_path: Path) -> None:
    library = ClipLibrary(capacity=2)
    records = []
    for name in "abc":
        path = tmp_path / f"{name}.wav"
        path.touch()
        if name == "c":
            assert library.get(records[0].id) is not None
        records.append(library.add(path, title=name, duration=1.0, infotext=name, temporary=name == "b"))
    assert len(library) == 2
    assert [library.get(record.id) is not None for record in records] == [True, False, True]
    assert library.find("b") is None
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.wav", "c.wav"]


def test_clear_deletes_only_temporary_files(tmp_path: Path) -> None:
    library = ClipLibrary()
    for name in "ab":
        (tmp_path / name).touch()
        library.add(tmp_path / name, title=name, duration=1.0, temporary=name == "a")
    library.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert len(library) == 0


def test_missing_temporary_file_is_ignored(tmp_path: Path) -> None:
    library = ClipLibrary()
    library.add(tmp_path / "gone", title="", duration=1.0, temporary=True)
    library.clear()


def test_clips_can_be_added_by_many_threads(tmp_path: Path) -> None:
    library = ClipLibrary(capacity=50)
    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(lambda n: library.add(tmp_path / str(n), title="", duration=1.0), range(400)))
    assert len(library) == 50
    assert len({record.id for record in records}) == 400


def test_library_of_size_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity is 0"):
        ClipLibrary(0)


def test_temporary_files_stay_within_their_size_limit(tmp_path: Path) -> None:
    library = ClipLibrary(temporary_bytes=250)
    for number in range(5):
        path = tmp_path / str(number)
        path.write_bytes(bytes(100))
        library.add(path, title="", duration=1.0, temporary=number != 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "3", "4"], "the user's own file stays"
    large = tmp_path / "large"
    large.write_bytes(bytes(1000))
    record = library.add(large, title="", duration=1.0, temporary=True)
    assert library.get(record.id) is not None
    assert large.exists(), "the newest clip can be played at any size"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "large"]


def made(folder: Path, name: str, size: int = 100) -> Path:
    path = folder / name
    path.write_bytes(bytes(size))
    return path


@pytest.mark.parametrize("sizes", [{"capacity": 3}, {"temporary_bytes": 300}])
def test_recent_clips_are_kept_and_new_ones_refused_when_full(tmp_path: Path, sizes: dict[str, int]) -> None:
    clock = Clock()
    library = ClipLibrary(**sizes, lifetime=60.0, clock=clock)
    records = []
    for number in range(3):
        clock.now = 10.0 * number
        records.append(library.add(made(tmp_path, str(number)), title="", duration=1.0, temporary=True))
    with pytest.raises(FullError, match="try again in 40 s") as caught:
        library.add(made(tmp_path, "late"), title="", duration=1.0, temporary=True)
    assert caught.value.seconds == 40.0
    with pytest.raises(FullError, match="try again in 50 s"):
        library.reserve(2, 200)
    assert all(library.get(record.id) for record in records)
    clock.now = 60.0
    late = library.add(tmp_path / "late", title="", duration=1.0, temporary=True)
    assert [library.get(record.id) is not None for record in [*records, late]] == [False, True, True, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "late"]


def test_reserved_room_is_available_and_its_clips_are_kept(tmp_path: Path) -> None:
    clock = Clock()
    library = ClipLibrary(3, 300, lifetime=60.0, clock=clock)
    reservation = library.reserve(2, 150)
    library.add(made(tmp_path, "other"), title="", duration=1.0, temporary=True)
    with pytest.raises(FullError, match="try again in 60 s"):
        library.reserve(2, 0)
    with pytest.raises(FullError):
        library.reserve(1, 51)
    records = [
        library.add(made(tmp_path, name, 70), title="", duration=1.0, temporary=True, reservation=reservation)
        for name in ("a", "b")
    ]
    clock.now = 1000.0
    with pytest.raises(FullError, match="try again in 60 s"):  # nobody knows when those two are no longer used
        library.reserve(2, 0)
    reservation.close()
    clock.now += 59.0
    with pytest.raises(FullError, match="try again in 1 s"):
        library.reserve(3, 300)
    assert all(library.get(record.id) for record in records)
    clock.now += 1.0
    library.reserve(3, 300)
    assert len(library) == 0
    assert list(tmp_path.iterdir()) == []


def test_clips_beyond_a_reservation_need_free_room(tmp_path: Path) -> None:
    library = ClipLibrary(10, 300, lifetime=60.0, clock=Clock())
    reservation = library.reserve(1, 50)
    library.add(made(tmp_path, "a", 200), title="", duration=1.0, temporary=True, reservation=reservation)
    with pytest.raises(FullError):
        library.add(made(tmp_path, "b", 150), title="", duration=1.0, temporary=True, reservation=reservation)
    library.add(made(tmp_path, "c", 100), title="", duration=1.0, temporary=True, reservation=reservation)
    reservation.discard()
    reservation.close()
    assert len(library) == 0
    assert library.reserve(10, 300)


def test_concurrent_reservations_never_exceed_the_capacity() -> None:
    library = ClipLibrary(50, 5000, lifetime=60.0)

    def ask(_: int) -> int:
        try:
            library.reserve(7, 100)
        except FullError:
            return 0
        return 7

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(40))) == 49
