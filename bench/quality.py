"""Sound quality: ours compared with the original's, on music and on model images, as means and one by one."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from bench import methods
from bench.material import Material, Piece
from bench.measures import WINDOWS, evaluate
from bench.report import AIM, Gate, Section, Table, number
from riffusion_ext.spectrogram.codec import available_engines

Results = dict[str, dict[str, dict[str, float]]]
"""Method, then name of the piece, then measure."""


def measure(material: Material, *, sgd_pieces: int) -> Section:
    """Decode every piece with every method; only the first few with INC-SGD, which is slow."""
    ways: dict[str, methods.Method] = {
        "lstsq": methods.lstsq,
        "fast": methods.engine("fast"),
        "best": methods.engine("best"),
    }
    results: Results = {
        name: {piece.name: evaluate(piece, way(piece)) for piece in material.pieces} for name, way in ways.items()
    }
    if sgd_pieces:
        results["sgd"] = {piece.name: evaluate(piece, methods.sgd(piece)) for piece in material.pieces[:sgd_pieces]}
    if "reference" in available_engines():  # the same recipe in torchaudio itself, to verify the restated one
        way = methods.engine("reference")
        results["reference"] = {piece.name: evaluate(piece, way(piece)) for piece in material.pieces[:2]}
    tables = [_means(results, material), _windows(results, material), _each(results, material)]
    data = {"results": results, "kinds": {piece.name: piece.kind for piece in material.pieces}}
    return Section("quality", tables, _gates(results, material), data)


def _mean(results: Results, method: str, pieces: Iterable[Piece], key: str) -> float:
    values = [results[method][p.name][key] for p in pieces if key in results[method].get(p.name, {})]
    return statistics.fmean(values) if values else float("nan")


def _means(results: Results, material: Material) -> Table:
    keys = ("mae", "own_mae", "psnr", "sc_mel", "sc_2048", "lsd_2048", "bass")
    heads = ["MAE", "MAE, own max", "PSNR dB", "SC mel dB", "SC 2048 dB", "LSD 2048 dB", "bass dB"]
    table = Table(
        "Quality, means",
        ["method, set", *heads],
        note="PSNR: higher is better. Bass: 0 is right. Everything else: lower is better.",
    )
    for method in results:
        for kind, pieces in (("music", material.music), ("model", material.model)):
            count = sum(piece.name in results[method] for piece in pieces)
            if count:
                values = (_mean(results, method, pieces, key) for key in keys)
                table.rows.append([f"{methods.LABELS[method]}, {kind} ({count})", *(number(v) for v in values)])
    return table


def _windows(results: Results, material: Material) -> Table:
    table = Table("Against the source, music", ["method", *(f"{w}" for w in WINDOWS)])
    table.note = "Spectral convergence / log-spectral distance, dB, by the length of the window in samples."
    for method in results:
        cells = (
            f"{number(_mean(results, method, material.music, f'sc_{w}'), 1)} / "
            f"{number(_mean(results, method, material.music, f'lsd_{w}'), 1)}"
            for w in WINDOWS
        )
        table.rows.append([methods.LABELS[method], *cells])
    return table


def _each(results: Results, material: Material) -> Table:
    table = Table(
        "Image by image against INC-LSTSQ",
        ["image", "set", "LSTSQ: MAE", "PSNR", "fast: MAE", "PSNR", "best: MAE", "PSNR", ""],
    )
    for piece in (*material.music, *material.model):
        base, fast, best = (results[method][piece.name] for method in ("lstsq", "fast", "best"))
        worse = any(ours["mae"] > base["mae"] or ours["psnr"] < base["psnr"] for ours in (fast, best))
        cells = [number(base["mae"]), number(base["psnr"])]
        for ours in (fast, best):
            cells += [number(ours[key] - base[key], sign=True) for key in ("mae", "psnr")]
        table.rows.append([piece.name, piece.kind, *cells, "worse" if worse else "ok"])
    return table


def _gates(results: Results, material: Material) -> list[Gate]:
    def gain(method: str, pieces: Iterable[Piece], key: str = "psnr") -> float:
        pieces = list(pieces)
        return _mean(results, method, pieces, key) - _mean(results, "lstsq", pieces, key)

    def ratio(pieces: Iterable[Piece]) -> float:
        pieces = list(pieces)
        return _mean(results, "fast", pieces, "mae") / _mean(results, "lstsq", pieces, "mae")

    def worst(key: str, sign: int) -> float:
        return min(sign * (results["fast"][p.name][key] - results["lstsq"][p.name][key]) for p in material.pieces)

    music, model = material.music, material.model
    gates = [
        Gate("fast: PSNR over INC-LSTSQ, music", gain("fast", music), ">=", 3.4, "dB"),
        Gate("fast: PSNR over INC-LSTSQ, model images", gain("fast", model), ">=", 0.6, "dB"),
        Gate("fast: PSNR over INC-LSTSQ, music, the goal", gain("fast", music), ">=", 6.0, "dB", AIM),
        Gate("fast: PSNR over INC-LSTSQ, model images, the goal", gain("fast", model), ">=", 1.0, "dB", AIM),
        Gate("fast: smallest gain in PSNR of any image", worst("psnr", 1), ">=", 0.0, "dB"),
        Gate("fast: smallest gain in MAE of any image", worst("mae", -1), ">=", 0.0, "levels"),
        Gate("best: PSNR over INC-LSTSQ, music", gain("best", music), ">=", 6.5, "dB"),
        Gate("best: PSNR over INC-LSTSQ, model images", gain("best", model), ">=", 1.7, "dB"),
        Gate("fast: MAE against INC-LSTSQ, music", ratio(music), "<=", 0.55, "x", AIM),
        Gate("fast: MAE against INC-LSTSQ, model images", ratio(model), "<=", 0.9, "x", AIM),
        Gate("fast: SC against the source, music", gain("fast", music, "sc_2048"), "<=", -4.5, "dB", AIM),
        Gate("fast: LSD against the source, music", gain("fast", music, "lsd_2048"), "<=", -1.0, "dB", AIM),
        Gate("fast: bass, music, off by", abs(_mean(results, "fast", music, "bass")), "<=", 0.3, "dB"),
    ]
    if "reference" in results:
        off = [abs(found["psnr"] - results["lstsq"][name]["psnr"]) for name, found in results["reference"].items()]
        gates.append(Gate("INC-LSTSQ restated: PSNR off torchaudio's own", max(off), "<=", 0.05, "dB"))
    return gates
