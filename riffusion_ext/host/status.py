"""Status line of the panel: whether sound is made with the selected checkpoint."""

from __future__ import annotations

from riffusion_ext.host.base import Host
from riffusion_ext.host.settings import DEFAULTS
from riffusion_ext.options.sound import AUTO, ON
from riffusion_ext.ui import players

__all__ = ["other_model_warning", "status_html", "statuses"]


def other_model_warning(name: str) -> str:
    """Return the warning that sound is on with a checkpoint that is no Riffusion model."""
    return (
        f"The loaded checkpoint {name} does not look like a Riffusion model: the sound will be noise. "
        "Choose a Riffusion checkpoint, or add its name under Settings, Riffusion."
    )


def status_html(host: Host, mode: object, checkpoint: str = "") -> str:
    """Return the status line as HTML, "" if none is needed.

    Parameters
    ----------
    host
        The host.
    mode
        Value of the control: Auto, On or Off.
    checkpoint
        Title of the checkpoint; "" for the selected one.
    """
    known, name = host.checkpoint_is_riffusion(checkpoint)
    if not name:
        return ""
    if mode == AUTO:
        on = known and host.setting("riffusion_auto", DEFAULTS["riffusion_auto"])
        looks = "looks" if known else "does not look"
        return players.message(
            f"Sound is {'on' if on else 'off'}: the checkpoint {name} {looks} like a Riffusion model."
        )
    if mode == ON and not known and host.setting("riffusion_warn", DEFAULTS["riffusion_warn"]):
        return players.message(other_model_warning(name), "warning")
    return ""


def statuses(host: Host, checkpoint: object, *modes: object) -> list[str]:
    """Return the status line of each tab for a checkpoint, given the tabs' modes."""
    return [status_html(host, mode, str(checkpoint or "")) for mode in modes]
