"""Time that the extension adds to the start of a webui.

Measured in a process that has loaded torch, gradio and fastapi, like every webui, with the fake webui of
tests/contract: ``preload.py``, ``scripts/riffusion.py``, the settings, the panels in both tabs and the extension's own
tab. ``install.py``, which the webui runs as a process, is timed separately and added.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from bench.report import Gate, Section, Table, milliseconds
from bench.timing import ROOT, in_new_process

_Result = TypeVar("_Result")

HEAVY = ("torch", "gradio", "numpy", "scipy", "PIL", "fastapi")


def measure(*, rounds: int) -> Section:
    """Start several times and report the medians."""
    table = Table("Added to the start of a webui", ["", "wall ms", "CPU ms"])
    heavy = in_new_process("bench.startup", "package")
    data: dict[str, object] = {"package import": heavy}
    gates = [
        Gate("start: heavy packages that importing riffusion_ext loads", len(heavy), "==", 0),
    ]
    if importlib.util.find_spec("gradio") is not None:
        runs = [in_new_process("bench.startup", "webui") for _ in range(rounds)]
        total = _median([sum(wall for wall, _ in run.values()) for run in runs])
        for step in runs[0]:
            wall, cpu = (_median([run[step][clock] for run in runs]) for clock in (0, 1))
            table.rows.append([step, milliseconds(wall), milliseconds(cpu)])
        cpu = _median([sum(cpu for _, cpu in run.values()) for run in runs])
        table.rows.append(["together", milliseconds(total), milliseconds(cpu)])
        gates.append(Gate("start: added to a webui's start", total, "<", 0.5, "s"))
        data["runs"] = runs
    return Section("startup", [table], gates, data)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


# -- in the new process


def _package() -> list[str]:
    import riffusion_ext  # noqa: F401

    return [name for name in HEAVY if name in sys.modules]


def _webui() -> dict[str, tuple[float, float]]:
    """Return the seconds (wall clock, processor) of each step of a start."""
    import fastapi  # noqa: F401
    import gradio as gr
    import torch  # noqa: F401
    from PIL import Image  # noqa: F401

    from tests.contract.fake_webui import FakeWebui

    laps: dict[str, tuple[float, float]] = {}

    def lap(name: str, step: Callable[[], _Result]) -> _Result:
        wall, cpu = time.perf_counter(), _processor_time()
        result = step()
        laps[name] = (time.perf_counter() - wall, _processor_time() - cpu)
        return result

    with tempfile.TemporaryDirectory() as folder, FakeWebui(Path(folder)).installed() as host:
        command = [sys.executable, str(ROOT / "install.py")]
        lap("install.py, nothing to install", lambda: subprocess.run(command, check=True, capture_output=True))

        def load() -> ModuleType:
            preload = _execute(ROOT / "preload.py")
            preload.preload(argparse.ArgumentParser())
            return _execute(ROOT / "scripts" / "riffusion.py")

        script = lap("preload.py and scripts/riffusion.py", load).RiffusionScript()
        lap("settings", lambda: host.callbacks.fire("on_ui_settings"))
        with gr.Blocks():
            lap("panel, twice", lambda: [script.ui(False), script.ui(True)])
        lap("tab", lambda: host.callbacks.fire("on_ui_tabs"))
    return laps


def _processor_time() -> float:
    """Return the processor time of this process and its children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _execute(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"started_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    print(json.dumps(_package() if sys.argv[1:] == ["package"] else _webui()))
