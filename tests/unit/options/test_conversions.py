"""Conversions, server and webui settings: every interface has the declared names, defaults and bounds."""

from __future__ import annotations

import argparse
import ast
import math
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from riffusion_ext.analysis.image_beats import BeatFinder
from riffusion_ext.api import schemas
from riffusion_ext.audio import SUBTYPES, AudioClip
from riffusion_ext.convert import sounds_to_images
from riffusion_ext.convert.crop import CropSettings
from riffusion_ext.convert.to_images import MAX_WIDTHS
from riffusion_ext.errors import RiffusionError
from riffusion_ext.host import settings
from riffusion_ext.options import crop, dataset, server, webui
from riffusion_ext.options.convert import sampling, to_audio, to_images
from riffusion_ext.options.option import Option
from riffusion_ext.params import PRESETS
from riffusion_ext.spectrogram.codec import audio_to_images
from riffusion_ext.ui.layout.page_context import PageContext
from tests.unit.options.test_four_interfaces import command_takes, properties, subparsers

PACKAGE = Path(settings.__file__).resolve().parents[1]

_ONE_FILE = ("num_clips_per_file", "glob", "limit", "num_threads")

COMMANDS: dict[str, Sequence[Option]] = {
    "audio-to-image": to_images.OPTIONS,
    "audio-to-images-batch": to_images.BATCH_OPTIONS,
    "image-to-audio": (*to_audio.OPTIONS, to_audio.JOIN),
    "images-to-audio": (*to_audio.EACH_OR_JOINED, *to_audio.OPTIONS, *crop.CROP_CONTROLS),
    "sample-clips": [item for item in sampling.OPTIONS if item.id not in _ONE_FILE],
    "sample-clips-batch": [item for item in sampling.OPTIONS if item.id != "num_clips"],
    "ui": server.OPTIONS,
    "dataset": dataset.RUN_OPTIONS,
    "song": [to_audio.BITS],
    "riff": [to_audio.BITS],
    "loop": [to_audio.BITS],
}
CASES = [
    (name, item)
    for name, options in COMMANDS.items()
    for item in options
    if "command" in item.interfaces and not (name == "audio-to-image" and item.id == "custom")
]
CHECKED_LATER = {"dataset"}
"""Commands that check their numbers before the work, not while they read them."""

OTHER_DEFAULTS: dict[tuple[str, str], Any] = {
    ("audio-to-image", "format"): None,  # or the ending of the image's name
    ("audio-to-image", "columns"): None,  # without tiles
    ("image-to-audio", "crossfade"): None,  # given, it means to join
    ("images-to-audio", "each"): None,
    ("images-to-audio", "join"): None,
    ("sample-clips-batch", "extension"): "mp3",  # as in the original
}


def named(case: Any) -> str:
    return case.id if isinstance(case, Option) else str(case)


def action_of(command: str, item: Option) -> argparse.Action:
    (found,) = (action for action in subparsers()[command]._actions if item.flag in action.option_strings)
    return found


def edges(item: Option) -> list[float]:
    """Return values at the ends of a range and beyond them, or extreme values without a range."""
    step = 1.0 if item.is_whole else 0.001
    ends = [end for end in item.bounds if math.isfinite(end)]
    far = [-(10.0**9)] * math.isinf(item.minimum) + [10.0**9] * math.isinf(item.maximum)
    return sorted({round(end + sign * step, 6) for end in ends for sign in (-1, 0, 1)} | set(far))


# --- command line ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "item"), CASES, ids=named)
def test_command_has_the_declared_defaults_and_choices(command: str, item: Option) -> None:
    action = action_of(command, item)
    assert action.default == OTHER_DEFAULTS.get((command, item.id), item.default)
    assert tuple(action.choices or ()) == item.choices


@pytest.mark.parametrize(
    ("command", "item"),
    [(name, item) for name, item in CASES if item.is_number and name not in CHECKED_LATER],
    ids=named,
)
def test_command_accepts_the_declared_range(command: str, item: Option) -> None:
    action = action_of(command, item)
    for value in edges(item):
        assert command_takes(action, value) == (item.minimum <= value <= item.maximum), value
    assert not command_takes(action, math.nan)
    assert not command_takes(action, math.inf)
    if item.is_whole:
        assert not command_takes(action, 5.5)


def test_large_seeds_are_parsed_exactly() -> None:
    args = subparsers()["image-to-audio"].parse_args(["--image", "a.png", "--seed", "9007199254740993"])
    assert args.seed == 9007199254740993


@pytest.mark.parametrize("item", dataset.RUN_OPTIONS, ids=named)
def test_training_set_options_have_the_declared_bounds(item: Option) -> None:
    from riffusion_ext.commands.dataset import settings_of
    from riffusion_ext.commands.shared.options import UsageError

    parse = subparsers()["dataset"].parse_args
    settings_of(parse(["songs", "out", f"{item.flag}={item.minimum:g}"]))
    with pytest.raises(UsageError, match=item.range_text):
        settings_of(parse(["songs", "out", f"{item.flag}={item.minimum - 1:g}"]))


FILES = {"audio", "image", "audio_dir", "output_dir", "preview"}
ALL_HAVE = {"help", "json", "quiet", "verbose", "overwrite", "skip_existing", "device", "stereo", "preset"}
OF_THE_SOUND = {"format", "engine", "level", "channels", "high_frequencies"}
WHO_MAY_COME_IN = {"auth", "api_auth", "allow_host", "allow_origin", "webui"}


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("dataset", "song", "riff", "loop")])
def test_every_option_of_a_command_is_declared(command: str) -> None:
    declared = {item.flag for item in COMMANDS[command]}
    apart = FILES | ALL_HAVE | OF_THE_SOUND | WHO_MAY_COME_IN | set(PRESETS["riffusion-v1"].__dataclass_fields__)
    for action in subparsers()[command]._actions:
        assert action.dest in apart or action.option_strings[0] in declared, action.dest


def calls(folder: str, *names: str) -> list[tuple[str, ast.Call]]:
    """Return the calls of functions by their names in the sources below a folder of the package."""
    found = []
    for path in sorted((PACKAGE / folder).rglob("*.py")) if (PACKAGE / folder).is_dir() else [PACKAGE / folder]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in names:
                found.append((f"{path.name}:{node.lineno}", node))
    return found


def holds_numbers(node: ast.expr) -> bool:
    """Whether a number or a list of texts is written out here."""
    return any(
        isinstance(part, ast.List | ast.Tuple)
        or (isinstance(part, ast.Constant) and isinstance(part.value, int | float) and part.value not in (True, False))
        for part in ast.walk(node)
    )


def test_commands_write_no_numbers_and_choices_by_hand() -> None:
    found = [
        where
        for where, call in calls("commands", "add_argument")
        for word in call.keywords
        if (word.arg == "choices" and holds_numbers(word.value))
        or (word.arg == "default" and isinstance(word.value, ast.Constant) and holds_numbers(word.value))
        or (word.arg == "type" and ast.unparse(word.value) in ("int", "float"))
    ]
    assert found == []


# --- HTTP API --------------------------------------------------------------------------------------------------------


def test_request_bodies_write_no_bounds_by_hand() -> None:
    found = [
        f"{where}: {word.arg}"
        for where, call in calls("api", "Field")
        for word in call.keywords
        if word.arg in ("ge", "le", "gt", "lt", "max_length", "min_length") and holds_numbers(word.value)
    ]
    assert found == []
    assert [where for where, call in calls("api/compat", "_number") if any(map(_is_bound, call.args[3:]))] == []


def _is_bound(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value != 0  # values below 1 mean 1


@pytest.mark.parametrize(
    "id_", [item.id for item in to_images.OPTIONS if "api" in item.interfaces and item.id != "custom"]
)
def test_request_bodies_have_the_declared_fields(id_: str) -> None:
    item = to_images.TO_IMAGES[id_]
    found = properties(schemas.AudioToImages)[item.field]
    assert found["default"] == item.in_api
    if item.choices:
        assert tuple(found["enum"]) == item.choices
        return
    for value in edges(item):
        try:
            schemas.AudioToImages(**{item.field: int(value)})
        except ValueError:
            assert not item.minimum <= value <= item.maximum, value
        else:
            assert item.minimum <= value <= item.maximum, value


def test_preset_text_has_the_declared_maximum_length() -> None:
    max_length = to_images.PRESET_TEXT.max_length
    assert max_length is not None
    for body in (schemas.AudioToImages, schemas.ImageToAudio):
        body(preset="a" * max_length)
        with pytest.raises(ValueError, match="preset"):
            body(preset="a" * (max_length + 1))


# --- pages -----------------------------------------------------------------------------------------------------------


def blocks_of(page: Any, folder: Path) -> dict[str, Any]:
    gr = pytest.importorskip("gradio", exc_type=ImportError)
    with gr.Blocks(analytics_enabled=False) as built:
        page.build_page(PageContext(output_dir=lambda: folder))
    return {block.elem_id: block for block in built.blocks.values() if getattr(block, "elem_id", None)}


def check_shown(shown: Any, item: Option, choices: Sequence[str]) -> None:
    assert (shown.label, shown.info) == (item.label, item.page_hint)
    assert shown.value == item.on_page
    if item.choices:
        assert [pair[1] if isinstance(pair, tuple) else pair for pair in shown.choices] == list(choices)
    if item.kind == "slider":
        assert (shown.minimum, shown.maximum) == item.page_range
        assert item.minimum <= item.page_range[0] < item.page_range[1] <= item.maximum
    if item.kind == "text":
        assert shown.placeholder == item.placeholder


def test_audio_to_images_page_shows_the_declared_options(tmp_path: Path) -> None:
    from riffusion_ext.ui.pages import audio_to_images

    shown = blocks_of(audio_to_images, tmp_path)
    for item in to_images.OPTIONS:
        if "page" in item.interfaces:
            name = {"tile_level": "scale"}.get(item.id, item.id)
            choices = tuple(to_images.LEVEL_LABELS) if item.id == "tile_level" else item.choices
            check_shown(shown[f"riffusion_songs_{name}"], item, choices)
    assert tuple(to_images.LEVEL_LABELS.values()) == to_images.TO_IMAGES["tile_level"].choices


def test_images_to_audio_page_shows_the_declared_options(tmp_path: Path) -> None:
    from riffusion_ext.ui.pages import images_to_audio

    shown = blocks_of(images_to_audio, tmp_path)
    for item in (*to_audio.EACH_OR_JOINED, *to_audio.OPTIONS, *crop.CROP_CONTROLS):
        if "page" in item.interfaces:
            check_shown(shown[f"riffusion_pictures_{item.id}"], item, item.choices)


def test_conversion_pages_build_their_choices_from_declarations() -> None:
    names = ("Radio", "Dropdown", "Slider", "Number", "Checkbox", "CheckboxGroup")
    pages = ("ui/pages/audio_to_images.py", "ui/pages/images_to_audio.py", "ui/layout/cropping_panel.py")
    assert [where for page in pages for where, _ in calls(page, *names)] == []


# --- core ------------------------------------------------------------------------------------------------------------


def takes(work: Callable[[], object], *errors: type[Exception]) -> bool:
    try:
        work()
    except (RiffusionError, *errors):
        return False
    return True


def test_core_accepts_the_declared_tile_widths() -> None:
    item = to_images.TO_IMAGES["columns"]
    params = PRESETS["riffusion-v1"]
    for value in edges(item):
        taken = takes(lambda value=value: list(sounds_to_images([], params, columns=int(value))))  # type: ignore[misc]
        assert taken == (item.minimum <= value <= item.maximum), value
    assert item.maximum >= MAX_WIDTHS[".webp"]


def test_core_accepts_the_declared_tile_scales() -> None:
    clip = AudioClip(np.full((1, 4410), 0.1, np.float32), 44100)
    params = PRESETS["riffusion-v1"]
    for level in to_images.TO_IMAGES["tile_level"].choices:
        audio_to_images(clip, params, columns=8, level=level)
    with pytest.raises(RiffusionError):
        audio_to_images(clip, params, columns=8, level="other")


@pytest.mark.parametrize("item", [item for item in crop.CROP_CONTROLS if item.is_number], ids=named)
def test_core_accepts_the_declared_cuts(item: Option) -> None:
    for value in edges(item):
        number: Any = int(value) if item.is_whole else value
        fields: Mapping[str, Any] = {item.id: number}
        taken = takes(
            lambda number=number, fields=fields: (  # type: ignore[misc]
                CropSettings(width=number) if item.id == "crop_width" else BeatFinder(**fields)
            )
        )
        assert taken == (item.minimum <= value <= item.maximum), value


def test_core_accepts_the_declared_seeds_and_ports() -> None:
    least, most = sampling.SAMPLING["seed"].bounds
    assert least == -1  # "choose one"
    for value in edges(sampling.SAMPLING["seed"])[3:]:
        assert takes(lambda value=value: np.random.RandomState(int(value)), ValueError) == (value <= most)  # type: ignore[misc]
    port = server.SERVER["port"]
    for value in (port.minimum - 1, port.maximum + 1):
        with socket.socket() as listener, pytest.raises(OverflowError):
            listener.bind(("127.0.0.1", int(value)))


def test_audio_writer_accepts_the_declared_sample_formats() -> None:
    assert tuple(to_audio.SUBTYPES.values()) == tuple(webui.SUBTYPES.values()) == SUBTYPES
    assert to_audio.BITS.choices == tuple(to_audio.SUBTYPES)


# --- settings of the webui -------------------------------------------------------------------------------------------

STORED = {
    "riffusion_auto": "Turn sound on automatically when a Riffusion checkpoint is loaded",
    "riffusion_model_patterns": "Names of Riffusion checkpoints",
    "riffusion_warn": "Warn when sound is on and the checkpoint does not look like a Riffusion model",
    "riffusion_players": "Show players under the gallery",
    "riffusion_click_plays": "A click on an image with sound plays from there",
    "riffusion_subtype": "Resolution of WAV and FLAC files",
    "riffusion_device": "Device that turns images into sound",
    "riffusion_sidecar": "Keep a PNG beside images that are saved as JPEG, WebP or AVIF",
}
"""Keys and labels that users' files and translations hold."""


class Info(SimpleNamespace):
    """A setting as a webui creates it."""

    def info(self, text: str) -> Info:
        return Info(**{**vars(self), "help": text})


def test_webui_settings_section_shows_the_declared_options() -> None:
    added: dict[str, Info] = {}

    def option_info(default: Any, label: str, **more: Any) -> Info:
        return Info(default=default, label=label, help="", **{"component": None, "component_args": {}, **more})

    radio = object()
    settings.add_to(SimpleNamespace(add_option=added.__setitem__), option_info, radio)
    assert {key: info.label for key, info in added.items()} == STORED
    for item in webui.OPTIONS:
        info = added[item.id]
        assert (info.default, info.label, info.help) == (item.default, item.label, item.help)
        assert info.component is (radio if item.choices else None)
        assert info.component_args == ({"choices": list(item.choices)} if item.choices else {})
        assert item.clean(item.default) == item.default
        assert item.interfaces == ("settings",)
    assert {item.id: item.default for item in webui.OPTIONS} == settings.DEFAULTS


def test_settings_are_read_with_the_declared_defaults() -> None:
    reads = [(where, call) for where, call in calls("host", "setting") if len(call.args) == 2]
    ours = {where: call for where, call in reads if str(getattr(call.args[0], "value", "")).startswith("riffusion_")}
    assert len(ours) >= len(webui.OPTIONS)
    for where, call in ours.items():
        key = ast.literal_eval(call.args[0])
        assert key in webui.WEBUI, where
        assert re.fullmatch(rf"(settings\.)?DEFAULTS\['{key}'\]", ast.unparse(call.args[1])), where
