"""What the commands ``song``, ``riff`` and ``loop`` ask: the pages' controls, names and defaults, as options.

The commands hand the values to the pages' own functions that make settings of them. The tests hold these tables against
the pages, and the pages' choices against the core.
"""

from __future__ import annotations

from collections.abc import Iterable

from riffusion_ext.ui.controls import Control

__all__ = ["LOOP", "MORE", "RIFF", "SONG"]

_LARGEST_SEED = float(2**32 - 1)


def _number(id_: str, default: float, low: float, high: float, help_: str, *, step: float = 0.01) -> Control:
    return Control(id_, id_, "slider", default, help_, "", minimum=low, maximum=high, step=step)


def _whole(id_: str, default: int, low: int, high: float, help_: str) -> Control:
    return _number(id_, default, low, high, help_, step=1.0)


def _text(id_: str, default: str, help_: str) -> Control:
    return Control(id_, id_, "text", default, help_, "")


def _flag(id_: str, default: bool, help_: str) -> Control:
    return Control(id_, id_, "checkbox", default, help_, "")


def _choice(id_: str, default: str, help_: str, *choices: str) -> Control:
    return Control(id_, id_, "dropdown", default, help_, "", choices)


def _but(controls: Iterable[Control], *left_out: str) -> tuple[Control, ...]:
    return tuple(item for item in controls if item.id not in left_out)


_BEATS = ("none", "four on the floor", "backbeat", "half time", "offbeat")
_SEEDS = ("auto", "fixed", "new")

_ALL = (
    _whole("seed", -1, -1, _LARGEST_SEED, "seed of the noise; -1 chooses one, which the sound file records"),
    _whole("steps", 30, 1, 1000, "steps of the sampler"),
    _text("sampler", "", "sampler, as the webui names it (its usual one)"),
    _whole("batch", 4, 1, 64, "windows at once, on each webui"),
)
_WINDOWS = (
    _whole("width", 512, 64, 4096, "columns of a window, a multiple of 64; 512 are 5.11 s"),
    _whole("overlap", 128, 0, 2048, "columns that neighbours share, at most half the width"),
)
_PROMPT = (
    _text("prompt", "", "what it sounds like"),
    _text("negative", "", "what it does not sound like"),
)
_TEMPO = (
    _number("bpm", 120.0, 20, 400, "beats per minute"),
    _whole("beats_per_bar", 4, 1, 16, "beats per bar"),
    _choice("beat", "none", "begin with a beat", *_BEATS),
)

SONG = (
    _text("negative", "", "negative prompt of lines without one"),
    _number("denoise", 0.75, 0, 1, "denoising of beat or picture, of lines that do not say"),
    _number("cfg", 7.0, 1, 30, "CFG scale of lines that do not say"),
    *_TEMPO,
    _number("power", 1.0, 0.05, 20, "power of the transitions; below 1 the middle passes fast, above 1 it lasts"),
    _flag("back", False, "the last part leads back to the first"),
    _choice("join", "outpaint", "plain: side by side; outpaint: every second between two", "outpaint", "plain"),
    _choice("seeds", "auto", "noise of the windows; auto: new where the music would repeat itself", *_SEEDS),
    *_WINDOWS,
    *_ALL,
)

RIFF = (
    *_PROMPT,
    _text("score", "", "lines or files as of the command song, used instead of the prompt"),
    _flag("stretch", True, "stretch the lines to the length of the song"),
    _text("denoise", "0.3", "0.2 to 0.4 keeps the song; may change over time: 0:00 0.2, 0:30 0.4"),
    _text("cfg", "6", "CFG scale, 4 to 8; may change over time"),
    _text("start", "0:00", "begin at this time of the song"),
    _text("duration", "", "so long, as 0:30 (to the end)"),
    _choice("channels", "mono", "stereo: each side; double: the song twice, panned", "mono", "stereo", "double"),
    _number("spread", 1.0, 0, 1, "how far a doubled song is panned"),
    _text("wet", "1", "share of the result in the mix, 0 to 1; may change over time"),
    _choice("law", "equal-power", "of the mix", "equal-power", "linear"),
    *_WINDOWS,
    *_ALL,
)

LOOP = (
    *_PROMPT,
    _number("bars", 2.0, 0.01, 256, "how long"),
    *_TEMPO,
    _number("cfg", 7.0, 1, 30, "CFG scale"),
    _number("denoise", 0.75, 0, 1, "denoising of beat or picture"),
    *_but(_ALL, "batch"),
)

MORE = {
    "song": (_number("bridge_denoise", 1.0, 0, 1, "strength of windows between two, where there is no seed picture"),),
    "riff": (
        _choice("seeds", "fixed", "noise of the windows", *_SEEDS),
        _number("power", 1.0, 0.05, 20, "power of the way between prompts"),
    ),
    "loop": (),
}
"""Settings that the pages leave at their defaults."""
