"""Page "Images to audio"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from riffusion_ext.convert import Result, check_format, explain, images_to_clips, joined_path, song_to_sound
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.kinds import passed_over_line
from riffusion_ext.files.result_names import result_names
from riffusion_ext.options.convert.to_audio import KINDS, TO_AUDIO
from riffusion_ext.options.crop import crop_settings
from riffusion_ext.options.sound import FROM_IMAGE, chosen_params, control
from riffusion_ext.ui.gradio_compat import component, file_input, on_change, private, row, transient_line
from riffusion_ext.ui.layout.cropping_panel import build_crop, build_preview, chosen_images, preview, preview_html
from riffusion_ext.ui.layout.page_context import PageContext, Upload, result_messages, zip_or_tidy
from riffusion_ext.ui.players import download, message, panel, player

__all__ = ["CLIPS", "EACH", "JOINED", "SONG", "build_page", "convert"]

EACH, SONG, CLIPS, JOINED = KINDS
_MOST_PLAYERS = 100
_EMPTY = "The clips appear here."


def convert(
    place: PageContext,
    files: Any,
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
) -> tuple[str, str]:
    """Turn the chosen images into sound.

    Parameters
    ----------
    place
        Where the page runs.
    files, folder, patterns
        The images: uploaded ones, those of a folder or pattern, and of both only those whose names fit.
    kind
        :data:`EACH`, :data:`SONG`, :data:`CLIPS` or :data:`JOINED`.
    crossfade, joined_name
        Of the joined track.
    engine, level, sound_format, channels, preset, custom
        As the controls of those ids.
    progress
        Called with the part done.
    crop
        Values of :data:`~riffusion_ext.options.crop.CROP_CONTROLS` by id. A song is not cut.

    Returns
    -------
    html
        Players and messages.
    archive
        Link to a zip file of all sounds where there are several, as HTML; else empty.
    """
    try:
        told: list[str] = []
        passed: list[Path] = []
        uploads, missing = chosen_images(place, files, folder, patterns, passed)
        check_format(sound_format)
        cut = crop_settings(crop or {})
        settings = _settings(place, engine, level, channels, preset, custom)
        joined_path(Path(), joined_name, f".{sound_format}")  # a name that cannot be is refused before the work
        target = place.new_folder("sounds")
        ending = f".{control('format').clean(sound_format)}"
        if kind == SONG:
            sources = [upload.path for upload in uploads]
            results = song_to_sound(
                sources, target / f"song{ending}", settings, subtype=place.subtype(), progress=progress
            )
        else:
            joined = joined_path(target, joined_name, ending)
            results, told = _clips(uploads, joined, kind, settings, crossfade, cut, place.subtype(), progress)
    except RiffusionError as error:
        return panel([], [message(str(error), "error")]), ""
    except Exception as error:
        return panel([], [message(f"This did not work: {explain(error)}", "error")]), ""
    names = {upload.path: upload.name for upload in uploads}
    made = [result for result in results if result.outputs]
    archive, trouble = zip_or_tidy([r.outputs[0] for r in made], target, "sounds.zip")
    players = [_player(place, result, number) for number, result in enumerate(made[:_MOST_PLAYERS], 1)]
    told = [passed_over_line(passed), *told] if passed else told
    notes = [message(text, "error") for text in missing] + [message(text, "info") for text in told]
    notes += result_messages(results, names)
    if made:
        many = f"; the first {_MOST_PLAYERS} are shown" if len(made) > _MOST_PLAYERS else ""
        noun = "sound file" if len(made) == 1 else "sound files"
        notes.insert(0, message(f"{len(made)} {noun} made{many}. Saved in {target}", "info"))
    link = "" if archive is None else download(place.serve(archive), archive.name)
    return panel(players, notes + trouble), link


def _settings(place: PageContext, engine: str, level: str, channels: str, preset: str, custom: str) -> Any:
    from riffusion_ext.spectrogram.codec import DecodeSettings

    return DecodeSettings(
        engine=str(control("engine").clean(engine)),
        level=str(control("level").clean(level)),
        channels=str(control("channels").clean(channels)),
        params=chosen_params(str(control("preset").clean(preset)), custom),
        device=place.device(),
    )


def _clips(
    uploads: list[Upload],
    joined: Path,
    kind: str,
    settings: Any,
    crossfade: float,
    cut: Any,
    subtype: str,
    progress: Callable[[float], None] | None,
) -> tuple[list[Result], list[str]]:
    wanted = kind == JOINED or (kind == CLIPS and len(uploads) > 1)
    # An image of the track's name has to give way.
    targets, told = result_names(
        [upload.source for upload in uploads],
        lambda source: joined.parent,
        joined.suffix,
        taken=[joined] if wanted else [],
    )
    pairs = [(upload.path, None if kind == JOINED else target) for upload, target in zip(uploads, targets, strict=True)]
    results: list[Result] = []
    for result in images_to_clips(
        pairs, settings, joined=joined if wanted else None, crop=cut, crossfade=float(crossfade), subtype=subtype
    ):
        results.append(result)
        if progress:
            progress(min(1.0, len(results) / len(pairs)))
    return results, [] if kind == JOINED else told


def _player(place: PageContext, result: Result, number: int) -> str:
    path = result.outputs[0]
    return player(place.serve(path), path.stem, result.duration, path.name, number=number)


def build_page(place: PageContext) -> None:
    """Lay out the page inside the gradio context that is open."""
    import gradio as gr

    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            files = file_input("Images", "riffusion_pictures", file_count="multiple", file_types=["image"])
            folder = transient_line(
                label="Or a folder of images on this machine",
                placeholder="/path/to/images or /path/to/*.png",
                visible=place.folders,
                elem_id="riffusion_pictures_folder",
            )
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
                preset = component(control("preset"), "riffusion_pictures_preset")
                custom = component(control("custom"), "riffusion_pictures_custom")
            button = gr.Button("Convert to audio", variant="primary", elem_id="riffusion_pictures_go")
        with gr.Column(scale=1, min_width=320):
            drawing, note = build_preview()
            players = gr.HTML(value=message(_EMPTY), elem_id="riffusion_pictures_players")
            archive = gr.HTML(value="", visible=False, elem_id="riffusion_pictures_zip")
    for transient in (patterns, joined_name):
        transient.do_not_save_to_config = True

    # gradio puts the progress bar in the place its parameter has among the others, so they cannot be *values.
    def press(
        files: Any,
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
        progress: Any = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, Any]:
        values = (files, folder, kind, crossfade, engine, level, sound_format, channels, preset, custom)
        cut = (crop, crop_width, rhythm, ignore_range, band_start, band_length, threshold)
        html, link = convert(
            place,
            *values,
            progress=lambda part: progress(part, desc="Converting to audio"),
            patterns=patterns,
            joined_name=joined_name,
            crop=crops.values(cut),
        )
        return html, gr.update(value=link, visible=bool(link))

    def show(files: Any, folder: str, patterns: str, preset: str, custom: str, *cut: Any) -> tuple[Any, Any]:
        image, html = preview(place, files, folder, patterns, preset, custom, crops.values(cut))
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
        inputs=[files, folder, patterns, kind, crossfade, joined_name, *sound, *crops.controls],
        outputs=[players, archive],
        **private(),
    )
    crops.button.click(
        fn=show,
        inputs=[files, folder, patterns, preset, custom, *crops.controls],
        outputs=[drawing, note],
        **private(),
    )
