"""Install the small packages that a webui may lack. The webui runs this file at every start.

All extensions share the webui's environment, and a wrong version of torch or numpy can keep the webui from starting.
So this file can install five packages and no others: soundfile with its dependencies cffi and pycparser, for FLAC, OGG
and MP3; joblib, for parallel processes; tinytag, for the tags of songs. They are installed by name, without
dependencies, from wheels; installed packages are never changed; and the versions of all other packages are compared
before and after. On any error, the webui starts anyway, and the extension works without them.

If nothing is missing, it prints nothing. To skip installation, start the webui with ``--skip-install`` or set
``RIFFUSION_SKIP_INSTALL=1``. Standard library only.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple

CLOSED_LIST: Mapping[str, str] = {
    "soundfile": "soundfile>=0.12,<1",
    "cffi": "cffi>=1.15,<3",
    "pycparser": "pycparser>=2.20,<4",
    "joblib": "joblib>=1.4,<1.6",  # 1.6 does not import without cloudpickle, which is not on this list
    "tinytag": "tinytag>=2,<3",
}
"""Import name, which is also the name of the distribution -> requirement for pip. Nothing else is installed."""


class Purpose(NamedTuple):
    """Packages for one purpose. Each group is installed on its own, so that its failure does not affect the others.

    Attributes
    ----------
    names
        Names in the closed list.
    gain
        What the packages are for.
    loss
        What does not work without them.
    """

    names: tuple[str, ...]
    gain: str
    loss: str


PURPOSES = (
    Purpose(("soundfile", "cffi", "pycparser"), "to write FLAC, OGG and MP3", "only WAV files can be written"),
    Purpose(("joblib",), "to work on several songs at once", "songs become training sets one after the other"),
    Purpose(("tinytag",), "to read the tags of songs", "captions miss BPM and key, and all tags of M4A and WMA files"),
)

PIP_TIMEOUT = 300
"""Seconds after which installation is aborted, so that the webui starts even without a network."""

# Settings of pip that would install more, or elsewhere. Proxies, mirrors and certificates stay in effect.
_UNWANTED_PIP_SETTINGS = (
    "PIP_EDITABLE",
    "PIP_FORCE_REINSTALL",
    "PIP_IGNORE_INSTALLED",
    "PIP_NO_BINARY",
    "PIP_PREFIX",
    "PIP_REQUIREMENT",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_UPGRADE",
    "PIP_USER",
)


def missing() -> list[str]:
    """Return the names of the closed list that cannot be imported."""
    return [name for name in CLOSED_LIST if importlib.util.find_spec(name) is None]


def is_skipped() -> bool:
    """Whether the user has disabled installation."""
    if os.environ.get("RIFFUSION_SKIP_INSTALL", "").strip().lower() not in ("", "0", "false", "no"):
        return True
    # The webui's own module, if this runs inside its process. It is not imported here, as that would parse the command
    # line and read files. In a process of its own, the flag is in COMMANDLINE_ARGS.
    launch_args = getattr(sys.modules.get("launch"), "args", None)
    if getattr(launch_args, "skip_install", False):
        return True
    return "--skip-install" in [*sys.argv[1:], *_split_words(os.environ.get("COMMANDLINE_ARGS", ""))]


def _split_words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an unbalanced quote
        return line.split()


def snapshot() -> dict[str, str]:
    """Return the versions of all installed distributions by name, as a new process would see them."""
    importlib.invalidate_caches()
    versions: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        try:
            name, version = distribution.metadata["Name"], distribution.version
        except Exception:  # remains of a partly removed package
            continue
        if name:
            versions.setdefault(re.sub(r"[-_.]+", "-", str(name)).lower(), str(version))
    return versions


def version_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return one line for each distribution outside the closed list that was added, removed or changed its version."""
    names = sorted((before.keys() | after.keys()) - CLOSED_LIST.keys())
    return [
        f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def pip_command(names: list[str]) -> list[str]:
    """Return the pip command that installs names of the closed list.

    Raises
    ------
    ValueError
        A name is not on the closed list.
    """
    for name in names:
        if name not in CLOSED_LIST:
            raise ValueError(f"{name!r} is not one of {', '.join(CLOSED_LIST)}")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--prefer-binary"]
    index_url = os.environ.get("INDEX_URL", "")  # the webui's own variable for a mirror
    if index_url:
        command += ["--index-url", index_url]
    return command + [CLOSED_LIST[name] for name in names]


def _run_pip(command: list[str], seconds: float) -> str:
    """Run pip; return the reason if it failed, or an empty string."""
    environment = {key: value for key, value in os.environ.items() if key not in _UNWANTED_PIP_SETTINGS}
    try:
        result = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"pip did not finish in {PIP_TIMEOUT} s"
    except OSError as error:
        return f"pip could not be started: {error}"
    if result.returncode == 0:
        return ""
    lines = [line.strip() for line in (result.stdout or "").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or [f"pip ended with code {result.returncode}"])[-1]


def _by_purpose(names: list[str]) -> list[tuple[Purpose, list[str]]]:
    """Return the purposes for which some of these names are missing, with those names."""
    lacking = [(purpose, [name for name in purpose.names if name in names]) for purpose in PURPOSES]
    return [(purpose, needed) for purpose, needed in lacking if needed]


def install() -> None:
    """Install missing packages, and print one line with the outcome for each purpose."""
    lacking = _by_purpose(missing())
    if not lacking:
        return
    if is_skipped():
        for purpose, names in lacking:
            _say(f"{', '.join(names)} not installed, as asked: {purpose.loss}.")
        return
    before = snapshot()
    deadline = time.monotonic() + PIP_TIMEOUT
    problems = [_run_pip(pip_command(names), max(deadline - time.monotonic(), 1)) for _, names in lacking]
    after = snapshot()
    for (purpose, names), problem in zip(lacking, problems, strict=True):
        if problem:
            _say(f"{', '.join(names)} could not be installed ({problem}): {purpose.loss}.")
        else:
            installed = ", ".join(f"{name} {after.get(name, '')}".strip() for name in names)
            _say(f"installed {installed}, {purpose.gain}.")
    changes = version_changes(before, after)
    if changes:
        _say("WARNING! While this ran, packages changed that it never asks for:")
        for change in changes:
            _say(f"  {change}")
        _say("Another program may be installing at the same time. Please report this if it was not.")


def _say(sentence: str) -> None:
    # Standard output, not standard error: if a script succeeds, the webui shows only the former.
    print(f"Riffusion: {sentence}".encode("ascii", "replace").decode("ascii"), flush=True)


def main() -> None:
    """Install missing packages; never raise, so that nothing here can keep the webui from starting."""
    try:
        install()
    except BaseException as error:  # including Ctrl+C during pip and a broken standard library
        try:
            _say(f"the check for its packages failed ({type(error).__name__}: {error}). It may have to do without.")
        except BaseException:
            return


if __name__ == "__main__":
    main()
