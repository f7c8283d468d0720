"""The section of the benchmark: bandwidth extension judged by Zimtohrli and ViSQOL."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench.material import Material
from bench.perceptual import checks, images, riffs, summary
from bench.perceptual.clips import choose
from bench.perceptual.evaluation import Evaluation, evaluate
from bench.perceptual.metrics import unavailable
from bench.report import AIM, MUST, Section, Table

_PROCESSES = 2
_QUICK_CLIPS = 2
_RIFFS = 8

Evaluate = Callable[..., Evaluation]


def measure(
    music: Path | None, made: Material, *, rounds: int, quick: bool, imitated: bool, run: Evaluate = evaluate
) -> Section | None:
    """Judge the extension, and measure its cost; None, with a sentence on stderr, if that is not possible.

    Parameters
    ----------
    music
        Folder with a folder of sound files for each source, none of which the extension was trained on.
    made
        Its model images are extended; unless `quick`, imitated ones make them eight.
    rounds
        Runs of which the times are medians.
    quick
        Judge only two clips; most gates are then aims.
    imitated
        Whether the model images are imitated; their gates are then aims.
    run
        As :func:`evaluate`.
    """
    reason = "it needs music: --music DIR" if music is None else unavailable()
    if music is None or reason:
        print(f"perceptual: {reason}", file=sys.stderr)
        return None
    choice = choose(music, clips=_QUICK_CLIPS, per_source=1, low_passed=1) if quick else choose(music)
    if quick:
        del choice.full[_QUICK_CLIPS:]
    print(f"perceptual: {len(choice.full)} clips of {len(choice.sources)} sources", file=sys.stderr)
    times = checks.time_extension(choice.full, rounds=rounds)
    size = checks.weights_size()
    unusual, side = checks.try_unusual(), checks.silent_side(choice.full[0])
    pieces = made.model if quick else images.complete(made.model, choice.full)
    image_table, image_gates, image_data = images.measure(pieces, choice.full, kind=AIM if quick or imitated else MUST)
    found = run([*choice.full, *choice.dull], processes=min(_PROCESSES, os.cpu_count() or 1))
    changed = riffs.compare(choice.full[:: max(1, len(choice.full) // _RIFFS)])
    tables: list[Table] = [
        summary.means_table(found, choice),
        summary.sources_table(found, choice),
        summary.clips_table(found, choice),
        *([summary.dull_table(found, choice)] if choice.dull else []),
        image_table,
        riffs.riffs_table(changed),
        checks.unusual_table(unusual, side),
        checks.cost_table(times, size),
    ]
    gates = [
        *summary.gates(found, choice, quick=quick),
        *image_gates,
        *checks.unusual_gates(unusual, side),
        *checks.cost_gates(times, size),
    ]
    kinds = {clip.name: clip.kind for clip in [*choice.full, *choice.dull]}
    scores = {name: {method: one._asdict() for method, one in scores.items()} for name, scores in found.items()}
    data: dict[str, object] = {"scores": scores, "kinds": kinds, "changes_db": found.changes, "images": image_data}
    data["riffs"] = changed
    data["unusual"] = {name: vars(one) for name, one in unusual.items()}
    data |= {"times": {name: one.as_dict() for name, one in times.items()}, "weights_bytes": size}
    return Section("perceptual", tables, gates, data)
