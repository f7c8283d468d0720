"""Page, command line, HTTP API and core accept the same values and have the same defaults."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from riffusion_ext.api import schemas
from riffusion_ext.api.limits import Limits
from riffusion_ext.cli import build_parser
from riffusion_ext.commands.shared.options import UsageError
from riffusion_ext.convert.crop import CROPS, CropSettings
from riffusion_ext.dataset.pipeline import check_settings
from riffusion_ext.dataset.settings import DatasetSettings
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.live.settings import JamSettings
from riffusion_ext.generate.loop import LoopSettings, fit_loop
from riffusion_ext.generate.riff_settings import RiffSettings
from riffusion_ext.generate.score.automation import parse_curve
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.generate.song import SongSettings
from riffusion_ext.options import crop, dataset, live, loop, riff, song
from riffusion_ext.options.option import Option, by_id
from riffusion_ext.ui.layout.page_context import PageContext

Values = Mapping[str, Any]

TABLES: dict[str, dict[str, Option]] = {
    "song": by_id((*song.OPTIONS, song.LEVEL)),
    "riff": by_id((*riff.OPTIONS, riff.LEVEL)),
    "loop": by_id((*loop.OPTIONS, loop.LEVEL)),
    "live": by_id(live.OPTIONS),
}
CASES = [(kind, id_) for kind, table in TABLES.items() for id_ in table]
NUMBERS = [(kind, id_) for kind, id_ in CASES if TABLES[kind][id_].is_number]
FREE = {"batch"}
"""Numbers that the core knows nothing of."""

NARROWER = {("loop", "bars")}
"""Numbers that the core bounds by others: how many bars fit depends on the tempo."""


@dataclass(frozen=True)
class Faces:
    """The three interfaces of a kind of piece beside the core."""

    page: Mapping[str, Any]
    command: Mapping[str, argparse.Action]
    api: Any


def subparsers() -> Mapping[str, argparse.ArgumentParser]:
    (action,) = (item for item in build_parser()._actions if isinstance(item, argparse._SubParsersAction))
    return action.choices


@pytest.fixture(scope="module")
def interfaces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Faces]:
    gr = pytest.importorskip("gradio", exc_type=ImportError)
    from riffusion_ext.ui.fields.live import live_controls
    from riffusion_ext.ui.fields.loop import loop_controls
    from riffusion_ext.ui.fields.riff import riff_controls
    from riffusion_ext.ui.fields.song import song_controls

    folder = tmp_path_factory.mktemp("results")
    layouts: dict[str, Callable[[PageContext], dict[str, Any]]] = {
        "song": song_controls,
        "riff": riff_controls,
        "loop": loop_controls,
        "live": live_controls,
    }
    bodies = {"song": schemas.Song, "riff": schemas.Riff, "loop": schemas.Loop}
    made = {}
    for kind, layout in layouts.items():
        with gr.Blocks(analytics_enabled=False):
            page = layout(PageContext(output_dir=lambda: folder))
        actions = {action.dest: action for action in subparsers()[kind]._actions} if kind in bodies else {}
        made[kind] = Faces(page, actions, bodies.get(kind))
    return made


def properties(body: Any) -> dict[str, Any]:
    """Return the JSON schema of each field of a request body."""
    schema = body.model_json_schema() if hasattr(body, "model_json_schema") else body.schema()
    found: dict[str, Any] = schema["properties"]
    return found


def command_takes(action: argparse.Action, value: float) -> bool:
    """Return whether the command line accepts a number."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=action.type)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            parser.parse_args([f"--x={value:.15g}"])
    except SystemExit:
        return False
    return True


REQUIRED = {
    "song": {"score": "0:05 | a"},
    "riff": {"clip": "x", "prompt": "a"},
    "loop": {"prompt": "a"},
}


def api_takes(kind: str, body: Any, name: str, value: float) -> bool:
    """Return whether the API accepts a number: neither the body's schema nor the limits of the routes refuse it."""
    try:
        read = body(**{**REQUIRED[kind], name: value})
    except ValueError:
        return False
    return name != "steps" or read.steps <= Limits().steps


def core_takes(kind: str, id_: str, value: float) -> bool:
    """Return whether the core accepts a number."""
    try:
        CORE[kind](id_, value)
    except RiffusionError:
        return False
    return True


def _windows(id_: str, value: float) -> dict[str, Any]:
    """Return sizes of windows for which nothing else makes a value invalid."""
    return {"width": {"width": value}.get(id_, 4096), "overlap": {"overlap": value}.get(id_, 16)}


def _song(id_: str, value: float) -> None:
    frame = Keyframe("a", **{id_: value} if id_ in ("seed", "denoise", "cfg") else {}, seconds=5.0)
    Score((frame,), **{id_: value} if id_ in ("bpm", "beats_per_bar", "power") else {})
    own = {id_: value} if id_ in ("steps", "bridge_denoise") else {}
    SongSettings(Score((frame,)), **_windows(id_, value), **own)


def _riff(id_: str, value: float) -> None:
    frame = Keyframe("a", **{id_: value} if id_ == "seed" else {}, seconds=5.0)
    own = {id_: value} if id_ in ("steps", "power", "spread") else {}
    RiffSettings((frame,), **_windows(id_, value), **own)


def _loop(id_: str, value: float) -> None:
    frame = {id_: value} if id_ in ("seed", "denoise", "cfg") else {}
    Keyframe("a", **frame, seconds=5.0)
    if id_ == "bpm":  # as many bars as last four seconds
        fit_loop(max(value, 1.0) / 60, value)
    elif id_ == "beats_per_bar":
        fit_loop(8 / max(value, 1), 120.0, beats_per_bar=int(value))
    LoopSettings("a", **{id_: value} if id_ == "steps" else {})


def _live(id_: str, value: float) -> None:
    JamSettings(**{"prompt": "a", **_windows(id_, value), id_: value})


CORE: dict[str, Callable[[str, float], None]] = {"song": _song, "riff": _riff, "loop": _loop, "live": _live}


def edges(option: Option, step: float) -> list[float]:
    """Return values at the ends of the declared ranges and beyond them."""
    ends = {*option.bounds, *option.page_range}
    return sorted({end + sign * step for end in ends for sign in (-1, 0, 1)})


@pytest.mark.parametrize(("kind", "id_"), NUMBERS)
def test_page_command_api_and_core_accept_the_same_numbers(kind: str, id_: str, interfaces: dict[str, Faces]) -> None:
    option, interface = TABLES[kind][id_], interfaces[kind]
    beyond = float(option.step) if option.is_whole else 0.001
    for value in edges(option, beyond):
        value = round(value, 6)
        whole: Any = int(value) if option.is_whole else value
        declared = option.minimum <= value <= option.maximum
        takes = {"declaration": declared}
        if id_ not in FREE and not ((kind, id_) in NARROWER and not declared):
            takes["core"] = core_takes(kind, id_, whole) if (kind, id_) not in NARROWER else declared
        if "command" in option.interfaces:
            takes["command"] = command_takes(interface.command[id_], value)
        if "api" in option.interfaces:
            takes["api"] = api_takes(kind, interface.api, option.field, whole)
        assert len(set(takes.values())) == 1, (value, takes)


def test_bounds_of_bars_are_reached_at_the_slowest_and_fastest_tempo() -> None:
    low, high = loop.LOOP["bars"].bounds
    fit_loop(low, 20.0, beats_per_bar=16)
    fit_loop(high, 400.0, beats_per_bar=1)
    with pytest.raises(RiffusionError, match="0 bars"):
        fit_loop(0, 120.0)


@pytest.mark.parametrize(("kind", "id_"), NUMBERS)
def test_sliders_of_pages_have_the_declared_range(kind: str, id_: str, interfaces: dict[str, Faces]) -> None:
    option = TABLES[kind][id_]
    low, high = option.page_range
    assert option.minimum <= low < high <= option.maximum
    if "page" not in option.interfaces:
        assert id_ not in interfaces[kind].page
    elif option.kind == "slider":
        shown = interfaces[kind].page[id_]
        assert (shown.minimum, shown.maximum) == (low, high)


@pytest.mark.parametrize(("kind", "id_"), CASES)
def test_page_command_and_api_have_the_same_default(kind: str, id_: str, interfaces: dict[str, Faces]) -> None:
    option, interface = TABLES[kind][id_], interfaces[kind]
    if "page" in option.interfaces:
        assert interface.page[id_].value == option.on_page
    if "command" in option.interfaces:
        assert interface.command[id_].default == option.default
        assert interface.command[id_].option_strings[0] == option.flag
    if "api" in option.interfaces:
        found = properties(interface.api)[option.field]
        assert found.get("default") == (None if option.in_api is ... else option.in_api)
    if id_ in (known := CORE_DEFAULTS[kind]):
        assert known[id_] == option.default


def _defaults(*kinds: Any) -> dict[str, Any]:
    """Return the plain defaults of the core's settings."""
    found = {item.name: item.default for kind in kinds for item in fields(kind)}
    return {name: value for name, value in found.items() if isinstance(value, (bool, int, float, str))}


CORE_DEFAULTS: dict[str, dict[str, Any]] = {
    "song": {**_defaults(Keyframe, Score, SongSettings), "back": False},
    "riff": {name: value for name, value in _defaults(RiffSettings).items() if name != "start"},  # a text elsewhere
    "loop": _defaults(LoopSettings),
    "live": _defaults(JamSettings),
}


@pytest.mark.parametrize(("kind", "id_"), [case for case in CASES if TABLES[case[0]][case[1]].choices])
def test_page_command_and_api_have_the_same_choices(kind: str, id_: str, interfaces: dict[str, Faces]) -> None:
    option, interface = TABLES[kind][id_], interfaces[kind]
    if "page" in option.interfaces:
        shown = interface.page[id_].choices
        assert tuple(item[1] if isinstance(item, tuple) else item for item in shown) == option.offered()
    if "command" in option.interfaces:
        assert tuple(interface.command[id_].choices or ()) == option.choices
    if "api" in option.interfaces:
        assert tuple(properties(interface.api)[option.field]["enum"]) == option.choices


def test_every_field_of_page_command_and_api_is_declared(interfaces: dict[str, Faces]) -> None:
    of_the_sound = {"engine", "format", "preset", "custom", "high_frequencies"}
    of_the_api = {"keyframes", "seed_picture", "mask", "before", "clip", "preview", "save"}
    of_the_api |= {"start", "duration", "batch"}  # seconds, and a batch of one loop
    for kind, interface in interfaces.items():
        declared = set(TABLES[kind])
        assert set(interface.page) - declared - of_the_sound == set()
        if interface.api is not None:
            named = {item.field for item in TABLES[kind].values() if "api" in item.interfaces}
            assert set(properties(interface.api)) - of_the_sound - of_the_api == named - of_the_api


@pytest.mark.parametrize("name", ["denoise", "cfg", "wet"])
def test_riff_values_that_change_over_time_have_bounds(name: str) -> None:
    low, high = {"denoise": (0, 1), "cfg": (1, 30), "wet": (0, 1)}[name]
    values = {item.id: item.default for item in TABLES["riff"].values()} | {"preset": "riffusion-v1", "custom": ""}
    for value, taken in ((low, True), (high, True), (low - 0.1, False), (high + 0.1, False)):
        try:
            riff.settings_of({**values, "prompt": "a", name: f"{value:g}"})
        except RiffusionError:
            assert not taken, value
        else:
            assert taken, value
    assert parse_curve(str(riff.RIFF[name].default), name=name, low=low, high=high)


# --- training sets ---------------------------------------------------------------------------------------------------

SET_NUMBERS = [item.id for item in dataset.OPTIONS if item.is_number]


@pytest.fixture(scope="module")
def set_page() -> dict[str, Any]:
    gr = pytest.importorskip("gradio", exc_type=ImportError)
    from riffusion_ext.ui.fields.training import training_controls

    with gr.Blocks(analytics_enabled=False):
        return training_controls()


def set_command_takes(option: Option, value: float) -> bool:
    """Return whether the command ``dataset`` accepts a number."""
    from riffusion_ext.commands.dataset import settings_of

    try:
        settings_of(subparsers()["dataset"].parse_args(["songs", "out", f"{option.flag}={value:.15g}"]))
    except UsageError:
        return False
    return True


def set_core_takes(id_: str, value: float) -> bool:
    """Return whether the core accepts a number for a training set."""
    try:
        check_settings(dataset.settings_of({id_: value}))
    except RiffusionError:
        return False
    return True


@pytest.mark.parametrize("id_", SET_NUMBERS)
def test_page_command_api_and_core_accept_the_same_training_set_numbers(id_: str) -> None:
    option = dataset.DATASET[id_]
    for value in edges(replace(option, page_bounds=None), 1.0 if option.is_whole else 0.001):
        number: Any = int(value) if option.is_whole else round(value, 6)
        takes = {"declaration": option.minimum <= number <= option.maximum}
        takes |= {"core": set_core_takes(id_, number), "command": set_command_takes(option, number)}
        if "api" in option.interfaces:
            try:
                schemas.Dataset(**{"clips": ["a"], option.field: number})
                takes["api"] = True
            except ValueError:
                takes["api"] = False
        assert len(set(takes.values())) == 1, (number, takes)


@pytest.mark.parametrize("option", dataset.OPTIONS, ids=lambda option: option.id)
def test_page_command_and_api_have_the_same_training_set_defaults(option: Option, set_page: dict[str, Any]) -> None:
    if "page" in option.interfaces:
        assert set_page[option.id].value == option.on_page
    if "page" in option.interfaces and option.kind == "slider":
        assert (set_page[option.id].minimum, set_page[option.id].maximum) == option.page_range
    if "command" in option.interfaces:
        (action,) = (item for item in subparsers()["dataset"]._actions if option.flag in item.option_strings)
        assert action.default == option.default
        assert tuple(action.choices or ()) == option.choices
    if "api" in option.interfaces:
        found = properties(schemas.Dataset)[option.field]
        assert found.get("default") == option.in_api


def test_omitted_training_options_have_the_defaults_of_the_core(set_page: dict[str, Any]) -> None:
    shown = {name: item.value for name, item in set_page.items()}
    declared = {item.id: item.default for item in dataset.OPTIONS if item.interfaces != ("page",)}
    declared |= {id_: tuple(declared[id_]) for id_ in ("stems", "formats")}
    assert dataset.settings_of({}) == dataset.settings_of(declared) == DatasetSettings()
    assert dataset.settings_of(dataset.page_values(shown)) == DatasetSettings()


# --- cutting ---------------------------------------------------------------------------------------------------------


def test_crop_options_lie_within_the_range_of_the_core() -> None:
    assert crop.crop_settings({}) == CropSettings()
    for item in crop.CROP_CONTROLS:
        if not item.is_number:
            assert item.choices == CROPS
            continue
        for value in item.bounds:
            crop.crop_settings({item.id: value})
