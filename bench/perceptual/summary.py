"""Means, worst clips, tables and gates of the scores."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.methods import LABELS
from bench.perceptual import sounds
from bench.perceptual.clips import CLIPS, SOURCES, Choice, Clip
from bench.perceptual.evaluation import Evaluation, Scores
from bench.perceptual.metrics import Score
from bench.report import AIM, MUST, Gate, Table, number

MIN_GAIN = 0.75  # MOS
MAX_DISTANCE, MAX_RATIO = 0.0024, 0.4
MAX_LOSS, MAX_WORSE = 0.1, 1.1  # of any clip: MOS, and times its distance
MAX_DULL_CHANGE = 0.02
MAX_LOW_CHANGE = -80.0  # dB


class Pair(NamedTuple):
    """A clip without and with extension."""

    clip: Clip
    off: Score
    on: Score

    @property
    def gain(self) -> float:
        """Gain in MOS; NaN if a sound is silent."""
        return self.on.visqol - self.off.visqol

    @property
    def ratio(self) -> float:
        """Distance with extension over that without."""
        return self.on.zimtohrli / max(self.off.zimtohrli, 1e-12)


def pairs(found: Mapping[str, Scores], clips: Sequence[Clip], engine: str = "fast") -> list[Pair]:
    """Return the clips with their scores of an engine, without and with extension."""
    extended = sounds.PAIRS[engine]
    return [Pair(clip, found[clip.name][engine], found[clip.name][extended]) for clip in clips]


def mean(scores: Sequence[Score]) -> Score:
    """Return the mean of each measure."""
    return Score(*(statistics.fmean(values) for values in zip(*scores, strict=True)))


def means_table(found: Mapping[str, Scores], choice: Choice) -> Table:
    """Tabulate the means of each method over the full-band clips, and its worst clips."""
    table = Table(
        "Perceptual quality, full-band clips",
        ["method", "Zimtohrli", "x fast", "ViSQOL MOS", "over fast", "worst Zimtohrli", "worst ViSQOL"],
        note=f"{len(choice.full)} clips of {len(choice.sources)} sources. Zimtohrli: lower is better, 0 is equal. "
        "ViSQOL: higher is better, 4.73 is equal.",
    )
    base = mean([found[clip.name]["fast"] for clip in choice.full])
    for name in sounds.ALL:
        scores = {clip.name: found[clip.name][name] for clip in choice.full}
        middle = mean(list(scores.values()))
        farthest = max(scores, key=lambda clip: scores[clip].zimtohrli)
        lowest = min(scores, key=lambda clip: scores[clip].visqol)
        row = [LABELS[name], number(middle.zimtohrli, 4), number(middle.zimtohrli / max(base.zimtohrli, 1e-12))]
        row += [number(middle.visqol), number(middle.visqol - base.visqol, sign=True)]
        row += [f"{scores[farthest].zimtohrli:.4f} {farthest}", f"{scores[lowest].visqol:.2f} {lowest}"]
        table.rows.append(row)
    return table


_COLUMNS = ["Zimtohrli: off", "on", "ratio", "ViSQOL: off", "on", "gain"]


def sources_table(found: Mapping[str, Scores], choice: Choice) -> Table:
    """Tabulate the means of each source, `fast` without and with extension."""
    table = Table("Perceptual quality by source, fast without and with extension", ["source (clips)", *_COLUMNS])
    for source in choice.sources:
        members = pairs(found, [clip for clip in choice.full if clip.source == source])
        off, on = mean([pair.off for pair in members]), mean([pair.on for pair in members])
        table.rows.append([f"{source} ({len(members)})", *_cells(Pair(members[0].clip, off, on))])
    return table


def clips_table(found: Mapping[str, Scores], choice: Choice) -> Table:
    """Tabulate each full-band clip, `fast` without and with extension; worse ones are marked."""
    table = Table("Perceptual quality clip by clip, fast without and with extension", ["clip", *_COLUMNS, ""])
    for pair in pairs(found, choice.full):
        worse = pair.gain < -MAX_LOSS or pair.ratio > MAX_WORSE
        table.rows.append([pair.clip.name, *_cells(pair), "worse" if worse else "ok"])
    return table


def dull_table(found: Mapping[str, Scores], choice: Choice) -> Table:
    """Tabulate each dull clip, `fast` without and with extension."""
    table = Table(
        "Dull clips, fast without and with extension",
        ["clip", *_COLUMNS, "change of the distance"],
        note="Nothing above 9 kHz: the extension should add nothing.",
    )
    for pair in pairs(found, choice.dull):
        table.rows.append([pair.clip.name, *_cells(pair), f"{100 * (pair.ratio - 1):+.2f} %"])
    return table


def _cells(pair: Pair) -> list[str]:
    distances = [number(pair.off.zimtohrli, 4), number(pair.on.zimtohrli, 4), number(pair.ratio)]
    return [*distances, number(pair.off.visqol), number(pair.on.visqol), number(pair.gain, sign=True)]


def gates(found: Evaluation, choice: Choice, *, quick: bool) -> list[Gate]:
    """Return the gates of the scores.

    Parameters
    ----------
    quick
        With few clips, the number of clips and sources has no gate, and the others are only aims.
    """
    kind = AIM if quick else MUST
    fast, best = (pairs(found, choice.full, engine) for engine in ("fast", "best"))
    off, on = mean([pair.off for pair in fast]), mean([pair.on for pair in fast])
    ratio = on.zimtohrli / max(off.zimtohrli, 1e-12)
    worst = {"MOS": lowest(fast), "distance": farthest(fast)}
    gates = [
        Gate("extension: mean ViSQOL over fast", on.visqol - off.visqol, ">=", MIN_GAIN, "MOS", kind),
        Gate("extension: mean ViSQOL over best", mean_gain(best), ">=", MIN_GAIN, "MOS", AIM),
        Gate("extension: mean Zimtohrli, fast", on.zimtohrli, "<=", MAX_DISTANCE, "", kind),
        Gate("extension: mean Zimtohrli against that without, fast", ratio, "<=", MAX_RATIO, "x", kind),
        Gate(f"extension: least gain, {worst['MOS'].clip.name}", worst["MOS"].gain, ">=", -MAX_LOSS, "MOS", kind),
        Gate(
            f"extension: largest ratio of distances, {worst['distance'].clip.name}",
            worst["distance"].ratio,
            "<=",
            MAX_WORSE,
            "x",
            kind,
        ),
        Gate("extension: change below 9.5 kHz", max(found.changes.values()), "<=", MAX_LOW_CHANGE, "dB", kind),
    ]
    if choice.dull:
        most = max(pairs(found, choice.dull), key=lambda pair: abs(pair.ratio - 1))
        change = 100 * abs(most.ratio - 1)
        name = f"extension: change of the distance of dull clips, {most.clip.name}"
        gates.append(Gate(name, change, "<=", 100 * MAX_DULL_CHANGE, "%", kind))
    if not quick:
        gates.append(Gate("extension: full-band clips", len(choice.full), ">=", CLIPS))
        gates.append(Gate("extension: sources", len(choice.sources), ">=", SOURCES))
    return gates


def mean_gain(members: Sequence[Pair]) -> float:
    """Return the mean gain in MOS."""
    return statistics.fmean(pair.gain for pair in members)


def lowest(members: Sequence[Pair]) -> Pair:
    """Return the pair with the least gain; one without a number comes first."""
    return min(members, key=lambda pair: -math.inf if math.isnan(pair.gain) else pair.gain)


def farthest(members: Sequence[Pair]) -> Pair:
    """Return the pair with the largest ratio of distances; one without a number comes first."""
    return max(members, key=lambda pair: math.inf if math.isnan(pair.ratio) else pair.ratio)
