"""The folder of a training set.

::

    OUT/pictures/         for the trainer: kept images and their captions
    OUT/rejected/         rejected images
    OUT/manifest.json     every window with its source, reasons and parameters; manifest.csv for spreadsheets
    OUT/review.json       the user's decisions; never discarded
    OUT/.riffusion/       work folder: images not yet curated, one record per song, the lock

Every file is written atomically, so an interrupted run resumes where it was.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path

import numpy as np

from riffusion_ext.dataset.analysis.features import Features
from riffusion_ext.dataset.export import ledger
from riffusion_ext.dataset.slicing.slice_song import SongRecord
from riffusion_ext.dataset.songs import WORK_FOLDER
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import remove_leftovers, write_atomically
from riffusion_ext.files.regular import read_regular
from riffusion_ext.validation.json_text import loads
from riffusion_ext.validation.names import bare_name, check_folders, is_bare, is_link, is_relative
from riffusion_ext.validation.numbers import MAX_CHARACTERS, read_float
from riffusion_ext.validation.typed import read_fields

__all__ = ["MAX_JSON_BYTES", "Store", "record_key"]

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # timestamp of archive members, so that archives are reproducible
_FORMAT = 3  # version of the records; raise it when a feature changes its meaning
MAX_JSON_BYTES = 1 << 28
"""Maximum size of a JSON file of a training set; a hundred thousand windows take a fifth of it."""

_MAX_RECORD_BYTES = 1 << 28
# As slice_song names images; the user's own images are left alone.
_GENERATED_NAME = re.compile(r".+_[0-9]{8,}_[0-9a-f]{12}\.png")


class Store:
    """Files of a training set below one folder.

    Parameters
    ----------
    out
        Folder of the training set.

    Raises
    ------
    RiffusionError
        A folder in it is a link: a foreign training set could make us write and remove files anywhere.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.images, self.rejected = out / "pictures", out / "rejected"
        self.work_folder = out / WORK_FOLDER
        self.fresh, self._songs = self.work_folder / "fresh", self.work_folder / "songs"
        self._stop = self.work_folder / "stop"
        for path in (self.images, self.rejected, self.fresh, self._songs, out / ledger.FOLDER, *self._other_folders()):
            check_folders(out, path)

    def _other_folders(self) -> Iterator[Path]:
        yield from (self.work_folder / name for name in ("heard", "lock", "loudest", "stems", "thumbnails"))
        yield from (self.out / name for name in ("audio", "kohya"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other runs; the system releases the lock if this process is killed.

        Raises
        ------
        RiffusionError
            Another run holds the lock, or the folder cannot be written to.
        """
        from filelock import FileLock, Timeout  # torch needs it, so it is wherever torch is

        try:
            self.fresh.mkdir(parents=True, exist_ok=True)
            self._songs.mkdir(exist_ok=True)
            lock = FileLock(self.work_folder / "lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise RiffusionError(
                f"another run is working in {self.out}; wait for its end or choose another folder"
            ) from None
        except OSError as error:
            raise RiffusionError(f"{self.out} cannot be written to: {error.strerror or error}") from error
        try:
            with suppress(OSError):
                self._stop.unlink()
            self._clean()
            yield
        finally:
            with suppress(OSError):
                self._stop.unlink()
            with suppress(OSError):
                self._clean()  # leftovers of workers that were stopped
            lock.release()

    def _clean(self) -> None:
        """Remove temporary files of killed runs."""
        for folder in (self.out, self.images, self.rejected, self.work_folder, self.out / ledger.FOLDER):
            remove_leftovers(folder)
        for parent in (self.work_folder, self.out / "kohya", self.out / "audio"):
            for folder in (parent, *parent.glob("*/")):
                if not is_link(folder):
                    remove_leftovers(folder)

    def stop(self) -> None:
        """Ask all workers of the current run to stop, on any machine."""
        with suppress(OSError):  # the folder is gone, and so are the workers
            self._stop.touch()

    @property
    def stop_requested(self) -> bool:
        """Whether the current run was asked to stop."""
        return self._stop.exists()

    # -- songs

    @property
    def has_records(self) -> bool:
        """Whether any song has a record."""
        return self._songs.is_dir() and any(self._songs.iterdir())

    def load_record(self, key: str) -> SongRecord | None:
        """Load the record of a song; None if it is missing or damaged, or one of its images is gone."""
        try:
            data = read_regular(self._songs / f"{key}.npz", _MAX_RECORD_BYTES)  # np.load leaves a damaged file open
            with zipfile.ZipFile(io.BytesIO(data)) as packed:
                if sum(item.file_size for item in packed.infolist()) > _MAX_RECORD_BYTES:
                    return None
            with np.load(io.BytesIO(data)) as archive:
                arrays = {name: archive[name] for name in archive.files}
            values = loads(bytes(arrays.pop("record")), finite=False)  # silence has a loudness of -inf
            if values.pop("format") != _FORMAT:
                return None
            values = read_fields(SongRecord, values, finite=False)
            record = SongRecord(**values, features=Features.from_arrays(arrays))
            lengths = {len(part) for part in (record.files, record.starts, record.blacks, record.features)}
            if len(lengths) > 1 or not is_relative(record.name) or not all(map(is_bare, record.files)):
                return None
        except Exception:  # damaged archives raise errors of many kinds
            return None
        return record if all(self.find(file) for file in record.files) else None

    def save_record(self, key: str, record: SongRecord) -> None:
        """Save the record of a song."""
        values = {item.name: getattr(record, item.name) for item in fields(record) if item.name != "features"}
        text = json.dumps({**values, "format": _FORMAT}, allow_nan=True).encode()
        arrays = {**record.features.to_arrays(), "record": np.frombuffer(text, np.uint8)}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in arrays.items():
                member = io.BytesIO()
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy", _ZIP_EPOCH), member.getvalue(), zipfile.ZIP_DEFLATED)
        write_atomically(self._songs / f"{key}.npz", lambda file: file.write(buffer.getvalue()))

    def load_loudest(self, key: str) -> float | None:
        """Load the largest mel magnitude of a song; None if no earlier run saved it."""
        try:
            return read_float(read_regular(self.work_folder / "loudest" / f"{key}.txt", MAX_CHARACTERS).decode("ascii"))
        except (OSError, ValueError):
            return None

    def save_loudest(self, key: str, loudest: float) -> None:
        """Save the largest mel magnitude of a song, since finding it takes a whole pass over the file."""
        data = repr(loudest).encode("ascii")
        write_atomically(self.work_folder / "loudest" / f"{key}.txt", lambda file: file.write(data))

    # -- images

    def find(self, file: str) -> Path | None:
        """Return the path of an image; None if it is missing or a link.

        Raises
        ------
        RiffusionError
            The name is not a plain file name.
        """
        bare_name(file, "an image")
        for folder in (self.images, self.rejected, self.fresh):
            path = folder / file
            if path.is_file() and not is_link(path):
                return path
        return None

    def place(self, file: str, *, kept: bool) -> Path:
        """Move an image to the kept or the rejected ones, and remove its caption file if it moves.

        Raises
        ------
        RiffusionError
            The image is gone, or cannot be moved.
        """
        found = self.find(file)
        target = (self.images if kept else self.rejected) / file
        if found is None:
            raise RiffusionError(f"the image {file} is gone from {self.out}")
        if found != target:
            with suppress(OSError):  # first, so that a killed run leaves no caption without its image
                found.with_suffix(".txt").unlink()
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                found.replace(target)
            except OSError as error:
                raise RiffusionError(f"{found} cannot be moved to {target.parent}: {error.strerror}") from error
        return target

    def drop_caption(self, file: str) -> None:
        """Remove the text file beside a kept image, whoever wrote it."""
        with suppress(OSError):
            (self.images / bare_name(file, "an image")).with_suffix(".txt").unlink()

    def reject_others(self, files: Collection[str]) -> None:
        """Move all other generated images from the kept to the rejected ones: no song has them any more."""
        for path in sorted(self.images.glob("*.png")):
            if path.name not in files and _GENERATED_NAME.fullmatch(path.name) and not is_link(path):
                self.place(path.name, kept=False)

    def clear_fresh(self) -> None:
        """Remove images that belong to no record: of songs that were sliced in part, or sliced again."""
        for path in self.fresh.glob("*.png"):
            with suppress(OSError):
                path.unlink()

    # -- texts

    def read_json(self, name: str) -> dict[str, object]:
        """Read a JSON object from the folder; {} if there is no file.

        Raises
        ------
        RiffusionError
            The file is damaged. It may hold the user's work, so it must not be overwritten.
        """
        path = self.out / name
        try:
            values = loads(read_regular(path, MAX_JSON_BYTES))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise RiffusionError(f"{path} cannot be read ({why}); repair it or move it away") from error
        if not isinstance(values, dict):
            raise RiffusionError(f"{path} must hold a JSON object; repair it or move it away")
        return values

    def write_json(self, name: str, values: Mapping[str, object]) -> Path:
        """Write a JSON file to the folder."""
        text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
        return self.write_text(name, text)

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file to the folder, unless it already has that content."""
        path, data = self.out / name, text.encode("utf-8", "backslashreplace")  # names need not be UTF-8
        with suppress(OSError):
            if read_regular(path) == data:
                return path
        return write_atomically(path, lambda file: file.write(data))


def record_key(name: str, digest: str, fingerprint: str, max_value: float | None) -> str:
    """Return the key of a song's record: a hash of its name, its bytes and all that determines its images."""
    text = f"{name}\n{digest}\n{fingerprint}\n{max_value!r}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
