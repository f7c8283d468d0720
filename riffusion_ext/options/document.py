"""Tables of all options in ``docs/options.md``, between markers.

``python3 dev.py options`` writes them; ``python3 dev.py options --check`` only checks whether they are up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from riffusion_ext.options import (
    crop,
    dataset,
    interpolation,
    live,
    loop,
    riff,
    server,
    song,
    sound,
    spectrogram,
    webui,
)
from riffusion_ext.options.convert import sampling, to_audio, to_images
from riffusion_ext.options.option import REQUIRED, Option

__all__ = ["PAGE", "TABLES", "main", "render_table", "update_tables"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "options.md"

TABLES: dict[str, tuple[Option, ...]] = {
    "sound": sound.CONTROLS,
    "crop": crop.CROP_CONTROLS,
    "images to audio": (*to_audio.EACH_OR_JOINED, *to_audio.OPTIONS),
    "audio to images": (*to_images.OPTIONS, to_images.PRESET_TEXT),
    "audio to images, a folder": to_images.BATCH_OPTIONS,
    "random clips": sampling.OPTIONS,
    "song": (*song.OPTIONS, song.LEVEL),
    "keyframe": tuple(song.KEYFRAME.values()),
    "riff": (*riff.OPTIONS, riff.LEVEL),
    "riff part": tuple(riff.PART.values()),
    "loop": (*loop.OPTIONS, loop.LEVEL),
    "live": live.OPTIONS,
    "interpolation": tuple(interpolation.INTERPOLATION.values()),
    "interpolation end": tuple(interpolation.END.values()),
    "training set: cutting": dataset.SLICING_OPTIONS,
    "training set: choosing": dataset.CURATION_OPTIONS,
    "training set: captions": dataset.CAPTIONS,
    "training set: writing": dataset.EXPORT_OPTIONS,
    "training set: working": dataset.RUN_OPTIONS,
    "spectrogram": spectrogram.OPTIONS,
    "server": server.OPTIONS,
    "webui": webui.OPTIONS,
}
"""Options of each table by the name in its marker."""

_MARKED = re.compile(r"(<!-- options: (?P<name>[^>]+?) -->\n).*?(<!-- end of options -->)", re.DOTALL)
_KINDS = {"checkbox": "on or off", "text": "text"}


def update_tables(text: str) -> str:
    """Return the text of the page with updated tables.

    Raises
    ------
    ValueError
        A marker names no table, or a table has no marker.
    """
    names = [match["name"] for match in _MARKED.finditer(text)]
    if sorted(names) != sorted(TABLES):
        raise ValueError(f"the markers are {', '.join(names)}, and the tables {', '.join(TABLES)}")

    def new_table(match: re.Match[str]) -> str:
        return f"{match[1]}{render_table(match['name'])}{match[3]}"

    return _MARKED.sub(new_table, text)


def render_table(name: str) -> str:
    """Return a table as Markdown, without empty columns."""
    options = TABLES[name]
    columns: dict[str, Callable[[Option], str]] = {
        "Page": lambda item: item.label if "page" in item.interfaces else "",
        "Command line": lambda item: _code(item.flag) if "command" in item.interfaces else "",
        "API": lambda item: _code(item.field) if "api" in item.interfaces else "",
        "Setting": lambda item: item.label if "settings" in item.interfaces else "",
        "Key": lambda item: _code(item.id) if "settings" in item.interfaces else "",
        "Values": _values,
        "Default": _default,
        "Infotext": lambda item: _code(item.infotext) if item.infotext else "",
        "Meaning": lambda item: item.help.replace("*", r"\*"),  # two unescaped ones are emphasis in Markdown
    }
    rows = {title: [_cell(cell(item)) for item in options] for title, cell in columns.items()}
    rows = {title: cells for title, cells in rows.items() if any(cells)}
    lines = [rows.keys(), ["---"] * len(rows), *zip(*rows.values(), strict=True)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _values(item: Option) -> str:
    """Describe the values of an option."""
    if item.choices:
        return ", ".join(_code(choice) for choice in item.choices)
    if not item.is_number:
        return _KINDS[item.kind]
    on_page = "{:.10g} to {:.10g}".format(*item.page_range)
    shown = [*(["whole number"] if item.is_whole else []), *([item.range_text] if item.range_text else [])]
    return ", ".join(shown) + (f" (page: {on_page})" if item.page_bounds and "page" in item.interfaces else "")


def _default(item: Option) -> str:
    """Describe the default, with that of the API or the page if it differs."""
    default = _value_text(item.default)
    others = {"page": _value_text(item.on_page), "api": _value_text(item.in_api)}
    if item.interfaces == ("api",):
        return others["api"]
    names = {"page": "page", "api": "API"}
    apart = [
        f"{names[interface]}: {text}"
        for interface, text in others.items()
        if interface in item.interfaces and text != default
    ]
    return f"{default} ({', '.join(apart)})" if apart else default


def _value_text(value: object) -> str:
    if value is REQUIRED:
        return "required"
    if value is None or value == "" or value == []:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_code, value))
    return f"{value:.10g}" if isinstance(value, (int, float)) else _code(str(value))


def _code(text: str) -> str:
    return f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(arguments: Iterable[str] = ()) -> int:
    """Write the tables, or with ``--check`` only check whether they are up to date; return the exit code."""
    before = PAGE.read_text("utf-8")
    after = update_tables(before)
    if "--check" in arguments:
        return int(before != after)
    PAGE.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
