"""The commands that generate with remote webuis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio import AudioClip
from riffusion_ext.audio.io import read_audio, write_audio
from riffusion_ext.cli import main
from riffusion_ext.commands.shared.webui import ENVIRONMENT_VARIABLE
from riffusion_ext.generate.restore import settings_in
from tests.unit.small import SMALL_OPTIONS
from tests.unit.webuis import Model, Process, free_port, serving, webui

ROOT = Path(__file__).resolve().parents[2]
SONG_OPTIONS = ["0:03 | funk -- vocals", "0:03 | jazz | cfg 9", "--width", "128", "--overlap", "32", "--steps", "2"]

Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Return a function that serves a model."""
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:

        def start(model: Model, credentials: str = "") -> str:
            folder = tmp_path / "served" / str(free_port())
            folder.mkdir(parents=True)
            return stack.enter_context(serving(webui(model, folder, credentials)))

        yield start


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "served")


def test_song_is_generated_by_two_webuis(serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [Model(delay=0.05), Model(delay=0.05)]
    urls = [option for model in models for option in ("--webui", serve(model))]
    assert main(["song", *SONG_OPTIONS, *SMALL_OPTIONS, "--seed", "7", *urls, "-o", "song.wav"]) == 0
    said = capsys.readouterr()
    assert said.out == "song.wav  6.00 s, seed 7\n"
    assert "6/6 windows" in said.err
    assert all(model.requests for model in models)
    assert {request.sampler for request in [*models[0].requests, *models[1].requests]} == {"DPM++ 2M"}
    assert files(tmp_path) == ["song.wav"]
    assert read_audio("song.wav").samples.shape[1] == 6 * 8000
    kind, kept = settings_in(tmp_path / "song.wav")
    assert kind == "song"
    assert (kept.steps, kept.score.keyframes[1].cfg, kept.params.num_frequencies) == (2, 9.0, 64)
    assert main(["song", *SONG_OPTIONS, *SMALL_OPTIONS, *urls, "-o", "song.wav"]) == 1
    assert "--overwrite replaces it" in capsys.readouterr().err


def test_song_is_generated_from_a_file_with_images_and_a_password(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Model()
    url = serve(model, "ann:secret").replace("://", "://ann:secret@")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, f"{url}  {url}")
    Path("score.txt").write_text("# parts\n1 bar | funk\n1 bar | jazz\n", "utf-8")
    Image.linear_gradient("L").resize((256, 64)).save("seed.png")
    options = ["--bpm", "120", "--seed-picture", "seed.png", "--denoise", "0.5", "--json", "--keep-windows"]
    assert main(["song", "score.txt", *SMALL_OPTIONS, *options, "-o", "a.flac"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["output"], told["duration"], told["model"]) == ("a.flac", 4.0, "tiny")
    assert said.err == f"note: {told['notes'][0]}\n"
    assert f"Seed: {told['seed']}" in told["infotext"]
    assert {request.denoise for request in model.requests} == {0.5}
    assert files(tmp_path) == ["a.flac", "a.windows", "score.txt", "seed.png"]


def test_riff_and_its_preview_are_generated(serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    time_ = np.arange(4 * 8000) / 8000
    wave = 0.3 * np.sin(2 * np.pi * 330 * time_) * (np.sin(2 * np.pi * time_) > 0)
    write_audio(AudioClip(wave[None].astype(np.float32), 8000), tmp_path / "tune.wav")
    model = Model()
    options = ["--prompt", "brass", "--denoise", "0:00 0.2, 0:02 0.4", "--width", "128", "--overlap", "32", "--batch"]
    command = ["riff", "tune.wav", *options, "1", *SMALL_OPTIONS, "--webui", serve(model)]
    assert main([*command, "--preview", "-o", "riff.wav"]) == 0
    assert 0 < read_audio("riff.wav").duration < 2
    first = list(model.requests)
    assert main([*command, "--overwrite", "-o", "riff.wav"]) == 0
    assert read_audio("riff.wav").duration == 4.0
    assert model.requests[: len(first)] == first
    assert len({request.seeds for request in model.requests}) == 1  # the seed that was chosen for the preview
    assert model.requests.count(first[0]) == 1
    assert max(map(len, model.batches)) == 1
    assert files(tmp_path) == ["riff.wav", "tune.wav"]


def test_loop_is_generated_with_its_exact_length(serve: Serve, tmp_path: Path) -> None:
    model = Model()
    options = ["--prompt", "bass", "--bars", "1", "--bpm", "130", "--beat", "backbeat", "--quiet"]
    assert main(["loop", *options, *SMALL_OPTIONS, "--webui", serve(model), "-o", "loop.wav"]) == 0
    assert read_audio("loop.wav").samples.shape[1] == round(4 * 60 / 130 * 8000)
    (request,) = model.requests
    assert request.loop
    assert request.denoise == 0.75
    assert files(tmp_path) == ["loop.wav"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["song", "0:05 | a", "-o", "a.wav"], 2, "as in --webui http://127.0.0.1:7860"),
        (["song", "nothing", "-o", "a.wav"], 2, "is no file, and no line of a score"),
        (["song", "0:05 | a", "-o", "a.xyz", "--webui", "URL"], 2, ".xyz"),
        (["song", "0:05 | a", "--sampler", "nope", "-o", "a.wav", "--webui", "URL"], 1, "there are Euler, DPM++ 2M"),
        (["song", "0:05 | a", "--width", "100", "-o", "a.wav", "--webui", "URL"], 1, "multiple of 64"),
        (["song", "0:05 | a", "--width", "100", "-o", "a.wav", "--webui", "http://127.0.0.1:9"], 1, "multiple of 64"),
        (["song", "0:05 | a", "--overlap", "100", "-o", "a.wav", "--webui", "http://127.0.0.1:9"], 1, "multiple of 16"),
        (["song", "0:05 | a", "-o", "a.wav", "--webui", "http://127.0.0.1:9"], 1, "nothing listens on"),
        (["song", "0:05 | a", "-o", "a.wav", "--webui", "http://x:secret@y:z"], 1, "looks like http"),
        (["riff", "a.ogg", "-o", "a.wav", "--webui", "URL"], 2, "--prompt says"),
        (["riff", "a.ogg", "--prompt", "a", "-o", "a.wav", "--webui", "URL"], 1, "a.ogg"),
        (["loop", "-o", "a.wav", "--webui", "URL"], 2, "--prompt says"),
        (["loop", "--prompt", "a", "--seed-picture", "no.png", "-o", "a.wav", "--webui", "URL"], 1, "no.png"),
    ],
)
def test_invalid_requests_are_reported_and_leave_no_files(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    url = serve(Model())
    arguments = [url if part == "URL" else part for part in arguments]
    try:
        got = main(arguments)
    except SystemExit as error:
        got = error.code
    err = capsys.readouterr().err
    assert (got, said in err) == (code, True), err
    assert "secret" not in err
    assert len(err.strip().splitlines()) == 1
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--overlap", "0"], "from 16 to 2048, got 0"), (["--steps", "151"], "from 1 to 150, got 151")],
)
def test_numbers_that_the_core_refuses_are_refused_by_the_parser(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["song", "0:05 | a", "-o", "a.wav", *options])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_foreign_folders_and_songs_of_another_checkpoint_are_not_touched(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Model()
    command = ["song", *SONG_OPTIONS, *SMALL_OPTIONS, "--webui", serve(model), "-o", "song.wav"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("a")
    for settings in (None, '{"editor": 1}', "not JSON"):  # a file name that other programs also use
        if settings is not None:
            (tmp_path / "mine" / "settings.json").write_text(settings)
        there = files(tmp_path / "mine")
        assert main([*command, "--work", "mine"]) == 1
        assert "holds no windows" in capsys.readouterr().err
        assert files(tmp_path / "mine") == there
        assert settings is None or (tmp_path / "mine" / "settings.json").read_text() == settings
    model.fail_at = 3
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert "of 6 windows are kept in song.windows; the same command goes on from there" in said
    kept = sorted(path.name for path in tmp_path.glob("song.windows/*/windows/*.png"))
    model.fail_at, model.name = None, "big"
    assert main(command) == 1
    assert "of the model tiny" in capsys.readouterr().err
    model.name, model.generated, model.batches = "tiny", 0, []
    assert main(command) == 0
    assert len(model.requests) == 6 - len(kept)
    assert files(tmp_path) == ["mine", "song.wav"]


@pytest.mark.slow
def test_ctrl_c_stops_the_command_and_the_same_command_resumes(tmp_path: Path) -> None:
    servers = [Process(1.5), Process(1.5)]
    try:
        urls = [part for server in servers for part in ("--webui", server.ready())]
        command = [sys.executable, "-m", "riffusion_ext", "song", *SONG_OPTIONS, *SMALL_OPTIONS, "--batch", "1", *urls]
        command += ["-o", str(tmp_path / "song.wav")]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "http_proxy": "http://127.0.0.1:9"}
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        line = ""
        while "/6 windows" not in line:
            line = process.stderr.readline()
            assert line
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 130
        assert "stopping; finished windows are kept" in said
        assert "song.windows; the same command goes on from there" in said
        assert files(tmp_path) == ["song.windows"]
        there = {path: path.stat().st_mtime_ns for path in tmp_path.glob("song.windows/*/windows/*.png")}
        assert there
        servers[0].kill()
        again = subprocess.run([*command, "--keep-windows"], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        assert "nothing listens on" in again.stderr
        assert {path: path.stat().st_mtime_ns for path in there} == there
        assert len(list(tmp_path.glob("song.windows/*/windows/*.png"))) == 6
        assert read_audio(tmp_path / "song.wav").samples.shape[1] == 6 * 8000
    finally:
        for server in servers:
            server.kill()


LOOP_OPTIONS = ["--prompt", "bass", "--bars", "1", "--bpm", "240", "--seed", "3", "--steps", "2"]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["the last window", "the sound", "saving", "tidying"])
def test_late_signal_in_a_loop_prints_its_message(
    moment: str,
    number: signal.Signals,
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from riffusion_ext.audio import io
    from riffusion_ext.commands.shared import generation
    from riffusion_ext.generate.checkpoint import runner as running
    from riffusion_ext.generate.loop import Loop

    owner, name = {
        "the last window": (running.RenderFolder, "save"),
        "the sound": (Loop, "sound"),
        "saving": (io, "write_atomically"),
        "tidying": (generation.shutil, "rmtree"),
    }[moment]
    real = getattr(owner, name)

    def signalled(*args: Any, **options: Any) -> Any:
        result = real(*args, **options)
        signal.raise_signal(number)
        return result

    def saving(path: Path, write: Callable[[Any], Any], **options: Any) -> Any:
        def half(file: Any) -> None:
            signal.raise_signal(number)
            write(file)

        return real(path, half, **options)

    url = serve(Model())
    monkeypatch.setattr(owner, name, saving if owner is io else signalled)
    usual = {signal.SIGINT: signal.default_int_handler}
    before = {item: signal.signal(item, usual.get(item, signal.SIG_DFL)) for item in (number,)}
    try:
        code = main(["loop", *LOOP_OPTIONS, *SMALL_OPTIONS, "--webui", url, "-o", "loop.wav"])
    finally:
        signal.signal(number, before[number])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    if moment == "tidying":  # the sound exists
        assert (code, files(tmp_path)) == (0, ["loop.wav"])
        return
    assert code == 128 + number
    assert "stopped; " in said.err
    assert "kept in loop.windows; the same command goes on from there" in said.err
    assert files(tmp_path) == ["loop.windows"]
    monkeypatch.setattr(owner, name, real)
    assert main(["loop", *LOOP_OPTIONS, *SMALL_OPTIONS, "--webui", url, "-o", "loop.wav"]) == 0
    assert files(tmp_path) == ["loop.wav"]
