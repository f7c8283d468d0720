"""The Dreambooth extension's own rules for a folder, against which exports are tested.

The extension silently drops images that it cannot read, scales and crops those of another size, and uses an empty text
as a caption; none of that is visible before the model is trained.

Source: d8ahazard/sd_dreambooth_extension, as it reads lists of concepts, folders, captions and images.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from riffusion_ext.dataset.captions.template import TOKEN_LIMIT, estimate_tokens
from riffusion_ext.dataset.captions.text import is_blank
from riffusion_ext.dataset.export.images import CONCEPTS_FILE
from riffusion_ext.files.regular import open_regular, read_regular
from riffusion_ext.validation.json_text import loads

RESOLUTION = 512
"""What riffusion-model-v1 is trained at."""

_MOST = 3
"""Files named for one problem; of more, their number."""

_BUCKETS = ((720, 360), (680, 384), (624, 416), (584, 440), (568, 456), (512, 512))
"""Sizes that images are brought to at the resolution 512, and the same upright."""

_TEXTS = ("instance_data_dir", "instance_prompt", "instance_token", "class_data_dir", "class_prompt", "class_token")
_LARGEST_TEXT = 1 << 20
_ORIENTATION = 274
"""Number of the EXIF tag that turns an image."""


def dreambooth_problems(folder: Path, expected_images: Iterable[Path] | None = None) -> list[str]:
    """Check an exported folder by the extension's own rules, one by one.

    Parameters
    ----------
    folder
        Folder with ``concepts_list.json``.
    expected_images
        Exactly the images that the extension should find; None: any.

    Returns
    -------
    list of str
        A sentence for each broken rule, naming the files.
    """
    problems: list[str] = []
    folders = list(_concept_folders(folder, problems))
    expected = None if expected_images is None else {path.resolve() for path in expected_images}
    found: set[Path] = set()
    faults: dict[str, list[str]] = defaultdict(list)
    for data in folders:
        files = sorted(path for path in data.rglob("*") if path.is_file())
        images = [path for path in files if path.suffix.lower() in _readable_suffixes()]
        if not images:
            problems.append(f"there is no image in {data}")
        found.update(path.resolve() for path in images)
        for path, fault in _faults(images, files, None if expected is None else expected):
            faults[fault].append(path.relative_to(data).as_posix())
    for path in sorted((expected or set()) - found):
        faults["is not found in any folder of the list"].append(path.name)
    return [*problems, *(f"{_few(names)} {fault}" for fault, names in faults.items())]


def trained_size(width: int, height: int) -> tuple[int, int]:
    """Return the size in pixels that an image of this size is trained at: the bucket nearest to its aspect ratio."""
    buckets = sorted({*_BUCKETS, *((height, width) for width, height in _BUCKETS)})
    return min(buckets, key=lambda size: abs(size[0] / size[1] - width / height))


def _few(names: list[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more:" if more > 0 else ":")


# --- the list of concepts --------------------------------------------------------------------------------------------


def _concept_folders(folder: Path, problems: list[str]) -> Iterator[Path]:
    """Yield the image folders that the list names; add faults of the list to the problems."""
    path = folder / CONCEPTS_FILE
    try:
        text = read_regular(path, _LARGEST_TEXT).decode("ascii")
        concepts = loads(text)
    except OSError as error:
        problems.append(f"{path} cannot be read: {error.strerror or error}")
        return
    except UnicodeDecodeError:
        problems.append(f"{CONCEPTS_FILE} has letters beyond ASCII, which are misread where the system is not UTF-8")
        return
    except ValueError as error:
        problems.append(f"{CONCEPTS_FILE} is no JSON: {error}")
        return
    if not isinstance(concepts, list) or not concepts or not all(isinstance(concept, dict) for concept in concepts):
        problems.append(f"{CONCEPTS_FILE} must be an array of one or more objects")
        return
    for number, concept in enumerate(concepts, 1):
        where = f"concept {number}" if len(concepts) > 1 else "the concept"
        problems.extend(f"{where}: {fault}" for fault in _concept_faults(concept))
        name = concept.get("instance_data_dir")
        if isinstance(name, str) and name:
            data = folder / name  # an absolute name is kept
            if data.is_dir():
                yield data
            else:
                problems.append(f"{where} is left out, because there is no folder {data}")


def _concept_faults(concept: dict[str, Any]) -> Iterator[str]:
    wrong = [key for key in _TEXTS if not isinstance(concept.get(key, ""), str)]
    if wrong:
        yield f"{', '.join(wrong)} must be a text"
        return
    if not concept.get("instance_data_dir"):
        yield "instance_data_dir is missing"
    if "[filewords]" not in concept.get("instance_prompt", ""):
        yield "instance_prompt lacks [filewords], so captions are not used"
    if concept.get("instance_token"):
        yield f"instance_token is {concept['instance_token']!r}, which is put into every caption"
    class_data = concept.get("class_data_dir", "")
    if class_data and not Path(class_data).is_absolute():
        yield f"class_data_dir {class_data!r} would be looked for in the folder that the webui was started in"
    per_image = concept.get("num_class_images_per", 0)
    if not isinstance(per_image, int) or per_image > 0:
        yield f"num_class_images_per is {per_image!r}: class images would be made before training"


# --- images and captions -------------------------------------------------------------------------------------------


def _readable_suffixes() -> frozenset[str]:
    """Return the suffixes, with their dot, of all formats that Pillow can open."""
    from PIL import Image

    return frozenset(suffix for suffix, form in Image.registered_extensions().items() if form in Image.OPEN)


def _faults(images: list[Path], files: list[Path], expected: set[Path] | None) -> Iterator[tuple[Path, str]]:
    """Yield each faulty file with its fault."""
    by_text: dict[Path, list[Path]] = defaultdict(list)
    for path in images:
        by_text[path.with_suffix(".txt")].append(path)
        if expected is not None and path.resolve() not in expected:
            yield path, "would be trained on too"
        yield from ((path, fault) for fault in _image_faults(path))
        yield from ((path, fault) for fault in _caption_faults(path.with_suffix(".txt")))
    for sharing in by_text.values():
        if len(sharing) > 1:
            yield sharing[1], f"shares its caption with {sharing[0].name}"
    for path in files:
        if path.suffix == ".txt" and path not in by_text:
            yield path, "is a caption without an image"


def _image_faults(path: Path) -> Iterator[str]:
    from PIL import Image

    try:
        with open_regular(path) as file, Image.open(file) as image:
            image.verify()  # checks the CRCs of a PNG, which finds truncated files without decoding
        with open_regular(path) as file, Image.open(file) as image:
            size, mode, turned = image.size, image.mode, image.getexif().get(_ORIENTATION, 1)
    except Exception as error:  # Pillow raises many kinds of error on damaged images
        yield f"cannot be read, so it would be dropped without a word or end the training ({type(error).__name__})"
        return
    trained = trained_size(*size)
    if size != trained:
        shape = f"{size[0]} x {size[1]}"
        yield f"is {shape} and would be scaled and cropped to {trained[0]} x {trained[1]}"
    elif size != (RESOLUTION, RESOLUTION):
        yield f"is {size[0]} x {size[1]}, not {RESOLUTION} x {RESOLUTION}"
    if mode != "RGB":
        yield f"is {mode}, not RGB"
    if turned != 1:
        yield f"would be turned, its EXIF orientation is {turned}"


def _caption_faults(text: Path) -> Iterator[str]:
    """Yield the faults of a caption file."""
    try:
        caption = read_regular(text, _LARGEST_TEXT).decode("utf-8")
    except FileNotFoundError:
        yield f"has no {text.suffix} beside it, so its caption would be its name"
        return
    except OSError as error:
        yield f"has a caption that cannot be read ({error.strerror or error}), which would end the whole scan"
        return
    except UnicodeDecodeError:
        yield "has a caption that is not UTF-8, which would end the whole scan"
        return
    if is_blank(caption):
        yield "has an empty caption"
        return
    if caption.startswith("\ufeff"):
        yield "has a caption with a byte order mark, which would become part of its first word"
    if len(caption.strip().splitlines()) > 1 or re.search(r"\s{2,}", caption.strip()):
        yield "has a caption of several lines or with doubled spaces, which would be joined"
    if "\\" in caption:
        yield "has a caption with backslashes, which would be taken out"
    if estimate_tokens(caption) > TOKEN_LIMIT:
        yield f"has a caption of more than about {TOKEN_LIMIT} tokens, of which no more are read"
