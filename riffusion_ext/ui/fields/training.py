"""Controls of the page "Training set", and the settings that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.gradio_compat import row

if TYPE_CHECKING:
    from riffusion_ext.dataset.settings import DatasetSettings

__all__ = ["settings_of", "training_controls"]

_OWN_RATE = "the song's own"
_FORMATS = {  # as the page names them
    "Dreambooth extension": "dreambooth",
    "kohya (folder N_name)": "kohya",
    "diffusers (metadata.jsonl)": "diffusers",
    "sound chunks (WAV)": "audio",
}


def training_controls() -> dict[str, Any]:
    """Lay out the controls inside the gradio context that is open; returns them by name."""
    import gradio as gr

    from riffusion_ext.dataset.settings import ALIGNMENTS, LASTS, SCALES, STEMS, CaptionSettings, CurateSettings
    from riffusion_ext.dataset.stems import can_separate
    from riffusion_ext.options.sound import CUSTOM, control
    from riffusion_ext.params import PRESETS

    default = CurateSettings()
    made: dict[str, Any] = {}
    with gr.Accordion("Captions", open=True):
        made["trigger"] = gr.Textbox(label="Trigger word", value="", info="calls up what is learnt", max_lines=1)
        made["template"] = gr.Textbox(
            label="Caption",
            value=CaptionSettings().template,
            info="also {album}, {year}, {bpm}, {key}, {folder}, {tempo}, {measured_key}; what a song lacks is left out",
            max_lines=2,
        )
    with gr.Accordion("Cutting", open=False):
        with row():
            made["columns"] = gr.Slider(128, 2048, 512, step=64, label="Width of a picture", info="512 are 5.11 s")
            made["overlap"] = gr.Slider(0.0, 0.9, 0.0, step=0.05, label="Overlap", info="share of a window in the next")
        with row():
            made["align"] = gr.Dropdown(list(ALIGNMENTS), value="none", label="Begin on", info="beats or bars")
            made["last"] = gr.Dropdown(list(LASTS), value="drop", label="End of a song", info="too short for a window")
        with row():
            made["scale"] = gr.Dropdown(list(SCALES), value="window", label="Black is the loudest of each")
            made["preset"] = gr.Dropdown([*PRESETS, CUSTOM], value="riffusion-v1", label="Spectrogram of the set")
        made["stems"] = gr.CheckboxGroup(
            list(STEMS),
            value=[],
            label="Stems instead of whole songs",
            info="taken out by the package demucs",
            visible=can_separate(),
        )
        made["custom"] = gr.Textbox(
            label="Custom parameters of the set", value="", info=control("custom").help, max_lines=1
        )
    with gr.Accordion("Choosing", open=False):
        with row():
            made["first"] = gr.Slider(0, 20, default.first, step=1, label="Leave out at the beginning of each song")
            made["final"] = gr.Slider(0, 20, default.last, step=1, label="Leave out at the end of each song")
        for name, check, label, low, high, step in (
            ("silence_db", "Check for silence", "Silence below (dBFS)", -90, -20, 1),
            ("transition", "Check for cuts", "Cut between two pieces of music from (0 to 1)", 0.0, 1.0, 0.01),
            ("duplicate", "Check for repeats", "The same music again from (likeness, 0 to 1)", 0.0, 1.0, 0.01),
            ("clipping", "Check for clipping", "Clipped from (share of samples)", 0.0, 0.2, 0.001),
        ):
            with row():
                made[f"check_{name}"] = gr.Checkbox(value=True, label=check)
                made[name] = gr.Slider(low, high, getattr(default, name), step=step, label=label)
        made["broken"] = gr.Checkbox(value=True, label="Leave out windows with drop-outs or an offset")
        made["target"] = gr.Slider(0, 5000, 0, step=10, label="How many to keep", info="0 keeps all that are fit")
    with gr.Accordion("Writing", open=False):
        made["formats"] = gr.CheckboxGroup(
            list(_FORMATS), value=["Dreambooth extension"], label="For which trainer", elem_id="riffusion_training_for"
        )
        with row():
            made["kohya_repeats"] = gr.Slider(1, 100, 10, step=1, label="kohya: repeats in the folder's name")
            made["kohya_name"] = gr.Textbox(
                label="kohya: name in the folder's name", value="", placeholder="music", max_lines=1
            )
        with row():
            made["audio_rate"] = gr.Dropdown(
                [_OWN_RATE, "16000", "22050", "32000", "44100", "48000"],
                value=_OWN_RATE,
                label="Sound chunks: sample rate",
            )
            made["audio_seconds"] = gr.Slider(
                0, 60, 0, step=0.5, label="Sound chunks: seconds", info="0: as long as the pictures"
            )
    return made


def settings_of(values: dict[str, Any]) -> DatasetSettings:
    """Return the settings of the page's controls, by name.

    Raises
    ------
    RiffusionError
        A value is not allowed.
    """
    from riffusion_ext.dataset.settings import (
        CaptionSettings,
        CurateSettings,
        DatasetSettings,
        ExportSettings,
        SliceSettings,
    )
    from riffusion_ext.options.sound import chosen_params
    from riffusion_ext.params import SpectrogramParams

    missing = [name.replace("_", " ") for name, value in values.items() if value is None]
    if missing:
        raise RiffusionError(f"A value is missing: {', '.join(missing)}.")

    def when(name: str) -> float | None:
        return float(values[name]) if values[f"check_{name}"] else None

    return DatasetSettings(
        SliceSettings(
            params=chosen_params(values["preset"], values["custom"]) or SpectrogramParams(),
            columns=int(values["columns"]),
            overlap=float(values["overlap"]),
            align=values["align"],
            last=values["last"],
            scale=values["scale"],
            stems=tuple(values["stems"]),
        ),
        CurateSettings(
            first=int(values["first"]),
            last=int(values["final"]),
            silence_db=when("silence_db"),
            transition=when("transition"),
            duplicate=when("duplicate"),
            clipping=when("clipping"),
            broken=bool(values["broken"]),
            target=int(values["target"]) or None,
        ),
        CaptionSettings(str(values["template"]), str(values["trigger"]).strip()),
        ExportSettings(
            formats=tuple(_FORMATS[name] for name in values["formats"]),
            kohya_repeats=int(values["kohya_repeats"]),
            kohya_name=str(values["kohya_name"]).strip(),
            audio_rate=None if values["audio_rate"] == _OWN_RATE else int(values["audio_rate"]),
            audio_seconds=float(values["audio_seconds"]) or None,
        ),
    )
