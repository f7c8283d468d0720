"""The network that predicts the envelope of the high frequencies.

::

    features [C, T, 122] -> convolution 5 -> (depthwise 5, dilated 1 3 9 27 -> 96 -> 48, residual) x 4 -> [C, T, 82]

All convolutions look back only, so a stream keeps their last inputs and continues exactly. The prediction of a step is
made :data:`LOOK_AHEAD` steps later, when the network has seen what follows.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from riffusion_ext.bandwidth.features import CHANNELS, FRAMES_IN_STEP
from riffusion_ext.bandwidth.grid import HIGH_BANDS

__all__ = ["LOOK_AHEAD", "OUTPUTS", "EnvelopeNetwork", "State"]

LOOK_AHEAD = 12
"""Steps that the network sees after the one it predicts: 139 ms."""

OUTPUTS = FRAMES_IN_STEP * HIGH_BANDS + 2
"""Envelopes of the frames of a step, and the shares of noise in the lower and the upper half of the bands."""

_WIDTH = 48
_DILATIONS = (1, 3, 9, 27)
_KERNEL = 5

State = list[torch.Tensor]


class _Linear(nn.Module):
    """A linear layer [..., inputs] -> [..., outputs].

    Not torch's own class: webuis replace its methods, to keep the weights of a checkpoint elsewhere or in other types.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight, self.bias)


class _Convolution(nn.Module):
    """A causal convolution [C, past + T, inputs] -> [C, T, outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = _Linear(_KERNEL * inputs, outputs)
        self.inputs, self.past = inputs, _KERNEL - 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.unfold(1, _KERNEL, 1).flatten(2))


class _DepthwiseConvolution(nn.Module):
    """A causal dilated convolution of each channel, [C, past + T, width] -> [C, T, width].

    On a CPU, a sum of products takes a fifth of the time of torch's own.
    """

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(_KERNEL, _WIDTH) * _KERNEL**-0.5)
        self.inputs, self.dilation, self.past = _WIDTH, dilation, (_KERNEL - 1) * dilation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = x.shape[1] - self.past
        result = x[:, :steps] * self.weight[0]
        for tap in range(1, _KERNEL):
            result = torch.addcmul(result, x[:, tap * self.dilation : tap * self.dilation + steps], self.weight[tap])
        return result


class _Block(nn.Module):
    """A residual block: a depthwise convolution, then a layer of each step."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.depthwise = _DepthwiseConvolution(dilation)
        self.widen, self.narrow = _Linear(_WIDTH, 2 * _WIDTH), _Linear(2 * _WIDTH, _WIDTH)

    def forward(self, x: torch.Tensor, padded: torch.Tensor) -> torch.Tensor:
        return x + self.narrow(functional.relu(self.widen(self.depthwise(padded))))


class EnvelopeNetwork(nn.Module):
    """Predict envelopes and shares of noise from features."""

    def __init__(self) -> None:
        super().__init__()
        self.first = _Convolution(CHANNELS, _WIDTH)
        self.blocks = nn.ModuleList([_Block(dilation) for dilation in _DILATIONS])
        self.last = _Linear(_WIDTH, OUTPUTS)

    def initial_state(self, channels: int, device: torch.device) -> State:
        """Return the state before the first step: the past inputs of each layer, zero."""
        layers = [self.first, *(block.depthwise for block in self.blocks)]
        return [torch.zeros(channels, layer.past, layer.inputs, device=device) for layer in layers]

    def forward(self, x: torch.Tensor, state: State) -> torch.Tensor:
        """Predict [C, T, OUTPUTS] from features [C, T, CHANNELS]; step t belongs to the input LOOK_AHEAD earlier.

        `state` is updated in place.
        """
        x = functional.relu(self.first(_with_past(x, state, 0)))
        for number, block in enumerate(self.blocks, 1):
            x = block(x, _with_past(x, state, number))
        return self.last(x)


def _with_past(x: torch.Tensor, state: State, layer: int) -> torch.Tensor:
    """Prepend the past inputs of a layer, and keep the last ones for the next call."""
    past = state[layer]
    padded = torch.cat([past, x], dim=1)
    state[layer] = padded[:, padded.shape[1] - past.shape[1] :]
    return padded
