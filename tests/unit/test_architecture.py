"""Rules on imports between packages, checked by reading the imports of every file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "riffusion_ext"
SKIPPED = {".git", "build", "dist", "node_modules", "__pycache__", "riffusion-demo", "site"}
TEXT = {".py", ".md", ".txt", ".toml", ".ini", ".json", ".js", ".mjs", ".css", ".sh", ".yml", ".yaml", ".cfg", ""}


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Yield the files of the repository, without environments, caches and ignored files."""
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name != ".ci"
        if path.is_symlink():
            continue
        if path.is_dir():
            if not hidden and path.name not in SKIPPED and not path.name.endswith(".egg-info"):
                yield from files(path)
        elif path.suffix in TEXT:
            yield path


SOURCES = [path for path in files() if path.suffix == ".py"]
PACKAGE_SOURCES = [path for path in SOURCES if path.is_relative_to(PACKAGE)]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """Return each absolute module name a file imports, and whether that happens as soon as the file is imported."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    tree = ast.parse(path.read_text("utf-8"), str(path))
    deferred = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or is_type_checking(outer)
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        at_once = id(node) not in deferred
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(path, node)
            yield base, at_once
            yield from ((f"{base}.{alias.name}", at_once) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            if called in {"importlib.import_module", "import_module", "__import__", "pytest.importorskip"}:
                yield str(node.args[0].value), at_once


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = path.relative_to(ROOT).with_suffix("").parts[: -node.level]
    return ".".join([*parts, node.module] if node.module else parts)


def importers(*packages: str, at_once: bool = False) -> set[str]:
    """Return the files of the package and of scripts/ that import any of these packages (or only: at import time)."""
    sources = [*PACKAGE_SOURCES, *(path for path in SOURCES if path.parent == ROOT / "scripts")]
    return {
        name(path)
        for path in sources
        for module, now in imports(path)
        if module.partition(".")[0] in packages and (now or not at_once)
    }


def outside(found: set[str], *allowed: str) -> list[str]:
    return sorted(path for path in found if not path.startswith(allowed))


def test_only_host_imports_the_webui() -> None:
    webui = ("modules", "modules_forge", "backend", "ldm_patched", "ldm", "launch", "webui", "k_diffusion")
    assert outside(importers(*webui), "riffusion_ext/host/") == []


def test_only_ui_imports_gradio() -> None:
    assert outside(importers("gradio", "gradio_client"), "riffusion_ext/ui/") == []


def test_only_api_imports_fastapi() -> None:
    assert outside(importers("fastapi", "starlette", "uvicorn", "pydantic"), "riffusion_ext/api/") == []


def test_torchaudio_is_never_needed_to_import_anything() -> None:
    assert importers("torchaudio", at_once=True) == set()


def test_only_one_module_needs_numba_and_it_is_imported_by_name() -> None:
    compiled = "riffusion_ext/spectrogram/inversion/compiled.py"
    assert importers("numba") == {compiled}
    at_once = {module for path in PACKAGE_SOURCES for module, now in imports(path) if now}
    assert "riffusion_ext.spectrogram.inversion.compiled" not in at_once


@pytest.mark.parametrize("package", ["librosa", "pydub", "matplotlib", "cv2", "requests"])
def test_packages_missing_from_some_host_are_not_imported(package: str) -> None:
    assert importers(package) == set()


LAYERS = (
    {"ground"},
    {"audio"},
    {"bandwidth"},
    {"spectrogram", "analysis"},
    {"convert", "generate", "demo"},
    {"dataset"},
    {"options"},
    {"services"},
    {"api"},
    {"ui"},
    {"host", "commands"},
    {"cli"},
)
"""Packages from the lowest to the highest. One may import those of the layers below it, and itself."""

FLOOR = {"files", "params", "validation"}
"""Packages of the ground floor, beside the modules that lie in the package itself."""

MOST_MODULES = 15


def package_of(module: str) -> str:
    """Name the package of a module, as in LAYERS."""
    parts = module.split(".")
    if len(parts) == 2 and parts[1] in ("cli", "__main__"):
        return "cli"
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() and parts[1] not in FLOOR else "ground"


@cache
def graph() -> dict[str, set[str]]:
    """Return the modules of the package that each of them imports, including inside functions and for type checking."""
    modules = {dotted(path) for path in PACKAGE_SOURCES}
    return {
        dotted(path): {found for found, _ in imports(path) if found in modules} - {dotted(path)}
        for path in PACKAGE_SOURCES
        if path.name != "__init__.py"
    }


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_no_package_imports_one_above_it() -> None:
    level = {package: number for number, layer in enumerate(LAYERS) for package in layer}
    upward = [
        f"{module} -> {other}"
        for module, found in graph().items()
        for other in sorted(found)
        if package_of(other) != package_of(module) and level[package_of(other)] >= level[package_of(module)]
    ]
    assert upward == []


def test_every_package_has_a_layer() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - FLOOR
    assert packages == set().union(*LAYERS) - {"ground", "cli"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    circle = find_circle(graph())
    assert circle is None, " -> ".join(circle)


def find_circle(arrows: dict[str, set[str]]) -> list[str] | None:
    """Return the modules of an import circle, with the first one repeated at the end, or None."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str] | None:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return None
        for other in sorted(arrows.get(module, ())):
            if found := visit(other, [*path, module]):
                return found
        done.add(module)
        return None

    return next((found for module in sorted(arrows) if (found := visit(module, []))), None)


def test_import_circle_is_found_with_its_chain() -> None:
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_commands_and_routes_import_no_page() -> None:
    guilty = [
        f"{module} -> {other}"
        for module, found in graph().items()
        if package_of(module) in ("commands", "api")
        for other in sorted(found)
        if other.startswith("riffusion_ext.ui.pages")
    ]
    assert guilty == []


CORE = {"spectrogram", "audio", "bandwidth", "analysis", "generate", "dataset", "convert"}
ABOVE_THE_CORE = {"options", "services", "ui", "api", "commands", "host", "cli"}


def test_core_imports_none_of_the_packages_above_it() -> None:
    guilty = [
        f"{module} -> {other}"
        for module, found in graph().items()
        if package_of(module) in CORE
        for other in sorted(found)
        if package_of(other) in ABOVE_THE_CORE
    ]
    assert guilty == []


def test_commands_import_from_ui_only_the_app() -> None:
    guilty = [
        f"{module} -> {other}"
        for module, found in graph().items()
        if package_of(module) == "commands"
        for other in sorted(found)
        if package_of(other) == "ui" and (module, other) != ("riffusion_ext.commands.ui", "riffusion_ext.ui.app")
    ]
    assert guilty == []


def test_number_of_modules_per_package_is_limited() -> None:
    folders = {path.parent for path in PACKAGE_SOURCES}
    counts = {
        name(folder): len([path for path in folder.glob("*.py") if path.stem != "__init__"]) for folder in folders
    }
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_players_need_no_gradio() -> None:
    quiet = {"riffusion_ext/ui/__init__.py", "riffusion_ext/ui/players.py"}
    assert importers("gradio") & quiet == set()


def loaded_after(statement: str) -> set[str]:
    """Return the top-level packages in sys.modules after a statement, in a process of its own."""
    probe = f"{statement}\nimport sys\nprint(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import riffusion_ext",
        "from riffusion_ext.cli import build_parser\nbuild_parser().format_help()",
        "\n".join(f"import {dotted(path)}" for path in sorted((PACKAGE / "options").glob("*.py"))),
    ],
)
def test_importing_the_package_and_building_the_parser_load_no_heavy_package(statement: str) -> None:
    heavy = {"torch", "torchaudio", "gradio", "fastapi", "scipy", "soundfile", "joblib", "tinytag"}
    assert loaded_after(statement) & heavy == set()


def test_webui_script_is_a_few_lines_and_defines_nothing() -> None:
    """The webui runs it again at every Reload UI and registers each Script class in its namespace."""
    path = ROOT / "scripts" / "riffusion.py"
    text = path.read_text("utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) <= 20
    assert [name(other) for other in (ROOT / "scripts").glob("*.py")] == ["scripts/riffusion.py"]
    assert "from __future__" not in text
    tree = ast.parse(text)
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    ours = {module for module, _ in imports(path) if module.startswith("riffusion_ext.")}
    assert all(module.startswith("riffusion_ext.host") for module in ours)


def test_top_level_names_cannot_clash_with_other_extensions() -> None:
    """Forge leaves the extension's folder on sys.path, beside those of all other extensions."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= {"riffusion_ext", "bench", "training"}  # the last two are run from the checkout only
    assert importers("bench", "training", "tests") == set()
    assert {path.stem for path in ROOT.glob("*.py")} == {"install", "preload", "dev"}
    assert not (ROOT / "utils").exists()


def test_user_files_are_opened_only_through_the_check_for_regular_files() -> None:
    """Opening a named pipe called x.wav would block; riffusion_ext.files.regular checks first."""
    own = {  # files written by the program under its own names, or installed with it
        *("riffusion_ext/api/", "riffusion_ext/generate/live/chunk_store.py", "riffusion_ext/ui/app.py"),
        *("riffusion_ext/ui/pages/audio_to_images.py", "riffusion_ext/ui/layout/resume_state.py"),
        "riffusion_ext/options/document.py",
        "riffusion_ext/audio/workload.py",  # the system's memory information
        "riffusion_ext/bandwidth/weights.py",
    }
    guilty = {
        name(path)
        for path in PACKAGE_SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and _opens(node)
    }
    assert outside(guilty, *own) == []


def _opens(node: ast.Call) -> bool:
    """Return whether a call opens a file by its name for reading."""
    called, first = ast.unparse(node.func), ast.unparse(node.args[0]) if node.args else ""
    if called.endswith((".read_bytes", ".read_text")) or called == "open":
        return True
    if called == "Image.open":
        return first not in ("file", "content") and not first.startswith("io.BytesIO(")
    return called.endswith(".open") and first == "'rb'"


def test_foreign_json_and_numbers_are_parsed_by_one_function_each() -> None:
    """See riffusion_ext.validation.json_text, which raises a RiffusionError where json.loads raises RecursionError."""
    calls = {
        (name(path), ast.unparse(node.args[0]))
        for path in PACKAGE_SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("json.loads", "json.load")
    }
    own = {"self.plan.to_json()", "text", "json.dumps({'settings': to_record(requested), 'pictures': identities})"}
    places = (
        "riffusion_ext/validation/json_text.py",
        "riffusion_ext/generate/checkpoint/runner.py",
        "riffusion_ext/commands/shared/generation.py",
    )
    others = {path for path, what in calls if path not in places or what not in own}
    assert outside(others, "riffusion_ext/api/") == []


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_every_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_no_file_mentions_the_machine_it_was_written_on() -> None:
    # "/home/me" in an example is fine; a folder of a particular machine is not.
    here = re.compile(r"(?<![\w.:/~}>*-])/(?:srv|work|root|mnt)/|/\.pyenv/|/home/(?!me\b|you\b|user\b)\w")
    found = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if here.search(line) and path != Path(__file__).resolve()
    ]
    assert found == []


def test_no_file_contains_todo_marks() -> None:
    marks = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
    others = [path for path in SOURCES if path != Path(__file__).resolve()]
    found = [name(path) for path in others if marks.search(path.read_text("utf-8"))]
    assert found == []
