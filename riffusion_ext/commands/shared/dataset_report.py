"""Progress and report of ``riffusion-ext dataset``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from riffusion_ext.dataset.pipeline import BuildResult, Progress
    from riffusion_ext.dataset.verify import Check
    from riffusion_ext.progress import Stage

__all__ = ["ProgressPrinter", "lines", "summary"]


class ProgressPrinter:
    """Print progress on stderr: a bar for each stage on a terminal, otherwise lines."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._stage = ""
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the command began."""
        return time.perf_counter() - self._began

    def on_progress(self, progress: Progress) -> None:
        """Report a processed song."""
        if self._quiet:
            return
        if sys.stderr.isatty():
            self._show("reading", "songs", progress.done, progress.total)
            return
        what = progress.result.error or _windows(progress.result.windows) + (
            " (there already)" if progress.result.resumed else ""
        )
        sys.stderr.write(
            f"{progress.done}/{progress.total}  {progress.result.song.name}: {what}  [{progress.speed_text}]\n"
        )

    def on_stage(self, stage: Stage) -> None:
        """Report the progress of another stage."""
        if self._quiet:
            return
        if sys.stderr.isatty():
            self._show(stage.name, stage.unit, stage.done, stage.total)
        elif stage.is_mark:
            sys.stderr.write(f"{stage.text}\n")

    def _show(self, name: str, unit: str, done: int, total: int) -> None:
        if name != self._stage:
            from tqdm import tqdm

            self.close()
            self._stage = name
            self._bar = tqdm(total=total, desc=name, unit=f" {unit}", dynamic_ncols=True, leave=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def summary(built: BuildResult, checks: Sequence[Check], sheets: Sequence[Path], seconds: float) -> dict[str, object]:
    """Return the report as JSON values; `seconds` is the duration of the command."""
    manifest = built.manifest
    return {
        "songs": built.songs,
        "resumed": built.resumed,
        "failed": [{"source": str(path), "error": why} for path, why in built.failed],
        "errors": list(built.exported.errors),
        "notes": list(built.notes),
        "windows": len(manifest.windows),
        "kept": len(manifest.kept),
        "rejected": manifest.counts(),
        "places": {form: str(path) for form, path in built.exported.places.items()},
        "sheets": [str(sheet) for sheet in sheets],
        "verified": [asdict(check) for check in checks],
        "seconds": round(seconds, 3),
        "music_seconds": round(sum(song.duration for song in manifest.songs), 3),
        "stopped": built.stopped,
    }


def _windows(count: int) -> str:
    return f"{count} windows" if count != 1 else "1 window"


def lines(
    built: BuildResult, out: Path, checks: Sequence[Check], sheets: Sequence[Path], seconds: float
) -> Sequence[str]:
    """Return the report as lines of text; `seconds` is the duration of the command."""
    from riffusion_ext.dataset.verify import summarize

    manifest = built.manifest
    music = sum(song.duration for song in manifest.songs)
    songs = f"{built.songs} songs" if built.songs != 1 else "1 song"
    text = [f"{songs}, {music / 60:.1f} min of music, in {seconds:.1f} s: {_windows(len(manifest.windows))}"]
    if built.resumed:
        text[0] += f" ({built.resumed} of the songs were there already)"
    text.append(f"  kept       {len(manifest.kept):6d}   {out / 'pictures'}")
    text += [f"  {kind:<10} {count:6d}" for kind, count in manifest.counts().items()]
    text += [f"{form}: {path}" for form, path in built.exported.places.items()]
    if checks:
        text += [f"turned back into sound and measured: {summarize(checks)}"]
        text += [f"  {check.file}: {check.problem}" for check in checks if check.problem]
    text += [f"contact sheet: {sheet}" for sheet in sheets]
    text += [f"note: {note}" for note in built.notes]
    if built.failed:
        files = f"{len(built.failed)} files" if len(built.failed) != 1 else "1 file"
        text.append(f"{files} could not be used, or not wholly: see above")
    if not manifest.kept:
        text.append("no window was kept: loosen a check, or bring windows back on the contact sheet")
    return text
