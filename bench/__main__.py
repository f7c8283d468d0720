"""Measure the codec against the original recipe. See bench/README.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

SECTIONS = (
    "quality",
    "perceptual",
    "speed",
    "cold",
    "encode",
    "seams",
    "batch",
    "memory",
    "slicing",
    "pipeline",
    "length",
    "curation",
    "copies",
    "tempo",
    "clipping",
    "transitions",
    "making",
    "startup",
    "clients",
    "gpu",
)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure speed, memory and quality side by side with the original recipe.",
        epilog="Exit status 1 if a gate of kind 'must' is not held.",
    )
    add = parser.add_argument
    add("--music", type=Path, metavar="DIR", help="folder of sound files (default: synthesised)")
    add(
        "--pictures",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="images of a model (default: imitated)",
    )
    add(
        "--golden",
        type=Path,
        nargs=2,
        metavar=("PICTURE", "SOUND"),
        help="an image by the original library, and its sound",
    )
    add("--quick", action="store_true", help="two pieces of each set and few runs: to see that it works")
    add("--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS))
    add("--rounds", type=int, help="runs of each method, whose median counts (default 5; quick 3)")
    add("--sgd-rounds", type=int, help="likewise for INC-SGD, some 20 s each (default 5; quick 1)")
    add("--sgd-pieces", type=int, help="pieces to judge INC-SGD by (default 2; quick 0)")
    add("--tracks", type=int, metavar="N", help="songs to slice; 0 for all (default 8; quick 1)")
    add("--generation-seconds", type=float, metavar="S", help="what 50 steps take on this GPU, to compare with")
    add(
        "--sampler-seconds-per-step",
        type=float,
        metavar="S",
        help="what a step of 512 x 512 takes in a webui, to compare with (default: several are assumed)",
    )
    add("--json", type=Path, metavar="OUT", help="write all numbers")
    add("--markdown", action="store_true", help="print Markdown for a README")
    options = parser.parse_args(argv)
    for name, full, quick in (("rounds", 5, 3), ("sgd_rounds", 5, 1), ("sgd_pieces", 2, 0), ("tracks", 8, 1)):
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else full)
    if options.sampler_seconds_per_step is not None and options.sampler_seconds_per_step <= 0:
        parser.error("--sampler-seconds-per-step must be more than 0")
    if options.rounds < 1 or min(options.sgd_rounds, options.sgd_pieces, options.tracks) < 0:
        parser.error("--rounds must be at least 1, --sgd-rounds, --sgd-pieces and --tracks at least 0")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the chosen sections, print the tables, and return the exit status."""
    options = arguments(argv)
    # Imported late so that --help does not wait for torch.
    import torch

    from bench import (
        batch,
        clients,
        clipping,
        cold,
        copies,
        curation,
        encode,
        gpu,
        length,
        making,
        material,
        memory,
        perceptual,
        pipeline,
        quality,
        report,
        seams,
        slicing,
        speed,
        startup,
        tempo,
        transitions,
    )
    from bench.timing import THREADS

    torch.set_num_threads(THREADS)
    facts = report.machine()
    loaded = material.load(options.music, options.pictures, quick=options.quick)
    facts["material"] = loaded.origin
    rounds = options.rounds
    few = -(-rounds // 3)  # rounds of slow sections, whose times vary less
    steps: dict[str, Callable[[], report.Section | None]] = {
        "quality": lambda: quality.measure(loaded, sgd_pieces=options.sgd_pieces),
        "perceptual": lambda: perceptual.measure(
            options.music, loaded, rounds=rounds, quick=options.quick, imitated=not options.pictures
        ),
        "speed": lambda: speed.measure(loaded, rounds=rounds, sgd_rounds=options.sgd_rounds),
        "cold": lambda: cold.measure(loaded, rounds=rounds),
        "encode": lambda: encode.measure(loaded, rounds=rounds, golden=options.golden),
        "seams": lambda: seams.measure(loaded, engines=("fast",) if options.quick else ("fast", "best")),
        "batch": lambda: batch.measure(loaded, rounds=rounds),
        "memory": lambda: memory.measure(loaded, quick=options.quick),
        "slicing": lambda: slicing.measure(options.music, tracks=options.tracks, rounds=few),
        "pipeline": lambda: pipeline.measure(options.music, tracks=2 if options.quick else 0, rounds=few),
        "length": lambda: length.measure(quick=options.quick),
        "curation": lambda: curation.measure(quick=options.quick),
        "copies": lambda: copies.measure(options.music, tracks=options.tracks),
        "tempo": lambda: tempo.measure(options.music, quick=options.quick),
        "clipping": lambda: clipping.measure(options.music, tracks=options.tracks),
        "transitions": lambda: transitions.measure(options.music, tracks=options.tracks, quick=options.quick),
        "making": lambda: making.measure(
            loaded,
            options.music,
            rounds=few,
            quick=options.quick,
            step_seconds=options.sampler_seconds_per_step,
        ),
        "startup": lambda: startup.measure(rounds=rounds),
        "clients": lambda: clients.measure(loaded, rounds=rounds),
        "gpu": lambda: gpu.measure(loaded, rounds=rounds, generation_seconds=options.generation_seconds),
    }
    sections: list[report.Section] = []
    for name in SECTIONS:
        if name not in options.only:
            continue
        begun = time.perf_counter()
        section = steps[name]()
        print(f"{name}: {'left out' if section is None else f'{time.perf_counter() - begun:.0f} s'}", file=sys.stderr)
        if section is not None:
            sections.append(section)
    facts["date"] = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    _print(sections, facts, markdown=options.markdown)
    if options.json is not None:
        options.json.write_text(json.dumps(report.as_json(sections, facts), indent=1) + "\n", "utf-8")
    return 0 if all(gate.ok for section in sections for gate in section.gates if gate.kind == report.MUST) else 1


def _print(sections: Sequence[object], facts: dict[str, str], *, markdown: bool) -> None:
    from bench import report

    parts = [section for section in sections if isinstance(section, report.Section)]
    gates = report.gate_table(gate for section in parts for gate in section.gates)
    tables = [gates, *(table for section in parts for table in section.tables)]
    about = ", ".join(f"{key}: {value}" for key, value in facts.items())
    layout = report.as_markdown if markdown else report.as_text
    print(about + ".", *(layout(table) for table in tables), sep="\n\n")


if __name__ == "__main__":
    sys.exit(main())
