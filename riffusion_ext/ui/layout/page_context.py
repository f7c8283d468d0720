"""The environment of the pages, and what all of them need: folders of results, uploads, links, messages."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from riffusion_ext.convert import Result
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.files.paths import expand
from riffusion_ext.library import LIBRARY
from riffusion_ext.services.model_provider import ModelProvider, NoModel
from riffusion_ext.ui.gradio_types import Component
from riffusion_ext.ui.players import message
from riffusion_ext.ui.uploads import Upload, uploads_of

__all__ = [
    "PageContext",
    "Upload",
    "chosen_files",
    "media_url",
    "named_error",
    "parse_folder",
    "result_messages",
    "zip_or_remove",
]

_MAX_MESSAGES = 12
_NO_MODEL = "Songs, riffs and loops need a model: open this page inside a webui, or start it with --webui."


def media_url(path: Path) -> str:
    """Return the URL of a new file, relative to the page. It has an id of the library instead of a path."""
    return LIBRARY.add(path, title=path.stem, duration=0.0).url


@dataclass(frozen=True)
class PageContext:
    """Where the pages run.

    Parameters
    ----------
    output_dir
        Returns the folder for results; called at every press, as a webui's settings may change.
    url_of
        Returns the URL of a new file.
    device
        Returns the name of the torch device.
    subtype
        Returns the sample format of WAV and FLAC files, see :func:`~riffusion_ext.audio.io.write_audio`.
    folders
        Whether users may name folders of the machine on which the server runs.
    model
        Generates images.
    notice
        One sentence above all pages; "" for none.
    receive
        Called with an Image component that can receive images from the webui's galleries, and its name.
    send
        Connects a button that sends the image of an Image component to img2img; None without img2img.
    send_text
        Connects a button that sends the generation parameters in a Textbox component to txt2img; None without txt2img.
    """

    output_dir: Callable[[], Path]
    url_of: Callable[[Path], str] = media_url
    device: Callable[[], str] = lambda: "auto"
    subtype: Callable[[], str] = lambda: "pcm16"
    folders: bool = True
    model: ModelProvider = field(default_factory=NoModel)
    notice: str = ""
    receive: Callable[[str, Component], None] = lambda name, component: None
    send: Callable[[Component, Component], None] | None = None
    send_text: Callable[[Component, Component], None] | None = None

    def model_name(self) -> str:
        """Return the name of the model; "" without one."""
        return self.model.backend().name if self.model.available else ""

    def no_model(self) -> str:
        """Return one sentence on why there is no model."""
        return self.model.unavailable_reason or _NO_MODEL

    def new_folder(self, kind: str) -> Path:
        """Create a folder for the results of one press: ``<output_dir>/sounds/2024-05-17_16-04-09``."""
        parent = self.output_dir() / kind
        name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        for number in range(1, 1000):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                if parent.is_dir():
                    continue
                raise RiffusionError(f"cannot make a folder for the results: {parent} is a file") from None
            except OSError as error:
                raise RiffusionError(f"cannot make a folder for the results: {error.strerror}: {folder}") from None
            return folder
        raise RiffusionError(f"cannot make a folder for the results in {parent}")


def chosen_files(
    files: object, folder: str | None, suffixes: Iterable[str], skipped: list[Path] | None = None
) -> tuple[list[Upload], list[str]]:
    """Return the chosen files of a page, and an error message for each name that was not found.

    Parameters
    ----------
    files
        Value of a File component: None, a single file or a list.
    folder
        Folder or pattern on the server, or blank.
    suffixes
        Suffixes of the files that are taken from a folder.
    skipped
        List to which skipped files of the folder are appended.

    Raises
    ------
    RiffusionError
        There are no files, or a file was not uploaded.
    """
    uploads = uploads_of(files)
    missing: list[str] = []
    if folder and folder.strip():
        found, not_found = expand([folder.strip().strip('"')], suffixes, passed=skipped)
        uploads += [Upload(path, path.name) for path in found]
        missing = [why for _, why in not_found]
    if not uploads:
        raise RiffusionError(" ".join(missing) or "Nothing to do yet: choose files first.")
    return uploads, missing


def parse_folder(text: str) -> Path:
    """Return the absolute path of a folder that a user typed or pasted, without quotes around it.

    Raises
    ------
    RiffusionError
        It begins with ``~`` and an unknown user.
    """
    path = Path(text.strip().strip("\"'"))
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise RiffusionError(f"there is no user for the folder {path}") from None


def result_messages(results: Sequence[Result], names: dict[Path, str]) -> list[str]:
    """Return errors and notes of results as HTML, with the user's file names, at most :data:`_MAX_MESSAGES`."""
    lines: list[tuple[str, str]] = []
    for result in results:
        name = names.get(result.source, result.source.name)
        if result.error:
            lines.append((named_error(name, result.source, result.error), "error"))
        lines += [(f"{name}: {note}", "info") for note in result.notes]
    lines.sort(key=lambda line: line[1] != "error")
    shown = [message(text, kind) for text, kind in lines[:_MAX_MESSAGES]]
    if len(lines) > _MAX_MESSAGES:
        shown.append(message(f"... and {len(lines) - _MAX_MESSAGES} more of these.", "info"))
    return shown


def named_error(name: str, path: Path, error: str) -> str:
    """Return an error message with the user's file name in place of the path on the server."""
    text = error.replace(str(path), path.name).replace(path.name, name)
    return text if name in text else f"{name}: {text}"


def zip_or_remove(paths: Sequence[Path], folder: Path, name: str) -> tuple[Path | None, list[str]]:
    """Write the files of a press into one zip archive, or remove the folder if there are none.

    The archive is not compressed, as images and sound files are already.

    Returns
    -------
    archive
        Path of the archive; None for fewer than two files, or if it cannot be written.
    errors
        Error messages as HTML. The files exist in any case.
    """
    if len(paths) < 2:
        if not paths:
            with suppress(OSError):  # an empty folder does no harm
                folder.rmdir()
        return None, []

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for path in paths:
                archive.write(path, path.name)

    try:
        return write_atomically(folder / name, write), []
    except RiffusionError as error:
        return None, [message(f"There is no archive of all files: {error}", "error")]
