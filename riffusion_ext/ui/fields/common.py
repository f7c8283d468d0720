"""Controls that the pages Song, Riff and Loop have in common, and what they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.controls import CUSTOM, chosen_params, control
from riffusion_ext.ui.gradio_compat import component, row
from riffusion_ext.ui.layout.page_context import Place, Styled

if TYPE_CHECKING:
    from riffusion_ext.generate.live.settings import JamSettings
    from riffusion_ext.generate.loop import LoopSettings
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.score.keyframes import Keyframe
    from riffusion_ext.generate.song import SongSettings
    from riffusion_ext.params import SpectrogramParams
    from riffusion_ext.spectrogram.settings import DecodeSettings

Painted = TypeVar("Painted", bound="Keyframe | LoopSettings | JamSettings")
Settings = TypeVar("Settings", bound="SongSettings | RiffSettings | LoopSettings | JamSettings")

__all__ = [
    "AUTOMATIC",
    "check_values",
    "common_controls",
    "decode_settings",
    "model_params",
    "sampler_of",
    "styles_control",
    "values_of_common",
    "window_controls",
    "with_sampler",
    "with_styles",
]

AUTOMATIC = "automatic"
"""The sampler that is the host's choice."""


def common_controls(
    place: Place, page: str, *, level: str = "peak", batch: bool = True, file: bool = True, steps_help: str = ""
) -> dict[str, Any]:
    """Lay out what all pages have, inside the gradio context that is open; returns the controls by name.

    `file`: and those of a sound that is finished some time, its format and its level.

    A webui keeps a user's defaults by label, and the pages are in one tab: where labels are equal, so are the values.
    """
    import gradio as gr

    from riffusion_ext.params import PRESETS

    made: dict[str, Any] = {}
    with row():
        made["steps"] = gr.Slider(
            1, 150, 30, step=1, label="Steps", info=steps_help or None, elem_id=f"riffusion_{page}_steps"
        )
        made["sampler"] = gr.Dropdown(
            [AUTOMATIC, *place.samplers()],
            value=AUTOMATIC,
            label="Sampler",
            info="those named SDE jump where seeds should travel",
            elem_id=f"riffusion_{page}_sampler",
        )
    with gr.Accordion("Sound and model", open=False):
        with row():
            made["engine"] = component(control("engine"), f"riffusion_{page}_engine")
            if file:
                made["format"] = component(control("format"), f"riffusion_{page}_format")
        with row():
            if file and level == "peak":
                made["level"] = component(control("level"), f"riffusion_{page}_level")
            elif file:
                made["level"] = gr.Dropdown(
                    list(control("level").choices),
                    value=level,
                    label="Level of the riff",
                    info="recorded: that of the song; peak: as loud as it goes; loudness: the same for all",
                    elem_id=f"riffusion_{page}_level",
                )
            if batch:
                made["batch"] = gr.Slider(
                    1,
                    16,
                    4,
                    step=1,
                    label="Windows at once",
                    info="more are faster and need more memory",
                    elem_id=f"riffusion_{page}_batch",
                )
        with row():
            made["preset"] = gr.Dropdown(
                [*PRESETS, CUSTOM],
                value="riffusion-v1",
                label="Spectrogram of the model",
                info="what the model was trained on",
                elem_id=f"riffusion_{page}_preset",
            )
            made["custom"] = gr.Textbox(
                label="Custom parameters of the model",
                value="",
                info=control("custom").help,
                max_lines=1,
                elem_id=f"riffusion_{page}_custom",
            )
    return made


def styles_control(place: Place, page: str) -> dict[str, Any]:
    """Lay out the choice of prompt styles by name, where there are such things; it is not to be remembered."""
    import gradio as gr

    if place.styles is None:
        return {}
    styles = gr.Dropdown(
        list(place.styles()), value=[], multiselect=True, label="Styles", elem_id=f"riffusion_{page}_styles"
    )
    styles.do_not_save_to_config = True
    return {"styles": styles}


def window_controls(page: str) -> dict[str, Any]:
    """Lay out how large windows are, for pages that make more than one."""
    import gradio as gr

    with row():
        width = gr.Slider(
            128,
            1024,
            512,
            step=64,
            label="Width of a window",
            info="512 are 5.11 s",
            elem_id=f"riffusion_{page}_width",
        )
        overlap = gr.Slider(
            16,
            256,
            128,
            step=16,
            label="Overlap of windows",
            info="at most half the width",
            elem_id=f"riffusion_{page}_overlap",
        )
    return {"width": width, "overlap": overlap}


def with_styles(keyframe: Painted, values: Mapping[str, Any], styled: Styled) -> Painted:
    """Return a keyframe, or settings with a prompt of their own, with the chosen styles in its prompts."""
    names = list(values.get("styles") or ())
    if not names:
        return keyframe
    prompt, negative = styled(keyframe.prompt, keyframe.negative, names)
    return replace(keyframe, prompt=prompt, negative=negative)


def check_values(values: Mapping[str, Any], *, optional: Sequence[str] = ()) -> None:
    """Raise a RiffusionError that names the controls without a value; a number box that was emptied has none."""
    missing = [name.replace("_", " ") for name, value in values.items() if value is None and name not in optional]
    if missing:
        raise RiffusionError(f"A value is missing: {', '.join(missing)}.")


def decode_settings(values: Mapping[str, Any], place: Place) -> DecodeSettings:
    """Return how pictures become sound, by the common controls."""
    from riffusion_ext.spectrogram.settings import DecodeSettings

    return DecodeSettings(engine=str(control("engine").clean(values["engine"])), device=place.device())


def model_params(values: Mapping[str, Any]) -> SpectrogramParams:
    """Return the parameters of the model's pictures, by the common controls."""
    from riffusion_ext.params import SpectrogramParams

    return chosen_params(str(values["preset"]), str(values["custom"])) or SpectrogramParams()


def values_of_common(settings: Any) -> dict[str, Any]:
    """Return values of the common controls that mean the settings of a song, riff or loop."""
    from riffusion_ext.params import PRESETS

    named = next((name for name, params in PRESETS.items() if params == settings.params), CUSTOM)
    custom = "" if named != CUSTOM else _text_of(settings.params)
    return {
        "steps": settings.steps,
        "sampler": settings.sampler or AUTOMATIC,
        "level": settings.level,
        "styles": [],  # they are in the prompts
        "preset": named,
        "custom": custom,
    }


def _text_of(params: SpectrogramParams) -> str:
    from riffusion_ext.generate.checkpoint.recipe import to_record

    return ", ".join(f"{name}={str(value).lower()}" for name, value in to_record(params).items())


def sampler_of(values: Mapping[str, Any]) -> str:
    """Return the sampler's name as a backend takes it."""
    return "" if values["sampler"] in (None, "", AUTOMATIC) else str(values["sampler"])


def with_sampler(settings: Settings, place: Place) -> Settings:
    """Return settings that name their sampler, so that what is made can be made again."""
    return settings if settings.sampler else replace(settings, sampler=place.usual_sampler())
