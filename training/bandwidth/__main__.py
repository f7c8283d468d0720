"""Fetch the music, make pairs, train the network and write its weights."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from riffusion_ext.bandwidth.weights import WEIGHTS, save_network
from training.bandwidth.fit import fit
from training.bandwidth.pairs import Pairs, make_pairs
from training.bandwidth.songs import fetch
from training.bandwidth.sources import HELD_OUT, TRAINING

_PAIRS, _STEPS, _SEED = 2400, 5000, 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; `arguments` replace those of the process."""
    parser = argparse.ArgumentParser(prog="python -m training.bandwidth", description=__doc__)
    parser.add_argument("--music", type=Path, default=Path("training-music"), help="folder of the packages")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="file of the weights")
    parser.add_argument("--pairs", type=int, default=_PAIRS, help="windows of 5 s; about half a second each")
    parser.add_argument("--steps", type=int, default=_STEPS, help="steps of training; about 0.1 s each")
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums in another order would give other weights
    fetch((*TRAINING, *HELD_OUT), options.music)
    cache = options.music / f"pairs-{options.pairs}-{options.seed}.npz"
    if not cache.exists():
        make_pairs(options.pairs, options.music, options.seed, options.processes).save(cache)
    network = fit(Pairs.load(cache), options.steps, options.seed)
    save_network(network, options.out)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
