"""Bodies of requests.

Written for pydantic 1 and 2 alike, as webuis have either: plain types, ranges, nothing else. What these cannot say, the
core checks, whose sentences reach the client as they are.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

__all__ = [
    "LONGEST_TEXT",
    "PARTS",
    "AudioToImages",
    "Dataset",
    "ImageToAudio",
    "Interpolate",
    "InterpolateEnd",
    "Keyframe",
    "Loop",
    "Paint",
    "Paintings",
    "Riff",
    "Song",
]

Format = Literal["wav", "flac", "ogg", "mp3"]
Engine = Literal["fast", "best", "reference"]
Level = Literal["peak", "loudness", "recorded"]
Beat = Literal["none", "four on the floor", "backbeat", "half time", "offbeat"]
Seeds = Literal["auto", "fixed", "new"]

LONGEST_TEXT = 20_000
_PRESET = "riffusion-v1, 20khz-stereo, or parameters by name as in max_frequency=16000, stereo=true"
_ID = Field(None, max_length=64, description="id of an uploaded picture")


class _Strict(BaseModel, extra="forbid"):
    """Names that are not known are refused: a typing error shall not pass for a default."""


class ImageToAudio(_Strict):
    """A spectrogram picture to be heard."""

    picture: str | None = Field(None, max_length=64, description="id of an uploaded picture; or give image")
    image: str | None = Field(None, description="the picture itself in base64, with or without data:...;base64,")
    engine: Engine = "fast"
    level: Level = "peak"
    channels: Literal["auto", "mono", "stereo"] = "auto"
    preset: str | None = Field(None, max_length=300, description=f"instead of the picture's own record: {_PRESET}")
    format: Format = "wav"
    inline: bool = Field(False, description="give the sound itself, too: audio is a data URL in base64")


class AudioToImages(_Strict):
    """A sound to be drawn."""

    clip: str | None = Field(None, max_length=64, description="id of a clip; or give audio")
    audio: str | None = Field(None, description="the sound file itself in base64")
    columns: int | None = Field(512, ge=2, le=16384, description="width of each picture; null for one picture")
    level: Literal["song", "tile"] = Field("song", description="one scale for all pictures, or each its own")
    start: float = Field(0.0, ge=0, le=86400, description="seconds")
    duration: float | None = Field(None, ge=0.001, le=86400, description="seconds; null for all that follows")
    preset: str = Field("riffusion-v1", max_length=300, description=_PRESET)
    inline: bool = Field(False, description="give the pictures themselves, too: image is a data URL in base64")


class _Sound(_Strict):
    """How what is painted becomes a sound file."""

    engine: Engine = "fast"
    format: Format = "wav"


class _Painting(_Sound):
    """What all that is painted has in common."""

    steps: int = Field(30, ge=1, le=1000)
    sampler: str = Field("", max_length=100, description="as the host names it; empty for its usual one")
    batch: int = Field(4, ge=1, le=64, description="pictures at once, at most")
    save: bool = Field(False, description="keep the sound in the host's folder for results, too, as its pages do")


class Keyframe(_Strict):
    """A part of a song: what is heard, and how long it takes to the next."""

    prompt: str = Field(..., max_length=LONGEST_TEXT)
    negative: str = Field("", max_length=LONGEST_TEXT)
    seed: int = Field(-1, ge=-1, le=2**32 - 1, description="-1: that of the part before")
    denoise: float = Field(0.75, ge=0, le=1)
    cfg: float = Field(7.0, ge=1, le=30)
    seconds: float | None = Field(None, ge=0, le=10800)
    bars: float | None = Field(None, ge=0, le=10000)


class Song(_Painting):
    """A song, from prompts over time."""

    score: str | None = Field(
        None, max_length=LONGEST_TEXT, description="a line for each part, as on the page; or keyframes"
    )
    keyframes: list[Keyframe] | None = None
    seed: int = Field(-1, ge=-1, le=2**32 - 1, description="of the parts that name none; -1 chooses one")
    bpm: float | None = Field(None, ge=20, le=400)
    beats_per_bar: int = Field(4, ge=1, le=16)
    power: float = Field(1.0, ge=0.05, le=20)
    loop: bool = False
    join: Literal["outpaint", "plain"] = "outpaint"
    beat: Beat = "none"
    bridge_denoise: float = Field(1.0, ge=0, le=1)
    width: int = Field(512, ge=64, le=4096)
    overlap: int = Field(128, ge=0, le=2048)
    seeds: Seeds = "auto"
    level: Level = "peak"
    seed_picture: str | None = _ID
    mask: str | None = _ID
    before: str | None = _ID


class Riff(_Painting):
    """A song to be painted over."""

    clip: str = Field(..., max_length=64, description="id of the song")
    keyframes: list[Keyframe] | None = None
    prompt: str | None = Field(None, max_length=LONGEST_TEXT, description="instead of keyframes")
    negative: str = Field("", max_length=LONGEST_TEXT)
    seed: int = Field(-1, ge=-1, le=2**32 - 1)
    denoise: str = Field("0.3", max_length=500, description="a number, or as in 0:00 0.2, 0:30 0.4")
    cfg: str = Field("6", max_length=500, description="a number, or as in 0:00 5, 0:30 8")
    wet: str = Field("1", max_length=500, description="share of the result in the mix, 0 to 1; may change over time")
    start: float = Field(0.0, ge=0, le=86400)
    duration: float | None = Field(None, ge=0.001, le=86400)
    channels: Literal["mono", "stereo", "double"] = "mono"
    spread: float = Field(1.0, ge=0, le=1)
    law: Literal["equal-power", "linear"] = "equal-power"
    width: int = Field(512, ge=64, le=4096)
    overlap: int = Field(128, ge=0, le=2048)
    seeds: Seeds = "fixed"
    level: Level = "recorded"
    preview: bool = Field(False, description="only the first window")


class Loop(_Painting):
    """A few bars that go round without a seam."""

    prompt: str = Field(..., max_length=LONGEST_TEXT)
    negative: str = Field("", max_length=LONGEST_TEXT)
    seed: int = Field(-1, ge=-1, le=2**32 - 1)
    cfg: float = Field(7.0, ge=1, le=30)
    denoise: float = Field(0.75, ge=0, le=1)
    bars: float = Field(2.0, ge=0.01, le=256)
    bpm: float = Field(120.0, ge=20, le=400)
    beats_per_bar: int = Field(4, ge=1, le=16)
    beat: Beat = "none"
    level: Level = "peak"
    seed_picture: str | None = _ID


class InterpolateEnd(_Strict):
    """One end of an interpolation."""

    prompt: str = Field(..., max_length=LONGEST_TEXT)
    negative: str = Field("", max_length=LONGEST_TEXT)
    seed: int = Field(0, ge=-(2**31), le=2**32 - 1)
    denoise: float = Field(0.75, ge=0, le=1)
    cfg: float = Field(7.0, ge=1, le=30)


class Interpolate(_Painting):
    """Pictures on the way from one prompt to another, and their sound."""

    start: InterpolateEnd
    end: InterpolateEnd
    count: int = Field(5, ge=1, le=1000, description="pictures; the first is the start, the last the end")
    power: float = Field(1.0, ge=0.05, le=20)
    seed_image: str | None = Field(None, max_length=64, description="agile, marim, motorway, og_beat or vibes")
    seed_picture: str | None = _ID
    mask_image: str | None = Field(None, max_length=64, description="a mask by the name it has in the original")
    mask: str | None = _ID
    width: int = Field(512, ge=64, le=4096, description="where there is no seed picture")
    level: Level = "peak"


class Paint(_Strict):
    """One picture to be painted, as the host's own pages ask for it."""

    prompts: list[str] = Field(..., description="two: from and to; their embeddings are mixed linearly")
    alpha: float = Field(0.0, ge=0, le=1, description="where between the two")
    negatives: list[str] = Field(["", ""], description="two, mixed in the same way")
    seeds: list[int] = Field([0, 0], description="two, whose noises are mixed on a sphere; taken modulo 2 ** 32")
    cfg: float = Field(7.0, ge=1, le=100)
    denoise: float | None = Field(None, ge=0, le=1, description="how much of init is painted over; only with init")
    steps: int = Field(30, ge=1, le=1000)
    sampler: str = Field("", max_length=100, description="as the host names it; empty for its usual one")
    width: int = Field(512, ge=64, le=4096, description="a multiple of 64")
    height: int = Field(512, ge=64, le=4096, description="a multiple of 64")
    init: str | None = Field(None, max_length=64, description="id of a picture of that size to start from")
    mask: str | None = Field(None, max_length=64, description="id of a picture of that size: white is repainted")
    loop: bool = Field(False, description="the right edge leads into the left one")


class Paintings(_Strict):
    """Pictures to be painted: what songs, riffs and loops are made of."""

    requests: list[Paint]
    model: str | None = Field(None, max_length=1000, description="refuse (409) where another one is loaded")
    batch: int = Field(4, ge=1, le=64, description="pictures at once, at most")


class Dataset(_Strict):
    """Songs to become a training set. Each part takes the names of the command line's settings."""

    clips: list[str] = Field(..., description="ids of the songs")
    trigger: str = Field("", max_length=200)
    caption: str | None = Field(None, max_length=2000, description="template")
    formats: list[Literal["dreambooth", "kohya", "diffusers", "audio"]] = ["dreambooth"]
    preset: str = Field("riffusion-v1", max_length=300, description=_PRESET)
    columns: int = Field(512, ge=16, le=16384)
    overlap: float = Field(0.0, ge=0, le=0.9)
    align: Literal["none", "beat", "bar"] = "none"
    last: Literal["drop", "pad", "back"] = "drop"
    scale: Literal["window", "song", "set"] = "window"
    first: int = Field(1, ge=0, le=1000, description="windows left out at the beginning of each song")
    final: int = Field(1, ge=0, le=1000, description="windows left out at the end of each song")
    silence_db: float | None = Field(-50.0, ge=-120, le=0)
    transition: float | None = Field(0.5, ge=0, le=1)
    duplicate: float | None = Field(0.8, ge=0, le=1)
    clipping: float | None = Field(0.01, ge=0, le=1)
    broken: bool = True
    target: int | None = Field(None, ge=1, le=10_000_000)


PARTS: dict[Any, dict[str, type[BaseModel]]] = {
    Song: {"keyframes": Keyframe},
    Riff: {"keyframes": Keyframe},
    Paintings: {"requests": Paint},
}
"""Lists of models, by model and name."""


def given(body: BaseModel, *names: str) -> dict[str, Any]:
    """Return some fields of a body by name."""
    return {name: getattr(body, name) for name in names}
