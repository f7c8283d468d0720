"""Building a training set on a cluster: a real scheduler and two workers, one of which is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from riffusion_ext.cli import main
from tests.unit.dataset.conftest import MakeSong, Tree

pytest.importorskip("distributed", reason="needs the packages of the extra cluster, which the test environments have")

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    "OMP_NUM_THREADS": "1",
}


@contextmanager
def running(*arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdout=file, stderr=file, env=ENVIRONMENT, cwd=log.parent
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(what: Callable[[], bool], log: Path, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, log.read_text("utf-8", "replace")
        time.sleep(0.02)


class Cluster:
    """A scheduler and two workers with one core each."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        said = folder / "scheduler.json"
        local = ["--scheduler-file", str(said), "--no-dashboard", "--host", "127.0.0.1"]
        log = folder / "scheduler.log"
        stack.enter_context(running("distributed.cli.dask_scheduler", *local, "--port", "0", log=log))
        wait_for(said.exists, log)
        self.address = json.loads(said.read_text())["address"]
        self.workers = []
        for number in range(2):
            log = folder / f"worker{number}.log"
            options = ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder / f"space{number}")]
            self.workers.append(stack.enter_context(running("distributed.cli.dask_worker", *local, *options, log=log)))
            wait_for(lambda log=log: "Registered to" in log.read_text("utf-8", "replace"), log)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack)


@pytest.fixture
def songs(tmp_path: Path, make_song: MakeSong) -> Path:
    for number in range(5):
        make_song(tmp_path / "songs" / f"{number}.wav", 25.0, seed=number)
    (tmp_path / "songs" / "bad.mp3").write_text("no music")
    return tmp_path / "songs"


def command(songs: Path, out: Path, *options: str) -> list[str]:
    made = ["dataset", str(songs), str(out), "--columns", "64", "--no-sheet"]
    return [*made, "--transition", "off", "--duplicate", "off", "--verify", "0", "--scale", "set", *options]


def far_command(songs: Path, out: Path, address: str) -> list[str]:
    return [sys.executable, "-m", "riffusion_ext", *command(songs, out, "--cluster", address)]


@pytest.mark.slow
def test_killed_cluster_worker_does_not_change_the_result(
    cluster: Cluster, songs: Path, tmp_path: Path, tree: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    local, far = tmp_path / "local", tmp_path / "far"
    assert main(command(songs, local, "--jobs", "1")) == 1
    said = capsys.readouterr().err
    process = subprocess.Popen(
        far_command(songs, far, cluster.address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        cwd=tmp_path,
    )
    fresh = far / ".riffusion" / "fresh"
    wait_for(lambda: process.poll() is not None or len(list(fresh.glob("*.png"))) > 40, tmp_path / "scheduler.log")
    cluster.workers[0].send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, "one of the files is not music"
    assert [line for line in err.splitlines() if line.startswith("failed:")] == [
        line for line in said.splitlines() if line.startswith("failed:")
    ]
    assert "Traceback" not in err
    assert "5 songs" in out
    assert cluster.workers[1].poll() is None
    assert tree(far) == tree(local)
    again = subprocess.run(
        far_command(songs, far, cluster.address), capture_output=True, text=True, env=ENVIRONMENT, cwd=tmp_path
    )
    assert "(5 of the songs were there already)" in again.stdout
    assert tree(far) == tree(local)


@pytest.mark.parametrize(
    "address", [pytest.param("tcp://127.0.0.1:9", marks=pytest.mark.slow), "nonsense", "carrier-pigeon://here:1"]
)
def test_unreachable_cluster_is_reported_in_one_sentence(address: str, make_song: MakeSong, tmp_path: Path) -> None:
    make_song(tmp_path / "songs" / "a.wav", 2.0)
    done = subprocess.run(
        far_command(tmp_path / "songs", tmp_path / "out", address),
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"},
        cwd=tmp_path,
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line != "measuring the level: 0 of 1 songs"]
    assert len(lines) == 1, done.stderr
    assert re.fullmatch(f"riffusion-ext dataset: the cluster at {address} does not answer: .+", lines[0])


def test_test_environments_include_the_cluster_packages() -> None:
    for name in ("a1111.txt", "forge.txt"):
        assert "\ndistributed==" in (ROOT / "requirements" / name).read_text("utf-8")
