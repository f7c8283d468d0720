"""Compare the audio that a live session played with what the server generated."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RATE = 44100
RISE = round(0.012 * RATE)  # samples in which a sound fades in, and out
FADE = RISE + 4  # samples at its edges may be 0, so its start is known to within 3
AROUND = RATE // 10  # samples on either side of a border
TAP = Path(__file__).with_name("tap.js")


def tapped(run: Callable[[str], Any]) -> tuple[np.ndarray, int]:
    """Return the audio played so far, and how many blocks of it the recorder has missed.

    `run` returns the value of a script in the page.
    """
    told = run("tap.samples()")
    return np.frombuffer(base64.b64decode(told["data"]), np.float32), int(told["lost"])


def played_from(results: Path) -> tuple[np.ndarray, list[int]]:
    """Return the samples of the session on the server, and the borders of its chunks."""
    (folder,) = results.glob("jams/playing/*")
    chunks = [np.frombuffer(path.read_bytes(), "<i2") for path in sorted(folder.glob("*.pcm"))]
    whole = np.concatenate(chunks).astype(np.float32) / np.float32(32768)
    return whole, [int(stop) for stop in np.cumsum([len(chunk) for chunk in chunks])]


def place_of(part: np.ndarray, whole: np.ndarray) -> int:
    """Return the exact position of a part in the whole."""
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


@dataclass(frozen=True)
class Stretch:
    """Audio played from one pause to the next.

    Attributes
    ----------
    begin, end
        Range in the played audio: ``begin <= s < end``.
    place
        The sample of the session that is at `begin`.
    """

    begin: int
    end: int
    place: int

    @property
    def stop(self) -> int:
        """The sample of the session after the last one."""
        return self.place + self.end - self.begin


def stretches(heard: np.ndarray, whole: np.ndarray) -> list[Stretch]:
    """Return the audio between pauses: silences of 50 ms or more, which the session itself does not contain.

    The last one is left out if it is shorter than a second.
    """
    sounding = np.flatnonzero(heard)
    assert len(sounding), "nothing was played"
    jumps = np.flatnonzero(np.diff(sounding) > RATE // 20)
    begins, ends = sounding[np.append(0, jumps + 1)], sounding[np.append(jumps, len(sounding) - 1)] + 1
    pairs = [(int(begin), int(end)) for begin, end in zip(begins, ends, strict=True)]
    if pairs[-1][1] - pairs[-1][0] < RATE:
        pairs.pop()
    return [Stretch(begin, end, place_of(heard[begin + 5000 : begin + 6000], whole) - 5000) for begin, end in pairs]


def borders_heard(heard: np.ndarray, whole: np.ndarray, borders: list[int]) -> int:
    """Compare all played audio; return the highest number of chunk borders crossed without a pause.

    It must equal the session sample for sample from the first one on, except for fades beside pauses. A pause occurs
    when the machine is too busy to generate in time; it must be at a border and lose no sample.
    """
    most = stop = 0
    for number, stretch in enumerate(stretches(heard, whole)):
        assert stretch.place == pytest.approx(stop, abs=6), "no sample is lost in a pause"
        if number:
            assert stop in [pytest.approx(border, abs=3) for border in borders], "pauses are at the end of a chunk"
        stop = stretch.stop
        inner = slice(stretch.begin + FADE, stretch.end - FADE)
        np.testing.assert_array_equal(heard[inner], whole[stretch.place + FADE :][: inner.stop - inner.start])
        crossed = 0
        for border in borders:
            if stretch.place + AROUND < border < stop - AROUND:
                at = stretch.begin + border - stretch.place
                gap = longest_silence(heard[at - AROUND : at + AROUND])
                assert gap < RATE / 1000, f"a gap at sample {border}"
                crossed += 1
        most = max(most, crossed)
    return most
