"""Files are written completely or not at all, and errors are reported in one sentence."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from riffusion_ext.audio import FORMATS, available_formats, read_audio, write_audio
from riffusion_ext.errors import AudioError, ImageError, RiffusionError
from riffusion_ext.files.atomic import write_atomically

on_posix = pytest.mark.skipif(os.name == "nt", reason="works otherwise on Windows")
formats = pytest.mark.parametrize("form", FORMATS)


def boom(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return an existing file."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    return path


def assert_only_old(path: Path) -> None:
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_file_is_replaced_only_when_complete(old: Path) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"new")
        assert old.read_bytes() == b"old"
        (temporary,) = set(old.parent.iterdir()) - {old}
        assert temporary.suffix == ".wav"
        assert temporary.name.startswith(".")

    assert write_atomically(old, write) == old
    assert old.read_bytes() == b"new"
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EFBIG, "larger than the system allows"),
        (errno.EROFS, "the folder cannot be written to"),
        (errno.EIO, re.escape(os.strerror(errno.EIO))),
    ],
)
@pytest.mark.parametrize("when", ["open", "write", "replace"])
def test_system_errors_are_reported_and_keep_the_old_file(
    monkeypatch: pytest.MonkeyPatch, old: Path, code: int, said: str, when: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise boom(code)

    if when == "open":
        monkeypatch.setattr(Path, "open", fail)
    if when == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(RiffusionError, match=f"{said}.*|.*{said}") as caught:
        write_atomically(old, fail if when == "write" else lambda file: file.write(b"new"))
    assert str(old) in str(caught.value)
    monkeypatch.undo()
    assert_only_old(old)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), AudioError("ours")])
def test_any_error_is_raised_and_leaves_no_temporary_file(old: Path, error: BaseException) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(type(error)) as caught:
        write_atomically(old, write)
    assert caught.value is error
    assert_only_old(old)


def test_missing_folders_are_created(tmp_path: Path, tone) -> None:
    path = write_audio(tone(), str(tmp_path / "a" / "b" / "c.wav"))
    assert path == tmp_path / "a" / "b" / "c.wav"
    assert path.is_file()


def test_file_in_place_of_the_folder_is_refused(old: Path, tone) -> None:
    for path in (old / "b.wav", old / "c" / "b.wav"):
        with pytest.raises(AudioError, match="is not a folder"):
            write_audio(tone(), path)
    assert_only_old(old)


def test_folder_in_place_of_the_file_is_refused(tmp_path: Path, tone) -> None:
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(AudioError, match="is a folder, a file cannot take its place"):
        write_audio(tone(), tmp_path / "a.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_error_has_the_type_requested_by_the_caller(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ImageError, match="is a folder, a file cannot take its place"):
        write_atomically(tmp_path / "a.png", lambda file: file.write(b"x"), error_type=ImageError)


@on_posix
@formats
def test_too_long_name_is_refused_and_never_truncated(tmp_path: Path, tone, form: str) -> None:
    if form not in available_formats():
        pytest.skip("needs soundfile")
    longest = tmp_path / f"{'é' * ((254 - len(form)) // 2)}{'x' * ((254 - len(form)) % 2)}.{form}"
    assert len(os.fsencode(longest.name)) == 255
    assert write_audio(tone(), longest).is_file()
    longer = longest.with_name("x" + longest.name)
    with pytest.raises(AudioError, match="file name is too long \\(256 bytes"):
        write_audio(tone(), longer)
    assert list(tmp_path.iterdir()) == [longest]


@on_posix
def test_too_long_name_is_refused_before_the_work(tmp_path: Path) -> None:
    work: list[BinaryIO] = []
    with pytest.raises(RiffusionError, match="too long"):
        write_atomically(tmp_path / ("x" * 300), work.append)
    assert work == []


@on_posix
def test_too_long_folder_name_or_path_is_refused(tmp_path: Path, tone) -> None:
    with pytest.raises(AudioError, match="file name is too long \\(300 bytes"):
        write_audio(tone(), tmp_path / ("x" * 300) / "a.wav")
    with pytest.raises(AudioError, match="path is too long \\(5"):
        write_audio(tone(), Path("/" + "x/" * 2600) / "a.wav")


def test_name_with_a_null_character_is_refused(tmp_path: Path, tone) -> None:
    with pytest.raises(AudioError, match="could not be written"):
        write_audio(tone(), tmp_path / "a\0b.wav")
    assert list(tmp_path.iterdir()) == []


@on_posix
def test_names_that_are_not_utf_8_can_be_written(tmp_path: Path, tone) -> None:
    path = tmp_path / os.fsdecode(b"\xff.wav")
    write_audio(tone(), path, tags={"title": path.stem})
    assert read_audio(path).duration == pytest.approx(0.2)


@on_posix
def test_written_files_have_the_default_permissions(tmp_path: Path, tone) -> None:
    umask = os.umask(0o027)
    try:
        assert write_audio(tone(), tmp_path / "a.wav").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(umask)


@on_posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_write_permission_is_reported(tmp_path: Path, tone) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(AudioError, match="the folder cannot be written to"):
        write_audio(tone(), tmp_path / "a.wav")


@on_posix
@formats
def test_file_size_limit_is_reported_and_keeps_the_old_file(tmp_path: Path, tone, form: str) -> None:
    if form not in available_formats():
        pytest.skip("needs soundfile")
    import resource

    path = tmp_path / f"a.{form}"
    path.write_bytes(b"old")
    clip = tone(3.0, channels=2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(AudioError, match="larger than the system allows"):
            write_audio(clip, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_only_old(path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with room for 16 KiB; needs Linux and the right to mount."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(tmp_path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@formats
def test_full_disk_is_reported_and_keeps_the_old_file(small_disk: Path, tone, form: str) -> None:
    if form not in available_formats():
        pytest.skip("needs soundfile")
    path = small_disk / f"a.{form}"
    path.write_bytes(b"old")
    with pytest.raises(AudioError, match="the disk is full"):
        write_audio(tone(3.0, channels=2), path)
    assert_only_old(path)


def test_read_only_disk_is_reported(small_disk: Path, tone) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(AudioError, match="the folder cannot be written to"):
        write_audio(tone(), small_disk / "a.wav")
