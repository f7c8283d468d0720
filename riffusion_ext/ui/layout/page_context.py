"""Where the pages run, and what all of them need: folders for results, uploaded files, links, messages."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from riffusion_ext.convert import Result
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.files.paths import expand
from riffusion_ext.library import LIBRARY
from riffusion_ext.services.model_provider import ModelProvider, NoModel
from riffusion_ext.ui.players import message
from riffusion_ext.ui.uploads import Upload, uploaded

__all__ = [
    "PageContext",
    "Upload",
    "chosen_files",
    "media_url",
    "named_error",
    "named_folder",
    "result_messages",
    "zip_or_tidy",
]

_MOST_MESSAGES = 12
_NO_MODEL = "Songs, riffs and loops need a model: open this page inside a webui, or start it with --webui."


def media_url(path: Path) -> str:
    """Return the URL of a file that was just made, relative to the page: an id of our own, which names no file."""
    return LIBRARY.add(path, title=path.stem, duration=0.0).url


@dataclass(frozen=True)
class PageContext:
    """Where the pages run.

    Parameters
    ----------
    output_dir
        Returns the folder for results; asked anew at every press, as a webui's settings may change.
    serve
        Returns the URL of a file that was just written.
    device
        Returns the torch device to use.
    subtype
        Returns the resolution of WAV and FLAC files, see :func:`~riffusion_ext.audio.io.write_audio`.
    folders
        Whether users may name folders of the machine the server runs on.
    model
        What generates images there.
    notice
        One sentence that stands above all pages; none where it is empty.
    receive
        Called with the name of an Image component and the component, which may be given images from elsewhere.
    send
        Lets a button send the image of an Image component to img2img; None where there is no such place.
    send_text
        Lets a button send the generation parameters in a Textbox component to txt2img; None as before.
    """

    output_dir: Callable[[], Path]
    serve: Callable[[Path], str] = media_url
    device: Callable[[], str] = lambda: "auto"
    subtype: Callable[[], str] = lambda: "pcm16"
    folders: bool = True
    model: ModelProvider = field(default_factory=NoModel)
    notice: str = ""
    receive: Callable[[str, Any], None] = lambda name, component: None
    send: Callable[[Any, Any], None] | None = None
    send_text: Callable[[Any, Any], None] | None = None

    def model_name(self) -> str:
        """Return the name of the model; empty where there is none."""
        return self.model.backend().name if self.model.available else ""

    def no_model(self) -> str:
        """Return one sentence why there is no model."""
        return self.model.unavailable_reason or _NO_MODEL

    def new_folder(self, kind: str) -> Path:
        """Make and return a new folder for the results of one press: ``<output_dir>/sounds/2024-05-17_16-04-09``."""
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
    files: Any, folder: str | None, suffixes: Iterable[str], passed: list[Path] | None = None
) -> tuple[list[Upload], list[str]]:
    """Return the files a page was given, and sentences about what was not found.

    Parameters
    ----------
    files
        Value of a File component: None, a single file or a list.
    folder
        Folder or pattern on the server, or blank.
    suffixes
        What is taken from a folder.
    passed
        Gets the files of the folder that were passed over.

    Raises
    ------
    RiffusionError
        There is nothing at all to work on, or a file was not uploaded.
    """
    uploads = uploaded(files)
    missing: list[str] = []
    if folder and folder.strip():
        found, absent = expand([folder.strip().strip('"')], suffixes, passed=passed)
        uploads += [Upload(path, path.name) for path in found]
        missing = [why for _, why in absent]
    if not uploads:
        raise RiffusionError(" ".join(missing) or "Nothing to do yet: choose files first.")
    return uploads, missing


def named_folder(text: str) -> Path:
    """Return the folder that a user named, in full; quotes around it, as file managers copy them, are taken off.

    Raises
    ------
    RiffusionError
        It begins with ``~`` and the name of nobody.
    """
    path = Path(text.strip().strip("\"'"))
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise RiffusionError(f"there is no user for the folder {path}") from None


def result_messages(results: Sequence[Result], names: dict[Path, str]) -> list[str]:
    """Return the errors and notes of results as HTML, each named as the user knows it; many are cut short."""
    lines: list[tuple[str, str]] = []
    for result in results:
        name = names.get(result.source, result.source.name)
        if result.error:
            lines.append((named_error(name, result.source, result.error), "error"))
        lines += [(f"{name}: {note}", "info") for note in result.notes]
    lines.sort(key=lambda line: line[1] != "error")
    shown = [message(text, kind) for text, kind in lines[:_MOST_MESSAGES]]
    if len(lines) > _MOST_MESSAGES:
        shown.append(message(f"... and {len(lines) - _MOST_MESSAGES} more of these.", "info"))
    return shown


def named_error(name: str, path: Path, error: str) -> str:
    """Return an error's sentence with the name the user knows instead of the server's path."""
    text = error.replace(str(path), path.name).replace(path.name, name)
    return text if name in text else f"{name}: {text}"


def zip_or_tidy(paths: Sequence[Path], folder: Path, name: str) -> tuple[Path | None, list[str]]:
    """Put the files of a press into one archive, or remove its folder where there are none.

    The files are stored as they are: images and sound are packed already.

    Returns
    -------
    archive
        The archive in the folder; None for fewer than two files, or where it cannot be written.
    trouble
        Messages about what went wrong, as HTML. The files themselves are there all the same.
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
