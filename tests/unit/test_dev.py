"""dev.py: environments are built once, and rebuilt when incomplete or outdated; checks run in parallel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    import dev

    monkeypatch.setattr(dev, "ROOT", tmp_path)
    return dev


class Commands:
    """Replaces run(): records commands, fails at a given one, and creates the folder of a venv."""

    def __init__(self, fails: str = "nothing") -> None:
        self.fails = fails
        self.lines: list[str] = []

    def __call__(self, command: Sequence[str | Path]) -> int:
        line = " ".join(str(part) for part in command[1:])
        self.lines.append(line)
        if self.fails in line:
            return 1
        if line.startswith("-m venv"):
            Path(command[-1]).mkdir(exist_ok=True)
        return 0


def test_complete_environment_is_reused(dev, monkeypatch) -> None:
    commands = Commands()
    monkeypatch.setattr(dev, "run", commands)
    folder = dev.environment(".venv-x", "recipe", [["one"], ["two"]])
    assert [line.split()[-1] for line in commands.lines] == [str(folder), "one", "two"]
    assert dev.environment(".venv-x", "recipe", [["one"], ["two"]]) == folder
    assert len(commands.lines) == 3


@pytest.mark.parametrize("change", ["recipe", "half made", "python"])
def test_outdated_or_incomplete_environment_is_rebuilt(dev, monkeypatch, change: str) -> None:
    commands = Commands()
    monkeypatch.setattr(dev, "run", commands)
    folder = dev.environment(".venv-x", "recipe", [["one"]])
    (folder / "left over").touch()
    if change == "half made":
        (folder / dev.STAMP).unlink()
    if change == "python":
        monkeypatch.setattr(sys, "version", "3.11.99")
    dev.environment(".venv-x", "other" if change == "recipe" else "recipe", [["one"]])
    assert len(commands.lines) == 4
    assert not (folder / "left over").exists()


def test_foreign_folders_are_not_replaced(dev, monkeypatch) -> None:
    monkeypatch.setattr(dev, "run", Commands())
    theirs = dev.ROOT / ".venv-x"
    theirs.mkdir()
    (theirs / "precious").touch()
    with pytest.raises(SystemExit, match="was not made by this program"):
        dev.environment(".venv-x", "recipe", [["one"]])
    assert [path.name for path in theirs.iterdir()] == ["precious"]


def test_environment_of_a_failed_install_is_rebuilt(dev, monkeypatch) -> None:
    monkeypatch.setattr(dev, "run", Commands(fails="pip"))
    with pytest.raises(SystemExit):
        dev.environment(".venv-x", "recipe", [["one"]])
    monkeypatch.setattr(dev, "run", Commands())
    folder = dev.environment(".venv-x", "recipe", [["one"]])
    assert (folder / dev.STAMP).is_file()


def test_a_failed_install_leaves_no_stamp(dev, monkeypatch) -> None:
    monkeypatch.setattr(dev, "run", Commands(fails="pip"))
    with pytest.raises(SystemExit, match="failed with code 1"):
        dev.environment(".venv-x", "recipe", [["one"]])
    assert not (dev.ROOT / ".venv-x" / dev.STAMP).exists()


def test_failed_check_fails_the_run_and_the_others_still_run(dev, monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setattr(dev, "PINNED_PYTHONS", (sys.version_info[:2],))
    monkeypatch.setattr(dev, "test_environment", lambda name, *_: tmp_path / name)
    monkeypatch.setattr(dev, "docs_environment", lambda: tmp_path / ".venv-docs")
    commands = Commands(fails="mypy")
    monkeypatch.setattr(dev, "run", commands)
    monkeypatch.setattr(dev, "script", lambda folder, name: sys.executable)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(dev, "patient", lambda *command: command)
    other = tmp_path / "pytest.py"  # packages that `python -m pytest` finds in the checkout
    other.write_text("print('seen'); raise SystemExit(3)")
    site = tmp_path / "mkdocs.py"
    site.write_text("print('built'); raise SystemExit(1)")
    assert dev.test([]) == 1
    assert [line.split()[1] for line in commands.lines] == ["ruff", "ruff", "mypy", "pytest"]
    printed = capsys.readouterr().out.splitlines()
    assert (printed.count("seen"), printed.count("built")) == (7, 1)
    names = ["(gradio 3, browser)", "(gradio 6, browser)", "(gradio 4, browser)"]
    names += ["(gradio 3, training sets)", "(gradio 3, songs)", "(gradio 4)", "(gradio 6)"]
    assert printed[-1] == ", pytest ".join(["dev.py: FAILED: mypy", *names]) + ", documentation"
    commands.fails = "nothing"
    other.write_text("")
    site.write_text("")
    assert dev.test([]) == 0


@pytest.mark.skipif(shutil.which("nice") is None, reason="needs the program nice")
def test_parts_without_real_time_run_at_low_priority(dev) -> None:
    command = dev.patient(sys.executable, "-c", "import os; print(os.nice(0))")
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) >= min(os.nice(0) + 5, 19)


def test_named_tests_run_in_all_environments(dev) -> None:
    pythons = (Path("one"), Path("other"), Path("third"))
    parts = dev.parts_of(*pythons, ["-k", "mel"])
    assert list(parts.values()) == [[python, "-m", "pytest", "-k", "mel"] for python in pythons]


def test_every_browser_test_runs_on_its_gradio_versions(dev) -> None:
    parts = dev.parts_of(Path("one"), Path("other"), Path("third"), [])
    left = {
        number: {str(part)[9:] for part in parts[f"pytest (gradio {number}, browser)"] if "--ignore=" in str(part)}
        for number in (3, 4, 6)
    }
    assert left == {3: set(dev.ALONE), 4: set(dev.ALONE), 6: set(dev.IN_WEBUIS)}
    assert not set(dev.ALONE) & set(dev.IN_WEBUIS)
    for path in (*dev.ALONE, *dev.IN_WEBUIS, *dev.STANDALONE_TESTS, *dev.FORGE_TESTS):
        assert (Path(dev.__file__).parent / path).exists(), path


@pytest.mark.parametrize("fails", ["nothing", "bench.txt"])
def test_packages_of_the_perceptual_judge_are_optional(dev, monkeypatch, tmp_path, capsys, fails: str) -> None:
    commands = Commands(fails)
    monkeypatch.setattr(dev, "run", commands)
    monkeypatch.setattr(dev, "environment", lambda name, *_, **__: tmp_path / name)
    base = dev.test_environment(".venv-x", dev.A1111, None)
    assert sum("bench.txt" in line for line in commands.lines) == 1
    assert ("its test is skipped" in capsys.readouterr().out) == (fails != "nothing")
    dev.test_environment(".venv-y", dev.FORGE, base)
    assert sum("bench.txt" in line for line in commands.lines) == 1, "the other environments find them in the first"


def test_environment_finds_the_packages_of_its_base(dev, monkeypatch) -> None:
    monkeypatch.setattr(dev, "run", Commands())

    def make(folder: Path) -> None:
        dev.mark(folder)
        (folder / "lib" / "python3.11" / "site-packages").mkdir(parents=True)

    monkeypatch.setattr(dev, "make_empty", make)
    base = dev.environment(".venv-x", "recipe", [["one"]])
    folder = dev.environment(".venv-y", "recipe", [["one"]], base=base)
    assert (dev.packages_of(folder) / "zz_base.pth").read_text() == f"{dev.packages_of(base)}\n"
    assert not (dev.packages_of(base) / "zz_base.pth").exists()


def test_background_commands_end_with_the_main_command(dev) -> None:
    sleeps = [sys.executable, "-c", "import time; time.sleep(600)"]
    meanwhile = dev.Meanwhile({"one": sleeps, "two": sleeps}, 1)

    def interrupted() -> None:
        with meanwhile:
            while not meanwhile._running:
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (process,) = meanwhile._running
    assert process.returncode not in (None, 0)


def test_no_more_commands_run_at_once_than_allowed(dev, tmp_path, capsys) -> None:
    log = tmp_path / "log.txt"
    text = (
        "import sys, time; log = open(sys.argv[1], 'a', buffering=1); log.write('+'); time.sleep(0.3); log.write('-')"
    )
    commands = {str(number): [sys.executable, "-c", text, log] for number in range(4)}
    with dev.Meanwhile(commands, 2) as meanwhile:
        assert [meanwhile.wait(name) for name in commands] == [0] * 4
    marks = "".join(log.read_text().split())
    assert len(marks) == 8
    assert max(marks[:end].count("+") - marks[:end].count("-") for end in range(9)) <= 2
    assert capsys.readouterr().out.count("$ ") == 4


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_processes_left_by_a_command_are_not_waited_for(dev, capfd) -> None:
    with dev.Meanwhile({"one": ["sh", "-c", "sleep 600 & echo $!"]}, 1) as meanwhile:
        assert meanwhile.wait("one") == 0
    sleeper = int(capfd.readouterr().out.split()[-1])
    os.kill(sleeper, signal.SIGKILL)  # raises an error if it is gone


def test_tests_need_a_python_version_with_pinned_packages(dev, monkeypatch) -> None:
    monkeypatch.setattr(dev, "PINNED_PYTHONS", ((2, 6),))
    monkeypatch.setattr(dev.shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match=r"Python 3\.10 and 3\.11 only"):
        dev.test([])


def test_the_documentation_is_built_in_an_environment_of_its_own(dev, monkeypatch, capsys) -> None:
    commands = Commands()
    monkeypatch.setattr(dev, "run", commands)
    assert dev.docs(["--verbose"]) == 0
    assert commands.lines[-2].endswith(f"--no-deps -r {dev.DOCS}")
    assert commands.lines[-1] == "-m mkdocs build --strict --verbose"
    assert ".venv-docs is ready" in capsys.readouterr().out
    commands.fails = "mkdocs"
    assert dev.docs([]) == 1


def test_screenshots_are_taken_of_the_standalone_server(dev, monkeypatch, tmp_path) -> None:
    commands = Commands()
    monkeypatch.setattr(dev, "run", commands)
    monkeypatch.setattr(dev, "PINNED_PYTHONS", (sys.version_info[:2],))
    monkeypatch.setattr(dev, "test_environment", lambda name, *_: tmp_path / name)
    used: list[Path] = []
    monkeypatch.setattr(dev, "script", lambda folder, name: used.append(folder) or folder / name)
    assert dev.screenshots(["--only", "tab"]) == 0
    assert used == [tmp_path / ".venv-test-standalone"]
    assert commands.lines == [f"{tmp_path / 'docs' / 'screenshots.py'} --only tab"]


def test_missing_command_prints_the_help(dev, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["dev.py"])
    assert dev.main() == 2
    assert "python3 dev.py demo" in capsys.readouterr().out
