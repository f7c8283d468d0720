"""Worker processes after their run has ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.processes import CAN_COUNT, ROOT, Program

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CAN_COUNT, reason="counts processes as Linux lists them")]

PAGE = """
import sys, threading
from pathlib import Path
from riffusion_ext.dataset.pipeline import build
from riffusion_ext.dataset.settings import DatasetSettings, SliceSettings
settings = DatasetSettings(SliceSettings(columns=64, overlap=0.9))
run = threading.Thread(target=build, args=(Path(sys.argv[1]), Path("out"), settings), kwargs={"jobs": 2}, daemon=True)
run.start()
run.join()
"""


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory, make_song: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    for number in range(6):
        make_song(folder / f"{number}.wav", 60.0, seed=number)
    return folder


def images(folder: Path) -> int:
    return len(list((folder / "out").rglob("*.png")))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("face", ["command", "page"])
def test_ended_run_leaves_no_worker_processes(face: str, number: signal.Signals, songs: Path, tmp_path: Path) -> None:
    options = ["--jobs", "2", "--columns", "64", "--overlap", "0.9"]
    command = ["-m", "riffusion_ext", "dataset", f"{songs}", "out", *options]
    with Program(*(command if face == "command" else ["-c", PAGE, f"{songs}"]), folder=tmp_path) as program:
        program.wait_for(lambda: images(tmp_path) > 3)
        assert len(program.there()) >= 3, "the run and its workers"
        code, _, said = program.end(number)  # by then all processes that held its pipes have ended
        assert code == (128 + number if face == "command" and number != signal.SIGKILL else -number)
        assert "Traceback" not in said
        program.wait_until_gone()
        there = images(tmp_path)
        assert not program.there()
        assert images(tmp_path) == there
        assert list(program.temporary.iterdir()) == []


def test_workers_ignore_signals_sent_to_the_process_group(songs: Path, tmp_path: Path) -> None:
    options = ["--jobs", "2", "--columns", "64", "--overlap", "0.9"]
    with Program("-m", "riffusion_ext", "dataset", f"{songs}", "out", *options, folder=tmp_path) as program:
        program.wait_for(lambda: images(tmp_path) > 3)
        os.killpg(program.process.pid, signal.SIGTERM)
        os.killpg(program.process.pid, signal.SIGTERM)  # as `timeout` does
        code, _, said = program.end()
        assert code == 143
        assert said.endswith("stopped; the songs done so far are kept, the same command goes on from there\n")
        assert [path for path in (tmp_path / "out").rglob(".*.png")] == []
        program.wait_until_gone()


GROWING = """
import time
kept = []
def grow(item):
    kept.append(bytes(bytearray(350_000_000)))  # above what joblib lets its processes grow by
    time.sleep(1.2)  # between two looks of joblib at it
    return item
"""
GROW = """
from growing import grow
from riffusion_ext.dataset.workers import map_unordered
print(sorted(map_unordered(grow, list(enumerate("abcdef")), 2)))
"""


def test_growing_worker_processes_are_replaced_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "growing.py").write_text(GROWING, "utf-8")
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    with Program("-W", "error::UserWarning", "-c", GROW, folder=tmp_path, PYTHONPATH=path) as program:
        assert program.end() == (0, f"{list(enumerate('abcdef'))}\n", "")
