"""Load the weights of the network, which are shipped with the package (``MODEL_CARD.md`` tells how they were made)."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from riffusion_ext.bandwidth.network import EnvelopeNetwork
from riffusion_ext.errors import RiffusionError

__all__ = ["WEIGHTS", "WeightsError", "load_network", "save_network"]

WEIGHTS = Path(__file__).with_name("weights.npz")


class WeightsError(RiffusionError):
    """The weights of the network are missing or damaged."""


def save_network(network: EnvelopeNetwork, path: Path) -> None:
    """Write the weights in half precision, with a checksum."""
    arrays = {name: value.detach().cpu().numpy().astype(np.float16) for name, value in network.state_dict().items()}
    np.savez(path, checksum=np.frombuffer(_checksum(arrays), np.uint8), **arrays)


@lru_cache(maxsize=4)
def load_network(device: torch.device, path: Path = WEIGHTS) -> EnvelopeNetwork:
    """Return the network with its weights, in float32; it is loaded once for each device.

    Raises
    ------
    WeightsError
        The file is missing or damaged.
    """
    network = EnvelopeNetwork()
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            checksum = stored["checksum"].tobytes()
            arrays = {name: stored[name] for name in stored.files if name != "checksum"}
        if _checksum(arrays) != checksum:
            raise ValueError("the checksum differs")
        if not all(value.dtype == np.float16 and np.isfinite(value).all() for value in arrays.values()):
            raise ValueError("not all weights are finite numbers in half precision")
        if {name: value.shape for name, value in arrays.items()} != _shapes(network):
            raise ValueError("they are those of another network")
        network.load_state_dict({name: torch.from_numpy(value.astype(np.float32)) for name, value in arrays.items()})
    except FileNotFoundError:
        raise WeightsError(f"the weights of bandwidth extension are missing: {path.name}") from None
    except Exception as error:  # a damaged archive raises errors of many kinds
        raise WeightsError(f"the weights of bandwidth extension are damaged: {error}") from error
    return network.to(device).eval().requires_grad_(False)


def _shapes(network: EnvelopeNetwork) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def _checksum(arrays: dict[str, np.ndarray]) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.digest()
