"""The network and its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from riffusion_ext.bandwidth.features import CHANNELS
from riffusion_ext.bandwidth.network import OUTPUTS, EnvelopeNetwork
from riffusion_ext.bandwidth.weights import WEIGHTS, WeightsError, load_network, save_network

CPU = torch.device("cpu")


def test_the_network_continues_from_its_state() -> None:
    torch.manual_seed(0)
    network = EnvelopeNetwork().eval()
    inputs = torch.randn(2, 100, CHANNELS)
    with torch.no_grad():
        whole = network(inputs, network.initial_state(2, CPU))
        state = network.initial_state(2, CPU)
        pieces = [network(piece, state) for piece in inputs.split([1, 30, 69], dim=1)]
    assert whole.shape == (2, 100, OUTPUTS)
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-5)


def test_the_network_looks_back_only() -> None:
    torch.manual_seed(0)
    network = EnvelopeNetwork().eval()
    inputs = torch.randn(1, 80, CHANNELS)
    changed = inputs.clone()
    changed[:, 50:] += 1.0
    with torch.no_grad():
        first, second = (network(x, network.initial_state(1, CPU)) for x in (inputs, changed))
    assert torch.allclose(first[:, :50], second[:, :50], atol=1e-6)
    assert not torch.allclose(first[:, 50:], second[:, 50:], atol=1e-2)


def test_patches_of_torchs_layers_do_not_reach_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Webuis replace methods of torch.nn.Linear for a checkpoint's weights."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    for method in ("__init__", "forward"):
        monkeypatch.setattr(torch.nn.Linear, method, refuse)
    network = EnvelopeNetwork()
    network(torch.zeros(1, 2, CHANNELS), network.initial_state(1, CPU))


def test_saved_weights_are_read_again(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = EnvelopeNetwork()
    save_network(network, tmp_path / "weights.npz")
    loaded = load_network(CPU, tmp_path / "weights.npz")
    for name, value in network.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name], value, atol=1e-3), name


def test_missing_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="missing"):
        load_network(CPU, tmp_path / "none.npz")


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "text", "other arrays", "other shape", "not finite"])
def test_damaged_weights_are_told(tmp_path: Path, damage: str) -> None:
    path, data = tmp_path / "weights.npz", WEIGHTS.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "changed":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1")
    elif damage == "other arrays":
        np.savez(path, checksum=np.zeros(32, np.uint8), weight=np.zeros(3))
    elif damage == "not finite":
        network = EnvelopeNetwork()
        network.last.bias.data[3] = torch.nan
        save_network(network, path)
    else:
        network = EnvelopeNetwork()
        network.last = torch.nn.Linear(3, 3)
        save_network(network, path)
    with pytest.raises(WeightsError, match="damaged"):
        load_network(CPU, path)
