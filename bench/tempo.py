"""Accuracy of the dataset command's tempo estimate, by style: on grooves of known tempo, and on songs.

Thresholds were tuned on the styles marked as tuned; the others, and the second series with other timbres and tempos,
are held out. Songs are used if their tags, or a table ``captions.csv`` with ``file,bpm`` beside them, contain the
tempo.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.groove_sound import RATE, play
from bench.grooves import Groove, grooves
from bench.material import SOUNDS
from bench.report import Gate, Section, Table

NEAR, FINE = 0.04, 0.01
"""Relative tolerances of a correct tempo: the usual one, and a strict one."""

_OCTAVES = (0.5, 2.0)


@dataclass(frozen=True)
class Answer:
    """Estimated and true tempo of a piece."""

    name: str
    style: str
    series: str
    tuned: bool
    truth: float
    found: float
    confidence: float
    sure: bool

    @property
    def kind(self) -> str:
        """``"exact"``, ``"octave"`` or ``"wrong"``."""
        if self.within(NEAR):
            return "exact"
        return "octave" if any(self.within(NEAR, times) for times in _OCTAVES) else "wrong"

    def within(self, part: float, times: float = 1.0) -> bool:
        """Return whether the estimate is within a relative tolerance of `times` the true tempo."""
        return abs(self.found / (times * self.truth) - 1) <= part


def measure(music: Path | None, *, quick: bool = False) -> Section:
    """Estimate the tempo of all grooves of two series, and of songs whose tempo is known."""
    answers = list(answers_of_grooves((0,) if quick else (0, 1), every=9 if quick else 1))
    if music is not None:
        answers += answers_of_songs(music)
    held_out = [answer for answer in answers if not answer.tuned or answer.series == "second series"]
    groups = {
        "first series, tuned styles": [a for a in answers if a.tuned and a.series == "first series"],
        "first series, held out": [a for a in answers if not a.tuned and a.series == "first series"],
        "second series, tuned styles": [a for a in answers if a.tuned and a.series == "second series"],
        "second series, held out": [a for a in answers if not a.tuned and a.series == "second series"],
        "songs": [a for a in answers if a.series == "songs"],
        "all grooves": [a for a in answers if a.series != "songs"],
    }
    tables = [
        _table(f"Tempo found, {len(answers)} pieces", groups),
        _table("Tempo found, by style, held out marked with *", _by(answers, lambda a: a.style + "*" * (not a.tuned))),
    ]
    sure, exact = [a for a in held_out if a.sure], [a for a in held_out if a.kind == "exact"]
    false = 100 * sum(a.kind != "exact" for a in sure) / max(len(sure), 1)
    told = 100 * sum(a.sure for a in exact) / max(len(exact), 1)
    gates = [
        Gate("tempo: not exact among those marked as sure, held out", false, "<=", 3, "%", "aim" if quick else "must"),
        Gate("tempo: marked as sure among the exact ones, held out", told, ">=", 60, "%", "aim"),
    ]
    return Section("tempo", tables, gates, {"answers": [vars(answer) | {"kind": answer.kind} for answer in answers]})


def answers_of_grooves(series: Iterable[int], *, every: int = 1) -> Iterator[Answer]:
    """Synthesise every `every`-th groove and estimate its tempo."""
    from soundfile import write

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "groove.wav"
        for number in series:
            for groove in list(grooves(number))[::every]:
                write(path, play(groove), RATE, subtype="PCM_16")
                yield _answer(path, groove.name, groove, groove.tempo, number)


def answers_of_songs(music: Path) -> Iterator[Answer]:
    """Estimate the tempo of songs whose tempo is known."""
    from riffusion_ext.dataset.captions.tags import song_tags

    for path in sorted(path for path in music.rglob("*") if path.suffix.lower() in SOUNDS):
        truth = song_tags(path, music).fields.get("bpm")
        if truth:
            yield _answer(path, path.name, None, float(truth), 0)


def _answer(path: Path, name: str, groove: Groove | None, truth: float, series: int) -> Answer:
    from riffusion_ext.analysis.beat_tracking import MIN_CONFIDENCE, onset_strength, track
    from riffusion_ext.dataset.analysis.measure import measure_song
    from riffusion_ext.params import PRESETS

    params = PRESETS["riffusion-v1"]
    sketch = measure_song(path, params)[0].sketch
    beats = track(onset_strength(sketch), params.sample_rate / params.hop_length, sketch=sketch)
    return Answer(
        name=name,
        style="songs" if groove is None else groove.style.name,
        series="songs" if groove is None else ("first series", "second series")[series],
        tuned=groove is not None and groove.style.tuned,
        truth=truth,
        found=beats.tempo,
        confidence=beats.confidence,
        sure=beats.confidence >= MIN_CONFIDENCE,
    )


def _by(answers: Iterable[Answer], key: Callable[[Answer], str]) -> dict[str, list[Answer]]:
    groups: dict[str, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(key(answer), []).append(answer)
    return groups


def _table(title: str, groups: dict[str, list[Answer]]) -> Table:
    table = Table(
        title,
        [
            "pieces",
            "number",
            "within 4 %",
            "within 1 %",
            "octave",
            "wrong",
            "sure",
            "of them exact",
            "octave ",
            "wrong ",
        ],
        note="Octave: half or twice the truth. Wrong: neither that nor right.",
    )
    for name, answers in groups.items():
        if answers:
            sure = [answer for answer in answers if answer.sure]
            fine = sum(answer.within(FINE) for answer in answers)
            every, of_sure = (
                [str(int(np.sum([answer.kind == kind for answer in some]))) for kind in ("exact", "octave", "wrong")]
                for some in (answers, sure)
            )
            table.rows.append([name, str(len(answers)), every[0], str(fine), *every[1:], str(len(sure)), *of_sure])
    return table
