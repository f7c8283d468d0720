"""Parse addresses of servers given by users. Standard library only."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.numbers import shown

__all__ = ["PORTS", "Address", "is_loopback"]

PORTS = (0, 65535)
"""Range of ports to listen on; 0 takes a free port."""

_MAX_CHARACTERS = 2000


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach a server on this host."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, which may resolve to any address
        return False


@dataclass(frozen=True)
class Address:
    """Address of a server, with credentials.

    Attributes
    ----------
    url
        Scheme, host, port and path, without a trailing slash. It holds no password and may be shown.
    host
        Host name or IP address.
    login
        Value of the header Authorization (HTTP Basic); empty without a user. Never show it.
    """

    url: str
    host: str
    login: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse an address such as ``http://user:password@192.168.0.5:7860`` or ``localhost:7860``.

        Raises
        ------
        RiffusionError
            The text is not an address. The message does not contain the password.
        """
        text = text.strip()
        without_login = text.rpartition("@")[2]
        message = f"an address of a webui looks like http://127.0.0.1:7860, got {shown(without_login)}"
        if len(text) > _MAX_CHARACTERS or not text.isprintable() or " " in text:  # surrogates are not printable
            raise RiffusionError(message)
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            host, port = parts.hostname, parts.port
            user, password = unquote(parts.username or ""), unquote(parts.password or "")
            host = (host or "").encode("idna").decode("ascii") if not (host or "").isascii() else host
            path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
        except ValueError:  # invalid port, brackets or host name
            raise RiffusionError(message) from None
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise RiffusionError(message)
        netloc = f"[{host}]" if ":" in host else host
        url = f"{parts.scheme}://{netloc}{f':{port}' if port else ''}{path}"
        login = base64.b64encode(f"{user}:{password}".encode()).decode() if user or password else ""
        return cls(url, host, f"Basic {login}" if login else "")
