"""Access to the extension's routes in the webui's server, according to the webui's flags."""

from __future__ import annotations

from collections.abc import Callable

from modules import shared

from riffusion_ext.addresses import is_loopback
from riffusion_ext.api.access.allow_list import AllowList, parse_host, parse_origin
from riffusion_ext.errors import RiffusionError
from riffusion_ext.host.base import HostObject

__all__ = ["api_allow_list", "page_allow_list"]

# The later names are SD.Next's.
_ORIGINS = ("cors_allow_origins", "cors_origins")
_PATTERNS = ("cors_allow_origins_regex", "cors_regex")


def page_allow_list() -> AllowList:
    """Return who may use the routes of the pages.

    Only the pages know the ids of clips and jams. So if the webui is open to other machines, possibly under host names
    that it does not know (a tunnel, a rented machine), any host name is allowed.
    """
    return _allow_list(any_host=_has_password("gradio_auth", "gradio_auth_path", "auth", "auth_file") or _is_exposed())


def api_allow_list() -> AllowList:
    """Return who may use the routes for other programs."""
    return _allow_list(any_host=_has_password("api_auth", "auth", "auth_file"))


def _allow_list(any_host: bool) -> AllowList:
    names = _split_flag("riffusion_allow_host")
    origins = [text.rstrip("/") for flag in _ORIGINS for text in _split_flag(flag)]
    patterns = [str(_flag(flag)) for flag in _PATTERNS if _flag(flag)]
    if "*" in origins:
        patterns = [".*"]
    server_name = str(_flag("server_name") or "")
    return AllowList.from_names(
        [name for name in (*names, server_name) if name == "*" or _is_valid(parse_host, name)],
        [text for text in origins if _is_valid(parse_origin, text)],
        any_host=any_host,
        any_address=_is_exposed(),
        origin_pattern="|".join(f"(?:{pattern})" for pattern in patterns),
        option="--riffusion-allow-host",
    )


def _is_exposed() -> bool:
    """Return whether other machines can reach the webui."""
    server_name = _flag("server_name")
    return any(_flag(name) for name in ("listen", "share", "ngrok")) or bool(
        server_name and not is_loopback(str(server_name))
    )


def _has_password(*flags: str) -> bool:
    return any(_flag(name) for name in flags)


def _flag(name: str) -> HostObject:
    return getattr(shared.cmd_opts, name, None)


def _split_flag(name: str) -> list[str]:
    return [text.strip() for text in str(_flag(name) or "").split(",") if text.strip()]


def _is_valid(parse: Callable[[str], object], text: str) -> bool:
    """Return whether a text can be parsed; the webui accepts any text in these flags, and ignores invalid ones."""
    try:
        parse(text)
    except RiffusionError:
        return False
    return True
