"""Buttons that send images from the webui's galleries to the tab and back.

They use the webui's own "Send to" mechanism. The webui connects the buttons once its whole page is built, and does not
start if a target is missing. So each button is registered only when both of its ends exist.
"""

from __future__ import annotations

from riffusion_ext.host.base import HostObject
from riffusion_ext.ui import gradio_compat
from riffusion_ext.ui.gradio_types import Component

__all__ = ["TARGETS", "SendTo"]

_TABS = ("txt2img", "img2img")
TARGETS = {
    "riffusion_seed_picture": "Use as init image of a song",
    "riffusion_before": "Continue this clip as a song",
}
"""Text of each button by the name of its target; in the page, the host calls ``switch_to_<name>``."""


class SendTo:
    """The "Send to" buttons of one page of the host.

    Parameters
    ----------
    utils
        The host's ``modules.infotext_utils``. If it lacks a function, there are no buttons.
    """

    def __init__(self, utils: HostObject) -> None:
        names = ("ParamBinding", "add_paste_fields", "register_paste_params_button")
        self._utils: HostObject = utils if all(hasattr(utils, name) for name in names) else None
        self._buttons: dict[str, dict[str, Component]] = {}
        self._galleries: dict[str, Component] = {}
        self._receivers: set[str] = set()

    @property
    def available(self) -> bool:
        """Whether the host can send images."""
        return self._utils is not None

    def after_component(self, component: Component, elem_id: str | None) -> None:
        """Handle a component that the host has just created."""
        for tab in _TABS:
            if elem_id == f"{tab}_gallery_container" and tab not in self._buttons:
                self._buttons[tab] = gradio_compat.small_buttons(
                    {f"{tab}_{name}": text for name, text in TARGETS.items()}
                )
            elif elem_id == f"{tab}_gallery":
                self._galleries.setdefault(tab, component)

    def receive(self, name: str, image: Component) -> None:
        """Make an Image component the target of the buttons of a name."""
        if f"riffusion_{name}" in TARGETS:
            self._utils.add_paste_fields(f"riffusion_{name}", image, None)
            self._receivers.add(f"riffusion_{name}")

    def send(self, button: Component, image: Component) -> None:
        """Connect a button that sends the image of an Image component to img2img."""
        self._register(button, "img2img", source_image_component=image)

    def send_text(self, button: Component, text: Component) -> None:
        """Connect a button that sends the generation parameters in a Textbox component to txt2img."""
        self._register(button, "txt2img", source_text_component=text)

    def connect(self) -> None:
        """Register the buttons below the galleries that have a target."""
        for tab, buttons in self._buttons.items():
            for elem_id, button in buttons.items():
                target = elem_id.removeprefix(f"{tab}_")
                if tab in self._galleries and target in self._receivers:
                    self._register(button, target, source_image_component=self._galleries[tab])

    def _register(self, button: Component, target: str, **source: Component) -> None:
        binding = self._utils.ParamBinding(paste_button=button, tabname=target, **source)
        self._utils.register_paste_params_button(binding)
