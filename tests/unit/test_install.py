"""install.py: installs five packages and nothing else, and never prevents the webui from starting."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import types
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements" / "a1111.txt"


def load(name: str) -> types.ModuleType:
    """Load a file of the extension's root anew, as the webui does, without adding it to sys.modules."""
    spec = importlib.util.spec_from_file_location(f"_tested_{name}", ROOT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    for name in ("RIFFUSION_SKIP_INSTALL", "COMMANDLINE_ARGS", "INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["install.py"])
    monkeypatch.delitem(sys.modules, "launch", raising=False)
    return load("install")


class Pip:
    """Replaces subprocess.run and records the commands."""

    def __init__(self, *, code: int = 0, output: str = "", raises: BaseException | None = None, only: str = "") -> None:
        self.code, self.output, self.raises, self.only = code, output, raises, only
        self.commands: list[list[str]] = []
        self.options: dict[str, object] = {}
        self.timeouts: list[object] = []

    def __call__(self, command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        self.options = options
        self.timeouts.append(options["timeout"])
        if self.raises is not None:
            raise self.raises
        code = self.code if self.only in " ".join(command) else 0
        return subprocess.CompletedProcess(command, code, stdout=self.output)


def fake(install: types.ModuleType, monkeypatch: pytest.MonkeyPatch, pip: Pip, *snapshots: dict[str, str]) -> Pip:
    """Make the closed list missing, pip fake, and the snapshots return these in turn."""
    monkeypatch.setattr(install, "missing", lambda: list(install.CLOSED_LIST))
    monkeypatch.setattr(install.subprocess, "run", pip)
    if snapshots:
        turns = iter(snapshots)
        monkeypatch.setattr(install, "snapshot", lambda: next(turns))
    return pip


def test_closed_list_names_five_packages_with_bounded_versions(install: types.ModuleType) -> None:
    assert list(install.CLOSED_LIST) == ["soundfile", "cffi", "pycparser", "joblib", "tinytag"]
    for name, requirement in install.CLOSED_LIST.items():
        assert requirement.startswith(f"{name}>=")
        assert ",<" in requirement


def test_each_package_has_one_purpose(install: types.ModuleType) -> None:
    assert [name for purpose in install.PURPOSES for name in purpose.names] == list(install.CLOSED_LIST)


def requested(command: list[str]) -> list[str]:
    return [word for word in command[4:] if not word.startswith("-")]


def test_pip_installs_only_the_closed_list(install, monkeypatch, capsys) -> None:
    came = {"torch": "2.1.2", "soundfile": "0.14.0", "joblib": "1.5.3", "tinytag": "2.3.2"}
    pip = fake(install, monkeypatch, Pip(), {"torch": "2.1.2"}, came)
    install.main()
    for command in pip.commands:
        assert command[:4] == [sys.executable, "-m", "pip", "install"]
        assert {"--no-deps", "--only-binary=:all:", "--no-input"} <= set(command)
        assert not {"-U", "--upgrade", "--force-reinstall", "-r", "--pre", "--user"} & set(command)
    assert [word for command in pip.commands for word in requested(command)] == list(install.CLOSED_LIST.values())
    assert capsys.readouterr().out.splitlines() == [
        "Riffusion: installed soundfile 0.14.0, cffi, pycparser, to write FLAC, OGG and MP3.",
        "Riffusion: installed joblib 1.5.3, to work on several songs at once.",
        "Riffusion: installed tinytag 2.3.2, to read the tags of songs.",
    ]


def test_failure_for_one_purpose_does_not_affect_another(install, monkeypatch, capsys) -> None:
    pip = fake(install, monkeypatch, Pip(code=1, output="ERROR: no such thing\n", only="cffi"), {}, {"joblib": "1.5.3"})
    install.main()
    assert len(pip.commands) == 3
    sound, joblib, tinytag = capsys.readouterr().out.splitlines()
    assert "(ERROR: no such thing): only WAV files can be written." in sound
    assert "installed joblib 1.5.3" in joblib
    assert "installed tinytag" in tinytag


def test_only_missing_packages_are_installed(install, monkeypatch) -> None:
    pip = fake(install, monkeypatch, Pip(), {}, {})
    monkeypatch.setattr(install, "missing", lambda: ["soundfile"])
    install.main()
    assert [requested(command) for command in pip.commands] == [["soundfile>=0.12,<1"]]


def test_dead_network_costs_one_timeout_only(install, monkeypatch) -> None:
    pip = fake(install, monkeypatch, Pip(raises=subprocess.TimeoutExpired("pip", 300)), {}, {})
    clock = iter([0.0, 0.0, 300.0, 301.0])
    monkeypatch.setattr(install.time, "monotonic", lambda: next(clock))
    install.main()
    assert pip.timeouts == [install.PIP_TIMEOUT, 1, 1]


@pytest.mark.parametrize("name", ["torch", "torchaudio", "numpy", "gradio", "soundfile==0.1", "--upgrade", ""])
def test_package_outside_the_closed_list_is_refused(install, name: str) -> None:
    with pytest.raises(ValueError, match="is not one of soundfile, cffi, pycparser, joblib, tinytag"):
        install.pip_command(["soundfile", name])


def test_package_mirror_of_the_webui_is_used(install, monkeypatch) -> None:
    monkeypatch.setenv("INDEX_URL", "https://mirror.example/simple")
    command = install.pip_command(["soundfile"])
    assert command[command.index("--index-url") + 1] == "https://mirror.example/simple"
    monkeypatch.setenv("INDEX_URL", "")
    assert "--index-url" not in install.pip_command(["soundfile"])


def test_pip_settings_that_would_widen_the_install_do_not_reach_it(install, monkeypatch) -> None:
    for name in ("PIP_UPGRADE", "PIP_TARGET", "PIP_REQUIREMENT", "PIP_USER"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_PROXY", "proxy.example:3128")
    pip = fake(install, monkeypatch, Pip(), {}, {})
    install.main()
    environment = pip.options["env"]
    assert isinstance(environment, dict)
    assert not {"PIP_UPGRADE", "PIP_TARGET", "PIP_REQUIREMENT", "PIP_USER"} & environment.keys()
    assert environment["PIP_PROXY"] == "proxy.example:3128"


def test_nothing_is_run_or_printed_when_no_package_is_missing(install, monkeypatch, capsys) -> None:
    pip = fake(install, monkeypatch, Pip())
    monkeypatch.setattr(install, "missing", list)
    monkeypatch.setattr(install, "snapshot", lambda: pytest.fail("no need to look"))
    install.main()
    assert pip.commands == []
    assert capsys.readouterr().out == ""


def test_packages_that_cannot_be_imported_are_missing(install, monkeypatch) -> None:
    found = {"soundfile": None, "cffi": object(), "pycparser": object(), "joblib": object(), "tinytag": None}
    monkeypatch.setattr(install.importlib.util, "find_spec", found.__getitem__)
    assert install.missing() == ["soundfile", "tinytag"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RIFFUSION_SKIP_INSTALL", "1"),
        ("RIFFUSION_SKIP_INSTALL", "true"),
        ("COMMANDLINE_ARGS", "--api --skip-install --port 7860"),
        ("COMMANDLINE_ARGS", "--skip-install --ckpt 'a quote that never ends"),
    ],
)
def test_environment_variable_skips_the_installation(install, monkeypatch, capsys, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    pip = fake(install, monkeypatch, Pip())
    install.main()
    assert pip.commands == []
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" not installed, as asked: ")[0] for line in lines] == [
        "Riffusion: soundfile, cffi, pycparser",
        "Riffusion: joblib",
        "Riffusion: tinytag",
    ]


def test_command_line_flag_skips_the_installation(install, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["webui.py", "--skip-install"])
    assert install.is_skipped()


def test_webui_setting_skips_the_installation(install, monkeypatch) -> None:
    launch = types.ModuleType("launch")
    launch.args = argparse.Namespace(skip_install=False)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "launch", launch)
    assert not install.is_skipped()
    launch.args.skip_install = True
    assert install.is_skipped()


@pytest.mark.parametrize("value", ["", "0", "no", "False"])
def test_false_values_of_the_variable_do_not_skip(install, monkeypatch, value: str) -> None:
    monkeypatch.setenv("RIFFUSION_SKIP_INSTALL", value)
    monkeypatch.setenv("COMMANDLINE_ARGS", "--skip-install-nothing --xformers")
    assert not install.is_skipped()


def test_changed_versions_of_other_packages_are_reported(install, monkeypatch, capsys) -> None:
    before = {"torch": "2.1.2", "numpy": "1.26.2", "pillow": "9.5.0", "cffi": "1.15.0"}
    after = {"torch": "2.11.0", "pillow": "9.5.0", "cffi": "2.1.1", "soundfile": "0.14.0", "numba": "0.60"}
    fake(install, monkeypatch, Pip(), before, after)
    install.main()
    out = capsys.readouterr().out
    assert "WARNING!" in out
    for line in ("torch: 2.1.2 -> 2.11.0", "numpy: 1.26.2 -> absent", "numba: absent -> 0.60"):
        assert line in out
    assert "pillow" not in out
    assert "cffi: 1.15.0" not in out


def test_changed_versions_are_reported_even_when_pip_failed(install, monkeypatch, capsys) -> None:
    fake(install, monkeypatch, Pip(code=1, output="ERROR: half way\n"), {"numpy": "1"}, {"numpy": "2"})
    install.main()
    assert "numpy: 1 -> 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("pip", "reason"),
    [
        (Pip(code=1, output="ERROR: No matching distribution\nhint\n"), "ERROR: No matching distribution"),
        (Pip(code=2), "pip ended with code 2"),
        (Pip(raises=subprocess.TimeoutExpired("pip", 300)), "pip did not finish in 300 s"),
        (Pip(raises=FileNotFoundError("python")), "pip could not be started"),
    ],
)
def test_failure_of_pip_is_reported_with_its_consequence(install, monkeypatch, capsys, pip: Pip, reason: str) -> None:
    fake(install, monkeypatch, pip, {}, {})
    install.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(install.PURPOSES)
    for line, purpose in zip(lines, install.PURPOSES, strict=True):
        assert reason in line
        assert line.endswith(f"): {purpose.loss}.")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), MemoryError()], ids=repr)
def test_main_never_raises(install, monkeypatch, capsys, error: BaseException) -> None:
    fake(install, monkeypatch, Pip(raises=error), {}, {})
    install.main()
    (line,) = capsys.readouterr().out.splitlines()
    assert type(error).__name__ in line
    assert line.endswith("It may have to do without.")


def test_closed_output_does_not_raise(install, monkeypatch) -> None:
    fake(install, monkeypatch, Pip(code=1), {}, {})
    monkeypatch.setattr(install, "print", lambda *_, **__: (_ for _ in ()).throw(BrokenPipeError()), raising=False)
    install.main()


def test_messages_are_ascii(install, monkeypatch, capsys) -> None:
    fake(install, monkeypatch, Pip(code=1, output="ERROR: \u00e9\u2028\U0001f3b5 broke\n"), {}, {})
    install.main()
    assert capsys.readouterr().out.isascii()


def test_snapshot_lists_installed_versions(install) -> None:
    versions = install.snapshot()
    assert versions["pytest"] == pytest.__version__
    assert all(name == name.lower() and "_" not in name for name in versions)


def test_only_the_standard_library_is_imported() -> None:
    for name in ("install", "preload"):
        probe = f"import sys; import {name}; print(*{{m.partition('.')[0] for m in sys.modules}})"
        done = subprocess.run(
            [sys.executable, "-S", "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        )
        assert set(done.stdout.split()) <= sys.stdlib_module_names | {name, "__main__", "_distutils_hack"}


def test_preload_can_be_called_twice() -> None:
    preload = load("preload")
    parser = argparse.ArgumentParser()
    preload.preload(parser)
    preload.preload(parser)
    assert parser.parse_args([]).riffusion_device is None
    assert parser.parse_args(["--riffusion-device", "cpu"]).riffusion_device == "cpu"
    assert "--riffusion-device" in parser.format_help()


def pins(*names: str) -> list[str]:
    lines = PINS.read_text("utf-8").splitlines()
    found = [line for line in lines if line.partition("==")[0] in names]
    assert len(found) == len(names)
    return found


@pytest.mark.slow
def test_installation_into_a_real_environment_changes_no_other_package(tmp_path: Path) -> None:
    """Uses real pip in a new virtual environment, twice: the closed list is installed, and nothing else changes."""
    folder = tmp_path / "webui env"
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    unwanted = ("PYTHONPATH", "RIFFUSION_SKIP_INSTALL", "COMMANDLINE_ARGS")
    environment = {key: value for key, value in os.environ.items() if key not in unwanted}

    def call(*arguments: str | Path, **extra: str) -> str:
        done = subprocess.run(
            [str(python), *map(str, arguments)],
            env={**environment, **extra},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def installed() -> dict[str, str]:
        rows = json.loads(call("-m", "pip", "list", "--format=json", "--disable-pip-version-check"))
        return {row["name"].lower(): row["version"] for row in rows}

    webui = pins("numpy", "pillow", "scipy", "tqdm", "typing-extensions")
    call("-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", *webui)
    before = installed()
    assert before["numpy"] == "1.26.2"
    assert before["pillow"] == "9.5.0"

    assert "as asked" in call(ROOT / "install.py", RIFFUSION_SKIP_INSTALL="1")
    assert "could not be installed" in call(ROOT / "install.py", INDEX_URL=(tmp_path / "none").as_uri(), **OFFLINE)
    assert installed() == before

    said = call(ROOT / "install.py")
    after = installed()
    assert [line.split()[2] for line in said.splitlines()] == ["soundfile", "joblib", "tinytag"]
    assert said.count("Riffusion: installed ") == 3
    assert "WARNING" not in said
    assert after.keys() - before.keys() == {"soundfile", "cffi", "pycparser", "joblib", "tinytag"}
    assert {name: after[name] for name in before} == before
    assert call("-c", "import joblib, tinytag; print(joblib.Parallel(2)([joblib.delayed(abs)(-3)]))") == "[3]\n"
    formats = call("-c", "import soundfile; print(*soundfile.available_formats())").split()
    assert {"WAV", "FLAC", "OGG", "MP3"} <= set(formats)

    assert call(ROOT / "install.py") == ""
    assert installed() == after


# Prevents pip from finding the packages elsewhere.
OFFLINE = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "PIP_NO_CACHE_DIR": "1"}
