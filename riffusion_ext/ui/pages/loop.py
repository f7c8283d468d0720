"""Page "Loop": a few bars that go round without a seam."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui import gradio_compat
from riffusion_ext.ui.controls import control
from riffusion_ext.ui.fields.common import (
    check_values,
    common_controls,
    decode_settings,
    model_params,
    sampler_of,
    styles_control,
    values_of_common,
    with_sampler,
    with_styles,
)
from riffusion_ext.ui.layout import generation_page
from riffusion_ext.ui.layout.background_task import Cancelled, Runs, Tell
from riffusion_ext.ui.layout.generation_page import Made, Painted, Shown
from riffusion_ext.ui.layout.page_context import Place, Styled, unstyled
from riffusion_ext.ui.layout.result_panel import Screen, restored
from riffusion_ext.ui.players import message, player

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.generate.loop import LoopSettings

__all__ = ["build_page", "loop_controls", "make", "new_runs", "settings_of", "values_of"]

KIND = "loops"


def new_runs() -> Runs:
    """Return the runs of this page."""
    return Runs("A loop is being made already; stop it first.", generation_page.STOPPING)


def make(
    runs: Runs, place: Place, settings: LoopSettings, options: Mapping[str, Any], picture: Image.Image | None = None
) -> Iterator[Shown]:
    """Make a loop.

    Parameters
    ----------
    runs, place
        Of the page.
    settings
        What it is.
    options
        ``engine`` and ``format``, as the controls of those names.
    picture
        What it starts from.
    """
    settings = with_sampler(settings, place)

    def work(tell: Tell, cancelled: Cancelled) -> Made:
        from riffusion_ext.generate.backends.batch_limit import Batched
        from riffusion_ext.generate.checkpoint.runner import Stopped
        from riffusion_ext.generate.loop import Loop

        assert place.backend is not None
        folder = place.output_dir() / KIND
        ending = f".{control('format').clean(options['format'])}"
        decode = decode_settings(options, place)
        loop = Loop(settings, folder / "windows", seed_picture=picture, decode=decode)
        for event in loop.paint(Batched(place.backend(), 1, tell, cancelled)):
            tell(event)
            if isinstance(event, Stopped):
                return Made(Painted(0, 1), notes=(message("Stopped before the loop was finished.", "warning"),))
        clip = loop.sound()
        if clip is None:
            raise RiffusionError("the loop was not painted")
        title = settings.prompt.strip() or "loop"
        path = loop.write(
            generation_page.result_path(place, KIND, title, ending), clip, title=title, subtype=place.subtype()
        )
        bars = f"{settings.bars:g} {'bar' if settings.bars == 1 else 'bars'}"
        tempo = f"{bars} at {settings.bpm:g} BPM, {clip.samples.shape[1]} samples."
        shown = player(place.serve(path), title, clip.duration, path.name, seed=loop.settings.seed, loop=True)
        return Made(Painted(1, 1), (shown,), (message(tempo), *generation_page.told(path, loop.infotext())))

    return generation_page.show(runs, place, work)


def settings_of(values: Mapping[str, Any], styled: Styled = unstyled) -> LoopSettings:
    """Return the settings of the page's controls, by name; `styled` puts the chosen styles into the prompts.

    Raises
    ------
    RiffusionError
        A value is missing or not allowed.
    """
    from riffusion_ext.generate.loop import LoopSettings

    check_values(values)
    settings = LoopSettings(
        str(values["prompt"]).strip(),
        str(values["negative"]).strip(),
        seed=int(values["seed"]),
        cfg=float(values["cfg"]),
        denoise=float(values["denoise"]),
        bars=float(values["bars"]),
        bpm=float(values["bpm"]),
        beats_per_bar=int(values["beats_per_bar"]),
        beat=str(values["beat"]),
        steps=int(values["steps"]),
        sampler=sampler_of(values),
        params=model_params(values),
        level=str(values["level"]),
    )
    return with_styles(settings, values, styled)


def values_of(settings: LoopSettings) -> dict[str, Any]:
    """Return values of the page's controls, by name, that mean these settings."""
    names = ("prompt", "negative", "seed", "cfg", "denoise", "bars", "bpm", "beats_per_bar", "beat")
    return {name: getattr(settings, name) for name in names} | values_of_common(settings)


def loop_controls(place: Place) -> dict[str, Any]:
    """Lay out the controls inside the gradio context that is open; returns them by name."""
    import gradio as gr

    from riffusion_ext.generate.windows.init_images import PATTERNS

    made: dict[str, Any] = {}
    made["prompt"] = gr.Textbox(label="Prompt", value="", max_lines=4, elem_id="riffusion_loop_prompt")
    made["negative"] = gr.Textbox(label="Negative prompt", value="", max_lines=4, elem_id="riffusion_loop_negative")
    made |= styles_control(place, "loop")
    with gradio_compat.row():
        made["bars"] = gr.Number(value=2, label="Bars", elem_id="riffusion_loop_bars")
        made["bpm"] = gr.Number(value=120, label="Beats per minute", elem_id="riffusion_loop_bpm")
        made["beats_per_bar"] = gr.Number(value=4, precision=0, label="Beats per bar", elem_id="riffusion_loop_beats")
    with gradio_compat.row():
        made["seed"] = gr.Number(value=-1, precision=0, label="Seed", elem_id="riffusion_loop_seed")
        made["cfg"] = gr.Slider(1, 30, 7, step=0.5, label="CFG scale", elem_id="riffusion_loop_cfg")
    with gradio_compat.row():
        made["beat"] = gr.Dropdown(
            list(PATTERNS), value="none", label="Begin with a beat", elem_id="riffusion_loop_beat"
        )
        made["denoise"] = gr.Slider(
            0, 1, 0.75, step=0.01, label="Denoising of beat or picture", elem_id="riffusion_loop_denoise"
        )
    made |= common_controls(place, "loop", batch=False)
    for transient in ("prompt", "negative", "seed"):
        made[transient].do_not_save_to_config = True
    return made


def build_page(place: Place) -> None:
    """Lay out the page inside the gradio context that is open."""
    import gradio as gr

    runs = new_runs()
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            controls = loop_controls(place)
            with gr.Accordion("Picture to begin with", open=False):
                picture = gradio_compat.picture("Seed picture", "riffusion_loop_seed_picture")
        with gr.Column(scale=1, min_width=320) as right:
            screen = Screen(
                "loop", "Make the loop", "The loop appears here, and plays round and round.", stretches=False
            )
    names = list(controls)

    def press(picture: Any, *given: Any) -> Iterator[list[Any]]:
        values = dict(zip(names, given, strict=True))
        try:
            settings = settings_of(values, place.styled)
        except RiffusionError as error:
            yield screen.updates(Shown(message(str(error), "error")))
            return
        for shown in make(runs, place, settings, values, picture):
            yield screen.updates(shown)

    def restore(file: Any) -> list[Any]:
        values, note = restored(file, "loop", values_of)
        note = note or message("The settings are those of the file. A picture that it began with is not in it.")
        return [*(gr.update(value=values[name]) if name in values else gr.update() for name in names), note]

    screen.start.click(fn=press, inputs=[picture, *controls.values()], outputs=screen.outputs, **screen.quiet)
    with right:
        screen.end(runs, restore, list(controls.values()))
