"""Files beside and around the images, for trainers of image models.

Sources: the Dreambooth extension (d8ahazard/sd_dreambooth_extension), kohya-ss/sd-scripts and Hugging Face datasets'
"imagefolder", as they read folders.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from riffusion_ext.dataset.export.item import ExportItem
from riffusion_ext.dataset.export.ledger import OutFile, text_file
from riffusion_ext.dataset.settings import ExportSettings
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.files.regular import open_regular

__all__ = ["CONCEPTS_FILE", "concepts_json", "diffusers_files", "dreambooth_files", "json_line", "kohya_files"]

CONCEPTS_FILE = "concepts_list.json"

Items = Mapping[str, "ExportItem"]
"""By the names of their images within the folder of images."""


def dreambooth_files(named: Items, edited: Collection[str] = ()) -> list[OutFile]:
    """Return a text beside each image, and the list of concepts.

    ``typed`` names the images whose texts a person wrote.
    """
    files = [
        text_file(f"pictures/{stem(name)}.txt", item.caption, from_edited=name in edited)
        for name, item in named.items()
    ]
    return [*files, text_file(CONCEPTS_FILE, concepts_json("pictures"))] if files else []


def concepts_json(folder: str) -> str:
    """Return the list of concepts with one concept that takes its captions from the texts, as it stands.

    Both tokens are blank, so the extension puts nothing in front of captions; no class images; one sample at a time,
    made from a caption. ASCII, because the extension reads it in the system's own encoding.

    Parameters
    ----------
    folder
        Of the images. The extension takes it relative to the list's own place.
    """
    concept = {
        "instance_data_dir": folder,
        "instance_prompt": "[filewords]",
        "instance_token": "",
        "class_data_dir": "",
        "class_prompt": "[filewords]",
        "class_token": "",
        "class_negative_prompt": "",
        "class_guidance_scale": 7.5,
        "class_infer_steps": 60,
        "num_class_images_per": 0,
        "n_save_sample": 1,
        "sample_seed": -1,
        "save_guidance_scale": 7.5,
        "save_infer_steps": 20,
        "save_sample_prompt": "[filewords]",
        "save_sample_negative_prompt": "",
        "save_sample_template": "",
    }
    return json.dumps([concept], indent=2) + "\n"


def kohya_files(named: Items, settings: ExportSettings) -> list[OutFile]:
    """Return links to the images and their texts in ``kohya/<repeats>_<name>/``.

    The scripts look into that folder only, not below it, so images in folders of their own get longer names.
    """
    folder = f"kohya/{settings.kohya_repeats}_{settings.kohya_name or 'music'}"
    files: list[OutFile] = []
    for name, item in named.items():
        flat = name.replace("/", "_")
        files.append(OutFile(f"{folder}/{flat}", "", _linker(item.image), same_as=item.image))
        files.append(text_file(f"{folder}/{stem(flat)}.txt", item.caption))
    return files


def diffusers_files(named: Items) -> list[OutFile]:
    """Return ``pictures/metadata.jsonl``, as ``load_dataset("imagefolder", data_dir="pictures")`` reads it."""
    lines = [json_line({"file_name": name, "text": item.caption}) for name, item in named.items()]
    return [text_file("pictures/metadata.jsonl", "".join(lines))] if lines else []


def json_line(values: Mapping[str, object]) -> str:
    """Return one line of a JSON Lines file."""
    return json.dumps(values, ensure_ascii=False) + "\n"


def stem(name: str) -> str:
    """Return a name without its suffix."""
    return name.rpartition(".")[0] or name


def _linker(target: Path) -> Callable[[Path], object]:
    def link(path: Path) -> None:
        temporary = path.with_name(f".{secrets.token_hex(6)}{path.suffix}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(target, temporary)
            temporary.replace(path)
        except OSError:  # another disk, a file system without links; or a trouble that a copy has too, and can name
            try:
                with open_regular(target) as source:
                    write_atomically(path, lambda file: shutil.copyfileobj(source, file))
            except OSError as error:
                raise RiffusionError(f"{target} cannot be read: {error.strerror or error}") from error
        finally:
            with suppress(OSError):  # it stays where the path was a link to the same image already
                temporary.unlink()

    return link
