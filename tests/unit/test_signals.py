"""Signals that end a program at any moment."""

# ruff: noqa: PT012 - what a signal raises comes a step later than the signal

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riffusion_ext import signals
from riffusion_ext.cli import main
from riffusion_ext.signals import (
    Stop,
    defer_signals,
    exit_code,
    ignore_first_signal,
    on_first_signal,
    received_signal,
    stopping_signals,
)
from tests.unit.processes import Program

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

ALL = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name)]


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """Set the default handlers for the test, and check that it restores them."""
    begun = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in begun.items()}
    yield
    after = {number: signal.getsignal(number) for number in begun}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == begun


def spin(seconds: float = 60.0) -> None:
    """Run Python code until a signal ends it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.001)


@pytest.mark.parametrize("number", ALL)
def test_each_stop_signal_raises_a_keyboard_interrupt(number: signal.Signals) -> None:
    with stopping_signals(), pytest.raises(KeyboardInterrupt) as caught:
        signal.raise_signal(number)
        spin()
    assert isinstance(caught.value, Stop)
    assert caught.value.signum == number
    assert exit_code(caught.value) == 128 + number
    assert exit_code(KeyboardInterrupt()) == exit_code() == 130


def test_handlers_are_unchanged_by_import_and_outside_the_main_thread() -> None:
    seen: list[object] = []

    def look() -> None:
        with stopping_signals(), defer_signals(), on_first_signal(lambda number: None):
            seen.extend(signal.getsignal(number) for number in ALL)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL, signal.SIG_DFL, signal.default_int_handler]


def test_handlers_set_by_others_are_not_replaced() -> None:
    def theirs(number: int, frame: object) -> None:
        raise AssertionError("not here")

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    signal.signal(signal.SIGTERM, theirs)
    with stopping_signals():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is theirs
        signal.raise_signal(signal.SIGHUP)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_repeated_signals_within_a_moment_count_once() -> None:
    reached = []
    with stopping_signals():
        with pytest.raises(Stop):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # `timeout`, for example, sends two
        signal.raise_signal(signal.SIGHUP)
        reached.append(received_signal())
    assert reached == [signal.SIGTERM]
    assert received_signal() is None


def test_signal_during_an_import_is_deferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slowly_imported.py").write_text(
        "import signal\nsignal.raise_signal(signal.SIGTERM)\nfor _ in range(1000): pass\nwhole = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with stopping_signals(), pytest.raises(Stop):
        import slowly_imported  # type: ignore[import-not-found]

        spin()
    assert slowly_imported.whole


def test_signal_inside_a_destructor_is_raised_after_it() -> None:
    finished = []

    class Held:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            for _ in range(1000):
                pass
            finished.append(True)

    with stopping_signals(), pytest.raises(Stop):
        held = Held()
        del held
        gc.collect()
        spin()
    assert finished == [True]


def test_signal_lost_in_a_c_callback_is_raised_again() -> None:
    import ctypes

    @ctypes.CFUNCTYPE(None)
    def called_by_a_library() -> None:
        signal.raise_signal(signal.SIGTERM)

    with stopping_signals(), pytest.raises(Stop):
        called_by_a_library()
        spin()


def test_signal_while_libsndfile_writes_is_raised_afterwards(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    soundfile = pytest.importorskip("soundfile")

    class File(__import__("io").BytesIO):  # type: ignore[misc]
        def write(self, data: object) -> int:
            if received_signal() is None:
                signal.raise_signal(signal.SIGTERM)
            return int(super().write(data))

    file = File()
    with stopping_signals(), pytest.raises(Stop):
        soundfile.write(file, np.zeros(100_000), 8000, format="FLAC")
        spin()
    assert len(file.getvalue()) > 0, "the reported data was written"


def test_shielded_block_is_finished_before_the_signal_is_raised() -> None:
    steps = []
    with stopping_signals(), pytest.raises(Stop):
        with defer_signals():
            signal.raise_signal(signal.SIGHUP)
            time.sleep(0.1)
            steps.append("whole")
        spin()
    assert steps == ["whole"]


def test_signal_after_the_work_is_ignored() -> None:
    with stopping_signals():
        with ignore_first_signal():
            signal.raise_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert received_signal() is None


def test_stop_request_is_reported_once_and_the_next_signal_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    with stopping_signals():
        with on_first_signal(told.append):
            signal.raise_signal(signal.SIGTERM)
            assert (told, received_signal()) == ([signal.SIGTERM], signal.SIGTERM)
            assert exit_code() == 143
            monkeypatch.setattr(signals, "_SAME_S", 0.0)
            with pytest.raises(Stop):
                signal.raise_signal(signal.SIGINT)
                spin()
        assert told == [signal.SIGTERM]


def test_stop_request_with_a_closed_output_does_not_fail() -> None:
    def wish(number: int) -> None:
        raise OSError("the terminal is gone")

    with stopping_signals(), on_first_signal(wish):
        signal.raise_signal(signal.SIGHUP)
        assert received_signal() == signal.SIGHUP


SECOND = """
import sys, time
from pathlib import Path
from riffusion_ext.files import scratch
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.signals import stopping_signals

def stay(file):
    file.write(b"half")
    try:
        print("ready", flush=True)
        time.sleep(600)
    finally:
        print("cleaning", flush=True)
        time.sleep(600)

with stopping_signals():
    scratch.new()
    write_atomically(Path("a.bin"), stay)
"""


@pytest.mark.parametrize("number", ALL)
def test_second_signal_ends_the_command_at_once_and_leaves_no_files(number: signal.Signals, tmp_path: Path) -> None:
    with Program("-c", SECOND, folder=tmp_path) as program:
        assert program.process.stdout is not None
        assert program.process.stdout.readline() == "ready\n"
        assert len(list(tmp_path.glob(".*.bin"))) == len(list(program.temporary.iterdir())) == 1
        program.process.send_signal(number)
        assert program.process.stdout.readline() == "cleaning\n"
        time.sleep(0.6)  # otherwise they count as one signal
        assert program.end(number)[0] == -number
        assert list(tmp_path.glob(".*.bin")) == list(program.temporary.iterdir()) == []


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np

    from riffusion_ext.audio import AudioClip, write_audio

    noise = np.random.default_rng(0).normal(0, 0.1, (1, 60 * 8000)).astype(np.float32)
    return write_audio(AudioClip(noise, 8000), tmp_path_factory.mktemp("song") / "a.wav")


PARAMS = ["--sample-rate", "8000", "--num-frequencies", "64", "--max-frequency", "4000"]
CLIPS = ["--num-clips-per-file", "150", "--seed", "1"]
COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "audio-to-image": lambda song: ["audio-to-image", "--audio", f"{song}", "--image", "o/", "--tiles", *PARAMS],
    "sample-clips": lambda song: ["sample-clips", "-i", f"{song}", "-o", "o", "--num-clips", "2000", "--seed", "1"],
    "sample-clips-batch": lambda song: ["sample-clips-batch", "-i", f"{song.parent}", "-o", "o", *CLIPS],
    "dataset": lambda song: ["dataset", f"{song.parent}", "o", "--jobs", "2", "--columns", "64", "--overlap", "0.9"],
    "demo": lambda song: ["demo", "--output-dir", "o"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_commands_stop_at_any_moment(name: str, song: Path, tmp_path: Path) -> None:
    stopped = 0
    for turn, delay in enumerate((0.15, 0.5, 1.0, 2.0, 3.0, 4.5)):  # the first ones during imports
        folder = tmp_path / str(turn)
        folder.mkdir()
        number = ALL[turn % 3]
        with Program("-m", "riffusion_ext", *COMMANDS[name](song), folder=folder) as program:
            try:
                program.process.wait(delay)
            except subprocess.TimeoutExpired:
                program.process.send_signal(number)
            code, _, said = program.end()
            starting = code == -number or "<frozen site>" in said or "<frozen runpy>" in said
            if code == 0 or (starting and "stopped" not in said):
                continue  # it was done, or Python was still starting
            stopped += 1
            assert code == 128 + number, said
            assert said.startswith("stopped; ") or "\nstopped; " in said
            assert "Traceback" not in said
            assert not [path for path in folder.rglob(".*.*") if path.suffix != ".lock"], "half files"
            assert list(program.temporary.iterdir()) == []
            program.wait_until_gone()
    assert stopped


def test_hangup_ignored_by_nohup_stays_ignored(song: Path, tmp_path: Path) -> None:
    with Program(
        "-m", "riffusion_ext", *COMMANDS["audio-to-image"](song), folder=tmp_path, ignored=(signal.SIGHUP,)
    ) as program:
        program.wait_for(lambda: list(tmp_path.glob("o/*.png")))
        program.process.send_signal(signal.SIGHUP)
        assert program.end()[0] == 0


CLOSED = """
import os, signal, sys
child = os.fork()
if not child:
    os.execv(sys.executable, [sys.executable, "-m", "riffusion_ext", *sys.argv[2:]])
signal.signal(signal.SIGHUP, lambda *_: os.kill(child, signal.SIGHUP))  # as a shell does
status = os.waitpid(child, 0)[1]
open(sys.argv[1], "w").write(str(os.waitstatus_to_exitcode(status)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_closing_the_terminal_ends_the_command_cleanly(song: Path, tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = COMMANDS["audio-to-image"](song)
    code = tmp_path / "code"
    shell = subprocess.Popen(
        [sys.executable, "-c", "import os; os.login_tty(0)\n" + CLOSED, str(code), *command]
        if hasattr(os, "login_tty")
        else [sys.executable, "-c", _LOGIN + CLOSED, str(code), *command],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=not hasattr(os, "login_tty"),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    os.close(theirs)
    try:
        end = time.monotonic() + 300
        while not list(tmp_path.glob("o/*.png")):
            assert time.monotonic() < end
            assert shell.poll() is None
            time.sleep(0.02)
        os.close(ours)
        shell.wait(300)
    finally:
        shell.kill()
        shell.wait()
    assert code.read_text() == "129"
    assert list(tmp_path.glob("o/.*")) == []


_LOGIN = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"


def test_signals_in_a_host_program_end_only_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from riffusion_ext.commands import info

    def stop(*_: object) -> int:
        signal.raise_signal(signal.SIGTERM)
        spin()
        return 0

    monkeypatch.setattr(info, "run", stop)
    assert main(["info", "--image", "a.png"]) == 143
    assert capsys.readouterr().err == "stopped; the files written so far are whole\n"
