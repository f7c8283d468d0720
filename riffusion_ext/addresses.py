"""Addresses of servers, as users type them. Standard library only."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.numbers import shown

__all__ = ["PORTS", "Address", "is_loopback"]

PORTS = (0, 65535)
"""Ports to listen on; 0 takes a free one."""

_MAX_CHARACTERS = 2000


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach a server that listens there."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name: whom it lets in is not for us to tell
        return False


@dataclass(frozen=True)
class Address:
    """Where a server is, and who we are there.

    Attributes
    ----------
    url
        Scheme, host, port and path, without a slash at the end; to be shown: it has no password.
    host
        Name or number of the machine.
    login
        Value of the header Authorization (HTTP Basic); empty where no user was named. Never to be shown.
    """

    url: str
    host: str
    login: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address such as ``http://user:password@192.168.0.5:7860`` or ``localhost:7860``.

        Raises
        ------
        RiffusionError
            It is none. The message has no password in it.
        """
        text = text.strip()
        without_login = text.rpartition("@")[2]
        message = f"an address of a webui looks like http://127.0.0.1:7860, got {shown(without_login)}"
        if (
            len(text) > _MAX_CHARACTERS or not text.isprintable() or " " in text
        ):  # half surrogates are not printable either
            raise RiffusionError(message)
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            host, port = parts.hostname, parts.port
            user, password = unquote(parts.username or ""), unquote(parts.password or "")
            host = (host or "").encode("idna").decode("ascii") if not (host or "").isascii() else host
            path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
        except ValueError:  # of a port, of brackets, or of a name that no machine can have
            raise RiffusionError(message) from None
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise RiffusionError(message)
        netloc = f"[{host}]" if ":" in host else host
        url = f"{parts.scheme}://{netloc}{f':{port}' if port else ''}{path}"
        login = base64.b64encode(f"{user}:{password}".encode()).decode() if user or password else ""
        return cls(url, host, f"Basic {login}" if login else "")
