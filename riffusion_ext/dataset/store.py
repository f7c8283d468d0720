"""The folder of a training set.

::

    OUT/pictures/         what a trainer gets: kept images and their captions
    OUT/rejected/         images that were left out
    OUT/manifest.json     every window with its source, reasons and parameters; manifest.csv for spreadsheets
    OUT/review.json       what the user decided; read, never thrown away
    OUT/.riffusion/       workings: images that were not yet judged, one record a song, the lock

Every file appears whole or not at all, so a run that is cut off anywhere goes on where it was.
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
from typing import Any

import numpy as np

from riffusion_ext.dataset.analysis.features import Features
from riffusion_ext.dataset.export import ledger
from riffusion_ext.dataset.slicing.slice_song import SongRecord
from riffusion_ext.dataset.songs import WORKINGS
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import remove_leftovers, write_atomically
from riffusion_ext.files.regular import read_regular
from riffusion_ext.validation.json_text import loads
from riffusion_ext.validation.names import bare_name, check_folders, is_bare, is_link, is_relative
from riffusion_ext.validation.numbers import MAX_CHARACTERS, read_float
from riffusion_ext.validation.typed import read_fields

__all__ = ["LARGEST_JSON", "Store", "record_key"]

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # of members of archives, which would else tell when they were written
_FORMAT = 3  # of the records: another whenever one of their features means something else
LARGEST_JSON = 1 << 28
"""Bytes of a file of a training set; a hundred thousand windows take a fifth of it."""

_LARGEST_RECORD = 1 << 28
_OURS = re.compile(r".+_[0-9]{8,}_[0-9a-f]{12}\.png")  # as cut_song names images; a user's own stay where they are


class Store:
    """Files of a training set below one folder.

    Parameters
    ----------
    out
        The folder.

    Raises
    ------
    RiffusionError
        A folder in it is a link: a set of somebody else could have this one write and remove files anywhere.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.images, self.rejected = out / "pictures", out / "rejected"
        self.workings = out / WORKINGS
        self.fresh, self._songs = self.workings / "fresh", self.workings / "songs"
        self._stop = self.workings / "stop"
        for path in (self.images, self.rejected, self.fresh, self._songs, out / ledger.FOLDER, *self._others()):
            check_folders(out, path)

    def _others(self) -> Iterator[Path]:
        yield from (self.workings / name for name in ("heard", "lock", "loudest", "stems", "thumbnails"))
        yield from (self.out / name for name in ("audio", "kohya"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other run out of the folder; the system lets go of the lock if this one is killed.

        Raises
        ------
        RiffusionError
            Another run has it, or the folder cannot be written to.
        """
        from filelock import FileLock, Timeout  # torch needs it, so it is wherever torch is

        try:
            self.fresh.mkdir(parents=True, exist_ok=True)
            self._songs.mkdir(exist_ok=True)
            lock = FileLock(self.workings / "lock", timeout=0)
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
                self._clean()  # workers that were stopped in the middle
            lock.release()

    def _clean(self) -> None:
        """Remove what runs that were killed had begun to write."""
        for folder in (self.out, self.images, self.rejected, self.workings, self.out / ledger.FOLDER):
            remove_leftovers(folder)
        for parent in (self.workings, self.out / "kohya", self.out / "audio"):
            for folder in (parent, *parent.glob("*/")):
                if not is_link(folder):
                    remove_leftovers(folder)

    def stop(self) -> None:
        """Ask all workers of the present run to stop, on whatever machine they are."""
        with suppress(OSError):  # the folder is gone, and they with it
            self._stop.touch()

    @property
    def stop_wanted(self) -> bool:
        """Whether the present run shall end."""
        return self._stop.exists()

    # -- songs

    @property
    def has_records(self) -> bool:
        """Whether anything is known of any song."""
        return self._songs.is_dir() and any(self._songs.iterdir())

    def record_of(self, key: str) -> SongRecord | None:
        """Return what is known of a song, unless it is missing, damaged, or one of its images is gone."""
        try:
            data = read_regular(self._songs / f"{key}.npz", _LARGEST_RECORD)  # np.load leaves a damaged file open
            with zipfile.ZipFile(io.BytesIO(data)) as packed:
                if sum(item.file_size for item in packed.infolist()) > _LARGEST_RECORD:
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

    def keep_record(self, key: str, record: SongRecord) -> None:
        """Write down what became of a song."""
        values = {item.name: getattr(record, item.name) for item in fields(record) if item.name != "features"}
        text = json.dumps({**values, "format": _FORMAT}, allow_nan=True).encode()
        arrays = {**record.features.to_arrays(), "record": np.frombuffer(text, np.uint8)}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in arrays.items():
                member = io.BytesIO()
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy", _LONG_AGO), member.getvalue(), zipfile.ZIP_DEFLATED)
        write_atomically(self._songs / f"{key}.npz", lambda file: file.write(buffer.getvalue()))

    def loudest_of(self, key: str) -> float | None:
        """Return the largest mel magnitude of a song, where an earlier run found it."""
        try:
            return read_float(read_regular(self.workings / "loudest" / f"{key}.txt", MAX_CHARACTERS).decode("ascii"))
        except (OSError, ValueError):
            return None

    def keep_loudest(self, key: str, loudest: float) -> None:
        """Write down the largest mel magnitude of a song: finding it takes a whole pass over the file."""
        data = repr(loudest).encode("ascii")
        write_atomically(self.workings / "loudest" / f"{key}.txt", lambda file: file.write(data))

    # -- images

    def find(self, file: str) -> Path | None:
        """Return where an image is; links to files elsewhere are none.

        Raises
        ------
        RiffusionError
            It is no name of a file.
        """
        bare_name(file, "an image")
        for folder in (self.images, self.rejected, self.fresh):
            path = folder / file
            if path.is_file() and not is_link(path):
                return path
        return None

    def place(self, file: str, *, kept: bool) -> Path:
        """Put an image among the kept or the rejected ones; its caption follows it out of the way.

        Raises
        ------
        RiffusionError
            It is gone, or cannot be moved.
        """
        found = self.find(file)
        target = (self.images if kept else self.rejected) / file
        if found is None:
            raise RiffusionError(f"the image {file} is gone from {self.out}")
        if found != target:
            with suppress(OSError):  # first, lest a run that is killed in between leaves a caption without its image
                found.with_suffix(".txt").unlink()
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                found.replace(target)
            except OSError as error:
                raise RiffusionError(f"{found} cannot be moved to {target.parent}: {error.strerror}") from error
        return target

    def drop_caption(self, file: str) -> None:
        """Remove the text beside a kept image, whoever wrote it."""
        with suppress(OSError):
            (self.images / bare_name(file, "an image")).with_suffix(".txt").unlink()

    def forget_others(self, files: Collection[str]) -> None:
        """Move our images but these out of the training set, to the rejected ones: no song has them any more."""
        for path in sorted(self.images.glob("*.png")):
            if path.name not in files and _OURS.fullmatch(path.name) and not is_link(path):
                self.place(path.name, kept=False)

    def empty_fresh(self) -> None:
        """Remove images that belong to no record: of songs that were cut half, or cut again."""
        for path in self.fresh.glob("*.png"):
            with suppress(OSError):
                path.unlink()

    # -- texts

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the folder; {} where there is none.

        Raises
        ------
        RiffusionError
            It is damaged: it may hold the user's work and must not be written over.
        """
        path = self.out / name
        try:
            values = loads(read_regular(path, LARGEST_JSON))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise RiffusionError(f"{path} cannot be read ({why}); repair it or move it away") from error
        if not isinstance(values, dict):
            raise RiffusionError(f"{path} must hold a JSON object; repair it or move it away")
        return values

    def write_json(self, name: str, values: Mapping[str, Any]) -> Path:
        """Write a JSON file of the folder."""
        text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
        return self.write_text(name, text)

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file of the folder, unless it holds that text already."""
        path, data = self.out / name, text.encode("utf-8", "backslashreplace")  # names need not be UTF-8
        with suppress(OSError):
            if read_regular(path) == data:
                return path
        return write_atomically(path, lambda file: file.write(data))


def record_key(name: str, digest: str, fingerprint: str, max_value: float | None) -> str:
    """Return the name of a song's record: another one whenever the song or its images would be others."""
    text = f"{name}\n{digest}\n{fingerprint}\n{max_value!r}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
