"""Live sessions of a server that is ended by a signal."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from riffusion_ext.audio.io import read_audio
from tests.unit.processes import Program

SERVER = """
import sys, time
from pathlib import Path
from riffusion_ext.generate.live.session import Jam
from riffusion_ext.generate.live.recording import write_recording
from riffusion_ext.generate.live.registry import JAMS
from riffusion_ext.signals import Stop, exit_code, finish, stopping_signals
from tests.unit.generate.fake_backends import FakeBackend, by_seed
from tests.unit.generate.live.test_session import CPU, settings_of

with stopping_signals():
    try:
        jam = Jam(settings_of(), FakeBackend(by_seed), Path("playing/1"), CPU, lambda jam, recording: str(
            write_recording(jam, recording, Path("kept.wav"))))
        JAMS.start(jam)
        while jam.store.samples < 8000:
            time.sleep(0.01)
        jam.record()
        jam.report_position(8000)
        print("recording", flush=True)
        while True:
            time.sleep(0.1)
    except Stop as stop:
        JAMS.close()
        finish(exit_code(stop))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_signal_saves_the_recording_and_removes_the_rest(name: str, tmp_path: Path) -> None:
    number = getattr(signal, name)
    with Program("-c", SERVER, folder=tmp_path) as program:
        assert program.process.stdout is not None
        assert program.process.stdout.readline() == "recording\n"
        code, _, said = program.end(number)
        if name == "SIGKILL":
            assert (tmp_path / "playing" / "1").is_dir()
        else:
            assert code == 128 + number, said
            assert read_audio(tmp_path / "kept.wav").samples.shape[1] == 8000
            assert list((tmp_path / "playing").iterdir()) == []
    if name == "SIGKILL":  # the first session of the next server removes leftovers
        with Program("-c", SERVER.replace("playing/1", "playing/2"), folder=tmp_path) as program:
            assert program.process.stdout is not None
            assert program.process.stdout.readline() == "recording\n"
            assert [path.name for path in (tmp_path / "playing").iterdir()] == ["2"]
            program.end(signal.SIGTERM)
