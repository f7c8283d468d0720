"""Grooves with a known tempo: step patterns of many styles.

A pattern is one bar of steps: ``X`` loud, ``x`` medium, ``o`` soft, ``.`` rest. Spaces are ignored. Tempos refer to the
notated beats of the style; tapping at half or twice that tempo is counted as an octave error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["STYLES", "Groove", "Style", "grooves"]


@dataclass(frozen=True)
class Style:
    """Patterns of a style of music.

    Attributes
    ----------
    tempos
        Range of tempos, in beats per minute.
    beats, steps
        Beats per bar, and steps per beat.
    drums
        Voice -> pattern.
    bass, chords, lead
        Patterns; some steps of the lead are left out, varying from bar to bar.
    sounds
        Instruments for bass, chords and lead, see :mod:`bench.groove_sound`.
    loose
        Standard deviation of the players' timing in ms.
    swing
        Delay of every second step, as a share of a step.
    tuned
        Whether thresholds may be tuned on it; the others are held out.
    """

    name: str
    tempos: tuple[float, ...]
    drums: Mapping[str, str] = field(default_factory=dict)
    bass: str = ""
    chords: str = ""
    lead: str = ""
    sounds: tuple[str, str, str] = ("bass", "organ", "pluck")
    beats: int = 4
    steps: int = 4
    loose: float = 6.0
    swing: float = 0.0
    tuned: bool = True


@dataclass(frozen=True)
class Groove:
    """One piece: a style at a tempo, with a seed for performance, timbres and notes."""

    style: Style
    tempo: float
    seed: int

    @property
    def name(self) -> str:
        """Style, tempo and seed."""
        return f"{self.style.name} {self.tempo:g} #{self.seed}"


def grooves(series: int = 0) -> Iterator[Groove]:
    """Yield the grooves of a series; each series has its own seeds and timbres and, except for the first, tempos."""
    for row, style in enumerate(STYLES):
        for column, tempo in enumerate(style.tempos):
            shift = 1 + 0.013 * ((7 * row + 3 * column + 5 * series) % 9 - 4) if series else 1.0
            yield Groove(style, round(tempo * shift, 1 if series else 3), 10_000 * series + 100 * row + column)


_EIGHTHS, _SIXTEENTHS = "x.o. x.o. x.o. x.o.", "xoxo xoxo xoxo xoxo"
_BACKBEAT = ".... x... .... x..."

STYLES: tuple[Style, ...] = (
    Style(
        "house",
        (118, 122, 126, 130),
        {"kick": "x... x... x... x...", "clap": _BACKBEAT, "hat": "..x. ..x. ..x. ..x.", "shaker": _SIXTEENTHS},
        "..x. ..x. ..xx ..x.",
        "x..x ..x. .... ....",
        "..x. .x.. x... .x..",
        ("saw", "organ", "pluck"),
        loose=1.0,
    ),
    Style(
        "techno",
        (128, 134, 140, 148),
        {
            "kick": "X... X... X... X...",
            "hat": "..x. ..x. ..x. ..x.",
            "rim": ".... ...x .... .x..",
            "shaker": _SIXTEENTHS,
        },
        ".xxx .xxx .xxx .xxx",
        "x... .... .... ....",
        "x..x ..x. .x.. x...",
        ("saw", "pad", "saw"),
        loose=0.0,
        tuned=False,
    ),
    Style(
        "rock",
        (92, 108, 120, 138, 152),
        {"kick": "x... ..x. x.x. ....", "snare": _BACKBEAT, "hat": _EIGHTHS},
        "x.x. x.x. x.x. x.x.",
        "x.x. x.x. x.x. x.x.",
        "x... x.x. .... x...",
        ("bass", "guitar", "guitar"),
        loose=8.0,
    ),
    Style(
        "pop",
        (84, 100, 112, 124),
        {"kick": "x... ..x. .x.. ....", "snare": _BACKBEAT, "hat": _EIGHTHS, "shaker": _SIXTEENTHS},
        "x... ..x. x... ..x.",
        "x... .... x... ....",
        "x.x. x... x.x. x...",
        ("bass", "piano", "pluck"),
        tuned=False,
    ),
    Style(
        "half-time rock",
        (136, 146, 160),
        {"kick": "x... .... .... ..x.", "snare": ".... .... X... ....", "hat": "x... x... x... x..."},
        "x... x... x... x...",
        "x... .... .... ....",
        "x... .... x... x...",
        ("bass", "guitar", "guitar"),
        loose=8.0,
        tuned=False,
    ),
    Style(
        "trap",
        (130, 140, 150),
        {"kick": "X... ..x. .... ..x.", "snare": ".... .... X... ....", "hat": "x.x. x.x. x.xx x.x."},
        "x... ..x. .... ....",
        "x... .... .... ....",
        "x... ..x. ..x. ....",
        ("sub", "pad", "bell"),
        loose=1.0,
    ),
    Style(
        "hip-hop",
        (82, 90, 96, 104),
        {"kick": "x..x .... .xx. ....", "snare": "....  x..o .o.. x...", "hat": _EIGHTHS},
        "x..x .... x.x. ....",
        "x... .... .... ....",
        "..x. .x.. x... ..x.",
        ("sub", "piano", "bell"),
        loose=9.0,
        swing=0.15,
    ),
    Style(
        "drum and bass",
        (168, 170, 174, 178),
        {"kick": "X... .... ..x. ....", "snare": _BACKBEAT, "hat": "x.x. x.x. x.x. x.x.", "shaker": _SIXTEENTHS},
        "x... .... ..x. ....",
        "x... .... .... ....",
        "x... ..x. ...x ....",
        ("sub", "pad", "pluck"),
        loose=2.0,
        tuned=False,
    ),
    Style(
        "jungle",
        (160, 166, 172),
        {"kick": "x.x. .... ..xx ....", "snare": ".... x..o .o.. x..o", "ride": "x.x. x.x. x.x. x.x."},
        "x... ..x. x... ....",
        "x... .... .... ....",
        "x..x .... ..x. ....",
        ("sub", "pad", "bell"),
        loose=5.0,
    ),
    Style(
        "waltz",
        (90, 126, 150, 174),
        {"kick": "x. .. ..", "snare": ".. o. o.", "ride": "x. x. x."},
        "x. .. ..",
        ".. x. x.",
        "x. .x x.",
        ("bass", "piano", "strings"),
        beats=3,
        steps=2,
        loose=10.0,
    ),
    Style(
        "6/8 ballad",
        (46, 54, 62, 70),
        {"kick": "x.. ..x", "snare": "... x..", "hat": "xox xox"},
        "x.. x.x",
        "xxx xxx",
        "x.x x..",
        ("bass", "piano", "strings"),
        beats=2,
        steps=3,
        loose=8.0,
        tuned=False,
    ),
    Style(
        "shuffle",
        (88, 104, 116, 128),
        {"kick": "x.. ..x x.. ...", "snare": "... x.. ... x..", "hat": "x.o x.o x.o x.o"},
        "x.x x.x x.x x.x",
        "x.. ... x.. ...",
        "x.x ..x x.. x..",
        ("bass", "organ", "guitar"),
        steps=3,
        loose=7.0,
    ),
    Style(
        "swing",
        (120, 144, 168, 192),
        {"ride": "x.. x.x x.. x.x", "hat": "... x.. ... x..", "kick": "o.. o.. o.. o..", "snare": "..o ... ..o ..."},
        "x.. x.. x.. x..",
        "x.. ..x ... ...",
        "x.x x.x ..x x..",
        ("bass", "piano", "brass"),
        steps=3,
        loose=9.0,
        tuned=False,
    ),
    Style(
        "bossa nova",
        (112, 124, 136, 148),
        {"kick": "x..x x..x x..x x..x", "rim": "x..x ..x. ..x. .x..", "hat": _EIGHTHS},
        "x..x x..x x..x x..x",
        "x.x. .x.. x.x. .x..",
        "x... .x.. x..x ....",
        ("bass", "guitar-clean", "brass"),
    ),
    Style(
        "reggae one-drop",
        (66, 74, 82, 90),
        {"kick": ".... .... x... ....", "rim": ".... .... x... ....", "hat": "x.o. x.o. x.o. x.o."},
        "x.x. ..x. .... x.x.",
        "..x. ..x. ..x. ..x.",
        "x... .x.. ..x. ....",
        ("bass", "organ", "pluck"),
        loose=9.0,
        tuned=False,
    ),
    Style(
        "dubstep",
        (138, 140, 144),
        {"kick": "X... .... ..x. ....", "snare": ".... .... X... ....", "hat": "..x. x.x. ..x. xxx."},
        "xxx. xx.x xxx. x.x.",
        "x... .... .... ....",
        "x... .... ..x. ....",
        ("saw", "pad", "bell"),
        loose=1.0,
    ),
    Style(
        "funk",
        (92, 100, 108, 116),
        {"kick": "x.x. ...x ..x. .x..", "snare": "..o. x..o .o.. x..o", "hat": _SIXTEENTHS},
        "x..x ..x. .x.x ..x.",
        "..x. .x.. ..xx ....",
        "...x x... .x.x x...",
        ("bass", "guitar-clean", "brass"),
        loose=6.0,
    ),
    Style(
        "metal",
        (150, 170, 190, 210),
        {"kick": _SIXTEENTHS.replace("o", "x"), "snare": _BACKBEAT, "ride": "x... x... x... x..."},
        "x.xx x.xx x.xx x.xx",
        "x.xx x.xx x.xx x.xx",
        "x... x... x.x. x...",
        ("bass", "guitar", "guitar"),
        loose=5.0,
        tuned=False,
    ),
    Style(
        "punk",
        (164, 176, 188),
        {"kick": "x... ..x. x... ..x.", "snare": _BACKBEAT, "hat": "x.x. x.x. x.x. x.x."},
        "x.x. x.x. x.x. x.x.",
        "x.x. x.x. x.x. x.x.",
        "x... x... x... x...",
        ("bass", "guitar", "guitar"),
        loose=8.0,
    ),
    Style(
        "disco",
        (106, 114, 120, 128),
        {"kick": "x... x... x... x...", "snare": _BACKBEAT, "open": "..x. ..x. ..x. ..x.", "hat": _SIXTEENTHS},
        "x.x. x.x. x.x. x.x.",
        "..x. ..x. ..x. .xx.",
        "x.x. x... x.xx ....",
        ("bass", "guitar-clean", "strings"),
        tuned=False,
    ),
    Style(
        "ambient",
        (56, 60, 66, 72),
        {},
        "x... .... .... ....",
        "x... .... x... ....",
        "x... x... x.x. x...",
        ("sub", "pad", "bell"),
        loose=4.0,
    ),
    Style(
        "ballad with piano",
        (58, 64, 70, 76),
        {"kick": "x... .... x.x. ....", "snare": _BACKBEAT, "hat": _EIGHTHS},
        "x... .... x... ....",
        "x.x. x.x. x.x. x.x.",
        "x... x... .x.. x...",
        ("bass", "piano", "strings"),
        loose=9.0,
        tuned=False,
    ),
    Style(
        "march",
        (96, 108, 116, 124),
        {"kick": "x... .... x... ....", "snare": "x.oo x.o. x.oo xoxo", "crash": "x... .... .... ...."},
        "x... x... x... x...",
        "..x. ..x. ..x. ..x.",
        "x..x x... x.x. x...",
        ("brass", "strings", "brass"),
        loose=9.0,
    ),
    Style(
        "chiptune",
        (110, 126, 140, 150),
        {"chip-kick": "x... .... x... ....", "chip-snare": _BACKBEAT, "chip-hat": "..x. ..x. ..x. ..x."},
        "x.x. x.x. x.x. x.x.",
        _SIXTEENTHS.replace("o", "x"),
        "x.x. x..x ..x. x...",
        ("square", "square", "square"),
        loose=0.0,
        tuned=False,
    ),
    Style(
        "five-four",
        (112, 138, 160),
        {"kick": "x. .x .. x. ..", "snare": ".. .. .. o. x.", "ride": "x. xx x. x. x."},
        "x. .x .. x. x.",
        "x. .x .. x. x.",
        "x. xx x. .. x.",
        ("bass", "piano", "brass"),
        beats=5,
        steps=2,
    ),
    Style(
        "three against two",
        (80, 96, 110),
        {"kick": "x.....x.....", "rim": "x...x...x...", "shaker": "x.o.x.o.x.o."},
        "x..... x..x..",
        "x..... ......",
        "x...x. ..x...",
        ("bass", "pluck", "bell"),
        beats=2,
        steps=6,
        tuned=False,
    ),
    Style(
        "synth pop",
        (98, 110, 118, 134),
        {"kick": "x... x... x... x...", "clap": _BACKBEAT, "hat": "x.x. x.x. x.x. x.x."},
        "x.xx x.xx x.xx x.xx",
        "x... .... x... ....",
        "x.x. .x.. x.x. ..x.",
        ("saw", "pad", "square"),
        loose=1.0,
    ),
    Style(
        "trance",
        (132, 136, 140, 145),
        {"kick": "X... X... X... X...", "clap": _BACKBEAT, "open": "..x. ..x. ..x. ..x."},
        ".xxx .xxx .xxx .xxx",
        "x.xx .xx. x.xx .xx.",
        "x..x ..x. x..x ..x.",
        ("saw", "saw", "pluck"),
        loose=0.0,
        tuned=False,
    ),
    Style(
        "folk strumming",
        (94, 108, 120, 132),
        {"shaker": "x.o. x.o. x.o. x.o.", "kick": "o... .... o... ...."},
        "x... .... x... ....",
        "x... x.x. ..x. x.x.",
        "x... x.x. x... ....",
        ("bass", "guitar-clean", "strings"),
        loose=10.0,
    ),
)
