"""Page "Pictures to audio"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from riffusion_ext.convert import Result, check_format, explain, joined_clips, pictures_to_sounds, song_to_sound
from riffusion_ext.errors import RiffusionError
from riffusion_ext.paths import PICTURE_SUFFIXES, NameGiver, natural_key
from riffusion_ext.ui.controls import FROM_PICTURE, chosen_params, control
from riffusion_ext.ui.players import message, panel, player
from riffusion_ext.ui.render import component, on_change, row
from riffusion_ext.ui.tabs.place import Place, Upload, chosen_files, result_messages, zip_or_tidy

__all__ = ["CLIPS", "EACH", "SONG", "build_page", "convert"]

EACH, SONG, CLIPS = "One clip each", "One song", "One clip each, and all joined"
_MOST_PLAYERS = 100
_EMPTY = "The clips appear here."


def convert(
    place: Place,
    files: Any,
    folder: str | None,
    kind: str,
    crossfade: float,
    engine: str,
    level: str,
    sound_format: str,
    channels: str,
    preset: str = FROM_PICTURE,
    custom: str = "",
    progress: Callable[[float], None] | None = None,
) -> tuple[str, str | None]:
    """Turn the chosen pictures into sound.

    Returns
    -------
    html
        Players and messages.
    archive
        Path of a zip file of all sounds where there are several, else None.
    """
    try:
        uploads, missing = chosen_files(files, folder if place.folders else None, PICTURE_SUFFIXES)
        check_format(sound_format)
        uploads.sort(key=lambda upload: natural_key(upload.name))
        target = place.new_folder("sounds")
        settings = _settings(place, engine, level, channels, preset, custom)
        results = _run(uploads, target, kind, crossfade, settings, sound_format, progress)
    except RiffusionError as error:
        return panel([], [message(str(error), "error")]), None
    except Exception as error:
        return panel([], [message(f"This did not work: {explain(error)}", "error")]), None
    names = {upload.path: upload.name for upload in uploads}
    made = [result for result in results if result.outputs]
    archive, trouble = zip_or_tidy([r.outputs[0] for r in made], target, "sounds.zip")
    players = [_player(place, result, number) for number, result in enumerate(made[:_MOST_PLAYERS], 1)]
    notes = [message(text, "error") for text in missing] + result_messages(results, names)
    if made:
        many = f"; the first {_MOST_PLAYERS} are shown" if len(made) > _MOST_PLAYERS else ""
        noun = "sound file" if len(made) == 1 else "sound files"
        notes.insert(0, message(f"{len(made)} {noun} made{many}. Saved in {target}", "info"))
    return panel(players, notes + trouble), None if archive is None else str(archive)


def _settings(place: Place, engine: str, level: str, channels: str, preset: str, custom: str) -> Any:
    from riffusion_ext.spectrogram.codec import DecodeSettings

    return DecodeSettings(
        engine=str(control("engine").clean(engine)),
        level=str(control("level").clean(level)),
        channels=str(control("channels").clean(channels)),
        params=chosen_params(str(control("preset").clean(preset)), custom),
        device=place.device(),
    )


def _run(
    uploads: list[Upload],
    folder: Path,
    kind: str,
    crossfade: float,
    settings: Any,
    sound_format: str,
    progress: Callable[[float], None] | None,
) -> list[Result]:
    ending = f".{control('format').clean(sound_format)}"
    sources = [upload.path for upload in uploads]
    if kind == SONG:
        return song_to_sound(sources, folder / f"song{ending}", settings, progress=progress)
    giver = NameGiver()
    pairs = [(upload.path, giver.name(folder, Path(upload.name), ending)) for upload in uploads]
    results: list[Result] = []
    for result in pictures_to_sounds(pairs, settings):
        results.append(result)
        if progress:
            progress(len(results) / len(pairs))
    good = [result.source for result in results if result.ok]
    if kind == CLIPS and len(good) > 1:
        results += joined_clips(good, folder / f"joined{ending}", settings, crossfade=crossfade)
    return results


def _player(place: Place, result: Result, number: int) -> str:
    path = result.outputs[0]
    return player(place.serve(path), path.stem, result.details.get("duration", 0.0), path.name, number=number)


def build_page(place: Place) -> None:
    """Lay out the page inside the gradio context that is open."""
    import gradio as gr

    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            files = gr.File(label="Pictures", file_count="multiple", file_types=["image"], elem_id="riffusion_pictures")
            folder = gr.Textbox(
                label="Or a folder of pictures on this machine",
                placeholder="/path/to/pictures or /path/to/*.png",
                max_lines=1,
                visible=place.folders,
                elem_id="riffusion_pictures_folder",
            )
            kind = gr.Radio(
                choices=[EACH, SONG, CLIPS],
                value=EACH,
                label="What to make",
                info="One song: the pictures are consecutive parts of it; it is rebuilt as a whole, without seams.",
                elem_id="riffusion_pictures_kind",
            )
            with gr.Column(visible=False) as fading:
                crossfade = component(control("crossfade"), "riffusion_pictures_crossfade")
            with row():
                sound_format = component(control("format"), "riffusion_pictures_format")
                engine = component(control("engine"), "riffusion_pictures_engine")
            with row():
                level = component(control("level"), "riffusion_pictures_level")
                channels = component(control("channels"), "riffusion_pictures_channels")
            with row():
                preset = component(control("preset"), "riffusion_pictures_preset")
                custom = component(control("custom"), "riffusion_pictures_custom")
            button = gr.Button("Turn into sound", variant="primary", elem_id="riffusion_pictures_go")
        with gr.Column(scale=1, min_width=320):
            players = gr.HTML(value=message(_EMPTY), elem_id="riffusion_pictures_players")
            archive = gr.File(
                label="All sounds (zip)", visible=False, interactive=False, elem_id="riffusion_pictures_zip"
            )
    for transient in (files, folder, archive):
        transient.do_not_save_to_config = True

    # gradio puts the progress bar in the place its parameter has among the others, so they cannot be *values.
    def press(
        files: Any,
        folder: str,
        kind: str,
        crossfade: float,
        engine: str,
        level: str,
        sound_format: str,
        channels: str,
        preset: str,
        custom: str,
        progress: Any = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, Any]:
        values = (files, folder, kind, crossfade, engine, level, sound_format, channels, preset, custom)
        html, path = convert(place, *values, progress=lambda part: progress(part, desc="Turning into sound"))
        return html, gr.update(value=path, visible=path is not None)

    on_change(kind, lambda value: gr.update(visible=value == CLIPS), [kind], [fading])
    button.click(
        fn=press,
        inputs=[files, folder, kind, crossfade, engine, level, sound_format, channels, preset, custom],
        outputs=[players, archive],
        api_name=False,
    )
