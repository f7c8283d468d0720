"""Report of a command: lines, a progress bar, a summary, or one JSON document."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from riffusion_ext import __version__
from riffusion_ext.convert import Result
from riffusion_ext.files.kinds import SOUND_SUFFIXES, passed_over_line
from riffusion_ext.signals import exit_code

__all__ = ["Reporter", "failure_line", "to_json", "write_json"]


def to_json(value: object) -> object:
    """Convert a value to JSON values: NaN and infinity to None, other types to text."""
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def write_json(document: Mapping[str, object]) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(to_json(document), indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


class Reporter:
    """Collect and print the results of a command.

    Lines about results go to stdout, all others to stderr. With ``json``, stdout gets one document at the end. The bar
    appears only on a terminal. Use it as a context manager: Ctrl-C inside ends the work, not the report.
    """

    def __init__(self, command: str, total: int, *, json: bool = False, quiet: bool = False) -> None:
        self.command = command
        self.results: list[Result] = []
        self.stopped = False
        self.notes: list[str] = []
        self._json, self._quiet = json, quiet
        self._start = time.perf_counter()
        self._bar = _make_bar(total) if total and not quiet and sys.stderr.isatty() else None

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.stopped = kind is not None and issubclass(kind, KeyboardInterrupt)
        if self._bar is not None:
            self._bar.close()
        return self.stopped

    def progress(self, part: float) -> None:
        """Show the progress of the current batch, 0 to 1."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"{part:.0%}")

    def note(self, text: str) -> None:
        """Print a note about the inputs as a whole."""
        self.notes.append(text)
        if not self._quiet:
            self._line(f"note: {text}", sys.stderr)

    def found(self, missing: Sequence[tuple[Path, str]], passed: Sequence[Path], notes: Sequence[str] = ()) -> None:
        """Report inputs that were not found, files that were skipped, and further notes."""
        for path, why in missing:
            self.add(Result(path, error=why))
        if passed:
            self.note(passed_over_line(passed))
        for text in notes:
            self.note(text)

    def stage(self, text: str) -> None:
        """Show a stage of work that belongs to no single input."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        elif not (self._quiet or self._json):
            self._line(f"{text} ...", sys.stderr)

    def add(self, result: Result) -> None:
        """Add the result of one input, and print it."""
        self.results.append(result)
        if self._bar is not None:
            self._bar.update()
        if result.error:
            self._line(failure_line(result.source, result.error), sys.stderr)
        elif not self._quiet:
            for note in result.notes:
                self._line(f"note: {result.source}: {note}", sys.stderr)
            if not self._json:
                self._line(_describe(result), sys.stdout)

    def finish(self) -> int:
        """Print the summary, and return the exit code."""
        failed = sum(not result.ok for result in self.results)
        skipped = sum(result.skipped for result in self.results)
        done = len(self.results) - failed - skipped
        seconds = time.perf_counter() - self._start
        code = exit_code() if self.stopped else 1 if failed else 0
        if self._json:
            counts = {"done": done, "skipped": skipped, "failed": failed, "stopped": self.stopped}
            head = {"program": "riffusion-ext", "version": __version__, "command": self.command}
            results = [_as_dict(result) for result in self.results]
            write_json({**head, **counts, "seconds": round(seconds, 3), "notes": self.notes, "results": results})
        elif self.stopped or failed or (len(self.results) > 1 and not self._quiet):
            parts = [f"{done} done"] + [f"{n} {what}" for n, what in ((skipped, "skipped"), (failed, "failed")) if n]
            stop = "stopped; what is written is whole: " if self.stopped else ""
            sys.stderr.write(f"{stop}{', '.join(parts)} in {seconds:.1f} s\n")
        return code

    def _line(self, text: str, stream: TextIO) -> None:
        text = escape_controls(text)
        if self._bar is None:
            stream.write(text + "\n")
            stream.flush()
        else:
            self._bar.write(text, file=stream)


def escape_controls(text: str) -> str:
    """Escape control and bidirectional characters, so that names cannot alter the terminal or begin a new line."""
    return "".join(f"\\x{ord(c):02x}" if c < " " or "\x7f" <= c < "\xa0" or c in _DIRECTIONS else c for c in text)


_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"


def failure_line(source: Path, error: str) -> str:
    """Return the line about a failed input, which names it only once even if the error names it too."""
    if str(source) in error:
        return f"failed: {error}"
    return (
        f"failed: {source}{error.removeprefix(source.name)}"
        if error.startswith(f"{source.name} ")
        else f"failed: {source}: {error}"
    )


def _make_bar(total: int) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit="file", file=sys.stderr, dynamic_ncols=True, leave=False)


def _describe(result: Result) -> str:
    if result.skipped:
        return f"{result.source}: there already"
    names = [str(path) for path in result.outputs]
    many = f"{names[0]} ... {names[-1]} ({len(names)} {_noun(result.outputs)})" if len(names) > 1 else ""
    shown = "".join(f" -> {name}" for name in ([many] if many else names))
    duration = result.details.get("duration")
    return f"{result.source}{shown}" + (f"  {duration:.2f} s" if duration is not None else "")


def _noun(paths: Sequence[Path]) -> str:
    return "clips" if paths[0].suffix.lower() in SOUND_SUFFIXES else "images"


def _as_dict(result: Result) -> dict[str, object]:
    return {
        "source": str(result.source),
        "ok": result.ok,
        "skipped": result.skipped,
        "outputs": [str(path) for path in result.outputs],
        "error": result.error or None,
        "notes": list(result.notes),
        **result.details,
    }
