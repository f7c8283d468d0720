"""Files that were uploaded to a page. Any other path is refused.

A browser sends the *path* of a file that it has uploaded. A forged request can name any file of the machine, or a URL,
and gradio 3 copies the file before it calls the function of the page; so does a later gradio that is mounted into
another application. Hence :func:`check_uploaded` is called twice: by the components of :func:`restrict_to_uploads`
before gradio reads the path, and by :func:`uploads_of` before a page does.
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

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.gradio_types import Component, Value

__all__ = ["Upload", "check_uploaded", "restrict_to_uploads", "upload_folder", "uploads_of"]


@dataclass(frozen=True)
class Upload:
    """An uploaded file, and its name on the user's machine."""

    path: Path
    name: str

    @property
    def source(self) -> Path:
        """Path with the user's file name, from which names of results are made."""
        return self.path.with_name(self.name) if self.path.name == self.name else Path(self.name)


def upload_folder() -> Path:
    """Return the folder in which every version of gradio stores uploads and its copies of results."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio").absolute()


def check_uploaded(path: object) -> Path:
    """Return a path if it is that of an uploaded file.

    Raises
    ------
    RiffusionError
        The path is outside the upload folder, leads through a link, is a URL, or names no regular file.
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
    except (OSError, ValueError, RuntimeError):  # missing, outside the folder, a null byte, a loop of links
        raise refusal from None
    return full


def _name(path: object) -> str:
    """Return the last part of a path: enough to recognize one's own file, without folders of the server."""
    return repr(str(path).replace("\\", "/").rsplit("/", 1)[-1][:80])


def uploads_of(value: object) -> list[Upload]:
    """Return the uploads in a value of a File component: None, a single file or a list.

    Raises
    ------
    RiffusionError
        A file was not uploaded. None is read then.
    """
    items = value if isinstance(value, list) else [value] if value is not None else []
    return [_upload(item) for item in items]


def _upload(value: object) -> Upload:
    # gradio 3 passes a wrapper with both names, later versions a str that may have the attributes.
    path = check_uploaded(str(getattr(value, "name", value)))
    return Upload(path, Path(str(getattr(value, "orig_name", None) or path.name)).name)


@cache
def restrict_to_uploads(kind: Component) -> Component:
    """Derive a class from File or Image that refuses files that were not uploaded before gradio reads them."""

    def preprocess(self: Component, payload: object) -> Value:
        for path in _paths(payload):
            _check(path)
        value = kind.preprocess(self, payload)
        if isinstance(value, str) and getattr(self, "type", "") == "pil":  # gradio 4 passes an SVG as a path
            _refuse("SVG images cannot be used here: choose a PNG, JPEG or WebP.")
        return value

    # gradio 4 and later copy a file into their folder, or download a URL, before they call preprocess.
    def move(self: Component, path: object) -> object:
        return kind.move_resource_to_block_cache(self, _check(path))

    async def move_async(self: Component, path: object) -> object:
        return await kind.async_move_resource_to_block_cache(self, _check(path))

    body: dict[str, object] = {"__module__": kind.__module__, "__doc__": kind.__doc__, "preprocess": preprocess}
    if hasattr(kind, "async_move_resource_to_block_cache"):
        body |= {"move_resource_to_block_cache": move, "async_move_resource_to_block_cache": move_async}
    # Without a class statement: at each, gradio 4 and later write a .pyi file beside the module.
    return ABCMeta.__new__(type(kind) if issubclass(type(kind), ABCMeta) else ABCMeta, kind.__name__, (kind,), body)


def _check(path: object) -> object:
    if path is not None:
        try:
            check_uploaded(path)
        except RiffusionError as error:
            _refuse(str(error))
    return path


def _refuse(text: str) -> None:
    import gradio as gr

    raise gr.Error(text)


def _paths(payload: Value) -> Iterator[object]:
    """Yield all paths in the value of a component, as the browser sent it or after gradio has parsed it."""
    if isinstance(payload, (list, tuple)):
        for item in payload:
            yield from _paths(item)
    elif isinstance(payload, dict):
        if payload.get("is_file"):  # gradio 3; otherwise the data are included
            yield payload.get("name", "")
        yield from (payload[name] for name in ("path",) if payload.get(name) is not None)
    elif hasattr(payload, "root"):  # a list of files in gradio 4 and later
        yield from _paths(payload.root)
    elif getattr(payload, "path", None) is not None:
        yield payload.path
