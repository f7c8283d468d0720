"""Who may reach our routes in the webui's server, by the webui's own flags."""

from __future__ import annotations

from typing import Any

from modules import shared

from riffusion_ext.addresses import is_loopback
from riffusion_ext.api.access.allow_list import AllowList, parse_host, parse_origin
from riffusion_ext.errors import RiffusionError

__all__ = ["api_visitors", "page_visitors"]

# The later names are SD.Next's.
_ORIGINS = ("cors_allow_origins", "cors_origins")
_PATTERNS = ("cors_allow_origins_regex", "cors_regex")


def page_visitors() -> AllowList:
    """Return who may reach what our pages need.

    The ids of clips and jams are known to the pages only. So where the webui itself is open to other machines, under
    names that it does not know (a tunnel, a rented machine), our players work under these names, too.
    """
    return _visitors(any_host=_has_password("gradio_auth", "gradio_auth_path", "auth", "auth_file") or _is_wide())


def api_visitors() -> AllowList:
    """Return who may reach the routes for other programs."""
    return _visitors(any_host=_has_password("api_auth", "auth", "auth_file"))


def _visitors(any_host: bool) -> AllowList:
    names = _listed("riffusion_allow_host")
    origins = [text.rstrip("/") for flag in _ORIGINS for text in _listed(flag)]
    patterns = [str(_flag(flag)) for flag in _PATTERNS if _flag(flag)]
    if "*" in origins:
        patterns = [".*"]
    server_name = str(_flag("server_name") or "")
    return AllowList.from_names(
        [name for name in (*names, server_name) if name == "*" or _is_valid(parse_host, name)],
        [text for text in origins if _is_valid(parse_origin, text)],
        any_host=any_host,
        any_address=_is_wide(),
        origin_pattern="|".join(f"(?:{pattern})" for pattern in patterns),
        option="--riffusion-allow-host",
    )


def _is_wide() -> bool:
    """Whether other machines can reach the webui."""
    server_name = _flag("server_name")
    return any(_flag(name) for name in ("listen", "share", "ngrok")) or bool(
        server_name and not is_loopback(str(server_name))
    )


def _has_password(*flags: str) -> bool:
    return any(_flag(name) for name in flags)


def _flag(name: str) -> Any:
    return getattr(shared.cmd_opts, name, None)


def _listed(name: str) -> list[str]:
    return [text.strip() for text in str(_flag(name) or "").split(",") if text.strip()]


def _is_valid(parse: Any, text: str) -> bool:
    """Whether a text can be read; the webui takes anything for these flags, and passes over what makes no sense."""
    try:
        parse(text)
    except RiffusionError:
        return False
    return True
