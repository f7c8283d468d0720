"""Schemas of request bodies.

Written for both pydantic 1 and 2, as webuis have either: plain types and ranges only. The core checks everything else,
and its error messages are returned to the client.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from riffusion_ext.generate import bounds
from riffusion_ext.options import generation
from riffusion_ext.options.convert.to_images import PRESET_TEXT, TO_IMAGES
from riffusion_ext.options.dataset import DATASET
from riffusion_ext.options.generation import MAX_TEXT_LENGTH
from riffusion_ext.options.interpolation import END, INTERPOLATION
from riffusion_ext.options.loop import LOOP
from riffusion_ext.options.option import Option
from riffusion_ext.options.riff import LEVEL as RIFF_LEVEL
from riffusion_ext.options.riff import PART, RIFF
from riffusion_ext.options.song import KEYFRAME, SONG
from riffusion_ext.options.sound import control

__all__ = [
    "LIST_MODELS",
    "MAX_TEXT_LENGTH",
    "AudioToImages",
    "Dataset",
    "Generate",
    "Generations",
    "ImageToAudio",
    "Interpolate",
    "InterpolateEnd",
    "Keyframe",
    "Loop",
    "Riff",
    "Song",
]

if TYPE_CHECKING:
    Format = str
    Engine = str
    Level = str
    Channels = str
    HighFrequencies = str
    Beat = str
    Seeds = str
    Join = str
    RiffChannels = str
    Law = str
    Align = str
    Last = str
    Scale = str
    DatasetFormat = str
    TileLevel = str
else:
    Format, Engine = (Literal[control(id_).choices] for id_ in ("format", "engine"))
    Level, Channels = (Literal[control(id_).choices] for id_ in ("level", "channels"))
    HighFrequencies = Literal[control("high_frequencies").choices]
    Beat, Seeds, Join = (Literal[SONG[id_].choices] for id_ in ("beat", "seeds", "join"))
    Align, Last, Scale = (Literal[DATASET[id_].choices] for id_ in ("align", "last", "scale"))
    DatasetFormat = Literal[DATASET["formats"].choices]
    TileLevel = Literal[TO_IMAGES["tile_level"].choices]
    RiffChannels, Law = (Literal[RIFF[id_].choices] for id_ in ("channels", "law"))

_SAMPLER = "as the host names it; empty for its usual one"
_BATCH = "images at once, at most"
_MAX_ID_LENGTH = 64
_MAX_MODEL_LENGTH = 1000
_ID = Field(None, max_length=_MAX_ID_LENGTH, description="id of an uploaded image")


def _option_field(option: Option, *, description: str | None = None) -> Any:
    """Build the field of a declared option: its default in the API, its bounds or maximum length, its help."""
    rules: dict[str, Any] = {"description": description or option.help}
    if option.is_number:
        rules |= {"ge": option.minimum, "le": option.maximum}
    elif option.max_length is not None:
        rules["max_length"] = option.max_length
    default = option.in_api
    if isinstance(default, int) and option.is_number and not option.is_whole:
        default = float(default)  # as JSON numbers of clients are converted
    return Field(default, **rules)


def _number_field(bounds: tuple[float, float], default: float | None, description: str | None = None) -> Any:
    """Build the field of a number within bounds."""
    return Field(default, ge=bounds[0], le=bounds[1], description=description)


class _Strict(BaseModel, extra="forbid"):
    """Base model that refuses unknown names, so that a typo is not taken for a default."""


class ImageToAudio(_Strict):
    """A spectrogram image to convert to audio."""

    picture: str | None = Field(None, max_length=_MAX_ID_LENGTH, description="id of an uploaded image; or give image")
    image: str | None = Field(None, description="the image itself in base64, with or without data:...;base64,")
    engine: Engine = _option_field(control("engine"))
    level: Level = _option_field(control("level"))
    channels: Channels = _option_field(control("channels"))
    preset: str | None = _option_field(
        replace(PRESET_TEXT, api_default=None, help=f"instead of the image's own record: {PRESET_TEXT.help}")
    )
    format: Format = _option_field(control("format"))
    inline: bool = Field(False, description="give the sound itself, too: audio is a data URL in base64")
    high_frequencies: HighFrequencies = _option_field(control("high_frequencies"))


class AudioToImages(_Strict):
    """Audio to convert to spectrogram images."""

    clip: str | None = Field(None, max_length=_MAX_ID_LENGTH, description="id of a clip; or give audio")
    audio: str | None = Field(None, description="the sound file itself in base64")
    columns: int | None = _option_field(TO_IMAGES["columns"], description="width of each image; null for one image")
    level: TileLevel = _option_field(TO_IMAGES["tile_level"], description="one scale for all images, or each its own")
    start: float = _option_field(PART["start"])
    duration: float | None = _option_field(PART["duration"])
    preset: str = _option_field(PRESET_TEXT)
    inline: bool = Field(False, description="give the images themselves, too: image is a data URL in base64")


class _Sound(_Strict):
    """How generated images are converted to an audio file."""

    engine: Engine = _option_field(control("engine"))
    format: Format = _option_field(control("format"))
    high_frequencies: HighFrequencies = _option_field(control("high_frequencies"))


class _Generation(_Sound):
    """The fields that all generating requests have in common."""

    steps: int = _option_field(generation.STEPS)
    sampler: str = _option_field(generation.SAMPLER, description=_SAMPLER)
    batch: int = _option_field(generation.BATCH, description=_BATCH)
    save: bool = Field(False, description="keep the sound in the host's folder for results, too, as its pages do")


class Keyframe(_Strict):
    """A keyframe of a song: its prompt, and the time until the next keyframe."""

    prompt: str = _option_field(KEYFRAME["prompt"])
    negative: str = _option_field(KEYFRAME["negative"])
    seed: int = _option_field(KEYFRAME["seed"])
    denoise: float = _option_field(KEYFRAME["denoise"])
    cfg: float = _option_field(KEYFRAME["cfg"])
    seconds: float | None = _option_field(KEYFRAME["seconds"])
    bars: float | None = _option_field(KEYFRAME["bars"])


class Song(_Generation):
    """A song from prompts over time."""

    score: str | None = _option_field(SONG["score"], description="a line for each part, as on the page; or keyframes")
    keyframes: list[Keyframe] | None = None
    seed: int = _option_field(SONG["seed"], description="of the parts that name none; -1 chooses one")
    bpm: float | None = _option_field(SONG["bpm"])
    beats_per_bar: int = _option_field(SONG["beats_per_bar"])
    power: float = _option_field(SONG["power"])
    loop: bool = _option_field(SONG["back"])
    join: Join = _option_field(SONG["join"])
    beat: Beat = _option_field(SONG["beat"])
    bridge_denoise: float = _option_field(SONG["bridge_denoise"])
    width: int = _option_field(SONG["width"])
    overlap: int = _option_field(SONG["overlap"])
    seeds: Seeds = _option_field(SONG["seeds"])
    level: Level = _option_field(generation.LEVEL)
    seed_picture: str | None = _ID
    mask: str | None = _ID
    before: str | None = _ID


class Riff(_Generation):
    """A new version of a song."""

    clip: str = Field(..., max_length=_MAX_ID_LENGTH, description="id of the song")
    keyframes: list[Keyframe] | None = None
    prompt: str | None = _option_field(RIFF["prompt"], description="instead of keyframes")
    negative: str = _option_field(RIFF["negative"])
    seed: int = _option_field(RIFF["seed"])
    denoise: str = _option_field(RIFF["denoise"], description="a number, or as in 0:00 0.2, 0:30 0.4")
    cfg: str = _option_field(RIFF["cfg"], description="a number, or as in 0:00 5, 0:30 8")
    wet: str = _option_field(RIFF["wet"])
    start: float = _option_field(PART["start"])
    duration: float | None = _option_field(PART["duration"])
    channels: RiffChannels = _option_field(RIFF["channels"])
    spread: float = _option_field(RIFF["spread"])
    law: Law = _option_field(RIFF["law"])
    width: int = _option_field(RIFF["width"])
    overlap: int = _option_field(RIFF["overlap"])
    seeds: Seeds = _option_field(RIFF["seeds"])
    level: Level = _option_field(RIFF_LEVEL)
    preview: bool = Field(False, description="only the first window")


class Loop(_Generation):
    """A seamless loop of a few bars."""

    prompt: str = _option_field(LOOP["prompt"])
    negative: str = _option_field(LOOP["negative"])
    seed: int = _option_field(LOOP["seed"])
    cfg: float = _option_field(LOOP["cfg"])
    denoise: float = _option_field(LOOP["denoise"])
    bars: float = _option_field(LOOP["bars"])
    bpm: float = _option_field(LOOP["bpm"])
    beats_per_bar: int = _option_field(LOOP["beats_per_bar"])
    beat: Beat = _option_field(LOOP["beat"])
    level: Level = _option_field(generation.LEVEL)
    seed_picture: str | None = _ID


class InterpolateEnd(_Strict):
    """One end of an interpolation."""

    prompt: str = _option_field(END["prompt"])
    negative: str = _option_field(END["negative"])
    seed: int = _option_field(END["seed"])
    denoise: float = _option_field(END["denoise"])
    cfg: float = _option_field(END["cfg"])


class Interpolate(_Generation):
    """Images between two prompts, and their audio."""

    start: InterpolateEnd
    end: InterpolateEnd
    count: int = _option_field(INTERPOLATION["count"])
    power: float = _option_field(INTERPOLATION["power"])
    seed_image: str | None = Field(
        None, max_length=_MAX_ID_LENGTH, description="agile, marim, motorway, og_beat or vibes"
    )
    seed_picture: str | None = _ID
    mask_image: str | None = Field(
        None, max_length=_MAX_ID_LENGTH, description="a mask by the name it has in the original"
    )
    mask: str | None = _ID
    width: int = _option_field(INTERPOLATION["width"])
    level: Level = _option_field(control("level"))


class Generate(_Strict):
    """A single image to generate, with the fields of the core's request."""

    prompts: list[str] = Field(..., description="two: from and to; their embeddings are mixed linearly")
    alpha: float = _number_field(bounds.ALPHA, 0.0, "where between the two")
    negatives: list[str] = Field(["", ""], description="two, mixed in the same way")
    seeds: list[int] = Field([0, 0], description="two, whose noises are mixed on a sphere; taken modulo 2 ** 32")
    cfg: float = _number_field(bounds.IMAGE_CFG, float(generation.CFG.default))
    denoise: float | None = _number_field(
        bounds.DENOISE, None, "denoising strength of img2img from init; only with init"
    )
    steps: int = _option_field(generation.STEPS)
    sampler: str = _option_field(generation.SAMPLER, description=_SAMPLER)
    width: int = _number_field(bounds.WIDTH, generation.WIDTH.default, "a multiple of 64")
    height: int = _number_field(bounds.WIDTH, generation.WIDTH.default, "a multiple of 64")
    init: str | None = Field(None, max_length=_MAX_ID_LENGTH, description="id of an image of that size to start from")
    mask: str | None = Field(
        None, max_length=_MAX_ID_LENGTH, description="id of an image of that size: white is regenerated"
    )
    loop: bool = Field(False, description="the right edge leads into the left one")


class Generations(_Strict):
    """A batch of single images, such as the windows of songs, riffs and loops."""

    requests: list[Generate]
    model: str | None = Field(
        None, max_length=_MAX_MODEL_LENGTH, description="refuse (409) where another one is loaded"
    )
    batch: int = _option_field(generation.BATCH, description=_BATCH)


class Dataset(_Strict):
    """Songs to convert to a training set. The names are those of the command line."""

    clips: list[str] = Field(..., description="ids of the songs")
    trigger: str = _option_field(DATASET["trigger"])
    caption: str | None = _option_field(DATASET["template"], description="template")
    formats: list[DatasetFormat] = _option_field(DATASET["formats"])
    preset: str = _option_field(PRESET_TEXT)
    columns: int = _option_field(DATASET["columns"])
    overlap: float = _option_field(DATASET["overlap"])
    align: Align = _option_field(DATASET["align"])
    last: Last = _option_field(DATASET["last"])
    scale: Scale = _option_field(DATASET["scale"])
    first: int = _option_field(DATASET["first"], description="windows left out at the beginning of each song")
    final: int = _option_field(DATASET["final"], description="windows left out at the end of each song")
    silence_db: float | None = _option_field(DATASET["silence_db"])
    transition: float | None = _option_field(DATASET["transition"])
    duplicate: float | None = _option_field(DATASET["duplicate"])
    clipping: float | None = _option_field(DATASET["clipping"])
    broken: bool = _option_field(DATASET["broken"])
    target: int | None = _option_field(DATASET["target"])


LIST_MODELS: dict[type[BaseModel], dict[str, type[BaseModel]]] = {
    Song: {"keyframes": Keyframe},
    Riff: {"keyframes": Keyframe},
    Generations: {"requests": Generate},
}
"""Models of the items of lists, by model and field."""


def pick_fields(body: BaseModel, *names: str) -> dict[str, Any]:
    """Return the named fields of a body."""
    return {name: getattr(body, name) for name in names}
