"""The folder of uploads: which files are removed and which are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from riffusion_ext.api.access.upload_folder import MIN_AGE_S, UploadFolder
from riffusion_ext.api.errors import ApiError

NOW = 1_000_000.0


def put(path: Path, size: int, age: float) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - age, NOW - age))
    return path


def uploads(folder: Path, most: int) -> UploadFolder:
    return UploadFolder(folder, most, clock=lambda: NOW)


def test_oldest_uploads_are_removed_for_new_ones(tmp_path: Path) -> None:
    oldest, old, young = (
        put(tmp_path / name / "a", 100, age) for name, age in (("b", 3 * MIN_AGE_S), ("a", 2 * MIN_AGE_S), ("c", 1.0))
    )
    uploads(tmp_path, 350).admit(100)
    assert [path.exists() for path in (oldest, old, young)] == [False, True, True]
    uploads(tmp_path, 350).admit(250)
    assert [path.exists() for path in (oldest, old, young)] == [False, False, True]
    with pytest.raises(ApiError, match="have 100 bytes, there is room for 350") as caught:
        uploads(tmp_path, 350).admit(251)
    assert caught.value.status == 503
    assert young.exists()


def test_uploads_in_progress_count_towards_the_limit(tmp_path: Path) -> None:
    folder = uploads(tmp_path, 100)
    first = folder.admit(60)
    with pytest.raises(ApiError):
        folder.admit(60)
    folder.release(first)
    folder.admit(60)


def test_upload_that_would_fill_the_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="try again later"):
        uploads(tmp_path, 1 << 60).admit(1 << 59)


def test_abandoned_partial_uploads_are_removed(tmp_path: Path) -> None:
    mark, rest, late = (put(tmp_path / name, 1, age) for name, age in ((".mark", 99.0), ("tmp1", 9.0), ("tmp2", -9.0)))
    whole = put(tmp_path / "id" / "a", 1, 99.0)
    folder = uploads(tmp_path, 100)
    first, second = folder.admit(1), folder.admit(1)
    folder.release(first)
    assert [path.exists() for path in (mark, rest, late, whole)] == [True, False, True, True]
    folder.release(second)
    assert [path.exists() for path in (mark, rest, late, whole)] == [True, False, False, True]
