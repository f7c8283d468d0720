"""Synchronising a folder with a set of files: foreign files are kept, even if a run is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.dataset.export import ledger
from riffusion_ext.dataset.export.ledger import OutFile, is_edited, load, sync, text_file
from riffusion_ext.errors import AudioError, RiffusionError
from riffusion_ext.files.atomic import write_atomically


def texts(**files: str) -> list[OutFile]:
    return [text_file(f"{name}.txt", text) for name, text in files.items()]


def made(name: str, recipe: str, made_now: list[str] | None = None) -> OutFile:
    """Return a file that is made by a function, with its recipe as content."""

    def write(path: Path) -> None:
        if made_now is not None:
            made_now.append(name)
        write_atomically(path, lambda file: file.write(b"x" * len(recipe)))

    return OutFile(name, recipe, write)


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and ledger.FOLDER not in p.parts}


def test_repeated_sync_changes_nothing(tmp_path: Path) -> None:
    wanted = [*texts(a="1", b="2"), made("sub/c.wav", "r")]
    first = sync(tmp_path, "test", wanted)
    assert (first.written, first.unchanged) == (["a.txt", "b.txt", "sub/c.wav"], [])
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    second = sync(tmp_path, "test", wanted)
    assert (second.written, second.unchanged, second.removed) == ([], ["a.txt", "b.txt", "sub/c.wav"], [])
    changed = {path for path, time in times.items() if path.is_file() and path.stat().st_mtime_ns != time}
    assert changed <= {tmp_path / ledger.FOLDER / "test.json"}
    assert (tmp_path / "a.txt").read_bytes() == b"1"


def test_unwanted_files_are_removed_with_their_empty_folders(tmp_path: Path) -> None:
    sync(tmp_path, "test", [*texts(a="1"), made("x/y/b.wav", "r"), made("x/c.wav", "r")])
    sync(tmp_path, "other", texts(other="1"))
    assert sync(tmp_path, "test", texts(a="1")).removed == ["x/c.wav", "x/y/b.wav"]
    assert not (tmp_path / "x").exists()
    assert sync(tmp_path, "test", []).removed == ["a.txt"]
    assert names(tmp_path) == {"other.txt"}
    assert sync(tmp_path, "other", []).removed == ["other.txt"]
    assert list(tmp_path.iterdir()) == []


def test_foreign_and_changed_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "foreign.txt").write_text("theirs")
    (tmp_path / "foreign.wav").write_text("theirs")
    wanted = [*texts(foreign="ours", a="1", b="1"), made("foreign.wav", "r"), made("c.wav", "r"), made("d.wav", "r")]
    assert sync(tmp_path, "test", wanted).kept == ["foreign.txt", "foreign.wav"]
    for name in ("a.txt", "c.wav"):
        (tmp_path / name).write_text("edited")
    again = sync(tmp_path, "test", [*texts(foreign="ours", a="2", b="2"), made("foreign.wav", "r"), made("c.wav", "s")])
    assert sorted(again.kept) == ["a.txt", "c.wav", "foreign.txt", "foreign.wav"]
    assert (again.written, again.removed) == (["b.txt"], ["d.wav"])
    assert sorted(sync(tmp_path, "test", []).kept) == ["a.txt", "c.wav"]
    assert names(tmp_path) == {"a.txt", "c.wav", "foreign.txt", "foreign.wav"}
    assert (tmp_path / "a.txt").read_text() == "edited"


def test_identical_existing_file_is_adopted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1")
    assert sync(tmp_path, "test", texts(a="1")).unchanged == ["a.txt"]
    assert sync(tmp_path, "test", []).removed == ["a.txt"]


def test_file_is_made_again_only_for_a_new_recipe_or_when_missing(tmp_path: Path) -> None:
    now: list[str] = []
    sync(tmp_path, "test", [made("a.wav", "one", now), made("b.wav", "one", now)])
    sync(tmp_path, "test", [made("a.wav", "two", now), made("b.wav", "one", now)])
    assert now == ["a.wav", "b.wav", "a.wav"]
    (tmp_path / "b.wav").unlink()
    sync(tmp_path, "test", [made("a.wav", "two", now), made("b.wav", "one", now)])
    assert now == ["a.wav", "b.wav", "a.wav", "b.wav"]


def test_adopted_text_counts_as_edited(tmp_path: Path) -> None:
    sync(tmp_path, "test", texts(a="ours"))
    (tmp_path / "a.txt").write_text("edited\n")
    for _ in range(3):
        sync(tmp_path, "test", [text_file("a.txt", "edited", from_edited=True)])
        assert (tmp_path / "a.txt").read_bytes() == b"edited"
        assert is_edited(tmp_path / "a.txt", load(tmp_path, "test")["a.txt"])
    assert sync(tmp_path, "test", []).kept == ["a.txt"]


def test_adopted_text_counts_as_edited_after_a_killed_run(tmp_path: Path) -> None:
    sync(tmp_path, "test", texts(a="ours"))
    (tmp_path / "a.txt").write_text("edited\n")

    def stop(part: float) -> None:
        raise StopHereError

    with pytest.raises(StopHereError):
        sync(tmp_path, "test", [text_file("a.txt", "edited", from_edited=True)], progress=stop)
    assert is_edited(tmp_path / "a.txt", load(tmp_path, "test")["a.txt"])


def test_failed_file_is_skipped_and_the_others_are_written(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise AudioError("no sound")

    done = sync(tmp_path, "test", [OutFile("a.wav", "r", fail), made("b.wav", "r")])
    assert (done.failed, done.written) == ({"a.wav": "no sound"}, ["b.wav"])
    assert sync(tmp_path, "test", [made("a.wav", "r"), made("b.wav", "r")]).written == ["a.wav"]


def test_duplicate_file_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RiffusionError, match=r"two files would be called a\.txt"):
        sync(tmp_path, "test", [*texts(a="1"), *texts(a="2")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"files": 3}', '{"files": {"a.txt": 7}}', "{}"])
def test_unreadable_ledger_owns_no_files(tmp_path: Path, content: str) -> None:
    sync(tmp_path, "test", texts(a="1", b="1"))
    (tmp_path / ledger.FOLDER / "test.json").write_text(content)
    assert sync(tmp_path, "test", texts(a="2")).kept == ["a.txt"]
    assert names(tmp_path) == {"a.txt", "b.txt"}


@pytest.mark.parametrize(
    "name", ["../victim.txt", "/victim.txt", "sub/../../victim.txt", "..\\victim.txt", "C:/victim.txt"]
)
def test_ledger_names_cannot_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    (tmp_path / "victim.txt").write_text("x")
    (folder / ledger.FOLDER).mkdir(parents=True)
    signatures = [["pending"], ""]
    (folder / ledger.FOLDER / "test.json").write_text(
        json.dumps({"files": {name: signatures, str(tmp_path / "victim.txt"): signatures}})
    )
    assert sync(folder, "test", []).removed == []
    assert (tmp_path / "victim.txt").exists()


class StopHereError(Exception):
    """Stands for killing the program."""


SETS = st.dictionaries(st.sampled_from(["a.txt", "b.wav", "s/c.wav", "s/d.txt"]), st.sampled_from(["1", "22"]))


def as_files(wanted: dict[str, str], made_now: list[str], stop_at: int = -1) -> list[OutFile]:
    """Return the files; writing number ``stop_at`` of them ends the program just before or after it."""
    files = []
    for number, (name, content) in enumerate(wanted.items()):
        file = text_file(name, content) if name.endswith(".txt") else made(name, content, made_now)

        def write(path: Path, file: OutFile = file, number: int = number) -> None:
            if number == stop_at:
                raise StopHereError
            file.write(path)
            if number == stop_at - 100:
                raise StopHereError

        files.append(OutFile(file.name, file.recipe, write, file.data))
    return files


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(SETS, st.integers(-1, 3) | st.integers(100, 103)), max_size=4), SETS)
def test_run_after_a_kill_at_any_step_reaches_the_same_result(tmp_path_factory, runs, last) -> None:
    """After any killed run, a complete run leaves exactly the wanted files and keeps foreign ones."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "foreign.txt").write_text("theirs")
    for wanted, stop_at in runs:
        try:
            sync(folder, "test", as_files(wanted, [], stop_at))
        except StopHereError:
            continue
        assert names(folder) == {*wanted, "foreign.txt"}
    done = sync(folder, "test", as_files(last, []))
    assert done.kept == []
    assert names(folder) == {*last, "foreign.txt"}
    assert (folder / "foreign.txt").read_text() == "theirs"
    for name, content in last.items():
        expected = content.encode() if name.endswith(".txt") else b"x" * len(content)
        assert (folder / name).read_bytes() == expected
    again: list[str] = []
    assert sync(folder, "test", as_files(last, again)).written == []
    assert again == []


def test_files_made_by_a_killed_run_are_not_made_again(tmp_path: Path) -> None:
    now: list[str] = []
    wanted = {f"{number}.wav": "r" for number in range(4)}
    with pytest.raises(StopHereError):
        sync(tmp_path, "test", as_files(wanted, now, 2))
    sync(tmp_path, "test", as_files(wanted, now))
    assert sorted(now) == sorted(wanted)


def test_progress_rises_to_1_and_its_callback_can_stop_the_sync(tmp_path: Path) -> None:
    parts: list[float] = []
    sync(tmp_path, "test", texts(a="1", b="2"), progress=parts.append)
    assert parts == [0.5, 1.0]

    def stop(part: float) -> None:
        raise StopHereError

    with pytest.raises(StopHereError):
        sync(tmp_path, "test", texts(c="1", d="2"), progress=stop)
    assert sync(tmp_path, "test", []).removed == ["a.txt", "b.txt", "c.txt"]


def test_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(RiffusionError, match="is a folder, a file cannot take its place"):
        sync(tmp_path, "test", [text_file("a.txt", "1")])
