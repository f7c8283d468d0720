"""Cropping on the page "Images to audio": controls and preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.convert import explain
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.paths import IMAGE_SUFFIXES, matches_any, natural_key
from riffusion_ext.options.crop import CROP, CROP_CONTROLS, crop_settings
from riffusion_ext.options.sound import chosen_params, control
from riffusion_ext.ui.gradio_compat import component, on_change
from riffusion_ext.ui.gradio_types import Component, Update
from riffusion_ext.ui.layout.page_context import PageContext, Upload, chosen_files, named_error
from riffusion_ext.ui.players import image_url, message

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PREVIEW", "CropPanel", "build_crop", "build_preview", "chosen_images", "preview", "preview_html"]

PREVIEW = "Beats and cut"


def chosen_images(
    context: PageContext, files: object, folder: str | None, patterns: str, skipped: list[Path] | None = None
) -> tuple[list[Upload], list[str]]:
    """Return the chosen images in natural order, and an error message for each name that was not found.

    Parameters
    ----------
    context
        Where the page runs.
    files, folder
        Uploaded images, and a folder or pattern on the server.
    patterns
        Patterns of file names, as ``"*.jpg, *.png"``; blank for all.
    skipped
        List to which skipped files of the folder are appended.

    Raises
    ------
    RiffusionError
        There are no images.
    """
    uploads, missing = chosen_files(files, folder if context.folders else None, IMAGE_SUFFIXES, skipped)
    matching = [upload for upload in uploads if matches_any(upload.name, patterns or "")]
    if not matching:
        raise RiffusionError(f"None of the {len(uploads)} images has a name that fits {patterns.strip()}.")
    return sorted(matching, key=lambda upload: natural_key(upload.name)), missing


def preview(
    context: PageContext,
    files: object,
    folder: str | None,
    patterns: str,
    preset: str,
    custom: str,
    crop: Mapping[str, object],
) -> tuple[Image.Image | None, str]:
    """Draw the beats and the crop of the first of the chosen images.

    Returns
    -------
    image
        The drawing; None after an error.
    html
        Length of the crop and notes, or the error, as HTML.
    """
    from riffusion_ext.convert.crop import Cropper
    from riffusion_ext.convert.crop_preview import preview as draw
    from riffusion_ext.spectrogram.codec import DecodeSettings, read_image
    from riffusion_ext.spectrogram.source import source_from_image

    try:
        uploads, _ = chosen_images(context, files, folder, patterns)
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
    summary = "; ".join(decision.notes) or ("the image is heard whole" if cut is None else f"{cut.duration:.2f} s")
    return shown, message(f"{first.name}: {summary}", "info")


@dataclass(frozen=True)
class CropPanel:
    """Components of the crop.

    Attributes
    ----------
    controls
        Components in the order of :data:`~riffusion_ext.options.crop.CROP_CONTROLS`.
    button
        Button that shows the preview.
    """

    controls: list[Component]
    button: Component

    def values(self, in_order: Sequence[object]) -> dict[str, object]:
        """Map values in the order of the controls to the ids of the options."""
        return {item.id: value for item, value in zip(CROP_CONTROLS, in_order, strict=True)}


def build_crop() -> CropPanel:
    """Lay out the controls of the crop; those without effect are hidden."""
    import gradio as gr

    def make(name: str) -> Component:
        return component(CROP[name], f"riffusion_pictures_{name}")

    controls = {"crop": make("crop")}
    with gr.Column(visible=False) as fixed:
        controls["crop_width"] = make("crop_width")
    with gr.Column(visible=False) as finder:
        for pair in (("rhythm", "ignore_range"), ("band_start", "band_length"), ("threshold",)):
            with gr.Row():
                for name in pair:
                    with gr.Column(min_width=240):
                        controls[name] = make(name)
    button = gr.Button("Show where the first image is cut", visible=False, elem_id="riffusion_pictures_preview_go")

    def chosen(value: str) -> tuple[Update, Update, Update]:
        beats = value in ("once", "every")
        return gr.update(visible=value == "fixed"), gr.update(visible=beats), gr.update(visible=value != "none")

    on_change(controls["crop"], chosen, [controls["crop"]], [fixed, finder, button])
    return CropPanel([controls[item.id] for item in CROP_CONTROLS], button)


def preview_html(image: Image.Image | None) -> str:
    """Return the HTML of a preview; "" for None."""
    if image is None:
        return ""
    drawn = f'<img src="{image_url(image)}" alt="The image with its beats, and what is cut off">'
    return f'<figure class="riffusion-preview"><figcaption>{PREVIEW}</figcaption>{drawn}</figure>'


def build_preview() -> tuple[Component, Component]:
    """Lay out the outputs of the preview: the image, and a message."""
    import gradio as gr

    image = gr.HTML(value="", visible=False, elem_id="riffusion_pictures_preview")
    return image, gr.HTML(elem_id="riffusion_pictures_preview_note")
