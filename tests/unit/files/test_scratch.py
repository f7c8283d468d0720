"""Scratch folders, removed at exit or by the next program after a kill."""

from __future__ import annotations

import os
import signal
import stat
import threading
from pathlib import Path

import pytest

from riffusion_ext.files import scratch
from riffusion_ext.files.scratch import MARK
from tests.unit.processes import Program

OWNER = """
import sys, time
from pathlib import Path
from riffusion_ext.files import scratch
folder = scratch.new(Path(sys.argv[1]))
(folder / "clips").mkdir()
(folder / "clips" / "a.wav").write_bytes(b"a" * 1000)
print(folder, flush=True)
time.sleep(float(sys.argv[2]))
"""

needs_kill = pytest.mark.skipif(os.name == "nt", reason="kills as POSIX does")


def stale(parent: Path) -> Path:
    """Return the scratch folder left by a killed program."""
    (parent / "owner").mkdir(exist_ok=True)
    with Program("-c", OWNER, str(parent), "600", folder=parent / "owner") as program:
        assert program.process.stdout is not None
        return Path(program.process.stdout.readline().strip())  # the program is killed here


def test_scratch_folder_is_private_and_removed_on_release(tmp_path: Path) -> None:
    folder = scratch.new(tmp_path)
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "a.wav").write_bytes(b"a")
    assert folder.parent == tmp_path
    assert os.name == "nt" or stat.S_IMODE(folder.stat().st_mode) == 0o700
    scratch.release(folder)
    assert list(tmp_path.iterdir()) == []
    scratch.release(folder)
    scratch.release(tmp_path)  # not made here
    assert tmp_path.is_dir()


def test_scratch_folder_is_removed_at_exit(tmp_path: Path) -> None:
    with Program("-c", OWNER, str(tmp_path / "a"), "0", folder=tmp_path) as program:
        (tmp_path / "a").mkdir()
        assert program.end()[0] == 0
    assert list((tmp_path / "a").iterdir()) == []


@needs_kill
def test_scratch_folders_of_killed_programs_are_removed_by_the_next(tmp_path: Path) -> None:
    left = stale(tmp_path)
    assert (left / "clips" / "a.wav").exists()
    folder = scratch.new(tmp_path)
    assert not left.exists()
    assert folder.is_dir()
    scratch.release(folder)


@needs_kill
def test_scratch_folders_in_use_are_kept(tmp_path: Path) -> None:
    with Program("-c", OWNER, str(tmp_path), "600", folder=tmp_path) as program:
        assert program.process.stdout is not None
        theirs = Path(program.process.stdout.readline().strip())
        mine = tmp_path / "riffusion-mine"
        scratch.claim(mine)
        assert scratch.sweep(tmp_path) == 0
        assert (theirs / "clips" / "a.wav").exists()
        assert mine.is_dir()
        scratch.release(mine)
        program.end(signal.SIGKILL)
        assert scratch.sweep(tmp_path) == 1
        assert not theirs.exists()


@needs_kill
def test_only_folders_with_our_marker_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def marked(name: str, text: bytes) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / MARK).write_bytes(text)
        return folder

    text = (stale(tmp_path) / MARK).read_bytes()
    scratch.sweep(tmp_path)
    (tmp_path / "riffusion-of-the-user").mkdir()
    (tmp_path / "riffusion-of-the-user" / "thesis.txt").write_text("a")
    marked("riffusion-being-made", b"")
    marked("riffusion-other-text", b"mine\n")
    marked("otherwise-named", text)
    linked = marked("riffusion-hard-linked", text)
    os.link(linked / MARK, tmp_path / "link")
    (tmp_path / "riffusion-file").write_text("a")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / MARK).write_bytes(text)
    (tmp_path / "riffusion-symlink").symlink_to(elsewhere)
    (tmp_path / "riffusion-linked-mark").mkdir()
    (tmp_path / "riffusion-linked-mark" / MARK).symlink_to(elsewhere / MARK)
    os.mkfifo(tmp_path / "riffusion-fifo")
    (tmp_path / "riffusion-fifo-mark").mkdir()
    os.mkfifo(tmp_path / "riffusion-fifo-mark" / MARK)
    there = sorted(tmp_path.rglob("*"))
    assert scratch.sweep(tmp_path) == 0
    assert sorted(tmp_path.rglob("*")) == there
    foreign = marked("riffusion-of-another-user", text)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert scratch.sweep(tmp_path) == 0
    monkeypatch.undo()
    assert scratch.sweep(tmp_path) == 1
    assert not foreign.exists()
    assert scratch.sweep(tmp_path, "") == 2, "the one of another name, and what the link leads to"
    assert scratch.sweep(tmp_path / "missing") == 0


@needs_kill
def test_removal_does_not_follow_links(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "a.txt").write_text("a")
    left = stale(tmp_path)
    (left / "folder").symlink_to(kept)
    (left / "clips" / "folder").symlink_to(kept)
    (left / "file").symlink_to(kept / "a.txt")
    assert scratch.sweep(tmp_path) == 1
    assert (kept / "a.txt").read_text() == "a"


def test_folders_that_cannot_be_removed_keep_their_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = scratch.new(tmp_path)
    (folder / "a").mkdir()
    (folder / "a" / "a.wav").write_bytes(b"a")
    with monkeypatch.context() as patch:
        patch.setattr(scratch.shutil, "rmtree", lambda *_, **__: None)
        scratch.release(folder)
    assert (folder / MARK).exists(), "so that it can be removed later"
    assert scratch.sweep(tmp_path) == 1


@needs_kill
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_process_removes_no_scratch_folder(tmp_path: Path) -> None:
    folder = scratch.new(tmp_path)
    child = os.fork()
    if not child:
        scratch.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert folder.is_dir()
    scratch.release(folder)


def test_threads_can_create_scratch_folders_at_once(tmp_path: Path) -> None:
    made: list[Path] = []
    threads = [threading.Thread(target=lambda: made.append(scratch.new(tmp_path))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20
    assert all(folder.is_dir() for folder in made)
    for folder in made:
        scratch.release(folder)
    assert list(tmp_path.iterdir()) == []
