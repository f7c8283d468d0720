"""What was heard of a jam, beside what the server made."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RATE = 44100
TAP = Path(__file__).with_name("tap.js")


def tapped(run: Callable[[str], Any]) -> tuple[np.ndarray, int]:
    """Return what has reached the loudspeaker so far, and how many blocks of it the tap has missed.

    `run` returns the value of a script in the page.
    """
    told = run("tap.samples()")
    return np.frombuffer(base64.b64decode(told["data"]), np.float32), int(told["lost"])


def played_from(results: Path) -> tuple[np.ndarray, list[int]]:
    """Return the samples of the jam as the server has them, and the borders of its chunks."""
    (folder,) = results.glob("jams/playing/*")
    chunks = [np.frombuffer(path.read_bytes(), "<i2") for path in sorted(folder.glob("*.pcm"))]
    whole = np.concatenate(chunks).astype(np.float32) / np.float32(32768)
    return whole, [int(stop) for stop in np.cumsum([len(chunk) for chunk in chunks])]


def place_of(part: np.ndarray, whole: np.ndarray) -> int:
    """Return where a part lies in a whole, exactly."""
    found = [
        int(at)
        for at in np.flatnonzero(whole[: len(whole) - len(part) + 1] == part[0])
        if np.array_equal(whole[at : at + len(part)], part)
    ]
    assert len(found) == 1, f"found {len(found)} times"
    return found[0]


def longest_silence(samples: np.ndarray) -> int:
    """Return the longest run of samples that are exactly 0."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], samples != 0, [1]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def first_pause(samples: np.ndarray) -> int:
    """Return where the first silence of 50 ms begins; the end where there is none."""
    sounding = np.flatnonzero(np.concatenate([samples != 0, [True]]))
    long = np.flatnonzero(np.diff(sounding) > RATE // 20)
    return int(sounding[long[0]]) + 1 if len(long) else len(samples)
