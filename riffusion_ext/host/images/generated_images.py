"""Which of the images a host returns are generated images, and where each was saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from riffusion_ext.metadata import ImageRecord

__all__ = [
    "GeneratedImage",
    "ImageOrigin",
    "first_pass_size",
    "newest_of_sequence",
    "pick_generated",
    "resize_to_first_pass",
    "saved_path",
    "start_record",
]

SAVED_AS = "riffusion_saved_as"
"""Attribute we put on an image whose file got another name than the host recorded."""


@dataclass(frozen=True)
class ImageOrigin:
    """What was true when one image was finished."""

    prompt: str
    seed: int
    unfinished: bool = False
    """The user interrupted or skipped it, so it is half noise."""


@dataclass(frozen=True)
class GeneratedImage:
    """One generated image: the pixels, what it came from, and its file if it has one."""

    image: Image.Image
    origin: ImageOrigin
    infotext: str = ""
    saved_as: Path | None = None
    start: ImageRecord | None = None
    """What the image it was redrawn from records (img2img)."""


def pick_generated(
    images: Sequence[Any], infotexts: Sequence[str], first: int, per_image: int = 1
) -> list[tuple[int, Any]]:
    """Return (place in ``infotexts``, image) of the generated images.

    Parameters
    ----------
    images
        All a host returns: grid, images, and after each image its mask and mask composite; perhaps other programs'
        images at the end.
    infotexts
        One for the grid, if there is one, and one for each image; masks have none, so the two lists drift apart.
    first
        Number of grids in front.
    per_image
        Images returned for one image: 1, and one more for each kind of mask.

    An image usually carries its own text, which settles the question; the arithmetic is for hosts told not to write
    it.
    """
    texts = list(infotexts[first:])
    generated: list[tuple[int, Any]] = []
    for image in images[first:]:
        index = len(generated)
        if index < len(texts) and getattr(image, "info", {}).get("parameters") == texts[index]:
            generated.append((first + index, image))
    if texts and len(generated) == len(texts):
        return generated
    every_nth = list(images[first:])[:: max(per_image, 1)][: len(texts)]
    return [(first + index, image) for index, image in enumerate(every_nth)]


_LATENT = 8
"""Pixels of a latent's cell: hosts round sizes down to whole ones."""


def first_pass_size(p: Any, image: Image.Image) -> tuple[int, int]:
    """Return the size (width, height) that a job's image had before anything enlarged it.

    Parameters
    ----------
    p
        The host's job.
    image
        An image of it. Where only a masked part was redrawn, it is as large as the one that was put back into. One
        that is no higher than the job asked for was made by a script as it is.
    """
    if not (p.width and p.height):  # SD.Next leaves them open where the start image decides
        return image.size
    width, height = p.width // _LATENT * _LATENT, p.height // _LATENT * _LATENT
    put_back = getattr(p, "inpaint_full_res", False) and getattr(p, "image_mask", None) is not None
    return image.size if put_back or image.height <= height else (width, height)


def resize_to_first_pass(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return the image at the size of the first pass.

    Hires fix enlarges an image, but a row still means a frequency and a column a moment: of an image of 1024 rows the
    sound is that of the 512 rows it was enlarged from. So the sound follows the first pass's size.
    """
    if image.size == (width, height):
        return image
    small = image.resize((width, height), Image.Resampling.LANCZOS)
    small.info = dict(image.info)
    return small


def start_record(start_images: Sequence[Any] | None, number: int) -> ImageRecord | None:
    """Return what the start image of a batch's image records, or None where there is none, or no record in it.

    Parameters
    ----------
    start_images
        img2img's: one for all images of a batch, or one for each. None in the place of one that is not to be asked.
    number
        Of the image, counted within the batch or on through all batches.
    """
    if not start_images:
        return None
    from riffusion_ext.metadata import read_record

    image = start_images[number % len(start_images)]
    record = None if image is None else read_record(image)
    return None if record is None or record.source == "none" else record


def saved_path(image: Any) -> Path | None:
    """Return where the host saved an image, absolute, or None when it did not, or the file is gone."""
    name = getattr(image, SAVED_AS, None) or getattr(image, "already_saved_as", None)
    if not name:
        return None
    path = Path(name).absolute()  # a host may record it relative to its working folder
    return path if path.is_file() else None


def newest_of_sequence(path: Path) -> Path:
    """Return the file just written among ``name.png``, ``name-1.png``, ``name-2.png``, ...

    With "Add number suffix" for files that exist, A1111 1.10 records the name without the number. Asked right after the
    file was written, the newest one is it; a host that records the right name gets it back.
    """
    candidates = [path]
    while (following := path.with_name(f"{path.stem}-{len(candidates)}{path.suffix}")).exists():
        candidates.append(following)
    existing = [candidate for candidate in candidates if candidate.exists()]
    if not existing:
        return path
    return max(existing, key=lambda p: (p.stat().st_mtime_ns, candidates.index(p)))
