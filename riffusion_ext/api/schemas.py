"""Bodies of requests.

Written for pydantic 1 and 2 alike, as webuis have either: plain types, ranges, nothing else. What these cannot say, the
core checks, whose sentences reach the client as they are.
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
    "MAX_TEXT_LENGTH",
    "PARTS",
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
    Beat, Seeds, Join = (Literal[SONG[id_].choices] for id_ in ("beat", "seeds", "join"))
    Align, Last, Scale = (Literal[DATASET[id_].choices] for id_ in ("align", "last", "scale"))
    DatasetFormat = Literal[DATASET["formats"].choices]
    TileLevel = Literal[TO_IMAGES["tile_level"].choices]
    RiffChannels, Law = (Literal[RIFF[id_].choices] for id_ in ("channels", "law"))

_SAMPLER = "as the host names it; empty for its usual one"
_BATCH = "images at once, at most"
_LONGEST_ID = 64
_LONGEST_MODEL = 1000
_ID = Field(None, max_length=_LONGEST_ID, description="id of an uploaded image")


def _of(option: Option, *, description: str | None = None) -> Any:
    """Return the field of a declared option: its default in the API, its bounds or length, its help."""
    rules: dict[str, Any] = {"description": description or option.help}
    if option.is_number:
        rules |= {"ge": option.minimum, "le": option.maximum}
    elif option.max_length is not None:
        rules["max_length"] = option.max_length
    default = option.in_api
    if isinstance(default, int) and option.is_number and not option.is_whole:
        default = float(default)  # as a client's value arrives
    return Field(default, **rules)


def _within(bounds: tuple[float, float], default: Any, description: str | None = None) -> Any:
    """Return a field for a number within bounds."""
    return Field(default, ge=bounds[0], le=bounds[1], description=description)


class _Strict(BaseModel, extra="forbid"):
    """Names that are not known are refused: a typing error shall not pass for a default."""


class ImageToAudio(_Strict):
    """A spectrogram image to be heard."""

    picture: str | None = Field(None, max_length=_LONGEST_ID, description="id of an uploaded image; or give image")
    image: str | None = Field(None, description="the image itself in base64, with or without data:...;base64,")
    engine: Engine = _of(control("engine"))
    level: Level = _of(control("level"))
    channels: Channels = _of(control("channels"))
    preset: str | None = _of(
        replace(PRESET_TEXT, api_default=None, help=f"instead of the image's own record: {PRESET_TEXT.help}")
    )
    format: Format = _of(control("format"))
    inline: bool = Field(False, description="give the sound itself, too: audio is a data URL in base64")


class AudioToImages(_Strict):
    """A sound to be drawn."""

    clip: str | None = Field(None, max_length=_LONGEST_ID, description="id of a clip; or give audio")
    audio: str | None = Field(None, description="the sound file itself in base64")
    columns: int | None = _of(TO_IMAGES["columns"], description="width of each image; null for one image")
    level: TileLevel = _of(TO_IMAGES["tile_level"], description="one scale for all images, or each its own")
    start: float = _of(PART["start"])
    duration: float | None = _of(PART["duration"])
    preset: str = _of(PRESET_TEXT)
    inline: bool = Field(False, description="give the images themselves, too: image is a data URL in base64")


class _Sound(_Strict):
    """How what is generated becomes a sound file."""

    engine: Engine = _of(control("engine"))
    format: Format = _of(control("format"))


class _Generation(_Sound):
    """What all that is generated has in common."""

    steps: int = _of(generation.STEPS)
    sampler: str = _of(generation.SAMPLER, description=_SAMPLER)
    batch: int = _of(generation.BATCH, description=_BATCH)
    save: bool = Field(False, description="keep the sound in the host's folder for results, too, as its pages do")


class Keyframe(_Strict):
    """A part of a song: what is heard, and how long it takes to the next."""

    prompt: str = _of(KEYFRAME["prompt"])
    negative: str = _of(KEYFRAME["negative"])
    seed: int = _of(KEYFRAME["seed"])
    denoise: float = _of(KEYFRAME["denoise"])
    cfg: float = _of(KEYFRAME["cfg"])
    seconds: float | None = _of(KEYFRAME["seconds"])
    bars: float | None = _of(KEYFRAME["bars"])


class Song(_Generation):
    """A song, from prompts over time."""

    score: str | None = _of(SONG["score"], description="a line for each part, as on the page; or keyframes")
    keyframes: list[Keyframe] | None = None
    seed: int = _of(SONG["seed"], description="of the parts that name none; -1 chooses one")
    bpm: float | None = _of(SONG["bpm"])
    beats_per_bar: int = _of(SONG["beats_per_bar"])
    power: float = _of(SONG["power"])
    loop: bool = _of(SONG["back"])
    join: Join = _of(SONG["join"])
    beat: Beat = _of(SONG["beat"])
    bridge_denoise: float = _of(SONG["bridge_denoise"])
    width: int = _of(SONG["width"])
    overlap: int = _of(SONG["overlap"])
    seeds: Seeds = _of(SONG["seeds"])
    level: Level = _of(generation.LEVEL)
    seed_picture: str | None = _ID
    mask: str | None = _ID
    before: str | None = _ID


class Riff(_Generation):
    """A song to be regenerated."""

    clip: str = Field(..., max_length=_LONGEST_ID, description="id of the song")
    keyframes: list[Keyframe] | None = None
    prompt: str | None = _of(RIFF["prompt"], description="instead of keyframes")
    negative: str = _of(RIFF["negative"])
    seed: int = _of(RIFF["seed"])
    denoise: str = _of(RIFF["denoise"], description="a number, or as in 0:00 0.2, 0:30 0.4")
    cfg: str = _of(RIFF["cfg"], description="a number, or as in 0:00 5, 0:30 8")
    wet: str = _of(RIFF["wet"])
    start: float = _of(PART["start"])
    duration: float | None = _of(PART["duration"])
    channels: RiffChannels = _of(RIFF["channels"])
    spread: float = _of(RIFF["spread"])
    law: Law = _of(RIFF["law"])
    width: int = _of(RIFF["width"])
    overlap: int = _of(RIFF["overlap"])
    seeds: Seeds = _of(RIFF["seeds"])
    level: Level = _of(RIFF_LEVEL)
    preview: bool = Field(False, description="only the first window")


class Loop(_Generation):
    """A few bars that go round without a seam."""

    prompt: str = _of(LOOP["prompt"])
    negative: str = _of(LOOP["negative"])
    seed: int = _of(LOOP["seed"])
    cfg: float = _of(LOOP["cfg"])
    denoise: float = _of(LOOP["denoise"])
    bars: float = _of(LOOP["bars"])
    bpm: float = _of(LOOP["bpm"])
    beats_per_bar: int = _of(LOOP["beats_per_bar"])
    beat: Beat = _of(LOOP["beat"])
    level: Level = _of(generation.LEVEL)
    seed_picture: str | None = _ID


class InterpolateEnd(_Strict):
    """One end of an interpolation."""

    prompt: str = _of(END["prompt"])
    negative: str = _of(END["negative"])
    seed: int = _of(END["seed"])
    denoise: float = _of(END["denoise"])
    cfg: float = _of(END["cfg"])


class Interpolate(_Generation):
    """Images on the way from one prompt to another, and their sound."""

    start: InterpolateEnd
    end: InterpolateEnd
    count: int = _of(INTERPOLATION["count"])
    power: float = _of(INTERPOLATION["power"])
    seed_image: str | None = Field(None, max_length=_LONGEST_ID, description="agile, marim, motorway, og_beat or vibes")
    seed_picture: str | None = _ID
    mask_image: str | None = Field(
        None, max_length=_LONGEST_ID, description="a mask by the name it has in the original"
    )
    mask: str | None = _ID
    width: int = _of(INTERPOLATION["width"])
    level: Level = _of(control("level"))


class Generate(_Strict):
    """One image to be generated, as the host's own pages ask for it."""

    prompts: list[str] = Field(..., description="two: from and to; their embeddings are mixed linearly")
    alpha: float = _within(bounds.ALPHA, 0.0, "where between the two")
    negatives: list[str] = Field(["", ""], description="two, mixed in the same way")
    seeds: list[int] = Field([0, 0], description="two, whose noises are mixed on a sphere; taken modulo 2 ** 32")
    cfg: float = _within(bounds.IMAGE_CFG, float(generation.CFG.default))
    denoise: float | None = _within(bounds.DENOISE, None, "denoising strength of img2img from init; only with init")
    steps: int = _of(generation.STEPS)
    sampler: str = _of(generation.SAMPLER, description=_SAMPLER)
    width: int = _within(bounds.WIDTH, generation.WIDTH.default, "a multiple of 64")
    height: int = _within(bounds.WIDTH, generation.WIDTH.default, "a multiple of 64")
    init: str | None = Field(None, max_length=_LONGEST_ID, description="id of an image of that size to start from")
    mask: str | None = Field(
        None, max_length=_LONGEST_ID, description="id of an image of that size: white is regenerated"
    )
    loop: bool = Field(False, description="the right edge leads into the left one")


class Generations(_Strict):
    """Images to be generated: what songs, riffs and loops are made of."""

    requests: list[Generate]
    model: str | None = Field(None, max_length=_LONGEST_MODEL, description="refuse (409) where another one is loaded")
    batch: int = _of(generation.BATCH, description=_BATCH)


class Dataset(_Strict):
    """Songs to become a training set. Each part takes the names of the command line's settings."""

    clips: list[str] = Field(..., description="ids of the songs")
    trigger: str = _of(DATASET["trigger"])
    caption: str | None = _of(DATASET["template"], description="template")
    formats: list[DatasetFormat] = _of(DATASET["formats"])
    preset: str = _of(PRESET_TEXT)
    columns: int = _of(DATASET["columns"])
    overlap: float = _of(DATASET["overlap"])
    align: Align = _of(DATASET["align"])
    last: Last = _of(DATASET["last"])
    scale: Scale = _of(DATASET["scale"])
    first: int = _of(DATASET["first"], description="windows left out at the beginning of each song")
    final: int = _of(DATASET["final"], description="windows left out at the end of each song")
    silence_db: float | None = _of(DATASET["silence_db"])
    transition: float | None = _of(DATASET["transition"])
    duplicate: float | None = _of(DATASET["duplicate"])
    clipping: float | None = _of(DATASET["clipping"])
    broken: bool = _of(DATASET["broken"])
    target: int | None = _of(DATASET["target"])


PARTS: dict[Any, dict[str, type[BaseModel]]] = {
    Song: {"keyframes": Keyframe},
    Riff: {"keyframes": Keyframe},
    Generations: {"requests": Generate},
}
"""Lists of models, by model and name."""


def given(body: BaseModel, *names: str) -> dict[str, Any]:
    """Return some fields of a body by name."""
    return {name: getattr(body, name) for name in names}
