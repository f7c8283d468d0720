"""webui (A1111) and Forge: the :class:`~riffusion_ext.host.base.Host` they are, and the callbacks we register.

Differences between hosts are found by looking for the feature, never by asking for a version.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import devices, errors, script_callbacks, scripts, shared

from riffusion_ext.files import scratch
from riffusion_ext.host import settings, xyz
from riffusion_ext.host.images import saved
from riffusion_ext.host.images.send_to import SendTo
from riffusion_ext.host.model.checkpoint import chosen_checkpoint
from riffusion_ext.host.model.identity import looks_like_riffusion, patterns_from_text
from riffusion_ext.host.panel import Panels
from riffusion_ext.host.renamed_labels import apply_stored_defaults, read_stored
from riffusion_ext.host.routes import Routes
from riffusion_ext.host.status import other_model_warning, statuses
from riffusion_ext.services.model_provider import ModelProvider, NoModel
from riffusion_ext.ui import gradio_compat

if TYPE_CHECKING:
    from riffusion_ext.generate.backends.base import Backend

__all__ = ["HOST", "Webui", "register", "registered_panels"]


class Webui:
    """The webui this process is."""

    name = "webui"

    def __init__(self) -> None:
        self._scratch: Path | None = None

    def device(self) -> str:
        """Return the device of the command line, else the host's own, or the processor when the setting says so."""
        wanted = getattr(shared.cmd_opts, "riffusion_device", None)  # preload.py; it wins, as webui's own flags do
        if wanted:
            return str(wanted)
        if self.setting("riffusion_device", settings.DEFAULTS["riffusion_device"]) == "Processor":
            return "cpu"
        return str(getattr(devices, "device", "auto"))

    def setting(self, key: str, default: Any) -> Any:
        """Return a setting; hosts started for their API alone may not know ours, and API clients may unset it."""
        value = getattr(shared.opts, key, None)
        return default if value is None else value

    def output_folder(self) -> Path:
        """Return the folder of our tab's files: beside webui's own output folders."""
        data = os.path.abspath(_data_path())  # noqa: PTH100 - without "..", which absolute() leaves in
        return Path(data) / "outputs" / "riffusion"

    def scratch_folder(self) -> Path:
        """Return a folder for clips of images that are not saved; the host's temporary folder if it has one."""
        if self._scratch is None or not self._scratch.is_dir():
            parent = self.setting("temp_dir", "") or None
            if parent is not None:
                Path(parent).mkdir(parents=True, exist_ok=True)
            self._scratch = scratch.new(None if parent is None else Path(parent))
        return self._scratch

    def report(self, text: str, error: BaseException | None = None) -> None:
        """Write to webui's log. Never raises: whatever failed goes on to be told to the user."""
        handled = error is not None and sys.exc_info()[1] is error
        whole = text
        if error is not None and not (handled and hasattr(errors, "report")):
            # webui can only trace the error being handled, and SD.Next's own log is given texts
            with suppress(Exception):
                whole += "\n" + "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
        with suppress(Exception):
            if hasattr(errors, "report"):
                errors.report(whole, exc_info=handled)
            else:
                getattr(errors, "log", _LOG).error(whole)

    def checkpoint_is_riffusion(self, title: str = "") -> tuple[bool, str]:
        """Return whether the chosen checkpoint looks like a Riffusion model, and its name.

        Parameters
        ----------
        title
            The checkpoint's title; the host's choice when empty.
        """
        names, hashes = chosen_checkpoint(title)
        patterns = patterns_from_text(
            self.setting("riffusion_model_patterns", settings.DEFAULTS["riffusion_model_patterns"])
        )
        return looks_like_riffusion(names, hashes, patterns), next((name for name in names if name), "")


_LOG = logging.getLogger("riffusion")


def _data_path() -> str:
    """Return the folder of the host's data, by the module that has it: one of the two is a stub in SD.Next."""
    for name in ("paths_internal", "paths"):
        with suppress(ImportError):
            found = getattr(importlib.import_module(f"modules.{name}"), "data_path", None)
            if found is not None:
                return str(found)
    return ""


HOST = Webui()
_panels = Panels(HOST)
_hand_over: SendTo | None = None


def registered_panels() -> Panels:
    """Return the panels of the page that is being built, or was built last."""
    return _panels


def register() -> None:
    """Register everything with the host.

    Called each time the host executes ``scripts/riffusion.py``: by then it has forgotten all callbacks, while this
    module is still the one of the first start.
    """
    global _panels, _hand_over
    _panels, _hand_over = Panels(HOST), None
    _on("ui_settings", _add_settings)
    _on("before_ui", _add_axes)
    _on("after_component", _after_component)
    _on("before_image_saved", saved.add_record)
    _on("image_saved", _image_saved)
    _on("ui_tabs", _add_tab)
    _on("app_started", _routes.started)


def _on(category: str, callback: Callable[..., Any]) -> None:
    """Register a callback, and tell the host whose it is where it can be told.

    ``on_ui_tabs`` and its like find that out from the source of every function on the stack. That costs up to 0.1 s a
    callback in A1111 and 0.3 s in Forge, which is most of what we would add to their start.
    """
    add = getattr(script_callbacks, "add_callback", None)
    callbacks = getattr(script_callbacks, "callback_map", {}).get(f"callbacks_{category}")
    if add is None or callbacks is None or "filename" not in signature(add).parameters:
        getattr(script_callbacks, f"on_{category}")(callback)
    else:
        add(callbacks, callback, category=category, filename=__file__)


def _after_component(component: Any, **kwargs: Any) -> None:
    elem_id = kwargs.get("elem_id")
    _panels.after_component(component, elem_id)
    _offered_hand_over(elem_id)
    if _hand_over is not None:
        _hand_over.after_component(component, elem_id)
    forge_chooser = kwargs.get("label") == "Checkpoint" and "model_selection" in (kwargs.get("elem_classes") or ())
    if elem_id == "setting_sd_model_checkpoint" or forge_chooser:
        _panels.wire_checkpoint(component, lambda *values: statuses(HOST, *values))


def _add_settings() -> None:
    settings.add_to(shared.opts, shared.OptionInfo, gradio_compat.radio_class())


def _add_axes() -> None:
    try:
        xyz.add_axes(scripts.scripts_data)
    except Exception as error:
        HOST.report("Riffusion: no axes in the X/Y/Z plot", error)


def _add_tab() -> list[tuple[Any, str, str]]:
    from riffusion_ext.ui.layout.page_context import PageContext
    from riffusion_ext.ui.pages.tab import build_tab

    place = PageContext(
        output_dir=HOST.output_folder,
        device=HOST.device,
        subtype=lambda: settings.SUBTYPES.get(
            HOST.setting("riffusion_subtype", settings.DEFAULTS["riffusion_subtype"]), "pcm16"
        ),
        folders=not getattr(shared.cmd_opts, "hide_ui_dir_config", False),
        notice=_NO_PANEL if getattr(shared.opts, "theme_type", None) == "Modern" else "",
        model=_model(),
    )
    if _hand_over is not None:
        place = replace(place, receive=_hand_over.receive, send=_hand_over.send, send_text=_hand_over.send_text)
    tab = build_tab(place)
    with suppress(Exception):  # a default is no reason to lose the tab
        apply_stored_defaults(tab, read_stored(getattr(shared.cmd_opts, "ui_config_file", "")), "riffusion")
    if _hand_over is not None:
        _hand_over.connect()
    return [(tab, "Riffusion", "riffusion")]


_NO_PANEL = (
    "ModernUI does not show the Riffusion panel, which turns the images of txt2img and img2img into sound: choose "
    "Settings, User Interface, Theme type: Standard, and restart. The pages of this tab work in both."
)


def _offered_hand_over(elem_id: str | None) -> None:
    """Begin with the buttons of this page when its first gallery is made, where they lead somewhere."""
    global _hand_over
    if _hand_over is None and elem_id in ("txt2img_gallery_container", "img2img_gallery_container"):
        try:
            from modules import infotext_utils
        except ImportError:  # hosts older than A1111 1.8 have it by another name
            return
        offered = SendTo(infotext_utils)
        if offered.offered and _model().available:
            _hand_over = offered


def _model() -> ModelProvider:
    """Return the webui's own model; where the host cannot generate for us, none, and one sentence why."""
    try:
        from riffusion_ext.host.model import generation

        generation.sampler_names()
    except Exception as error:  # whatever a host lacks: its other pages work all the same
        _LOG.info("no model to generate with", exc_info=error)
        why = f"it {_lack(error)}, without which prompts and noises cannot be mixed"
        return NoModel(f"Songs, riffs, loops and live music cannot be made in this webui: {why}.")
    return OwnModel()


class OwnModel:
    """The model that is chosen in the webui."""

    available = True
    unavailable_reason = ""

    def backend(self) -> Backend:
        """Return what generates with the checkpoint of now."""
        from riffusion_ext.host.model import generation

        return generation.WebuiBackend(max_batch=_MOST_AT_ONCE)

    def samplers(self) -> Sequence[str]:
        """Return the webui's samplers."""
        from riffusion_ext.host.model import generation

        return generation.sampler_names()

    def usual_sampler(self) -> str:
        """Return the webui's own default."""
        from riffusion_ext.host.model import generation

        return generation.usual_sampler()

    def checkpoint_warning(self) -> str:
        """Return a warning where the checkpoint does not look like a Riffusion model."""
        known, name = HOST.checkpoint_is_riffusion()
        warn = HOST.setting("riffusion_warn", settings.DEFAULTS["riffusion_warn"])
        return other_model_warning(name) if name and not known and warn else ""

    def styles(self) -> Sequence[str] | None:
        """Return the names of the webui's prompt styles; None where it has none."""
        return list(shared.prompt_styles.styles) if hasattr(shared, "prompt_styles") else None

    def apply_styles(self, prompt: str, negative: str, styles: Sequence[str]) -> tuple[str, str]:
        """Put styles into prompts as the webui does."""
        kept = shared.prompt_styles
        return kept.apply_styles_to_prompt(prompt, styles), kept.apply_negative_styles_to_prompt(negative, styles)


def _lack(error: Exception) -> str:
    """Say what is missing; never an error's own text, which for imports has folders of the server in it."""
    missing = re.search(r"cannot import name '(\w+)' from '(\w[\w.]*)'", str(error))
    if missing:
        return f"has no {missing[2]}.{missing[1]}"
    name = getattr(error, "name", None)  # of an ImportError or AttributeError
    return f"has no {name}" if name else f"fails to name its samplers ({type(error).__name__})"


_MOST_AT_ONCE = 16

_routes = Routes(HOST, _model)


def start_images(p: Any) -> list[Any]:
    """Return img2img's start images, None in the place of one whose texts may be another image's.

    The canvas of Forge's page gives every image the texts of the one that was last *sent* to it, also one the user
    has uploaded since. What comes from it is RGBA; what the API and the batch page read from files has its own texts.
    """
    images = list(getattr(p, "init_images", None) or [])
    if getattr(p, "is_api", False) or importlib.util.find_spec("modules_forge") is None:
        return images
    return [None if getattr(image, "mode", "") == "RGBA" else image for image in images]


def _image_saved(params: Any) -> None:
    renamed = getattr(shared.opts, "save_images_replace_action", "Replace") != "Replace"
    try:
        saved.after_saving(params, renamed=renamed)
    except Exception as error:  # the image is saved, and the host goes on
        HOST.report(f"Riffusion: no parameters in {params.filename}: {error}", error)
