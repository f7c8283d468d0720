"""Detection of cuts: hits and false positives, by source of music and by genre of synthesised songs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.cut_material import FADES, MeasuredSound, measure_material
from bench.report import AIM, Gate, Section, Table, number

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_COLUMNS = 512
_NEAR = 7  # values, 0.28 s: largest distance between a cut and its detection
_SEEDS = 3


@dataclass
class Scores:
    """Largest values of uncut windows by group, and around each cut by group, kind and crossfade."""

    windows: dict[str, list[float]] = field(default_factory=dict)
    cuts: dict[tuple[str, str, float], list[float]] = field(default_factory=dict)

    def alarms(self, group: str, threshold: float) -> float:
        """Return the false positives of a group, in per cent of its windows."""
        return 100.0 * float(np.mean(np.array(self.windows[group]) > threshold))

    def hits(self, threshold: float, *, group: str = "", kind: str = "", fade: float | None = None) -> float:
        """Return the share of cuts detected, in per cent: of a group, kind or crossfade, or of all."""
        values = [
            value
            for (of_group, of_kind, of_fade), found in self.cuts.items()
            for value in found
            if group in ("", of_group) and kind in ("", of_kind) and fade in (None, of_fade)
        ]
        return 100.0 * float(np.mean(np.array(values) > threshold)) if values else float("nan")


def measure(music: Path | None, *, tracks: int, quick: bool) -> Section:
    """Evaluate the program's own weights and threshold."""
    from riffusion_ext.dataset.settings import CurateSettings

    threshold = CurateSettings().transition
    assert threshold is not None
    sounds = list(measure_material(music, tracks=tracks, seeds=1 if quick else _SEEDS, pieces=3 if quick else 7))
    scores = score(sounds)
    sources, genres = (list(dict.fromkeys(i.group for i in sounds if i.kind == kind)) for kind in ("music", "made up"))
    tables = [_groups(scores, "genre", genres, threshold), _thresholds(scores, sources, genres)]
    gates = [
        Gate(f"transitions: {g}, windows left out", scores.alarms(g, threshold), "<=", 5, "%", AIM) for g in genres
    ]
    if sources:
        tables.insert(0, _groups(scores, "source", sources, threshold))
        gates += [
            Gate(f"transitions: {s}, windows left out", scores.alarms(s, threshold), "<=", 2, "%", AIM) for s in sources
        ]
    gates.append(Gate("transitions: cuts that are found", scores.hits(threshold), ">=", 80, "%", AIM))
    data = {"windows": scores.windows, "cuts": {" ".join(map(str, key)): found for key, found in scores.cuts.items()}}
    return Section("transitions", tables, gates, data)


def score(
    sounds: Iterable[MeasuredSound], weights: npt.NDArray[np.float64] | None = None, bias: float | None = None
) -> Scores:
    """Find the largest value of each uncut window and near each cut, optionally with other weights."""
    from riffusion_ext.dataset.analysis.transitions import STRIDE, largest_transition, transition_odds

    scores = Scores()
    for item in sounds:
        odds = transition_odds(item.terms, item.sounding, weights, bias)
        curve = 1.0 / (1.0 + np.exp(-odds))
        if item.kind in ("music", "made up"):
            first = np.arange(0, len(curve) * STRIDE - _COLUMNS + 1, _COLUMNS)
            scores.windows.setdefault(item.group, []).extend(largest_transition(curve, first, _COLUMNS)[0].tolist())
        else:
            found = scores.cuts.setdefault((item.group, item.kind, item.fade), [])
            for cut in item.cuts:
                at = round(cut * 100 / STRIDE)
                found.append(float(curve[max(at - _NEAR, 0) : at + _NEAR + 1].max(initial=0.0)))
    return scores


def _groups(scores: Scores, what: str, groups: Sequence[str], threshold: float) -> Table:
    fades = [f"found, {1000 * fade:.0f} ms" for fade in FADES]
    table = Table(
        f"Transitions by {what}, at {threshold:g}",
        [what, "windows", "left out %", "found, same %", "found, other %", *fades],
        note="Left out: windows of uncut music. Found: cuts, to songs of this source or of another; by crossfade.",
    )
    for group in groups:
        cells = [scores.hits(threshold, group=group, kind=kind) for kind in ("same", "other")]
        cells += [scores.hits(threshold, group=group, fade=fade) for fade in FADES]
        row = [group, str(len(scores.windows[group])), number(scores.alarms(group, threshold), 1)]
        table.rows.append([*row, *(number(cell, 1) for cell in cells)])
    return table


def _thresholds(scores: Scores, sources: Sequence[str], genres: Sequence[str]) -> Table:
    columns = ["threshold", "left out, mean %", "most", "made up, mean %", "most", "found %", "same %", "other %"]
    table = Table("Transitions by threshold", columns, note="Means and largest shares of sources, and of genres.")
    for threshold in THRESHOLDS:
        cells: list[float] = []
        for groups in (sources, genres):
            shares = [scores.alarms(group, threshold) for group in groups]
            cells += [float(np.mean(shares)), max(shares)] if shares else [float("nan")] * 2
        cells += [scores.hits(threshold), *(scores.hits(threshold, kind=kind) for kind in ("same", "other"))]
        table.rows.append([f"{threshold:g}", *(number(cell, 1) for cell in cells)])
    return table
