"""Fit the weights of :mod:`riffusion_ext.dataset.analysis.transitions` to your own music.

``python -m bench.transition_fit --music DIR`` cross-validates: it fits on every second source and genre and evaluates
on the others, then vice versa. Finally it fits on all, which gives the numbers for the module. ``--tracks N`` sets the
songs of each source (default 8; 0 for all).
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.cut_material import MeasuredSound, measure_material
from bench.report import as_text
from bench.transitions import _thresholds, score

_ROUNDS, _STEPS = 4, 40
_HARDEST = 4  # values on each side of a cut, of which the largest is used
_RIDGE = 2e-3
_MADE_UP = 0.6  # weight of a synthesised genre relative to a source of music

_Numbers = npt.NDArray[np.float64]


def fit(sounds: Sequence[MeasuredSound], groups: Collection[str]) -> tuple[_Numbers, float]:
    """Fit a logistic regression on some sources and genres, with equal weight whatever their length.

    In each round, the most cut-like value of each uncut window is a negative example, and the most cut-like value
    around each cut a positive one, by the weights of the previous round.
    """
    weights, bias = np.ones(sounds[0].terms.shape[1]), 0.0
    for _ in range(_ROUNDS):
        rows: dict[tuple[bool, str], list[npt.NDArray[np.float32]]] = {}
        for item in sounds:
            if item.group not in groups:
                continue
            odds = np.where(item.sounding, item.terms @ weights + bias, -np.inf)
            cut = item.kind in ("same", "other")
            places = [round(at * 25) for at in item.cuts]
            spans = [(max(at - _HARDEST, 0), at + _HARDEST + 1) for at in places]
            if not cut:
                spans = [(first + 7, first + 122) for first in range(0, len(odds) - 127, 128)]
            for start, stop in spans:
                if np.isfinite(odds[start:stop]).any():
                    rows.setdefault((cut, item.group if not cut else ""), []).append(
                        item.terms[start + int(odds[start:stop].argmax())]
                    )
        genres = {item.group for item in sounds if item.kind == "made up"}
        examples = np.concatenate([np.array(found, np.float64) for found in rows.values()])
        truth = np.concatenate([np.full(len(found), float(cut)) for (cut, _), found in rows.items()])
        share = np.concatenate(
            [
                np.full(len(found), (1.0 if cut else _MADE_UP if group in genres else 1.0) / len(found))
                for (cut, group), found in rows.items()
            ]
        )
        for value in (0.0, 1.0):
            share[truth == value] /= share[truth == value].sum()
        weights, bias = _regression(examples, truth, share)
    return weights, bias


def _regression(examples: _Numbers, truth: _Numbers, share: _Numbers) -> tuple[_Numbers, float]:
    """Fit by Newton's method, with weak ridge regularisation."""
    middle, spread = examples.mean(axis=0), examples.std(axis=0) + 1e-9
    inputs = np.column_stack([(examples - middle) / spread, np.ones(len(examples))])
    ridge = np.diag([*np.full(examples.shape[1], _RIDGE), 0.0])
    found = np.zeros(inputs.shape[1])
    for _ in range(_STEPS):
        guess = 1.0 / (1.0 + np.exp(-(inputs @ found)))
        slope = inputs.T @ (share * (guess - truth)) + ridge @ found
        curvature = (inputs * (share * guess * (1.0 - guess) + 1e-9)[:, None]).T @ inputs + ridge
        found = found - np.linalg.solve(curvature, slope)
    weights = found[:-1] / spread
    return weights, float(found[-1] - (weights * middle).sum())


def main(argv: Sequence[str] | None = None) -> None:
    """Fit the weights and print them."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.transition_fit", description="Fit the weights of transitions."
    )
    parser.add_argument("--music", type=Path, required=True, metavar="DIR", help="folder of sources of music")
    parser.add_argument(
        "--tracks", type=int, default=8, metavar="N", help="songs of each source; 0 for all (default 8)"
    )
    parser.add_argument("--seeds", type=int, default=4, metavar="N", help="songs made up for each genre (default 4)")
    options = parser.parse_args(argv)
    report(list(measure_material(options.music, tracks=options.tracks, seeds=options.seeds)))


def report(sounds: Sequence[MeasuredSound]) -> None:
    """Print the weights and, for each half of the sources and genres, the results of the weights of the other half."""
    sources, genres = (sorted({i.group for i in sounds if i.kind == kind}) for kind in ("music", "made up"))
    for turn in range(2):
        weights, bias = fit(sounds, {*sources[turn::2], *genres[turn::2]})
        held_out = [*sources[1 - turn :: 2], *genres[1 - turn :: 2]]
        scores = score((item for item in sounds if item.group in held_out), weights, bias)
        print(f"Fitted on {', '.join((*sources[turn::2], *genres[turn::2]))}: {_text(weights, bias)}")
        print(as_text(_thresholds(scores, sources[1 - turn :: 2], genres[1 - turn :: 2])), end="\n\n")
        for group in held_out:
            print(f"  {group}: {scores.alarms(group, 0.5):.1f} % left out, {scores.hits(0.5, group=group):.1f} % found")
    print(f"Fitted on all: {_text(*fit(sounds, {*sources, *genres}))}")


def _text(weights: _Numbers, bias: float) -> str:
    return f"weights {np.round(weights, 2).tolist()}, bias {bias:.2f}"


if __name__ == "__main__":
    main()
