"""The players below the webui's gallery.

The webui writes the generation info of a job, as JSON, into a hidden text box of each results panel. When that text
changes, the clips named in it are shown. Each open page has its own text box, so it shows its own clips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from riffusion_ext.host.base import Host
from riffusion_ext.host.images.generation_job import PAYLOAD_KEY
from riffusion_ext.host.settings import DEFAULTS
from riffusion_ext.library import LIBRARY, ClipLibrary, ClipRecord
from riffusion_ext.ui import gradio_compat, players
from riffusion_ext.ui.gradio_types import Component
from riffusion_ext.validation.json_text import loads

__all__ = ["Panels", "render_generation_info"]

Kind = TypeVar("Kind", dict[str, object], list[object])

_TABS = ("txt2img", "img2img")
_MAX_PLAYERS = 200


def render_generation_info(text: object, host: Host, library: ClipLibrary = LIBRARY) -> str:
    """Return the HTML of a job's players and messages.

    Parameters
    ----------
    text
        The webui's generation info as JSON. It comes from the browser and is not trusted: only ids and messages are
        taken from it; files, titles and names come from the library.
    host
        Has the setting that shows players.
    library
        Clips by id.
    """
    if not host.setting("riffusion_players", DEFAULTS["riffusion_players"]):
        return ""
    info = _parse(text)
    payload = _typed_or_empty(_typed_or_empty(info.get("extra_generation_params"), dict).get(PAYLOAD_KEY), dict)
    records = _records(info, payload, library)
    shown = [record for record in records if record.path.is_file()]
    notes = [
        players.message(str(entry.get("text", "")), _kind(entry.get("kind")))
        for entry in _typed_or_empty(payload.get("messages"), list)[:_MAX_PLAYERS]
        if isinstance(entry, dict)
    ]
    if len(shown) < len(records):
        notes.append(players.message("Some sound files of this batch are no longer on disk.", "info"))
    numbered = len(shown) > 1
    clips = [
        players.player(
            record.url,
            record.title,
            record.duration,
            record.download_name,
            seed=record.seed,
            number=number if numbered else None,
            image=record.image,
        )
        for number, record in enumerate(shown[:_MAX_PLAYERS], 1)
    ]
    return players.panel(clips, notes)


def _parse(text: object) -> dict[str, object]:
    try:
        return _typed_or_empty(loads(str(text)), dict)
    except ValueError:
        return {}


def _kind(value: object) -> str:
    return str(value) if value in ("warning", "error") else "info"


def _typed_or_empty(value: object, kind: type[Kind]) -> Kind:
    return value if isinstance(value, kind) else kind()


def _records(info: Mapping[str, object], payload: Mapping[str, object], library: ClipLibrary) -> list[ClipRecord]:
    """Return the clips whose ids are listed, and then those found by the infotexts of images.

    The latter are for images that were added to the gallery later: the webui's upscale button adds an image to those of
    the previous job.
    """
    found: dict[str, ClipRecord] = {}
    for entry in _typed_or_empty(payload.get("clips"), list):
        record = library.get(str(_typed_or_empty(entry, dict).get("id")))
        if record is not None:
            found[record.id] = record
    known = {record.infotext for record in found.values()}
    for infotext in _typed_or_empty(info.get("infotexts"), list):
        if isinstance(infotext, str) and infotext not in known:
            record = library.find(infotext)
            if record is not None:
                found[record.id] = record
    return list(found.values())


class Panels:
    """Adds an area for players to each results panel while the host builds its page."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._areas: dict[str, Component] = {}
        self._statuses: dict[str, tuple[Component, Component]] = {}
        self._wired: set[str] = set()
        self._follows_chooser = False

    def add_status(self, tab: str, mode: Component, status: Component) -> None:
        """Register the mode control and the status line of a tab. Only the first call for each tab counts.

        With ``--api``, the host builds every panel a second time, outside the page, to read the defaults.
        """
        self._statuses.setdefault(tab, (mode, status))

    def wire_checkpoint(self, chooser: Component, fn: Callable[..., object]) -> None:
        """Update the status lines when another checkpoint is selected.

        Only the first chooser is on the page: Forge creates another one, outside it, each time a page is opened.
        """
        modes = [mode for mode, _ in self._statuses.values()]
        lines = [status for _, status in self._statuses.values()]
        if lines and not self._follows_chooser:
            self._follows_chooser = True
            gradio_compat.on_change(chooser, fn, [chooser, *modes], lines)

    def after_component(self, component: Component, elem_id: str | None) -> None:
        """Handle a component that the host has just created."""
        for tab in _TABS:
            if elem_id == f"{tab}_gallery_container" and tab not in self._areas:
                # The gallery's group is not open yet, so this HTML is placed below that group.
                self._areas[tab] = gradio_compat.dynamic_html("", f"{tab}_riffusion_players")
            elif elem_id == f"generation_info_{tab}" and tab not in self._wired:
                if tab not in self._areas:
                    self._areas[tab] = gradio_compat.dynamic_html("", f"{tab}_riffusion_players")
                self._wired.add(tab)
                gradio_compat.on_change(component, self._renderer(), [component], [self._areas[tab]])

    def _renderer(self) -> Callable[[object], str]:
        def show(text: object) -> str:
            try:
                return render_generation_info(text, self._host)
            except Exception as error:
                self._host.report("Riffusion: the players could not be shown", error)
                return players.panel([], [players.message(f"The players could not be shown: {error}", "error")])

        return show
