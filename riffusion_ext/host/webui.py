"""The webui as a :class:`~riffusion_ext.host.base.Host`, and the callbacks that are registered with it.

Differences between webuis are detected by features, never by versions.
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
from typing import TYPE_CHECKING

from modules import devices, errors, script_callbacks, scripts, shared

from riffusion_ext.files import scratch
from riffusion_ext.host import settings, xyz
from riffusion_ext.host.base import HostObject
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
from riffusion_ext.ui.gradio_types import Blocks, Component

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.generate.backends.base import Backend

__all__ = ["HOST", "Webui", "register", "registered_panels"]


class Webui:
    """The webui of this process."""

    name = "webui"

    def __init__(self) -> None:
        self._scratch: Path | None = None

    def device(self) -> str:
        """Return the device of the command line, else that of the setting: the processor or the host's device."""
        requested = getattr(shared.cmd_opts, "riffusion_device", None)  # from preload.py; flags take precedence
        if requested:
            return str(requested)
        if self.setting("riffusion_device", settings.DEFAULTS["riffusion_device"]) == "Processor":
            return "cpu"
        return str(getattr(devices, "device", "auto"))

    def setting(self, key: str, default: object) -> object:
        """Return a setting. Hosts started for their API alone may not have it, and API clients may unset it."""
        value = getattr(shared.opts, key, None)
        return default if value is None else value

    def output_folder(self) -> Path:
        """Return the folder of the tab's results, beside the webui's output folders."""
        data = os.path.abspath(_data_path())  # noqa: PTH100 - without "..", which absolute() leaves in
        return Path(data) / "outputs" / "riffusion"

    def scratch_folder(self) -> Path:
        """Return a folder for clips of images that are not saved, in the host's temporary folder if it has one."""
        if self._scratch is None or not self._scratch.is_dir():
            parent = str(self.setting("temp_dir", "") or "")
            if parent:
                Path(parent).mkdir(parents=True, exist_ok=True)
            self._scratch = scratch.new(Path(parent) if parent else None)
        return self._scratch

    def report(self, text: str, error: BaseException | None = None) -> None:
        """Write to the webui's log. Never raises, so that the caller can still show the error to the user."""
        handled = error is not None and sys.exc_info()[1] is error
        whole = text
        if error is not None and not (handled and hasattr(errors, "report")):
            # The webui logs tracebacks of the handled error only, and SD.Next's logger takes texts.
            with suppress(Exception):
                whole += "\n" + "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
        with suppress(Exception):
            if hasattr(errors, "report"):
                errors.report(whole, exc_info=handled)
            else:
                getattr(errors, "log", _LOG).error(whole)

    def checkpoint_is_riffusion(self, title: str = "") -> tuple[bool, str]:
        """Return whether a checkpoint looks like a Riffusion model, and its name.

        Parameters
        ----------
        title
            Title of the checkpoint; "" for the selected one.
        """
        names, hashes = chosen_checkpoint(title)
        patterns = patterns_from_text(
            str(self.setting("riffusion_model_patterns", settings.DEFAULTS["riffusion_model_patterns"]))
        )
        return looks_like_riffusion(names, hashes, patterns), next((name for name in names if name), "")


_LOG = logging.getLogger("riffusion")


def _data_path() -> str:
    """Return the host's data folder from the module that has it; in SD.Next, one of the two is a stub."""
    for name in ("paths_internal", "paths"):
        with suppress(ImportError):
            found = getattr(importlib.import_module(f"modules.{name}"), "data_path", None)
            if found is not None:
                return str(found)
    return ""


HOST = Webui()
_panels = Panels(HOST)
_send_to: SendTo | None = None


def registered_panels() -> Panels:
    """Return the panels of the page that is being built, or was built last."""
    return _panels


def register() -> None:
    """Register all callbacks with the host.

    Called each time the host executes ``scripts/riffusion.py``: by then it has dropped all callbacks, while this module
    stays loaded.
    """
    global _panels, _send_to
    _panels, _send_to = Panels(HOST), None
    _add_callback("ui_settings", _add_settings)
    _add_callback("before_ui", _add_axes)
    _add_callback("after_component", _after_component)
    _add_callback("before_image_saved", saved.add_record)
    _add_callback("image_saved", _image_saved)
    _add_callback("ui_tabs", _add_tab)
    _add_callback("app_started", _routes.on_app_started)


def _add_callback(category: str, callback: Callable[..., object]) -> None:
    """Register a callback, with its file name if the host takes it.

    ``on_ui_tabs`` and its relatives find the file from the source of every function on the stack. That takes up to
    0.1 s a callback in A1111 and 0.3 s in Forge, most of what the extension would add to their start.
    """
    add = getattr(script_callbacks, "add_callback", None)
    callbacks = getattr(script_callbacks, "callback_map", {}).get(f"callbacks_{category}")
    if add is None or callbacks is None or "filename" not in signature(add).parameters:
        getattr(script_callbacks, f"on_{category}")(callback)
    else:
        add(callbacks, callback, category=category, filename=__file__)


def _after_component(component: Component, **kwargs: HostObject) -> None:
    elem_id = kwargs.get("elem_id")
    _panels.after_component(component, elem_id)
    _offer_send_to(elem_id)
    if _send_to is not None:
        _send_to.after_component(component, elem_id)
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


def _add_tab() -> list[tuple[Blocks, str, str]]:
    from riffusion_ext.ui.layout.page_context import PageContext
    from riffusion_ext.ui.pages.tab import build_tab

    context = PageContext(
        output_dir=HOST.output_folder,
        device=HOST.device,
        subtype=lambda: settings.SUBTYPES.get(
            str(HOST.setting("riffusion_subtype", settings.DEFAULTS["riffusion_subtype"])), "pcm16"
        ),
        folders=not getattr(shared.cmd_opts, "hide_ui_dir_config", False),
        notice=_NO_PANEL if getattr(shared.opts, "theme_type", None) == "Modern" else "",
        model=_model(),
    )
    if _send_to is not None:
        context = replace(context, receive=_send_to.receive, send=_send_to.send, send_text=_send_to.send_text)
    tab = build_tab(context)
    with suppress(Exception):  # a bad default must not cost the tab
        apply_stored_defaults(tab, read_stored(getattr(shared.cmd_opts, "ui_config_file", "")), "riffusion")
    if _send_to is not None:
        _send_to.connect()
    return [(tab, "Riffusion", "riffusion")]


_NO_PANEL = (
    "ModernUI does not show the Riffusion panel, which turns the images of txt2img and img2img into sound: choose "
    "Settings, User Interface, Theme type: Standard, and restart. The pages of this tab work in both."
)


def _offer_send_to(elem_id: str | None) -> None:
    """Create the :class:`SendTo` of the page at its first gallery, if the host supports it and has a model."""
    global _send_to
    if _send_to is None and elem_id in ("txt2img_gallery_container", "img2img_gallery_container"):
        try:
            from modules import infotext_utils
        except ImportError:  # before A1111 1.8, the module has another name
            return
        send_to = SendTo(infotext_utils)
        if send_to.available and _model().available:
            _send_to = send_to


def _model() -> ModelProvider:
    """Return the webui's own model, or a :class:`NoModel` with the reason if this host lacks what is needed."""
    try:
        from riffusion_ext.host.model import generation

        generation.sampler_names()
    except Exception as error:  # whatever is missing, the other pages work
        _LOG.info("no model to generate with", exc_info=error)
        why = f"it {_missing_feature(error)}, without which prompts and noises cannot be mixed"
        return NoModel(f"Songs, riffs, loops and live music cannot be made in this webui: {why}.")
    return OwnModel()


class OwnModel:
    """The model that is selected in the webui."""

    available = True
    unavailable_reason = ""

    def backend(self) -> Backend:
        """Return a backend for the selected checkpoint."""
        from riffusion_ext.host.model import generation

        return generation.WebuiBackend(max_batch=_MAX_BATCH)

    def samplers(self) -> Sequence[str]:
        """Return the names of the webui's samplers."""
        from riffusion_ext.host.model import generation

        return generation.sampler_names()

    def usual_sampler(self) -> str:
        """Return the name of the default sampler."""
        from riffusion_ext.host.model import generation

        return generation.usual_sampler()

    def checkpoint_warning(self) -> str:
        """Return a warning if the checkpoint does not look like a Riffusion model, else ""."""
        known, name = HOST.checkpoint_is_riffusion()
        warn = HOST.setting("riffusion_warn", settings.DEFAULTS["riffusion_warn"])
        return other_model_warning(name) if name and not known and warn else ""

    def styles(self) -> Sequence[str] | None:
        """Return the names of the webui's prompt styles; None if it has no styles."""
        return list(shared.prompt_styles.styles) if hasattr(shared, "prompt_styles") else None

    def apply_styles(self, prompt: str, negative: str, styles: Sequence[str]) -> tuple[str, str]:
        """Apply styles to a prompt and a negative prompt, as the webui does."""
        database = shared.prompt_styles
        return (
            database.apply_styles_to_prompt(prompt, styles),
            database.apply_negative_styles_to_prompt(negative, styles),
        )


def _missing_feature(error: Exception) -> str:
    """Name the missing feature, without the text of an ImportError, which contains paths of the server."""
    missing = re.search(r"cannot import name '(\w+)' from '(\w[\w.]*)'", str(error))
    if missing:
        return f"has no {missing[2]}.{missing[1]}"
    name = getattr(error, "name", None)  # of an ImportError or AttributeError
    return f"has no {name}" if name else f"fails to name its samplers ({type(error).__name__})"


_MAX_BATCH = 16

_routes = Routes(HOST, _model)


def start_images(p: HostObject) -> list[Image.Image | None]:
    """Return img2img's start images, with None for those whose metadata may be another image's.

    The canvas of Forge's page gives every image the metadata of the one that was last *sent* to it, even if the user
    has uploaded another one since. Images from it are RGBA. Those of the API and of batches have their own metadata.
    """
    images = list(getattr(p, "init_images", None) or [])
    if getattr(p, "is_api", False) or importlib.util.find_spec("modules_forge") is None:
        return images
    return [None if getattr(image, "mode", "") == "RGBA" else image for image in images]


def _image_saved(params: HostObject) -> None:
    renamed = getattr(shared.opts, "save_images_replace_action", "Replace") != "Replace"
    try:
        saved.after_saving(params, renamed=renamed)
    except Exception as error:  # the image is saved; the host continues
        HOST.report(f"Riffusion: no parameters in {params.filename}: {error}", error)
