"""Saved state of a page, from which Resume continues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.files.regular import read_regular
from riffusion_ext.validation.json_text import loads
from riffusion_ext.validation.names import bare_name

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ResumeState", "mapping_in"]


def mapping_in(values: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return one of the stored values that is a mapping.

    Raises
    ------
    RiffusionError
        It is missing, or no mapping.
    """
    found = values.get(name)
    if not isinstance(found, Mapping):
        raise RiffusionError(f"What was stopped cannot be resumed: its {name} are missing")
    return found


class ResumeState:
    """Values and images of the last unfinished run of a page, stored in a file.

    Parameters
    ----------
    folder
        Folder of the page's results.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._saved = b""

    @property
    def _path(self) -> Path:
        return self._folder / "unfinished.json"

    def save(self, values: Mapping[str, object], images: Mapping[str, Image.Image | None]) -> None:
        """Store the values of a run, which must be JSON, and its images by name."""
        image_files = {name: self._image(image) for name, image in images.items() if image is not None}
        text = json.dumps({"values": dict(values), "pictures": image_files}, ensure_ascii=False, indent=1)
        self._saved = text.encode("utf-8", "replace")
        write_atomically(self._path, lambda file: file.write(self._saved))

    def _image(self, image: Image.Image) -> str:
        from riffusion_ext.generate.checkpoint.recipe import image_id

        path = self._file(image_id(image))
        if not path.exists():
            write_atomically(path, lambda file: image.save(file, format="PNG"))
        return path.name

    def _file(self, identity: str) -> Path:
        return self._folder / "pictures" / f"{Path(identity).name}.png"

    def image(self, identity: str) -> Image.Image | None:
        """Return a stored image by its identity; None if it no longer exists."""
        from riffusion_ext.spectrogram.image import read_image

        try:
            return read_image(self._file(identity))
        except RiffusionError:
            return None

    def load(self, model: str = "") -> tuple[dict[str, object], dict[str, Image.Image]]:
        """Return values and images of the unfinished run.

        Parameters
        ----------
        model
            Name of the model that would generate now. Another model's windows cannot be continued.

        Raises
        ------
        RiffusionError
            There is no unfinished run, its images are missing, or it was started with another model.
        """
        from riffusion_ext.spectrogram.image import read_image

        try:
            found = loads(read_regular(self._path))
            values, names = dict(found["values"]), dict(found["pictures"])
        except FileNotFoundError:
            raise RiffusionError("There is nothing to resume: nothing was stopped before its end.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RiffusionError(f"What was stopped cannot be resumed: {error}") from error
        saved_model = str(values.get("model", ""))
        if saved_model and model and saved_model != model:
            raise RiffusionError(
                f"What was stopped was started with the model {saved_model}; choose it to go on, not {model}."
            )
        try:
            files = {name: bare_name(file, "an image in unfinished.json") for name, file in names.items()}
            images = {name: read_image(self._folder / "pictures" / file) for name, file in files.items()}
        except RiffusionError as error:
            raise RiffusionError(f"What was stopped cannot be resumed, an image of it is gone: {error}") from error
        return values, images

    def forget(self) -> None:
        """Delete the state that this object has saved, after the run has finished; a later run's state stays."""
        with suppress(OSError):  # an old one does no harm
            if self._path.read_bytes() == self._saved:
                self._path.unlink()
