"""Set up and run this project from a fresh checkout, with nothing but Python and pip.

    python3 dev.py demo     install into .venv-demo and run the demo (Python 3.10 to 3.12)
    python3 dev.py test     install into .venv-test, .venv-test-gradio4 and .venv-test-standalone, pass the checks and
                            build the documentation (Python 3.10 or 3.11)
    python3 dev.py options  write the tables of docs/options.md anew
    python3 dev.py docs     install into .venv-docs and build the documentation into site/ (Python 3.10 or later)
    python3 dev.py screenshots --webui http://127.0.0.1:7860
                            take the screenshots of the documentation anew; without --webui, those that need no model

Further arguments are passed on: "demo --help", "test tests/unit -k mel". Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
A1111 = ROOT / "requirements" / "a1111.txt"
FORGE = ROOT / "requirements" / "forge.txt"
STANDALONE = ROOT / "requirements" / "standalone.txt"
DOCS = ROOT / "requirements" / "docs.txt"
BENCH = ROOT / "requirements" / "bench.txt"
MARK = "made-by-dev-py.txt"  # written into an environment first: a folder without it is somebody else's, and stays
STAMP = "complete.txt"  # written into an environment last: one without it was left half made

BROWSER_TESTS = "tests/browser"
"""Tests that keep time: music is played in them."""

APART = {
    "training sets": ("tests/unit/dataset",),
    "songs": ("tests/unit/generate", "tests/unit/ui", "tests/unit/api", "tests/unit/convert"),
}
"""What is taken out of the rest, to make parts of about the same length."""

FORGE_TESTS = ("tests/contract", "tests/unit/host", "tests/unit/ui", "tests/unit/dataset/test_executor.py")
"""Tests that meet packages whose versions differ: gradio and what it stands on, joblib. The others are the same."""

STANDALONE_TESTS = ("tests/unit/ui",)
"""Tests that meet what the server by itself stands on; the contract with a webui has no part in it."""

ALONE = ("tests/browser/test_hidden.py", "tests/browser/test_remote.py")
"""Browser tests of the server by itself, which no webui's gradio changes anything about."""

IN_WEBUIS = ("tests/browser/test_gallery.py", "tests/browser/test_players.py")
"""Browser tests of webuis' own pages, which no webui has on the newest gradio."""

AT_ONCE = 4
"""Parts of the tests that run at the same time, also on a machine of fewer cores: those in a browser often wait."""

PINNED_PYTHONS = ((3, 10), (3, 11))  # torch 2.1.2, which the webui and its pins need, exists for these


def run(command: Sequence[str | Path]) -> int:
    """Run a command in the checkout, showing it first; return its exit code."""
    print("$", Path(command[0]).name, *command[1:], flush=True)
    return subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode


class Meanwhile:
    """Commands that run in the checkout while another does, so many at a time.

    Each is shown, with all it printed, when it is waited for.
    """

    def __init__(self, commands: Mapping[str, Sequence[str | Path]], at_once: int) -> None:
        self._commands, self._pool = commands, ThreadPoolExecutor(at_once)
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Meanwhile:
        self._done = {name: self._pool.submit(self._run, command) for name, command in self._commands.items()}
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C, above
        for process in self._running:
            process.kill()  # nothing where it has ended
        self._pool.shutdown()

    def _run(self, command: Sequence[str | Path]) -> tuple[int, str]:
        with tempfile.TemporaryFile() as log:  # no pipe, which whatever a command leaves behind would hold open
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,  # the keyboard belongs to the other
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            self._running.append(process)
            code = process.wait()
            log.seek(0)
            return code, log.read().decode("utf-8", "replace")

    def wait(self, name: str) -> int:
        """Wait for the end of a command; returns its exit code."""
        code, said = self._done[name].result()
        command = self._commands[name]
        print("$", Path(command[0]).name, *command[1:])
        print(said, flush=True)
        return code


def must(command: Sequence[str | Path]) -> None:
    """Run a command that everything after it stands on; end the program where it fails."""
    code = run(command)
    if code:
        sys.exit(f"dev.py: the command above failed with code {code}. Run this again to start over.")


def script(environment: Path, name: str) -> Path:
    """Path of a program of a virtual environment."""
    return environment / "Scripts" / f"{name}.exe" if os.name == "nt" else environment / "bin" / name


def environment(
    name: str,
    recipe: str,
    installs: Sequence[Sequence[str]],
    *,
    base: Path | None = None,
    size: str = "2 to 3 GB (mostly torch)",
) -> Path:
    """Return a virtual environment made by this recipe; make it anew where it is absent, half made or older.

    Parameters
    ----------
    name
        Folder, within the checkout.
    recipe
        Text that decides what is in it, such as a requirements file; any change of it, or of Python, makes it anew.
    installs
        Arguments of ``pip install``, one list a call.
    base
        Another environment, whose packages are found in this one, too, where it has no others of those names: pip
        installs only what differs.
    size
        How much is downloaded, for the user.
    """
    folder = ROOT / name
    stamp = folder / STAMP
    key = hashlib.sha256(f"{sys.version}\n{folder}\n{recipe}".encode()).hexdigest()
    if stamp.is_file() and stamp.read_text("utf-8").strip() == key:
        return folder
    started = time.monotonic()
    if folder.exists() and not (folder / MARK).is_file():
        sys.exit(f"dev.py: {folder} was not made by this program, so it is left as it is. Rename or remove it first.")
    print(f"Making {name}. The first time, this downloads {size}.", flush=True)
    if folder.exists():
        shutil.rmtree(folder)
    make_empty(folder)
    if base is not None:
        # The last of all .pth files, whose lines go behind the environment's own packages.
        (packages_of(folder) / "zz_base.pth").write_text(f"{packages_of(base)}\n", "utf-8")
    quiet = [] if sys.stdout.isatty() else ["--quiet"]  # a person who waits likes to see pip's progress
    for arguments in installs:
        must([script(folder, "python"), "-m", "pip", "--disable-pip-version-check", "install", *quiet, *arguments])
    stamp.write_text(key + "\n", "utf-8")
    print(f"{name} is ready after {time.monotonic() - started:.0f} s.", flush=True)
    return folder


def packages_of(environment: Path) -> Path:
    """Return the folder of a virtual environment's packages."""
    return next(iter(environment.glob("lib/python*/site-packages")), environment / "Lib" / "site-packages")


def make_empty(folder: Path) -> None:
    """Make a virtual environment that has pip."""
    mark(folder)
    if run([sys.executable, "-m", "venv", folder]) == 0:
        return
    # Debian and Ubuntu keep a part of venv in a package of its own; pip can stand in for that part.
    print("This Python makes no virtual environment with pip in it; trying another way.", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    mark(folder)
    if run([sys.executable, "-m", "venv", "--without-pip", folder]) or run(
        [sys.executable, "-m", "pip", "--python", script(folder, "python"), "install", "--quiet", "pip"]
    ):
        sys.exit("dev.py: this Python can make no virtual environment. On Debian and Ubuntu: apt install python3-venv")


def mark(folder: Path) -> None:
    """Make a folder that this program may remove again."""
    folder.mkdir(exist_ok=True)
    (folder / MARK).write_text("Made by dev.py, which may remove this folder and make it anew.\n", "utf-8")


def demo(arguments: list[str]) -> int:
    """Install the program with its tab, and run its demo."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        sys.exit(f"dev.py: the demo wants Python 3.10, 3.11 or 3.12; this is {sys.version.split()[0]}.")
    project = (ROOT / "pyproject.toml").read_text("utf-8").split("[tool.ruff")[0]
    install = ["--editable", f"{ROOT}[ui]"]
    if sys.version_info[:2] in PINNED_PYTHONS:  # versions known to work together, and no search by pip
        install += ["--constraint", str(STANDALONE)]
        project += STANDALONE.read_text("utf-8")
    folder = environment(".venv-demo", project, [install])
    return run([script(folder, "riffusion-ext"), "demo", *arguments])


def test(arguments: list[str]) -> int:
    """Pass every check on the pins of AUTOMATIC1111's webui, and what meets other packages on the other pins, too."""
    if sys.version_info[:2] not in PINNED_PYTHONS:
        return hand_over("test", *arguments)
    base = test_environment(".venv-test", A1111, None)
    python = script(base, "python")
    forge = script(test_environment(".venv-test-gradio4", FORGE, base), "python")
    standalone = script(test_environment(".venv-test-standalone", STANDALONE, base), "python")
    builder = None if arguments else script(docs_environment(), "python")
    checks: dict[str, Sequence[str | Path]] = {
        "ruff check": [python, "-m", "ruff", "check", "."],
        "ruff format": [python, "-m", "ruff", "format", "--check", "."],
        "mypy": [python, "-m", "mypy"],
    }
    failed = [name for name, command in checks.items() if run(command)]
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # they share the processor
    parts = parts_of(python, forge, standalone, arguments)
    if builder is not None:
        parts["documentation"] = patient(*build_docs(builder))
    first, *others = parts
    at_once = max(AT_ONCE, os.cpu_count() or 1) - 1
    with Meanwhile({name: parts[name] for name in others}, at_once) as meanwhile:
        if run(parts[first]):
            failed.append(first)
        failed += [name for name in others if meanwhile.wait(name)]
    print(f"dev.py: FAILED: {', '.join(failed)}" if failed else "dev.py: all checks passed", flush=True)
    return 1 if failed else 0


def parts_of(python: Path, forge: Path, standalone: Path, arguments: list[str]) -> dict[str, Sequence[str | Path]]:
    """Return what runs at the same time, by name, for the Pythons of all environments; the first begins first."""
    if arguments:
        return {
            "pytest (gradio 3)": [python, "-m", "pytest", *arguments],
            "pytest (gradio 4)": [forge, "-m", "pytest", *arguments],
            "pytest (gradio 6)": [standalone, "-m", "pytest", *arguments],
        }
    browser = ["-m", "pytest", BROWSER_TESTS]
    apart = (BROWSER_TESTS, *(path for paths in APART.values() for path in paths))
    parts = {"pytest (gradio 3)": patient(python, "-m", "pytest", *without(*apart))}
    parts["pytest (gradio 3, browser)"] = [python, *browser, *without(*ALONE)]
    parts["pytest (gradio 6, browser)"] = [standalone, *browser, *without(*IN_WEBUIS)]
    parts["pytest (gradio 4, browser)"] = [forge, *browser, *without(*ALONE), "-m", "not player"]
    parts |= {f"pytest (gradio 3, {name})": patient(python, "-m", "pytest", *paths) for name, paths in APART.items()}
    parts["pytest (gradio 4)"] = patient(forge, "-m", "pytest", *FORGE_TESTS)
    parts["pytest (gradio 6)"] = patient(standalone, "-m", "pytest", *STANDALONE_TESTS)
    return parts


def without(*paths: str) -> list[str]:
    """Return options that leave out tests."""
    return [f"--ignore={path}" for path in paths]


def patient(*command: str | Path) -> Sequence[str | Path]:
    """Return a command that leaves the processor to others where they want it."""
    nice = shutil.which("nice")
    return [nice, "-n", "7", *command] if nice else command


def test_environment(name: str, requirements: Path, base: Path | None) -> Path:
    """Return an environment that holds the pins of a file, and this checkout; what it shares with `base` lies there."""
    recipe = requirements.read_text("utf-8") + (A1111.read_text("utf-8") if base else "")
    size = {"size": "100 MB"} if base else {}
    folder = environment(name, recipe, [["--no-deps", "-r", str(requirements)]], base=base, **size)
    pip: list[str | Path] = [script(folder, "python"), "-m", "pip", "--disable-pip-version-check"]
    must([*pip, "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", "."])
    if base is None and run([*pip, "install", "--quiet", "--no-deps", "-r", str(BENCH)]):
        print("dev.py: the packages of the perceptual judge cannot be installed here; its test is skipped.", flush=True)
    must([*pip, "check"])
    return folder


def docs(arguments: list[str]) -> int:
    """Build the documentation into site/; any warning is an error."""
    code = run([*build_docs(script(docs_environment(), "python")), *arguments])
    if code == 0:
        print(f"dev.py: the documentation begins at {ROOT / 'site' / 'index.html'}", flush=True)
    return code


def screenshots(arguments: list[str]) -> int:
    """Take the screenshots of the documentation, with the standalone server that users get."""
    if sys.version_info[:2] not in PINNED_PYTHONS:
        return hand_over("screenshots", *arguments)
    base = test_environment(".venv-test", A1111, None)
    python = script(test_environment(".venv-test-standalone", STANDALONE, base), "python")
    return run([python, ROOT / "docs" / "screenshots.py", *arguments])


def docs_environment() -> Path:
    """Return the environment that holds mkdocs-material, and nothing of this project."""
    return environment(
        ".venv-docs", DOCS.read_text("utf-8"), [["--no-deps", "-r", str(DOCS)]], size="20 MB (mkdocs-material)"
    )


def build_docs(python: Path) -> list[str | Path]:
    """Return the command that builds the documentation, for the Python of its environment.

    Without ``--quiet``: it would hide warnings from ``--strict``, too.
    """
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # about a version that the pins keep away
    return [python, "-m", "mkdocs", "build", "--strict"]


def hand_over(*arguments: str) -> int:
    """Run this file by a Python that has the pinned torch, where one is found."""
    for major, minor in PINNED_PYTHONS:
        other = shutil.which(f"python{major}.{minor}")
        if other and subprocess.run([other, "-c", ""], capture_output=True, check=False).returncode == 0:
            return run([other, Path(__file__), *arguments])
    sys.exit(
        "dev.py: the tests run on the webui's own versions, and its torch 2.1.2 exists for Python 3.10 and 3.11 only; "
        f"this is {sys.version.split()[0]}. Install one of those and run: python3.11 dev.py test"
    )


def options(arguments: list[str]) -> int:
    """Write the tables of all options into the documentation."""
    return run([sys.executable, "-m", "riffusion_ext.options.document", *arguments])


def main() -> int:
    """Run the command named on the command line."""
    commands = {"demo": demo, "test": test, "options": options, "docs": docs, "screenshots": screenshots}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        print(__doc__)
        return 0 if sys.argv[1:] in (["-h"], ["--help"]) else 2
    return commands[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
