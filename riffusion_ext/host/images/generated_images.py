"""Generated images among those that a host returns, and their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from riffusion_ext.host.base import HostObject

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
"""Attribute of an image whose file has another name than the host recorded."""


@dataclass(frozen=True)
class ImageOrigin:
    """Prompt and seed of an image, recorded when it was finished."""

    prompt: str
    seed: int
    unfinished: bool = False
    """Whether the user interrupted or skipped it, so that it is still noisy."""


@dataclass(frozen=True)
class GeneratedImage:
    """A generated image, its prompt and seed, infotext, and file if it is saved."""

    image: Image.Image
    origin: ImageOrigin
    infotext: str = ""
    saved_as: Path | None = None
    start: ImageRecord | None = None
    """Metadata of the start image (img2img)."""


def pick_generated(
    images: Sequence[HostObject], infotexts: Sequence[str], first: int, per_image: int = 1
) -> list[tuple[int, HostObject]]:
    """Select the generated images from those that a host returns.

    Usually an image has its own infotext, by which it is found. `per_image` is for hosts whose settings omit it.

    Parameters
    ----------
    images
        All returned images: grids, images, after each image its mask and mask composite, and possibly images of other
        extensions at the end.
    infotexts
        One for the grid, if there is one, and one for each image. Masks have none, so the indices of the two lists
        differ.
    first
        Number of grids, which come first.
    per_image
        Number of images returned for a generated one: 1, and one more for each kind of mask.

    Returns
    -------
    list of (int, image)
        Index in `infotexts`, and image.
    """
    texts = list(infotexts[first:])
    generated: list[tuple[int, HostObject]] = []
    for image in images[first:]:
        index = len(generated)
        if index < len(texts) and getattr(image, "info", {}).get("parameters") == texts[index]:
            generated.append((first + index, image))
    if texts and len(generated) == len(texts):
        return generated
    every_nth = list(images[first:])[:: max(per_image, 1)][: len(texts)]
    return [(first + index, image) for index, image in enumerate(every_nth)]


_LATENT = 8
"""Pixels per latent cell: hosts round sizes down to whole cells."""


def first_pass_size(p: HostObject, image: Image.Image) -> tuple[int, int]:
    """Return the size (width, height) of a job's image before it was upscaled.

    Parameters
    ----------
    p
        The host's job.
    image
        An image of the job. After inpainting of "only masked", it has the size of the start image. If it is no higher
        than the job's height, a script made it at its size.
    """
    if not (p.width and p.height):  # SD.Next leaves them unset if the start image decides
        return image.size
    width, height = p.width // _LATENT * _LATENT, p.height // _LATENT * _LATENT
    put_back = getattr(p, "inpaint_full_res", False) and getattr(p, "image_mask", None) is not None
    return image.size if put_back or image.height <= height else (width, height)


def resize_to_first_pass(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return the image at the size of the first pass.

    A row is a frequency and a column a moment. So the sound of an image of 1024 rows by Hires fix is that of the 512
    rows from which it was upscaled.
    """
    if image.size == (width, height):
        return image
    small = image.resize((width, height), Image.Resampling.LANCZOS)
    small.info = dict(image.info)
    return small


def start_record(start_images: Sequence[Image.Image | None] | None, number: int) -> ImageRecord | None:
    """Return the metadata of the start image of an image; None without a start image or metadata.

    Parameters
    ----------
    start_images
        img2img's start images: one for all images of a batch, or one for each. None for one that is to be ignored.
    number
        Index of the image, within the batch or across all batches.
    """
    if not start_images:
        return None
    from riffusion_ext.metadata import read_record

    image = start_images[number % len(start_images)]
    record = None if image is None else read_record(image)
    return None if record is None or record.source == "none" else record


def saved_path(image: object) -> Path | None:
    """Return the absolute path at which the host saved an image; None if it was not saved or is gone."""
    name = getattr(image, SAVED_AS, None) or getattr(image, "already_saved_as", None)
    if not name:
        return None
    path = Path(name).absolute()  # hosts may record it relative to their working folder
    return path if path.is_file() else None


def newest_of_sequence(path: Path) -> Path:
    """Return the newest file among ``name.png``, ``name-1.png``, ``name-2.png``, ...

    With "Add number suffix" for files that exist, A1111 1.10 records the name without the number. Directly after an
    image was saved, the newest file is its own, also for a host that records the right name.
    """
    candidates = [path]
    while (following := path.with_name(f"{path.stem}-{len(candidates)}{path.suffix}")).exists():
        candidates.append(following)
    existing = [candidate for candidate in candidates if candidate.exists()]
    if not existing:
        return path
    return max(existing, key=lambda p: (p.stat().st_mtime_ns, candidates.index(p)))
