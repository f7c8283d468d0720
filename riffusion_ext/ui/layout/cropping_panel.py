"""Cutting images, on the page "Images to audio": the controls, and a preview of what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riffusion_ext.convert import explain
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.paths import IMAGE_SUFFIXES, fits, natural_key
from riffusion_ext.options.crop import CROP, CROP_CONTROLS, crop_settings
from riffusion_ext.options.sound import chosen_params, control
from riffusion_ext.ui.gradio_compat import component, on_change
from riffusion_ext.ui.layout.page_context import PageContext, Upload, chosen_files, named_error
from riffusion_ext.ui.players import image_url, message

__all__ = ["PREVIEW", "Crop", "build_crop", "build_preview", "chosen_images", "preview", "preview_html"]

PREVIEW = "Beats and cut"


def chosen_images(
    place: PageContext, files: Any, folder: str | None, patterns: str, passed: list[Path] | None = None
) -> tuple[list[Upload], list[str]]:
    """Return the images in natural order, and sentences about what was not found.

    Parameters
    ----------
    place
        Where the page runs.
    files, folder
        Uploaded images, and a folder or pattern on the server.
    patterns
        Only those whose names fit, as ``"*.jpg, *.png"``; all where it is blank.
    passed
        Gets the files of the folder that were passed over.

    Raises
    ------
    RiffusionError
        There is nothing to work on.
    """
    uploads, missing = chosen_files(files, folder if place.folders else None, IMAGE_SUFFIXES, passed)
    fitting = [upload for upload in uploads if fits(upload.name, patterns or "")]
    if not fitting:
        raise RiffusionError(f"None of the {len(uploads)} images has a name that fits {patterns.strip()}.")
    return sorted(fitting, key=lambda upload: natural_key(upload.name)), missing


def preview(
    place: PageContext,
    files: Any,
    folder: str | None,
    patterns: str,
    preset: str,
    custom: str,
    crop: Mapping[str, object],
) -> tuple[Any, str]:
    """Draw where the first of the chosen images is cut.

    Returns
    -------
    image
        A PIL image; None where there is none.
    html
        What was found, or why there is no image.
    """
    from riffusion_ext.convert.crop import Cropper
    from riffusion_ext.convert.crop_preview import preview as draw
    from riffusion_ext.spectrogram.codec import DecodeSettings, read_image
    from riffusion_ext.spectrogram.source import source_from_image

    try:
        uploads, _ = chosen_images(place, files, folder, patterns)
        first = uploads[0]
    except RiffusionError as error:
        return None, message(str(error), "error")
    try:
        chosen = chosen_params(str(control("preset").clean(preset)), custom)
        image = read_image(first.path)
        params = source_from_image(image, DecodeSettings(params=chosen)).params
        shown, decision = draw(image, Cropper(crop_settings(crop)), params)
    except Exception as error:
        return None, message(named_error(first.name, first.path, explain(error)), "error")
    cut = decision.cut
    told = "; ".join(decision.notes) or ("the image is heard whole" if cut is None else f"{cut.duration:.2f} s")
    return shown, message(f"{first.name}: {told}", "info")


@dataclass(frozen=True)
class Crop:
    """Components of the cut."""

    controls: list[Any]
    button: Any

    def values(self, given: Sequence[object]) -> dict[str, object]:
        """Return values of the controls, in their order, by id."""
        return {item.id: value for item, value in zip(CROP_CONTROLS, given, strict=True)}


def build_crop() -> Crop:
    """Lay out the controls of the cut; those that a choice does not use are hidden."""
    import gradio as gr

    def make(name: str) -> Any:
        return component(CROP[name], f"riffusion_pictures_{name}")

    made = {"crop": make("crop")}
    with gr.Column(visible=False) as fixed:
        made["crop_width"] = make("crop_width")
    with gr.Column(visible=False) as finder:
        for pair in (("rhythm", "ignore_range"), ("band_start", "band_length"), ("threshold",)):
            with gr.Row():
                for name in pair:
                    with gr.Column(min_width=240):
                        made[name] = make(name)
    button = gr.Button("Show where the first image is cut", visible=False, elem_id="riffusion_pictures_preview_go")

    def chosen(value: str) -> tuple[Any, Any, Any]:
        beats = value in ("once", "every")
        return gr.update(visible=value == "fixed"), gr.update(visible=beats), gr.update(visible=value != "none")

    on_change(made["crop"], chosen, [made["crop"]], [fixed, finder, button])
    return Crop([made[item.id] for item in CROP_CONTROLS], button)


def preview_html(image: Any) -> str:
    """Return the image of a preview as HTML; none gives the empty string."""
    if image is None:
        return ""
    drawn = f'<img src="{image_url(image)}" alt="The image with its beats, and what is cut off">'
    return f'<figure class="riffusion-preview"><figcaption>{PREVIEW}</figcaption>{drawn}</figure>'


def build_preview() -> tuple[Any, Any]:
    """Lay out what a preview fills: the image, and a line about it."""
    import gradio as gr

    image = gr.HTML(value="", visible=False, elem_id="riffusion_pictures_preview")
    return image, gr.HTML(elem_id="riffusion_pictures_preview_note")
