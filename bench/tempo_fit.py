"""Fit the weights of :mod:`riffusion_ext.analysis.tempo_weights` and print them: ``python -m bench.tempo_fit``.

A conditional logit model over the candidate tempos of each piece, with ridge regularisation, on random grooves, the
tuned styles of the first series, and clicks. Held-out styles are not used. Takes half an hour. The published table was
fitted with the drum patterns of ``tests/unit/analysis/test_beat_tracking.py`` in addition (82 to 118 beats per minute,
with and without chords, at twice the weight).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bench.groove_sound import RATE, play
from bench.grooves import grooves
from bench.grooves_made import ambiguous_grooves, random_grooves

_RIDGE = 2.0
_NEAR = 0.03
_SECONDS = 20.0
_CLICKS = (60, 66, 75, 90, 100, 111, 120, 128, 140, 155, 170, 185, 200)


def pieces() -> Iterator[tuple[npt.NDArray[np.float32], float, float]]:
    """Yield sound, tempo and weight of each piece."""
    for series, count in ((0, 420), (1, 400)):
        for groove in random_grooves(count, series):
            yield play(groove, _SECONDS), groove.tempo, 1.0
    for groove in ambiguous_grooves(50):
        yield play(groove, _SECONDS), groove.tempo, 0.2
    for groove in grooves():
        if groove.style.tuned:
            yield play(groove), groove.tempo, 1.0
    t = np.arange(round(0.3 * RATE)) / RATE
    hiss = 0.1 * np.random.default_rng(0).standard_normal(len(t)) * np.exp(-t / 0.01)
    drum = 0.5 * np.sin(2 * np.pi * (46 * t + 2.4 * (1 - np.exp(-t * 32)))) * np.exp(-t * 11)
    for sound in (hiss, drum, 0.3 * np.sin(2 * np.pi * 1000 * t) * (t < 0.01)):
        for tempo in _CLICKS:
            for length in (5.12, 20.0):
                out = np.zeros(round(length * RATE) + len(t), np.float32)
                for when in np.arange(0.3, length - 0.2, 60 / tempo):
                    out[round(when * RATE) :][: len(t)] += sound.astype(np.float32)
                yield out[: round(length * RATE)], float(tempo), 1.5


def features_of(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the mean features [tempos, features] of a piece; features of the tempos themselves are last."""
    import tempfile
    from pathlib import Path

    from soundfile import write

    from riffusion_ext.analysis import beat_tracking, tempo
    from riffusion_ext.analysis.metre import periodicity_of, tempo_features
    from riffusion_ext.dataset.analysis.measure import measure_song
    from riffusion_ext.params import PRESETS

    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "piece.wav", sound, RATE, subtype="PCM_16")
        sketch = measure_song(Path(folder) / "piece.wav", PRESETS["riffusion-v1"])[0].sketch
    normalized = beat_tracking._normalize(beat_tracking.onset_strength(sketch), 100.0)[1]
    size = min(len(normalized), 1600)
    starts = np.arange(0, len(normalized) - size + 1, 400)
    bands = [
        periodicity_of(band, starts, size)
        for band in (normalized, *beat_tracking._band_onsets(normalized, sketch, 100.0))
    ]
    share = np.minimum(bands[0].power, 1) + 1e-6
    values = [share @ part / share.sum() for part in tempo_features(bands, 6000 / tempo._TEMPI)]
    return np.concatenate([np.stack(values, axis=-1), tempo.tempo_prior(tempo._TEMPI)], axis=-1)


def fit() -> npt.NDArray[np.float64]:
    """Return the weights."""
    import torch

    from riffusion_ext.analysis import tempo

    played = [(features_of(sound), bpm, weight) for sound, bpm, weight in pieces()]
    features = np.stack([some for some, _, _ in played])
    right = np.stack([np.abs(np.log(tempo._TEMPI / bpm)) < _NEAR for _, bpm, _ in played])
    after = features[..., 5]  # one beat later
    absent = np.maximum(tempo._PRESENT - after / np.maximum(after.max(axis=1, keepdims=True), 1e-9), 0)
    spread = features.reshape(-1, features.shape[-1]).std(axis=0) + 1e-6
    scaled = torch.from_numpy((features / spread).astype(np.float32))
    offset = torch.from_numpy((-tempo._ABSENT * absent).astype(np.float32))
    shares = torch.tensor([weight for _, _, weight in played])
    wrong = torch.from_numpy(~right)
    weights = torch.zeros(features.shape[-1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=80, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimiser.zero_grad()
        chances = torch.log_softmax(scaled @ weights + offset, 1)
        value = -(shares * torch.logsumexp(chances.masked_fill(wrong, -1e9), 1)).sum() + _RIDGE / 2 * (weights**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value)

    optimiser.step(loss)
    return np.asarray(weights.detach().numpy() / spread)


if __name__ == "__main__":
    found = fit()
    for start in range(0, len(found), 10):
        print("    " + ", ".join(f"{value:.3f}" for value in found[start : start + 10]) + ",")
