"""Runs killed at any step, and the next runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image

from riffusion_ext.cli import main
from tests.unit.dataset.conftest import Tree

DRIVER = """
import json, os, signal, sys
from dataclasses import replace
from pathlib import Path

from riffusion_ext.dataset.pipeline import build
from riffusion_ext.dataset.settings import CurateSettings, DatasetSettings, ExportSettings, SliceSettings
from riffusion_ext.params import SpectrogramParams

params = SpectrogramParams(sample_rate=8000, num_frequencies=64, max_frequency=4000)
songs, base, points = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
narrow = DatasetSettings(SliceSettings(params, 64), CurateSettings(transition=None, duplicate=None))
other = replace(narrow, slicing=SliceSettings(params, 80), curation=replace(narrow.curation, first=0))
other = replace(other, export=ExportSettings(("dreambooth", "diffusers")))


def bomb(point):
    # Everything that a run does to files goes through these.
    kind, last = point.split(":")
    steps = iter(range(1, 1 << 30))
    for owner, name in ((os, "open"), (Path, "open"), (Path, "replace"), (Path, "unlink")):
        def step(*args, real=getattr(owner, name), **options):
            if next(steps) == int(last):
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)
        if kind in (name, "any"):
            setattr(owner, name, step)


def run(out, settings, point=None):
    child = os.fork()
    if not child:
        if point:
            bomb(point)
        try:
            build(songs, out, settings, jobs=1)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def check(out):
    from PIL import Image
    for path in out.rglob("*.png"):
        if not path.name.startswith("."):
            with Image.open(path) as image:
                image.load()
    for path in out.glob("*.json"):
        json.loads(path.read_text("utf-8"))


def one(point, out, changed):
    if changed:
        assert run(out, narrow) == 0
        for text in (out / "pictures").glob("*.txt"):
            text.write_text(f"typed beside {text.name}", "utf-8")
    status = run(out, other if changed else narrow, point)
    check(out)
    assert run(out, other if changed else narrow) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


build(songs, base / "warm", narrow, jobs=1)  # imports all that a run needs, before the first fork
print(json.dumps([one(point, base / str(point), sys.argv[4] == "changed") for point in points]))
"""


def killed_at(points: Iterable[str | None], songs: Path, base: Path, kind: str) -> list[int]:
    """Kill a run before its n-th step of some kind, run it again; return the signals that ended the first run."""
    arguments = [str(songs), str(base), json.dumps(list(points)), kind]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_all_points(points: list[str], songs: Path, base: Path, kind: str, tree: Tree) -> list[int]:
    signals = killed_at([None, *points], songs, base, kind)
    undisturbed = tree(base / "None")
    for point in points:
        assert tree(base / str(point)) == undisturbed, f"killed before {point}"
    return signals[1:]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["new", "changed"])
def test_build_killed_at_any_step_is_completed_by_the_next(
    kind: str, collection: Path, tmp_path: Path, tree: Tree
) -> None:
    points = ["replace:3", "replace:18", "unlink:4" if kind == "changed" else "open:30", "replace:36"]
    signals = check_all_points(points, collection, tmp_path / "out", kind, tree)
    assert set(signals) == {signal.SIGKILL}, "each of them was killed"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["new", "changed"])
def test_build_killed_at_many_steps_is_completed_by_the_next(
    kind: str, collection: Path, tmp_path: Path, tree: Tree
) -> None:
    signals = check_all_points(
        [f"any:{number}" for number in range(1, 260, 13)], collection, tmp_path / "out", kind, tree
    )
    assert signals[8] == signal.SIGKILL
    assert signals[-1] == 0, "the run has fewer steps: they were tried to its end"


# --- the command -----------------------------------------------------------------------------------------------------


def command(songs: Path, out: Path, *options: str) -> list[str]:
    made = ["dataset", str(songs), str(out), "--columns", "64", "--no-sheet"]
    return [*made, "--transition", "off", "--duplicate", "off", "--verify", "0", *options]


def started(songs: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "riffusion_ext", *command(songs, out, *options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )


def heed_ctrl_c() -> None:
    """Restore the default signal handling, which a shell or nohup changes for background processes."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it takes too long"
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def whole_images(out: Path) -> int:
    names = [path for path in out.rglob("*.png") if not path.name.startswith(".")]
    for path in names:
        with Image.open(path) as image:
            image.load()
    return len(names)


def drawn(out: Path) -> int:
    return len([path for path in (out / ".riffusion" / "fresh").glob("*.png") if not path.name.startswith(".")])


@pytest.fixture(scope="module")
def long_songs(tmp_path_factory: pytest.TempPathFactory, make_song: Callable[..., Path]) -> Path:
    """Return a folder of songs that take about a second each."""
    folder = tmp_path_factory.mktemp("long")
    for number in range(4):
        make_song(folder / f"{number}.wav", 30.0, seed=number)
    return folder


@pytest.fixture(scope="module")
def undisturbed(long_songs: Path, tmp_path_factory: pytest.TempPathFactory, tree: Tree) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert main(command(long_songs, out, "--jobs", "1")) == 0
    return tree(out)


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the worker processes of a process, without the resource tracker."""
    found = []
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes():
            found.append(int(child))
    return found


def has_children() -> bool:
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists()


@pytest.mark.slow
@pytest.mark.skipif(not has_children(), reason="needs a Linux that lists child processes")
def test_command_or_worker_killed_during_a_run_is_completed_by_the_next(
    long_songs: Path, undisturbed: dict[str, str], tmp_path: Path, tree: Tree
) -> None:
    out = tmp_path / "out"
    for images in (1, 60, 110):
        process = started(long_songs, out, "--jobs", "2")
        wait_for(lambda least=images: drawn(out) > least, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert whole_images(out) > images
    process = started(long_songs, out, "--jobs", "2")
    said = process.communicate()
    assert process.returncode == 0, said
    assert tree(out) == undisturbed

    out = tmp_path / "other"
    process = started(long_songs, out, "--jobs", "2")
    wait_for(lambda: drawn(out) > 20, process)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    said = process.communicate()
    assert process.returncode == 0, said
    assert tree(out) == undisturbed, "its songs were processed by other workers"


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "name"), [("1", "SIGINT"), ("2", "SIGINT"), ("2", "SIGTERM"), ("1", "SIGHUP")])
def test_ctrl_c_leaves_complete_files_and_the_next_run_continues(
    jobs: str, name: str, long_songs: Path, undisturbed: dict[str, str], tmp_path: Path, tree: Tree
) -> None:
    number = getattr(signal, name)
    out = tmp_path / "out"
    process = started(long_songs, out, "--jobs", jobs)
    wait_for(lambda: drawn(out) > 5, process)
    began = time.monotonic()
    os.killpg(process.pid, number)  # to the whole group, as a terminal does
    _, said = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert time.monotonic() - began < 30
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    assert whole_images(out) > 5
    assert list(out.rglob(".*.png")) == [], "half images"
    process = started(long_songs, out, "--jobs", jobs)
    process.communicate()
    assert process.returncode == 0
    assert tree(out) == undisturbed
