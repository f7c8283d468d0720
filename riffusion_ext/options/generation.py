"""Options that songs, riffs, loops and live sessions have in common, and conversions of their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, TypeVar

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate import bounds
from riffusion_ext.options.option import Option
from riffusion_ext.options.sound import CUSTOM, chosen_params, control
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.validation.values import number, texts, whole

if TYPE_CHECKING:
    from riffusion_ext.generate.live.settings import JamSettings
    from riffusion_ext.generate.loop import LoopSettings
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.score.keyframes import Keyframe
    from riffusion_ext.generate.song import SongSettings

__all__ = [
    "AUTOMATIC",
    "BATCH",
    "BEAT",
    "BEATS_PER_BAR",
    "BPM",
    "CFG",
    "DENOISE",
    "LEVEL",
    "MAX_TEXT_LENGTH",
    "NEGATIVE",
    "OVERLAP",
    "POWER",
    "PRESET",
    "PRESET_CUSTOM",
    "PROMPT",
    "SAMPLER",
    "SEED",
    "SEEDS",
    "STEPS",
    "WIDTH",
    "ApplyStyles",
    "PromptFields",
    "check_values",
    "model_params",
    "prompt_fields",
    "sampler_of",
    "values_of_common",
    "with_styles",
    "without_styles",
]

AUTOMATIC = "automatic"
"""Choice of the host's default sampler on pages."""

MAX_TEXT_LENGTH = 20_000
"""Maximum number of characters of a prompt or score in the API."""

ApplyStyles = Callable[[str, str, Sequence[str]], tuple[str, str]]
"""Function that applies styles, by name, to a prompt and a negative prompt."""


class PromptFields(TypedDict):
    """Fields that the settings of a loop and of a live session have in common."""

    prompt: str
    negative: str
    seed: int
    cfg: float
    denoise: float
    bpm: float
    beats_per_bar: int
    beat: str
    steps: int
    sampler: str
    params: SpectrogramParams


_Prompted = TypeVar("_Prompted", bound="Keyframe | LoopSettings | JamSettings")

PROMPT = Option(
    "prompt", "Prompt", "text", "", "prompt", hint="", max_length=MAX_TEXT_LENGTH, lines=(1, 4), transient=True
)
NEGATIVE = replace(PROMPT, id="negative", label="Negative prompt", help="negative prompt")
SEED = Option(
    "seed",
    "Seed",
    "number",
    -1,
    "seed of the noise; -1 chooses one, which the sound file records",
    hint="",
    bounds=bounds.SEED,
    step=1,
    transient=True,
)
STEPS = Option("steps", "Steps", "slider", 30, "steps of the sampler", hint="", bounds=bounds.STEPS, step=1)
SAMPLER = Option(
    "sampler",
    "Sampler",
    "text",
    "",
    "name of the sampler in the webui (the webui's default)",
    hint="avoid SDE samplers: they do not interpolate between seeds",
    max_length=100,
    page_default=AUTOMATIC,
)
"""The choices on pages are the host's samplers."""

LEVEL = replace(control("level"), infotext="")
"""Level of a generated file."""

BATCH = Option(
    "batch",
    "Windows at once",
    "slider",
    4,
    "batch size: windows generated at once on each webui",
    hint="more is faster and needs more memory",
    bounds=(1, 64),  # the limit by memory depends on the host
    page_bounds=(1, 16),
    step=1,
)
CFG = Option("cfg", "CFG scale", "slider", 7, "CFG scale", hint="", bounds=bounds.CFG, step=0.5)
DENOISE = Option(
    "denoise",
    "Denoising strength of beat or init image",
    "slider",
    0.75,
    "denoising strength of beat or init image",
    hint="",
    bounds=bounds.DENOISE,
    step=0.01,
)
WIDTH = Option(
    "width",
    "Width of a window",
    "slider",
    512,
    "columns of a window, a multiple of 64; 512 are 5.11 s",
    hint="512 are 5.11 s",
    bounds=bounds.WIDTH,
    page_bounds=(128, 1024),
    step=bounds.GRAIN,
)
OVERLAP = Option(
    "overlap",
    "Overlap of windows",
    "slider",
    128,
    "columns that neighbouring windows share, a multiple of 16, at most half the width",
    hint="at most half the width",
    bounds=bounds.OVERLAP,
    page_bounds=(16, 256),
    step=bounds.OVERLAP_GRAIN,
)
POWER = Option(
    "power",
    "Power of the transitions",
    "slider",
    1,
    "power of the transitions; at 1 they are even, below 1 the middle passes quickly, above 1 the middle lasts",
    hint="1: even; below 1 the middle passes quickly, above 1 it lasts",
    bounds=bounds.POWER,
    page_bounds=(0.25, 4),
    step=0.05,
)
BPM = Option("bpm", "Beats per minute", "number", 120, "beats per minute", hint="", bounds=bounds.BPM, step=0.01)
BEATS_PER_BAR = Option(
    "beats_per_bar", "Beats per bar", "number", 4, "beats per bar", hint="", bounds=bounds.BEATS_PER_BAR, step=1
)
BEAT = Option(
    "beat", "Begin with a beat", "dropdown", "none", "drum pattern to generate from", hint="", choices=bounds.PATTERNS
)
SEEDS = Option(
    "seeds",
    "Noise of the windows",
    "dropdown",
    "auto",
    "noise of the windows; auto: new where the music would repeat itself",
    hint="auto: new where the music would repeat itself",
    choices=bounds.NOISES,
)
PRESET = Option(
    "preset",
    "Spectrogram of the model",
    "dropdown",
    "riffusion-v1",
    "what the model was trained on",
    choices=(*PRESETS, CUSTOM),
    interfaces=("page",),
)
PRESET_CUSTOM = replace(control("custom"), label="Custom parameters of the model", infotext="")


def without_styles(prompt: str, negative: str, styles: Sequence[str]) -> tuple[str, str]:
    """Return the prompts unchanged, for use without styles."""
    return prompt, negative


def with_styles(keyframe: _Prompted, values: Mapping[str, object], apply_styles: ApplyStyles) -> _Prompted:
    """Apply the chosen styles to the prompts of a keyframe, or of settings with a prompt of their own."""
    names = list(texts(values.get("styles")))  # a list: SD.Next takes nothing else
    if not names:
        return keyframe
    prompt, negative = apply_styles(keyframe.prompt, keyframe.negative, names)
    return replace(keyframe, prompt=prompt, negative=negative)


def check_values(values: Mapping[str, object], *, optional: Sequence[str] = ()) -> None:
    """Raise a RiffusionError that names options without a value, such as empty number boxes."""
    missing = [name.replace("_", " ") for name, value in values.items() if value is None and name not in optional]
    if missing:
        raise RiffusionError(f"A value is missing: {', '.join(missing)}.")


def model_params(values: Mapping[str, object]) -> SpectrogramParams:
    """Return the spectrogram parameters of the model: ``params``, or those of ``preset`` and ``custom``."""
    params = values.get("params")
    if isinstance(params, SpectrogramParams):
        return params
    return chosen_params(str(values["preset"]), str(values["custom"])) or PRESETS[PRESET.default]


def prompt_fields(values: Mapping[str, object]) -> PromptFields:
    """Return the fields that the settings of a loop and of a live session have in common, by name."""
    return {
        "prompt": str(values["prompt"]).strip(),
        "negative": str(values["negative"]).strip(),
        "seed": whole(values["seed"]),
        "cfg": number(values["cfg"]),
        "denoise": number(values["denoise"]),
        "bpm": number(values["bpm"]),
        "beats_per_bar": whole(values["beats_per_bar"]),
        "beat": str(values["beat"]),
        "steps": whole(values["steps"]),
        "sampler": sampler_of(values),
        "params": model_params(values),
    }


def values_of_common(settings: SongSettings | RiffSettings | LoopSettings) -> dict[str, object]:
    """Convert settings of a song, riff or loop to values of the common options."""
    named = next((name for name, params in PRESETS.items() if params == settings.params), CUSTOM)
    custom = "" if named != CUSTOM else _text_of(settings.params)
    return {
        "steps": settings.steps,
        "sampler": settings.sampler or AUTOMATIC,
        "level": settings.level,
        "styles": [],  # already applied to the prompts
        "preset": named,
        "custom": custom,
    }


def _text_of(params: SpectrogramParams) -> str:
    from riffusion_ext.generate.checkpoint.recipe import to_record

    return ", ".join(f"{name}={str(value).lower()}" for name, value in to_record(params).items())


def sampler_of(values: Mapping[str, object]) -> str:
    """Return the sampler's name for a backend; "" for the default."""
    return "" if values["sampler"] in (None, "", AUTOMATIC) else str(values["sampler"])
