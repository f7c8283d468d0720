"""Page "Images to audio"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.convert import Result, check_format, explain, images_to_clips, joined_path, song_to_sound
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.kinds import passed_over_line
from riffusion_ext.files.result_names import result_names
from riffusion_ext.options.convert.to_audio import KINDS, TO_AUDIO
from riffusion_ext.options.crop import crop_settings
from riffusion_ext.options.sound import FROM_IMAGE, chosen_params, control
from riffusion_ext.ui.fields.files import files_and_folder
from riffusion_ext.ui.gradio_compat import component, on_change, private_event, row
from riffusion_ext.ui.gradio_types import Component, Update
from riffusion_ext.ui.layout.cropping_panel import build_crop, build_preview, chosen_images, preview, preview_html
from riffusion_ext.ui.layout.page_context import PageContext, Upload, result_messages, zip_or_remove
from riffusion_ext.ui.players import download, message, panel, player

if TYPE_CHECKING:
    from riffusion_ext.convert.crop import CropSettings
    from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = ["CLIPS", "EACH", "JOINED", "SONG", "build_page", "convert"]

EACH, SONG, CLIPS, JOINED = KINDS
_MAX_PLAYERS = 100
_EMPTY = "The clips appear here."


def convert(
    context: PageContext,
    files: object,
    folder: str | None,
    kind: str,
    crossfade: float,
    engine: str,
    level: str,
    sound_format: str,
    channels: str,
    preset: str = FROM_IMAGE,
    custom: str = "",
    progress: Callable[[float], None] | None = None,
    *,
    patterns: str = "",
    joined_name: str = "",
    crop: Mapping[str, object] | None = None,
    high_frequencies: str = "auto",
) -> tuple[str, str]:
    """Convert the chosen images to sound files.

    Parameters
    ----------
    context
        Where the page runs.
    files, folder, patterns
        Uploaded images, a folder or pattern on the server, and patterns that file names of both must match.
    kind
        :data:`EACH`, :data:`SONG`, :data:`CLIPS` or :data:`JOINED`.
    crossfade, joined_name
        Crossfade in seconds, and file name, of the joined track.
    engine, level, sound_format, channels, preset, custom, high_frequencies
        Values of the controls with these ids.
    progress
        Called with the finished share, 0 to 1.
    crop
        Values of :data:`~riffusion_ext.options.crop.CROP_CONTROLS` by id. Not used for a song.

    Returns
    -------
    html
        Players and messages.
    archive
        Link to a zip file of all sound files, as HTML; "" for fewer than two.
    """
    try:
        renamed: list[str] = []
        skipped: list[Path] = []
        uploads, missing = chosen_images(context, files, folder, patterns, skipped)
        check_format(sound_format)
        cut = crop_settings(crop or {})
        settings = _settings(context, engine, level, channels, preset, custom, high_frequencies)
        joined_path(Path(), joined_name, f".{sound_format}")  # refuses a bad name before any work
        target = context.new_folder("sounds")
        ending = f".{control('format').clean(sound_format)}"
        if kind == SONG:
            sources = [upload.path for upload in uploads]
            results = song_to_sound(
                sources, target / f"song{ending}", settings, subtype=context.subtype(), progress=progress
            )
        else:
            joined = joined_path(target, joined_name, ending)
            results, renamed = _clips(uploads, joined, kind, settings, crossfade, cut, context.subtype(), progress)
    except RiffusionError as error:
        return panel([], [message(str(error), "error")]), ""
    except Exception as error:
        return panel([], [message(f"This did not work: {explain(error)}", "error")]), ""
    names = {upload.path: upload.name for upload in uploads}
    written = [result for result in results if result.outputs]
    archive, zip_errors = zip_or_remove([r.outputs[0] for r in written], target, "sounds.zip")
    players = [_player(context, result, number) for number, result in enumerate(written[:_MAX_PLAYERS], 1)]
    infos = [passed_over_line(skipped), *renamed] if skipped else renamed
    notes = [message(text, "error") for text in missing] + [message(text, "info") for text in infos]
    notes += result_messages(results, names)
    if written:
        many = f"; the first {_MAX_PLAYERS} are shown" if len(written) > _MAX_PLAYERS else ""
        noun = "sound file" if len(written) == 1 else "sound files"
        notes.insert(0, message(f"{len(written)} {noun} made{many}. Saved in {target}", "info"))
    link = "" if archive is None else download(context.url_of(archive), archive.name)
    return panel(players, notes + zip_errors), link


def _settings(
    context: PageContext, engine: str, level: str, channels: str, preset: str, custom: str, high_frequencies: str
) -> DecodeSettings:
    from riffusion_ext.spectrogram.codec import DecodeSettings

    return DecodeSettings(
        engine=str(control("engine").clean(engine)),
        level=str(control("level").clean(level)),
        channels=str(control("channels").clean(channels)),
        params=chosen_params(str(control("preset").clean(preset)), custom),
        device=context.device(),
        high_frequencies=str(control("high_frequencies").clean(high_frequencies)),
    )


def _clips(
    uploads: list[Upload],
    joined: Path,
    kind: str,
    settings: DecodeSettings,
    crossfade: float,
    cut: CropSettings,
    subtype: str,
    progress: Callable[[float], None] | None,
) -> tuple[list[Result], list[str]]:
    join = kind == JOINED or (kind == CLIPS and len(uploads) > 1)
    # The joined track keeps its name; a clip of the same name is renamed.
    targets, renamed = result_names(
        [upload.source for upload in uploads],
        lambda source: joined.parent,
        joined.suffix,
        taken=[joined] if join else [],
    )
    pairs = [(upload.path, None if kind == JOINED else target) for upload, target in zip(uploads, targets, strict=True)]
    results: list[Result] = []
    for result in images_to_clips(
        pairs, settings, joined=joined if join else None, crop=cut, crossfade=float(crossfade), subtype=subtype
    ):
        results.append(result)
        if progress:
            progress(min(1.0, len(results) / len(pairs)))
    return results, [] if kind == JOINED else renamed


def _player(context: PageContext, result: Result, number: int) -> str:
    path = result.outputs[0]
    return player(context.url_of(path), path.stem, result.duration, path.name, number=number)


def build_page(context: PageContext) -> None:
    """Lay out the page in the open gradio context."""
    import gradio as gr

    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            files, folder = files_and_folder(context, "images", "riffusion_pictures", kind="image", example="*.png")
            patterns = component(TO_AUDIO["patterns"], "riffusion_pictures_patterns")
            kind = component(TO_AUDIO["kind"], "riffusion_pictures_kind")
            with gr.Column(visible=False) as fading:
                crossfade = component(TO_AUDIO["crossfade"], "riffusion_pictures_crossfade")
                joined_name = component(TO_AUDIO["joined_name"], "riffusion_pictures_joined_name")
            with gr.Column() as cutting:
                crops = build_crop()
            with row():
                sound_format = component(control("format"), "riffusion_pictures_format")
                engine = component(control("engine"), "riffusion_pictures_engine")
            with row():
                level = component(control("level"), "riffusion_pictures_level")
                channels = component(control("channels"), "riffusion_pictures_channels")
            with row():
                high = component(control("high_frequencies"), "riffusion_pictures_high_frequencies")
            with row():
                preset = component(control("preset"), "riffusion_pictures_preset")
                custom = component(control("custom"), "riffusion_pictures_custom")
            button = gr.Button("Convert to audio", variant="primary", elem_id="riffusion_pictures_go")
        with gr.Column(scale=1, min_width=320):
            drawing, note = build_preview()
            players = gr.HTML(value=message(_EMPTY), elem_id="riffusion_pictures_players")
            archive = gr.HTML(value="", visible=False, elem_id="riffusion_pictures_zip")

    # gradio passes the progress bar by the position of its parameter, so the values cannot be *values.
    def press(
        files: object,
        folder: str,
        patterns: str,
        kind: str,
        crossfade: float,
        joined_name: str,
        engine: str,
        level: str,
        sound_format: str,
        channels: str,
        preset: str,
        custom: str,
        crop: str,
        crop_width: float,
        rhythm: float,
        ignore_range: float,
        band_start: float,
        band_length: float,
        threshold: float,
        high_frequencies: str,
        progress: Component = gr.Progress(),  # noqa: B008
    ) -> tuple[Update, Update]:
        values = (files, folder, kind, crossfade, engine, level, sound_format, channels, preset, custom)
        cut = (crop, crop_width, rhythm, ignore_range, band_start, band_length, threshold)
        html, link = convert(
            context,
            *values,
            progress=lambda part: progress(part, desc="Converting to audio"),
            patterns=patterns,
            joined_name=joined_name,
            crop=crops.values(cut),
            high_frequencies=high_frequencies,
        )
        return html, gr.update(value=link, visible=bool(link))

    def show(
        files: object, folder: str, patterns: str, preset: str, custom: str, *cut: object
    ) -> tuple[Update, Update]:
        image, html = preview(context, files, folder, patterns, preset, custom, crops.values(cut))
        return gr.update(value=preview_html(image), visible=image is not None), html

    on_change(
        kind,
        lambda value: (gr.update(visible=value in (CLIPS, JOINED)), gr.update(visible=value != SONG)),
        [kind],
        [fading, cutting],
    )
    sound = [engine, level, sound_format, channels, preset, custom]
    button.click(
        fn=press,
        inputs=[files, folder, patterns, kind, crossfade, joined_name, *sound, *crops.controls, high],
        outputs=[players, archive],
        **private_event(),
    )
    crops.button.click(
        fn=show,
        inputs=[files, folder, patterns, preset, custom, *crops.controls],
        outputs=[drawing, note],
        **private_event(),
    )
