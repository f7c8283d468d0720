"""The files that determine what is installed agree with each other."""

from __future__ import annotations

import configparser
import importlib
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import install
import riffusion_ext

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
_FILE = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT, TOOL = _FILE["project"], _FILE["tool"]
FILES = ("a1111", "forge", "standalone")


def pins(file: str) -> dict[str, Requirement]:
    lines = (ROOT / "requirements" / f"{file}.txt").read_text("utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert len({canonicalize_name(pin.name) for pin in found}) == len(found), "a package is named twice"
    return {canonicalize_name(pin.name): pin for pin in found}


def version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    return specifier.version


@pytest.mark.parametrize("file", [*FILES, "docs", "bench"])
def test_every_line_pins_one_version_of_one_package(file: str) -> None:
    for pin in pins(file).values():
        (specifier,) = pin.specifier
        assert specifier.operator == "=="
        assert not pin.url
        assert re.fullmatch(r"\d+(\.\d+)+", specifier.version), f"{pin}: only releases from the registry"


def test_pins_equal_those_of_the_hosts() -> None:
    hosts = {
        "a1111": {"torch": "2.1.2", "torchaudio": "2.1.2", "gradio": "3.41.2", "numpy": "1.26.2", "pillow": "9.5.0"},
        "forge": {"gradio": "4.40.0", "pydantic": "2.8.2", "fastapi": "0.104.1", "numpy": "1.26.2", "pillow": "9.5.0"},
    }
    hosts["standalone"] = {name: hosts["a1111"][name] for name in ("torch", "torchaudio", "numpy")}
    for file, expected in hosts.items():
        found = pins(file)
        assert {name: version(found[name]) for name in expected} == expected


@pytest.mark.parametrize("file", FILES)
def test_platform_specific_pins_have_environment_markers(file: str) -> None:
    elsewhere = {"platform_system": "Darwin", "platform_machine": "arm64", "python_version": "3.11"}
    linux_only = {name for name, pin in pins(file).items() if pin.marker and not pin.marker.evaluate(elsewhere)}
    assert {name for name in pins(file) if name.startswith(("nvidia-", "triton"))} <= linux_only
    assert {"exceptiongroup", "tomli"} <= linux_only


@pytest.mark.parametrize("file", FILES)
def test_project_ranges_contain_the_pins(file: str) -> None:
    found = pins(file)
    extras = PROJECT["optional-dependencies"]
    ui = extras["ui"] if file == "standalone" else []  # a webui has its own gradio
    ranges = [Requirement(text) for text in [*PROJECT["dependencies"], *ui, *extras["cluster"], *extras["test"]]]
    for wanted in ranges:
        assert wanted.specifier.contains(version(found[canonicalize_name(wanted.name)])), wanted


def test_perceptual_judge_has_the_same_pins_with_and_without_the_tests() -> None:
    found = pins("bench")
    for wanted in map(Requirement, PROJECT["optional-dependencies"]["bench"]):
        assert wanted.specifier == found[canonicalize_name(wanted.name)].specifier, wanted


@pytest.mark.parametrize("file", FILES)
def test_closed_list_ranges_contain_the_pins(file: str) -> None:
    """Each range in install.py lies within the project's, and the tests run with a version in it."""
    asked = {canonicalize_name(wanted.name): wanted for wanted in map(Requirement, install.CLOSED_LIST.values())}
    of_project = {canonicalize_name(wanted.name): wanted for wanted in map(Requirement, PROJECT["dependencies"])}
    assert asked.keys() - of_project.keys() == {"cffi", "pycparser"}
    for name, wanted in asked.items():
        pinned = version(pins(file)[name])
        assert of_project.get(name, wanted).specifier.contains(pinned)
        # Forge has a newer joblib, and the package which that needs.
        assert wanted.specifier.contains(pinned) or (file, name) == ("forge", "joblib"), wanted
    assert not asked["joblib"].specifier.contains("1.6.0")
    assert "cloudpickle" in pins("forge")


def test_packages_installed_without_dependencies_need_none() -> None:
    """install.py leaves dependencies out: outside the closed list there must be none."""
    names = {canonicalize_name(name) for name in install.CLOSED_LIST}
    for name in names:
        here = importlib.metadata.distribution(name)
        if Requirement(install.CLOSED_LIST[name]).specifier.contains(here.version):
            needs = [Requirement(text) for text in here.requires or []]
            needed = {canonicalize_name(r.name) for r in needs if r.marker is None or r.marker.evaluate({"extra": ""})}
            # soundfile requires these two, which every webui has.
            assert needed - names <= {"numpy", "typing-extensions"}, name


def test_console_script_is_callable() -> None:
    module, _, function = PROJECT["scripts"]["riffusion-ext"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_data_files_of_the_package_are_installed() -> None:
    declared = {
        (ROOT / package.replace(".", "/") / pattern).resolve()
        for package, patterns in TOOL["setuptools"]["package-data"].items()
        for pattern in patterns
    }
    found = {path for path in (ROOT / "riffusion_ext").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.resolve() for path in found if path.suffix not in {".py", ".pyc"}} == declared


def test_changelog_lists_the_version() -> None:
    assert f"## [{riffusion_ext.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_webui_can_read_the_metadata() -> None:
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "metadata.ini", "utf-8")
    assert metadata["Extension"]["Name"] == "riffusion"


def test_citation_lists_the_version() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {riffusion_ext.__version__}\n" in text


def test_filelock_is_installed_by_torch_and_not_by_the_extension() -> None:
    needs = [Requirement(text) for text in importlib.metadata.distribution("torch").requires or []]
    assert "filelock" in {canonicalize_name(need.name) for need in needs if need.marker is None}
    assert "filelock" not in install.CLOSED_LIST


def test_pre_commit_uses_the_pinned_ruff() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    found = re.findall(r"ruff==([\d.]+)", text)
    assert found == [version(pins("a1111")["ruff"])] * 2
