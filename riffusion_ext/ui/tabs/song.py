"""Page "Song": prompts over time in, minutes of music out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.atomic import write_atomically
from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.controls import control
from riffusion_ext.ui.players import message, player
from riffusion_ext.ui.render import row
from riffusion_ext.ui.tabs import making
from riffusion_ext.ui.tabs.making import Made, Shown, Unfinished
from riffusion_ext.ui.tabs.place import Place
from riffusion_ext.ui.tabs.runs import Cancelled, Runs, Tell
from riffusion_ext.ui.tabs.screen import Screen, restored

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.generate.song import Song, SongSettings

__all__ = [
    "build_page",
    "last_end",
    "make",
    "new_runs",
    "resume",
    "settings_of",
    "song_controls",
    "values_of",
    "window_picture",
]

KIND = "songs"
PICTURES = ("seed_picture", "mask", "before")
_OPTIONS = ("batch", "engine", "format")
_ENDS = "ends"
_NOTHING = "There is no song yet: make one first."
EXAMPLE = """8 bars | funky saxophone, upbeat -- vocals
8 bars | jazz piano trio | seed 42 | cfg 8
0:10 | slow solo piano"""


def new_runs(place: Place) -> Runs:
    """Return the runs of this page."""
    return Runs("A song is being made already; stop it first.", making.STOPPING, place.interrupt)


def make(
    runs: Runs,
    place: Place,
    settings: SongSettings,
    options: Mapping[str, Any],
    pictures: Mapping[str, Image.Image | None],
) -> Iterator[Shown]:
    """Make a song, or go on with it where its windows are there already.

    Parameters
    ----------
    runs, place
        Of the page.
    settings
        What the song is.
    options
        ``batch``, ``engine`` and ``format``, as the controls of those names.
    pictures
        By the names in :data:`PICTURES`.
    """

    def work(tell: Tell, cancelled: Cancelled) -> Made:
        from riffusion_ext.generate.record import to_record
        from riffusion_ext.generate.song import Song

        assert place.backend is not None
        folder = place.output_dir() / KIND
        song = Song(
            settings,
            folder / "windows",
            decode=making.decode_settings(options, place),
            **{name: pictures.get(name) for name in PICTURES},
        )
        ending = f".{control('format').clean(options['format'])}"
        unfinished = Unfinished(folder)
        unfinished.keep({"settings": to_record(song.settings), "options": dict(options)}, pictures)
        backend = making.Batched(place.backend(), int(options["batch"]))
        painted = making.paint(song, backend, folder / "parts", tell, cancelled)
        clip = song.sound()
        if clip is None:
            return Made(painted)
        first = song.settings.score.keyframes[0]
        title = first.prompt
        path = making.result_path(place, KIND, title + ("" if painted.complete else " (unfinished)"), ending)
        song.write(path, clip, title=title)
        _keep_end(song, folder / _ENDS)
        if painted.complete:
            unfinished.forget()
        shown = player(place.serve(path), title or path.stem, clip.duration, path.name, seed=first.seed)
        extra = {"windows": str(song.windows_folder)}
        return Made(painted, (shown,), making.told(path, song.infotext()), extra)

    return making.show(runs, place, work)


def _keep_end(song: Song, folder: Path) -> None:
    """Keep the end of a song as a picture that another one can go on from."""
    end = song.picture(columns=song.settings.width)
    if end is not None:
        path = folder / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}.png"
        write_atomically(path, lambda file: end.save(file, format="PNG"))
        making.keep_newest(folder)


def last_end(place: Place) -> tuple[Image.Image | None, str]:
    """Return the end of the song that was made last; else why not, as HTML."""
    from riffusion_ext.spectrogram.image import open_picture

    try:
        paths = sorted((place.output_dir() / KIND / _ENDS).glob("*.png"))
        if not paths:
            raise RiffusionError(_NOTHING)
        return open_picture(paths[-1]).convert("RGB"), ""
    except RiffusionError as error:
        return None, message(str(error), "error")


def resume(runs: Runs, place: Place) -> Iterator[Shown]:
    """Go on with the last song that was stopped before its end."""
    from riffusion_ext.generate.record import read_record
    from riffusion_ext.generate.song import SongSettings

    try:
        values, pictures = Unfinished(place.output_dir() / KIND).load()
        settings = read_record(SongSettings, values["settings"])
    except RiffusionError as error:
        yield Shown(message(str(error), "error"))
        return
    yield from make(runs, place, settings, values["options"], pictures)


def settings_of(values: Mapping[str, Any]) -> SongSettings:
    """Return the settings of the page's controls, by name.

    Raises
    ------
    RiffusionError
        A value is missing or not allowed.
    """
    from riffusion_ext.generate.keyframes import Keyframe
    from riffusion_ext.generate.score_text import parse_score
    from riffusion_ext.generate.song import SongSettings

    making.check_values(values)
    defaults = Keyframe(
        "", str(values["negative"]).strip(), denoise=float(values["denoise"]), cfg=float(values["cfg"]), seconds=1.0
    )
    score = parse_score(
        str(values["score"]),
        bpm=float(values["bpm"]),
        beats_per_bar=int(values["beats_per_bar"]),
        power=float(values["power"]),
        loop=bool(values["back"]),
        defaults=defaults,
    )
    first = score.keyframes[0]
    if first.seed == -1:  # lines that name a seed keep it
        score = replace(score, keyframes=(replace(first, seed=int(values["seed"])), *score.keyframes[1:]))
    return SongSettings(
        score,
        join=str(values["join"]),
        beat=str(values["beat"]),
        width=int(values["width"]),
        overlap=int(values["overlap"]),
        seeds=str(values["seeds"]),
        steps=int(values["steps"]),
        sampler=making.sampler_of(values),
        params=making.model_params(values),
        level=str(values["level"]),
    )


def values_of(settings: SongSettings) -> dict[str, Any]:
    """Return values of the page's controls, by name, that mean these settings; those that have no say are left out."""
    from riffusion_ext.generate.score_text import format_score

    score = settings.score
    return {
        "score": format_score(score),
        "negative": "",
        "denoise": 0.75,
        "cfg": 7.0,
        "bpm": score.bpm or 120,
        "beats_per_bar": score.beats_per_bar,
        "power": score.power,
        "back": score.loop,
        "seed": -1,
        "join": settings.join,
        "beat": settings.beat,
        "width": settings.width,
        "overlap": settings.overlap,
        "seeds": settings.seeds,
        **making.values_of_common(settings),
    }


def song_controls(place: Place) -> dict[str, Any]:
    """Lay out the controls inside the gradio context that is open; returns them by name."""
    import gradio as gr

    from riffusion_ext.generate.plan import SEEDS
    from riffusion_ext.generate.seed_pictures import PATTERNS
    from riffusion_ext.generate.song import JOINS

    made: dict[str, Any] = {}
    made["score"] = gr.Textbox(
        label="Score",
        value="",
        info="a line for each part: how long | prompt -- negative prompt | seed 42 | denoise 0.6 | cfg 7",
        placeholder=EXAMPLE,
        lines=5,
        max_lines=30,
        elem_id="riffusion_song_score",
    )
    made["negative"] = gr.Textbox(
        label="Negative prompt of lines without one", value="", max_lines=3, elem_id="riffusion_song_negative"
    )
    with row():
        made["bpm"] = gr.Number(value=120, label="Beats per minute", elem_id="riffusion_song_bpm")
        made["beats_per_bar"] = gr.Number(value=4, precision=0, label="Beats per bar", elem_id="riffusion_song_beats")
        made["seed"] = gr.Number(value=-1, precision=0, label="Seed", elem_id="riffusion_song_seed")
    made["cfg"] = gr.Slider(1, 30, 7, step=0.5, label="CFG scale", elem_id="riffusion_song_cfg")
    with row():
        made["beat"] = gr.Dropdown(
            list(PATTERNS), value="none", label="Begin with a beat", elem_id="riffusion_song_beat"
        )
        made["denoise"] = gr.Slider(
            0, 1, 0.75, step=0.01, label="Denoising of beat or picture", elem_id="riffusion_song_denoise"
        )
    with gr.Accordion("From one part to the next", open=False):
        with row():
            made["power"] = gr.Slider(
                0.25,
                4,
                1,
                step=0.05,
                label="Power of the transitions",
                info="1: even; below 1 the middle passes fast, above 1 it lasts",
                elem_id="riffusion_song_power",
            )
            made["back"] = gr.Checkbox(
                value=False, label="The last part leads back to the first", elem_id="riffusion_song_back"
            )
        with row():
            made["join"] = gr.Dropdown(
                list(JOINS),
                value="outpaint",
                label="Joins of the windows",
                info="outpaint: each is painted on from the last; plain: side by side, the original's way",
                elem_id="riffusion_song_join",
            )
            made["seeds"] = gr.Dropdown(
                list(SEEDS),
                value="auto",
                label="Noise of the windows",
                info="auto: new where the music would repeat itself",
                elem_id="riffusion_song_seeds",
            )
        with row():
            made["width"] = gr.Slider(
                128,
                1024,
                512,
                step=64,
                label="Width of a window",
                info="512 are 5.11 s",
                elem_id="riffusion_song_width",
            )
            made["overlap"] = gr.Slider(
                16,
                256,
                128,
                step=16,
                label="Overlap of windows",
                info="at most half the width",
                elem_id="riffusion_song_overlap",
            )
    made |= making.common_controls(place, "song")
    for transient in ("score", "seed"):
        made[transient].do_not_save_to_config = True
    return made


def _pictures() -> tuple[dict[str, Any], Any]:
    import gradio as gr

    made: dict[str, Any] = {}
    with gr.Accordion("Pictures to begin with", open=False, elem_id="riffusion_song_pictures"):
        with gr.Row():
            made["seed_picture"] = gr.Image(label="Seed picture", type="pil", elem_id="riffusion_song_seed_picture")
            made["mask"] = gr.Image(label="Mask: white is painted over", type="pil", elem_id="riffusion_song_mask")
        made["before"] = gr.Image(label="Continue this clip", type="pil", elem_id="riffusion_song_before")
        last = gr.Button("Continue the last song", elem_id="riffusion_song_last")
    return made, last


def window_picture(folder: str, number: float | None) -> tuple[Image.Image | None, str]:
    """Return the picture of a window of the song on the page, by its number from 1; else why not, as HTML."""
    from riffusion_ext.spectrogram.image import open_picture

    try:
        files = sorted(Path(folder).glob("*.png")) if folder else []
        if not files:
            raise RiffusionError(_NOTHING)
        path = Path(folder) / f"{int(number or 1) - 1:05d}.png"
        if path not in files:
            raise RiffusionError(f"Window {int(number or 1)} is not painted; there are {len(files)}.")
        return open_picture(path).convert("RGB"), ""
    except RiffusionError as error:
        return None, message(str(error), "error")


def _hand_over(send: Callable[[Any, Any], None], windows: Any, screen: Screen) -> None:
    """Lay out a way for windows to img2img."""
    import gradio as gr

    with gr.Accordion("Windows of the song", open=False, elem_id="riffusion_song_windows"):
        with gr.Row():
            number = gr.Number(value=1, precision=0, label="Number of the window", elem_id="riffusion_song_window")
            show = gr.Button("Show the window", elem_id="riffusion_song_show")
            button = gr.Button("Send to img2img", elem_id="riffusion_song_send")
        picture = gr.Image(label="Window", type="pil", interactive=False, elem_id="riffusion_song_picture")
    number.do_not_save_to_config = True
    send(button, picture)

    def look(folder: str, number: float | None) -> tuple[Any, Any]:
        picture, why = window_picture(folder, number)
        return picture, why or gr.update()

    show.click(fn=look, inputs=[windows, number], outputs=[picture, screen.status], **screen.quiet)


def build_page(place: Place) -> None:
    """Lay out the page inside the gradio context that is open."""
    import gradio as gr

    runs = new_runs(place)
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            controls = song_controls(place)
            pictures, last = _pictures()
        with gr.Column(scale=1, min_width=320) as right:
            screen = Screen("song", "Make the song", "The song appears here, and what is finished of it meanwhile.")
            windows = gr.State("")
            if place.send is not None:
                _hand_over(place.send, windows, screen)
    for name in ("seed_picture", "before"):
        place.receive(name, pictures[name])
    names, kinds = list(controls), list(pictures)
    outputs = [*screen.outputs, windows]

    def updates(shown: Shown) -> list[Any]:
        return [*screen.updates(shown), shown.extra.get("windows", gr.update())]

    def press(*given: Any) -> Iterator[list[Any]]:
        values = dict(zip(names, given, strict=False))
        try:
            settings = settings_of(values)
        except RiffusionError as error:
            yield updates(Shown(message(str(error), "error")))
            return
        options = {name: values[name] for name in _OPTIONS}
        for shown in make(runs, place, settings, options, dict(zip(kinds, given[len(names) :], strict=True))):
            yield updates(shown)

    def go_on() -> Iterator[list[Any]]:
        for shown in resume(runs, place):
            yield updates(shown)

    def restore(file: Any) -> list[Any]:
        values, note = restored(file, "song", values_of)
        note = note or message("The settings are those of the file. Pictures that it began with are not in it.")
        return [*(gr.update(value=values[name]) if name in values else gr.update() for name in names), note]

    def go_on_from_last() -> tuple[Any, Any]:
        picture, why = last_end(place)
        return picture if picture is not None else gr.update(), why or gr.update()

    last.click(fn=go_on_from_last, outputs=[pictures["before"], screen.status], **screen.quiet)
    screen.start.click(fn=press, inputs=[*controls.values(), *pictures.values()], outputs=outputs, **screen.quiet)
    screen.resume.click(fn=go_on, outputs=outputs, **screen.quiet)
    with right:
        screen.end(runs, restore, list(controls.values()))
