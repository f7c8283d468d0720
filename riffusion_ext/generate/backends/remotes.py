"""Combine the webuis that a user named into one backend."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import BackendUnavailableError
from riffusion_ext.generate.backends.pool import BackendPool
from riffusion_ext.generate.backends.remote import TIMEOUT_S, RemoteWebui

__all__ = ["Webuis"]

logger = logging.getLogger(__name__)


class Webuis:
    """Webuis that run with ``--api``, by their addresses.

    Parameters
    ----------
    addresses
        At least one; duplicates count once.
    timeout
        Seconds without an answer until a webui counts as lost.
    log
        Called with a sentence about each webui that is lost or returns.

    Raises
    ------
    RiffusionError
        An address is not valid.
    """

    def __init__(
        self, addresses: Sequence[str], *, timeout: float = TIMEOUT_S, log: Callable[[str], object] = logger.warning
    ) -> None:
        remotes = [RemoteWebui(address, timeout=timeout) for address in addresses]
        first = {remote.url: address for remote, address in zip(reversed(remotes), reversed(addresses), strict=True)}
        self._addresses = [first[url] for url in dict.fromkeys(remote.url for remote in remotes)]
        self._timeout, self._log = timeout, log
        self._samplers: list[str] = []
        self._default_sampler = ""

    def backend(self) -> BackendPool:
        """Query all webuis and return them as one backend.

        Raises
        ------
        BackendUnavailableError
            None of them is available.
        RiffusionError
            They have different models selected.
        """
        remotes = [RemoteWebui(address, timeout=self._timeout) for address in self._addresses]
        with ThreadPoolExecutor(len(remotes)) as pool:
            reasons = list(pool.map(_failure_of, remotes))
        lost = {number: why for number, why in enumerate(reasons) if why}
        available = [remote for remote, why in zip(remotes, reasons, strict=True) if not why]
        if not available:
            every = "" if len(remotes) == 1 else f"none of the {len(remotes)} webuis can generate: "
            raise BackendUnavailableError(every + "; ".join(lost.values()))
        for why in lost.values():
            self._log(f"{why}; continuing with the others")
        models = {remote.name for remote in available}
        if len(models) > 1:
            chosen = ", ".join(f"{remote.name or 'none'} on {remote.url}" for remote in available)
            raise RiffusionError(f"the webuis must all have the same model chosen, they have {chosen}")
        self._samplers = [
            name
            for name in available[0].capabilities.samplers
            if all(name in remote.capabilities.samplers for remote in available)
        ]
        self._default_sampler = next((remote.capabilities.usual_sampler for remote in available), "")
        return BackendPool(remotes, available[0].name, lost=lost, log=self._log)

    def samplers(self) -> list[str]:
        """Return the samplers that all webuis available at the last query have."""
        return list(self._samplers)

    def usual_sampler(self) -> str:
        """Return the name of the default sampler."""
        return self._default_sampler


def _failure_of(remote: RemoteWebui) -> str:
    try:
        remote.check()
    except RiffusionError as error:
        return str(error)
    return ""
