"""Files for trainers of image models: captions, concept lists, metadata, links to images.

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
"""Items by the name of their image within the folder of images."""


def dreambooth_files(named: Items, edited: Collection[str] = ()) -> list[OutFile]:
    """Return a text file beside each image, and the list of concepts.

    ``edited`` names the images whose captions were edited in their text files.
    """
    files = [
        text_file(f"pictures/{stem(name)}.txt", item.caption, from_edited=name in edited)
        for name, item in named.items()
    ]
    return [*files, text_file(CONCEPTS_FILE, concepts_json("pictures"))] if files else []


def concepts_json(folder: str) -> str:
    """Return a list of one concept that uses the captions from the text files unchanged.

    Both tokens are blank, so the extension puts nothing in front of captions. There are no class images, and one sample
    at a time is generated from a caption. The text is ASCII, because the extension reads it in the system's encoding.

    Parameters
    ----------
    folder
        Folder of the images. The extension resolves it relative to the list's own folder.
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
    """Return links to the images and their text files in ``kohya/<repeats>_<name>/``.

    The scripts do not search below that folder, so images from subfolders get the folder's name in their own.
    """
    folder = f"kohya/{settings.kohya_repeats}_{settings.kohya_name or 'music'}"
    files: list[OutFile] = []
    for name, item in named.items():
        flat = name.replace("/", "_")
        files.append(OutFile(f"{folder}/{flat}", "", _linker(item.image), same_as=item.image))
        files.append(text_file(f"{folder}/{stem(flat)}.txt", item.caption))
    return files


def diffusers_files(named: Items) -> list[OutFile]:
    """Return ``pictures/metadata.jsonl`` for ``load_dataset("imagefolder", data_dir="pictures")``."""
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
        except OSError:  # another disk, or no hard links; any other error recurs when copying, which reports it
            try:
                with open_regular(target) as source:
                    write_atomically(path, lambda file: shutil.copyfileobj(source, file))
            except OSError as error:
                raise RiffusionError(f"{target} cannot be read: {error.strerror or error}") from error
        finally:
            with suppress(OSError):  # it remains if the path was already a link to the same image
                temporary.unlink()

    return link
