r"""Parse and format scores: one keyframe per line.

::

    # a comment
    8 bars | funky sax, upbeat -- vocals | seed 42 | denoise 0.6 | cfg 7
    0:20   | jazz piano

Duration, prompt (text after `` -- `` is the negative prompt), options. A ``|`` inside brackets, as in ``[a|b]``,
belongs to the prompt, and so does ``\|``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.score.keyframes import RANDOM_SEED, Keyframe, Score
from riffusion_ext.generate.score.timecode import format_time, number_text, parse_time
from riffusion_ext.validation.numbers import read_float, read_int, shown

__all__ = ["format_score", "parse_score"]

_BARS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*bars?", re.IGNORECASE)
_NEGATIVE = re.compile(r"(?:^|\s)--(?:\s|$)")
_OPTIONS: dict[str, Callable[[str], float]] = {"seed": read_int, "denoise": read_float, "cfg": read_float}
_KINDS = {"seed": "a whole number", "denoise": "a number from 0 to 1", "cfg": "a number from 1 to 30"}
_DEFAULT = Keyframe("", seconds=1.0)


def parse_score(
    text: str,
    *,
    bpm: float | None = None,
    beats_per_bar: int = 4,
    power: float = 1.0,
    loop: bool = False,
    defaults: Keyframe = _DEFAULT,
) -> Score:
    """Parse a score.

    Parameters
    ----------
    text
        Lines as above; empty lines and lines that begin with # are skipped.
    bpm, beats_per_bar, power, loop
        See :class:`~riffusion_ext.generate.score.keyframes.Score`.
    defaults
        Negative prompt, seed, denoise and CFG of lines that do not set them.

    Raises
    ------
    RiffusionError
        A line is invalid; the message gives its number.
    """
    keyframes = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            keyframes.append(_keyframe(line, defaults))
        except RiffusionError as error:
            raise RiffusionError(f"line {number}: {error}") from error
    return Score(tuple(keyframes), bpm, beats_per_bar, power, loop)


def format_score(score: Score) -> str:
    """Format a score so that :func:`parse_score` returns the same keyframes."""
    return "\n".join(_line(keyframe) for keyframe in score.keyframes)


def _keyframe(line: str, defaults: Keyframe) -> Keyframe:
    parts = _split(line)
    if len(parts) < 2:
        raise RiffusionError(
            f"{shown(line.strip())} is no keyframe; write a duration and a prompt, such as: 0:20 | jazz piano"
        )
    values: dict[str, float] = {}
    for part in parts[2:]:
        name, value = _option(part)
        if name in values:
            raise RiffusionError(f"{name} is given twice")
        values[name] = value
    prompt, *negative = (half.strip() for half in _NEGATIVE.split(parts[1], maxsplit=1))
    return Keyframe(
        prompt,
        negative[0] if negative else defaults.negative,
        seed=int(values.get("seed", defaults.seed)),
        denoise=values.get("denoise", defaults.denoise),
        cfg=values.get("cfg", defaults.cfg),
        **_duration(parts[0]),
    )


def _split(line: str) -> list[str]:
    """Split a line at each | outside brackets and without a backslash before it.

    Brackets that are left open, as in ":(", do not count as brackets.
    """
    parts, depth = _cut(line, brackets=True)
    return _cut(line, brackets=False)[0] if depth else parts


def _cut(line: str, *, brackets: bool) -> tuple[list[str], int]:
    """Return the parts, and the number of brackets left open."""
    parts, current, depth, escaped = [], "", 0, False
    for character in line:
        if escaped:
            current += character if character == "|" else "\\" + character
            escaped = False
            continue
        if character == "\\":
            escaped = True
            continue
        if brackets and character in "[({":
            depth += 1
        elif character in "])}":
            depth = max(depth - 1, 0)
        if character == "|" and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return [*parts, (current + "\\" * escaped).strip()], depth


def _duration(text: str) -> dict[str, float]:
    bars = _BARS.fullmatch(text)
    try:
        if bars:
            return {"bars": read_float(bars[1])}
        return {"seconds": parse_time(text)}
    except RiffusionError:
        raise RiffusionError(
            f"{shown(text)} is no duration; write 8 bars, 0:20 (minutes:seconds) or 20 (seconds)"
        ) from None


def _option(part: str) -> tuple[str, float]:
    name, _, value = re.sub(r"[=:]", " ", part, count=1).strip().partition(" ")
    name = name.lower()
    if name not in _OPTIONS:
        raise RiffusionError(f"{shown(part)} is not understood; the options are {', '.join(_OPTIONS)}, as in: seed 42")
    try:
        return name, _OPTIONS[name](value.strip())
    except RiffusionError:
        raise RiffusionError(f"{name} must be {_KINDS[name]}, got {shown(value.strip())}") from None


def _line(keyframe: Keyframe) -> str:
    if keyframe.bars is None:
        duration = format_time(keyframe.seconds or 0.0)
    else:
        duration = f"{number_text(keyframe.bars)} {'bar' if keyframe.bars == 1 else 'bars'}"
    prompt = f"{keyframe.prompt} -- {keyframe.negative}" if keyframe.negative else keyframe.prompt
    parts = [duration, _escape(prompt)]
    if keyframe.seed != RANDOM_SEED:
        parts.append(f"seed {keyframe.seed}")
    for name in ("denoise", "cfg"):
        if getattr(keyframe, name) != getattr(_DEFAULT, name):
            parts.append(f"{name} {number_text(getattr(keyframe, name))}")
    return " | ".join(parts)


def _escape(text: str) -> str:
    """Return the text as one line in which no | separates parts."""
    text = " ".join(text.split())
    return text if len(_split(text)) == 1 and "\\|" not in text else re.sub(r"(?<!\\)\|", r"\\|", text)
