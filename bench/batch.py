"""Decoding eight images in one call compared with eight calls."""

from __future__ import annotations

from bench.material import Material
from bench.methods import PARAMS
from bench.report import Gate, Section, Table, milliseconds, number
from bench.timing import interleaved
from riffusion_ext.spectrogram.codec import DecodeSettings, image_to_audio, images_to_audio

COUNT = 8


def measure(material: Material, *, rounds: int) -> Section:
    """Time both on the CPU, alternating."""
    settings = DecodeSettings(channels="mono", params=PARAMS, device="cpu")
    pieces = material.pieces
    images = [pieces[i % len(pieces)].image for i in range(COUNT)]
    images_to_audio(images, settings)
    times = interleaved(
        {
            "one call": lambda _: images_to_audio(images, settings),
            "eight calls": lambda _: [image_to_audio(image, settings) for image in images],
        },
        rounds,
    )
    wall = times["one call"].wall_median / times["eight calls"].wall_median
    cpu = times["one call"].cpu_median / times["eight calls"].cpu_median
    table = Table("Eight images, engine fast", ["", "wall ms, 2 threads", "CPU ms, 1 thread"])
    for name, t in times.items():
        table.rows.append([name, milliseconds(t.wall_median), milliseconds(t.cpu_median)])
    table.rows.append(["ratio", number(wall, 3), number(cpu, 3)])
    gate = Gate("batch: eight images in one call against eight calls", wall, "<", 1, "x")
    return Section("batch", [table], [gate], {name: t.as_dict() for name, t in times.items()})
