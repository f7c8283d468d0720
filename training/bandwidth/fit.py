"""Train the network on pairs."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.clip_grad import clip_grad_norm_

from riffusion_ext.bandwidth.features import (
    FLOOR,
    FRAMES_IN_STEP,
    LEVEL_BLOCKS,
    block_means,
    features,
    relative_cutoff,
)
from riffusion_ext.bandwidth.grid import HIGH_BANDS, LOW_BANDS, Grid, high_edges_hz
from riffusion_ext.bandwidth.network import LOOK_AHEAD, EnvelopeNetwork
from training.bandwidth.pairs import Pairs
from training.bandwidth.songs import RATE

__all__ = ["fit"]

_BATCH = 8
_PEAK_RATE, _WARM_UP = 2e-3, 100  # learning rate, and the steps until it is reached
_WEIGHT_DECAY = 1e-2
_AVERAGE = 0.998  # of the weights, from step to step
_MIXED, _EQUALISED, _EQUALISER_DB = 0.3, 0.7, 4.0
_DROPPED = 0.03  # share of the features
_ENVELOPES = FRAMES_IN_STEP * HIGH_BANDS
_TINY = 1e-14

Numbers = npt.NDArray[np.int64]


def fit(pairs: Pairs, steps: int, seed: int) -> EnvelopeNetwork:
    """Train a network with AdamW and a cosine schedule; return the running mean of its weights."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = EnvelopeNetwork()
    with torch.no_grad():
        network.last.weight.mul_(0.3)
        network.last.bias[:_ENVELOPES].fill_(-4.0)
        network.last.bias[_ENVELOPES:].fill_(0.5)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=_WEIGHT_DECAY)
    data = _Data(pairs, rng)
    errors: list[float] = []
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = _PEAK_RATE * min(1.0, step / _WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / steps) + 0.01)
        loss, error = data.loss(network)
        optimiser.zero_grad()
        loss.backward()
        clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        share = 1 - min(_AVERAGE, step / (step + 50))
        for name, value in network.state_dict().items():
            average[name].lerp_(value, share)
        errors.append(error)
        if step % 200 == 0:
            print(f"step {step} of {steps}: weighted error {np.mean(errors[-200:]):.2f} dB")
    network.load_state_dict(average)
    return network


class _Data:
    """Draws batches, each pair once an epoch."""

    def __init__(self, pairs: Pairs, rng: np.random.Generator) -> None:
        self._pairs, self._rng = pairs, rng
        self._queue: list[int] = []
        # Bands that the cutoff makes narrow count less, those below it nothing.
        widths = np.stack([np.diff(Grid(RATE, float(cutoff)).high_edges) for cutoff in pairs.cutoff])
        self._weight = torch.from_numpy(np.minimum(widths / widths.max(), 1.0).astype(np.float32))

    def loss(self, network: EnvelopeNetwork) -> tuple[torch.Tensor, float]:
        """Return the loss of a batch, and the weighted mean error in dB."""
        if len(self._queue) < _BATCH:
            self._queue = self._rng.permutation(len(self._pairs.cutoff)).tolist()
        numbers = np.array([self._queue.pop() for _ in range(_BATCH)])
        low, high = _energy(self._pairs.low[numbers]), _energy(self._pairs.high[numbers])
        low, high = self._augment(low, high, self._pairs.cutoff[numbers])
        recent = torch.cat([low.new_zeros(_BATCH, LEVEL_BLOCKS - 1, LOW_BANDS), block_means(low)], dim=1)
        inputs, level = features(low, recent, 0, Grid(RATE, float(self._pairs.cutoff[0])))
        inputs[..., -1] = relative_cutoff(torch.from_numpy(self._pairs.cutoff[numbers]))[:, None]
        inputs = inputs.mul(torch.rand(_BATCH, 1, inputs.shape[2]).gt(_DROPPED))

        predicted = network(inputs, network.initial_state(_BATCH, inputs.device))[:, LOOK_AHEAD:]
        steps = inputs.shape[1]
        envelope = predicted[..., :_ENVELOPES].reshape(_BATCH, steps - LOOK_AHEAD, FRAMES_IN_STEP, HIGH_BANDS)
        energy = high.reshape(_BATCH, steps, FRAMES_IN_STEP, HIGH_BANDS)[:, : steps - LOOK_AHEAD]
        target = torch.log10(energy / level[:, LOOK_AHEAD:, None, None] + FLOOR)
        # What is 30 dB below the recent level counts fully, what is 90 dB below almost nothing.
        audible = torch.maximum(target, envelope.detach()).add(9).div(6).clamp(0, 1).add(0.15)
        weight = audible * self._weight[numbers][:, None, None]
        error = torch.nn.functional.smooth_l1_loss(envelope, target, beta=0.2, reduction="none")

        noise = torch.from_numpy(self._pairs.noise[numbers].astype(np.float32))
        noise = noise.reshape(_BATCH, steps, FRAMES_IN_STEP, 3).mean(2)[:, : steps - LOOK_AHEAD]
        noise_error = ((predicted[..., _ENVELOPES:] - noise[..., :2]).square() * noise[..., 2:]).mean()
        loss = (error * weight).sum() / weight.sum() + 0.5 * noise_error
        with torch.no_grad():
            mean = ((envelope - target).abs() * weight).sum() / weight.sum()
        return loss, 10 * float(mean)

    def _augment(
        self, low: torch.Tensor, high: torch.Tensor, cutoffs: npt.NDArray[np.float32]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix windows of equal cutoff, and equalise them: energies of different sounds add up."""
        rng = self._rng
        mixed_low, mixed_high = low.clone(), high.clone()
        for number, cutoff in enumerate(cutoffs):
            other = rng.integers(_BATCH)
            if rng.random() < _MIXED and other != number and cutoffs[other] == cutoff:
                gain = float(low[number].mean() / (low[other].mean() + 1e-20)) * 10 ** -rng.uniform(0, 3)
                shift = int(rng.integers(low.shape[1]))
                mixed_low[number] += min(gain, 1e6) * low[other].roll(shift, 0)
                mixed_high[number] += min(gain, 1e6) * high[other].roll(shift, 0)
            if rng.random() < _EQUALISED:
                points, gain_db = np.geomspace(100, 20000, 6), rng.normal(0, _EQUALISER_DB, 6)
                grid = Grid(RATE, float(cutoff))
                low_edges = np.array(grid.low_edges) * RATE / grid.window
                for energy, edges in ((mixed_low, low_edges), (mixed_high, high_edges_hz())):
                    centres = (edges[1:] + edges[:-1]) / 2
                    curve = 10 ** (np.interp(np.log(centres), np.log(points), gain_db) / 10)
                    energy[number] *= torch.from_numpy(curve.astype(np.float32))
        return mixed_low, mixed_high


def _energy(logarithm: npt.NDArray[np.float16]) -> torch.Tensor:
    return torch.pow(10.0, torch.from_numpy(logarithm.astype(np.float32))).sub(_TINY).clamp_min(0)
