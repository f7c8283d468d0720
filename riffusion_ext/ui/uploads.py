"""What a page takes from a browser: files that were uploaded to it, and nothing else.

A browser sends the *path* of a file that it has uploaded. Whoever writes such a request by hand can name any file, or
an address in a network, and gradio 3 copies the file before the function of the page is called; so does a later gradio
that was mounted into another application. Hence two checks with one rule, :func:`check_uploaded`: the components of
:func:`restrict_to_uploads` refuse such a path before gradio touches it, and :func:`uploads_of` before a page does.
"""

from __future__ import annotations

import os
import stat
import tempfile
from abc import ABCMeta
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from riffusion_ext.errors import RiffusionError

__all__ = ["Upload", "check_uploaded", "restrict_to_uploads", "upload_folder", "uploads_of"]


@dataclass(frozen=True)
class Upload:
    """A file to work on, and the name its user knows it by."""

    path: Path
    name: str

    @property
    def source(self) -> Path:
        """What results are named after: the file by its user's name for it."""
        return self.path.with_name(self.name) if self.path.name == self.name else Path(self.name)


def upload_folder() -> Path:
    """Return the folder where every gradio keeps what was uploaded, and its own copies of results."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio").absolute()


def check_uploaded(path: object) -> Path:
    """Return the path of a file that was uploaded.

    Raises
    ------
    RiffusionError
        It is none: it lies elsewhere, is reached by a link, is no regular file, or is an address.
    """
    folder = upload_folder()
    refusal = RiffusionError(f"this file was not uploaded to this page: {_name(path)}")
    if not isinstance(path, (str, os.PathLike)):
        raise refusal
    try:
        full = Path(os.path.abspath(path))  # noqa: PTH100 - without "..", which absolute() leaves in
        real = folder.resolve()
        base = folder if full.is_relative_to(folder) else real
        if full.resolve(strict=True) != real / full.relative_to(base) or not stat.S_ISREG(full.lstat().st_mode):
            raise refusal
    except (OSError, ValueError, RuntimeError):  # not there, not below the folder, a null byte, a circle of links
        raise refusal from None
    return full


def _name(path: object) -> str:
    """Return the last part of what was named: enough to recognize one's own file by, and nothing is given away."""
    return repr(str(path).replace("\\", "/").rsplit("/", 1)[-1][:80])


def uploads_of(value: Any) -> list[Upload]:
    """Return the files of a File component's value: None, a single file or a list.

    Raises
    ------
    RiffusionError
        One of them was not uploaded; none is read then.
    """
    listed = value if isinstance(value, list) else [value] if value is not None else []
    return [_upload(item) for item in listed]


def _upload(value: Any) -> Upload:
    # gradio 3 gives a wrapper with both names, later ones a str with its attributes.
    path = check_uploaded(str(getattr(value, "name", value)))
    return Upload(path, Path(str(getattr(value, "orig_name", None) or path.name)).name)


@cache
def restrict_to_uploads(kind: Any) -> Any:
    """Return the class of a component, File or Image, that refuses what was not uploaded before gradio touches it."""

    def preprocess(self: Any, payload: Any) -> Any:
        for path in _paths(payload):
            _check(path)
        value = kind.preprocess(self, payload)
        if isinstance(value, str) and getattr(self, "type", "") == "pil":  # gradio 4 hands on an SVG as a path
            _refuse("SVG images cannot be used here: choose a PNG, JPEG or WebP.")
        return value

    # gradio 4 and later move a file into their folder, or fetch an address, before they call preprocess.
    def move(self: Any, path: Any) -> Any:
        return kind.move_resource_to_block_cache(self, _check(path))

    async def move_async(self: Any, path: Any) -> Any:
        return await kind.async_move_resource_to_block_cache(self, _check(path))

    body: dict[str, Any] = {"__module__": kind.__module__, "__doc__": kind.__doc__, "preprocess": preprocess}
    if hasattr(kind, "async_move_resource_to_block_cache"):
        body |= {"move_resource_to_block_cache": move, "async_move_resource_to_block_cache": move_async}
    # Not by a class statement: at each, gradio 4 and later write a .pyi file beside the module it stands in.
    return ABCMeta.__new__(type(kind) if issubclass(type(kind), ABCMeta) else ABCMeta, kind.__name__, (kind,), body)


def _check(path: Any) -> Any:
    if path is not None:
        try:
            check_uploaded(path)
        except RiffusionError as error:
            _refuse(str(error))
    return path


def _refuse(why: str) -> None:
    import gradio as gr

    raise gr.Error(why)


def _paths(payload: Any) -> Iterator[Any]:
    """All paths in what a browser sent as the value of a component, before gradio has looked at it or after."""
    if isinstance(payload, (list, tuple)):
        for item in payload:
            yield from _paths(item)
    elif isinstance(payload, dict):
        if payload.get("is_file"):  # gradio 3; else the file itself is in it
            yield payload.get("name", "")
        yield from (payload[name] for name in ("path",) if payload.get(name) is not None)
    elif hasattr(payload, "root"):  # a list of files in gradio 4 and later
        yield from _paths(payload.root)
    elif getattr(payload, "path", None) is not None:
        yield payload.path
