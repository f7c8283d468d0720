"""Page "Audio to images"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from riffusion_ext.convert import Result, explain, sounds_to_images
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.kinds import SOUND_SUFFIXES, passed_over_line
from riffusion_ext.files.result_names import result_names
from riffusion_ext.options.convert.to_images import CUTS, LEVEL_LABELS, TO_IMAGES
from riffusion_ext.options.sound import chosen_params
from riffusion_ext.params import PRESET_COLUMNS, SpectrogramParams
from riffusion_ext.ui.fields.files import files_and_folder
from riffusion_ext.ui.gradio_compat import component, private_event, row
from riffusion_ext.ui.gradio_types import Component, Update
from riffusion_ext.ui.layout.page_context import PageContext, chosen_files, result_messages, zip_or_remove
from riffusion_ext.ui.players import download, image_url, images, message, panel

__all__ = ["TILES", "WIDE", "build_page", "convert"]

TILES, WIDE = CUTS
SONG, TILE = LEVEL_LABELS
_MAX_SHOWN = 60
_MAX_SHOWN_WIDTH = 4096
_THUMBNAIL_WIDTH = 1024


def convert(
    context: PageContext,
    files: object,
    folder: str | None,
    cut: str,
    scale: str,
    preset: str,
    image_format: str,
    custom: str = "",
    progress: Callable[[float], None] | None = None,
) -> tuple[str, str, str]:
    """Convert the chosen songs to images.

    Returns
    -------
    html
        Messages.
    shown
        The images, as HTML; "" for none.
    archive
        Link to a zip file of all images, as HTML; "" for fewer than two.
    """
    try:
        params = chosen_params(preset, custom) or SpectrogramParams()
        skipped: list[Path] = []
        uploads, missing = chosen_files(files, folder if context.folders else None, SOUND_SUFFIXES, skipped)
        target = context.new_folder("pictures")
        sources = [upload.source for upload in uploads]
        targets, renamed = result_names(sources, lambda source: target, f".{image_format}")
        pairs = [(upload.path, path) for upload, path in zip(uploads, targets, strict=True)]
        results: list[Result] = []
        columns = PRESET_COLUMNS.get(preset, TO_IMAGES["columns"].default) if cut == TILES else None
        level = LEVEL_LABELS.get(scale, TO_IMAGES["tile_level"].default)
        for result in sounds_to_images(pairs, params, columns=columns, tile_level=level):
            results.append(result)
            if progress:
                progress(len(results) / len(pairs))
    except RiffusionError as error:
        return panel([], [message(str(error), "error")]), "", ""
    except Exception as error:
        return panel([], [message(f"This did not work: {explain(error)}", "error")]), "", ""
    paths = [path for result in results for path in result.outputs]
    notes = [message(text, "error") for text in missing]
    notes += [message(text, "info") for text in [*([passed_over_line(skipped)] if skipped else []), *renamed]]
    notes += result_messages(results, {upload.path: upload.name for upload in uploads})
    archive, zip_errors = zip_or_remove(paths, target, "pictures.zip")
    notes += zip_errors
    if not paths:
        return panel([], notes), "", ""
    more = f"; the first {_MAX_SHOWN} are shown" if len(paths) > _MAX_SHOWN else ""
    noun = "image" if len(paths) == 1 else "images"
    notes.insert(0, message(f"{len(paths)} {noun} made{more}. Saved in {target}", "info"))
    link = "" if archive is None else download(context.url_of(archive), archive.name)
    return panel([], notes), images(_gallery_item(context, path) for path in paths[:_MAX_SHOWN]), link


def _gallery_item(context: PageContext, path: Path) -> tuple[str, str, str]:
    """Return an item of :func:`images`; wide images get a thumbnail, as browsers stop at 32,000 pixels."""
    from PIL import Image

    url = context.url_of(path)
    with Image.open(path) as whole:
        if whole.width <= _MAX_SHOWN_WIDTH:
            return url, url, path.name
        narrow = whole.convert("RGB").resize((_THUMBNAIL_WIDTH, min(whole.height, _THUMBNAIL_WIDTH // 4)))
    return image_url(narrow, "JPEG"), url, path.name


def build_page(context: PageContext) -> None:
    """Lay out the page in the open gradio context."""
    import gradio as gr

    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            files, folder = files_and_folder(context, "songs", "riffusion_songs", kind="audio", example="*.mp3")
            cut = component(TO_IMAGES["cut"], "riffusion_songs_cut")
            scale = component(replace(TO_IMAGES["tile_level"], choices=(SONG, TILE)), "riffusion_songs_scale")
            with row():
                preset = component(TO_IMAGES["preset"], "riffusion_songs_preset")
                image_format = component(TO_IMAGES["format"], "riffusion_songs_format")
            custom = component(TO_IMAGES["custom"], "riffusion_songs_custom")
            button = gr.Button("Convert to images", variant="primary", elem_id="riffusion_songs_go")
        with gr.Column(scale=1, min_width=320):
            messages = gr.HTML(value=message("The images appear here."), elem_id="riffusion_songs_messages")
            archive_html = gr.HTML(value="", visible=False, elem_id="riffusion_songs_made")
            gallery = gr.HTML(value="", visible=False, elem_id="riffusion_songs_gallery")

    # gradio passes the progress bar by the position of its parameter, so the values cannot be *values.
    def press(
        files: object,
        folder: str,
        cut: str,
        scale: str,
        preset: str,
        image_format: str,
        custom: str,
        progress: Component = gr.Progress(),  # noqa: B008
    ) -> tuple[Update, Update, Update]:
        values = (files, folder, cut, scale, preset, image_format, custom)
        html, *more = convert(context, *values, progress=lambda part: progress(part, desc="Converting to images"))
        shown, archive = (gr.update(value=part, visible=bool(part)) for part in more)
        return html, shown, archive

    button.click(
        fn=press,
        inputs=[files, folder, cut, scale, preset, image_format, custom],
        outputs=[messages, gallery, archive_html],
        **private_event(),
    )
