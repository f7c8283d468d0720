"""Encoding: speed compared with the original encoder, and equality of the pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench import recipes
from bench.material import FULL_SCALE, Material
from bench.report import Gate, Section, Table, milliseconds, number
from bench.timing import interleaved
from riffusion_ext.audio import AudioClip, read_audio
from riffusion_ext.metadata import read_record
from riffusion_ext.spectrogram.codec import audio_to_image, read_image


def measure(material: Material, *, rounds: int, golden: tuple[Path, Path] | None) -> Section:
    """Encode every clip with both encoders, and optionally the sound of an image from the original library."""
    clips = {
        piece.name: AudioClip(piece.source[None] / np.float32(FULL_SCALE), recipes.SAMPLE_RATE)
        for piece in material.music
        if piece.source is not None
    }
    same: dict[str, dict[str, float]] = {}
    for piece in material.music:  # the images themselves were drawn by the original encoder
        same[piece.name] = compare(audio_to_image(clips[piece.name]).image, piece.image)
    order = list(clips.values())
    times = interleaved(
        {
            "ours": lambda i: audio_to_image(order[i % len(order)]),
            "original": lambda i: recipes.encode(torch.from_numpy(order[i % len(order)].samples[0] * FULL_SCALE)),
        },
        max(rounds * 2, 6),
    )
    wall = times["original"].wall_median / times["ours"].wall_median
    cpu = times["original"].cpu_median / times["ours"].cpu_median
    equal, largest = min(s["equal"] for s in same.values()), max(s["largest"] for s in same.values())
    table = Table("Encoding 5.11 s", ["", "wall ms, 2 threads", "CPU ms, 1 thread"])
    for name, t in times.items():
        table.rows.append([name, milliseconds(t.wall_median), milliseconds(t.cpu_median)])
    table.rows.append(["ratio", number(wall, 2), number(cpu, 2)])
    gates = [
        Gate("encode: speed against the original", wall, ">=", 2, "x"),
        Gate("encode: equal pixels, worst clip", 100 * equal, ">=", 99.99, "%"),
        Gate("encode: largest difference of a pixel", largest, "<=", 1, "levels"),
    ]
    data: dict[str, object] = {"same": same, **{name: t.as_dict() for name, t in times.items()}}
    if golden is not None:
        drawn = data["golden"] = _golden(*golden)
        gates.append(Gate("encode: golden image, equal pixels", 100 * drawn["equal"], ">=", 99.9, "%"))
    return Section("encode", [table], gates, data)


def compare(one: Image.Image, other: Image.Image) -> dict[str, float]:
    """Return the share of equal pixels and the largest difference between the red channels of two images."""
    if one.size != other.size:
        return {"equal": 0.0, "largest": 255.0}
    a, b = (np.asarray(image.convert("RGB"), dtype=np.int16)[..., 0] for image in (one, other))
    return {"equal": float((a == b).mean()), "largest": float(np.abs(a - b).max())}


def _golden(path: Path, sound: Path) -> dict[str, float]:
    """Encode the left channel with the parameters recorded in the image, as the original library did."""
    image = read_image(path)
    record = read_record(image)
    clip = read_audio(sound)
    left = AudioClip(np.ascontiguousarray(clip.samples[:1]), clip.sample_rate)
    return compare(audio_to_image(left, record.params, max_value=record.max_value).image, image)
