"""Routes in the webui's server: always those of the players, and with ``--api`` those for other programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from modules import shared

from riffusion_ext.errors import RiffusionError
from riffusion_ext.host.allow_lists import api_allow_list, page_allow_list
from riffusion_ext.host.base import HostObject
from riffusion_ext.library import LIBRARY

if TYPE_CHECKING:
    from riffusion_ext.api.context import ApiContext
    from riffusion_ext.host.base import Host
    from riffusion_ext.services.model_provider import ModelProvider

__all__ = ["Routes"]


class Routes:
    """Adds the routes, and keeps uploads and jobs across "Reload UI", which starts another server.

    Parameters
    ----------
    host
        The webui.
    model
        Returns the provider of the model that generates images.
    """

    def __init__(self, host: Host, model: Callable[[], ModelProvider]) -> None:
        self._host, self._model = host, model
        self._api_context: ApiContext | None = None

    def on_app_started(self, _demo: object, app: HostObject) -> None:
        """Add the routes to the server that was just started. Errors are reported, and the webui runs on."""
        try:
            self._add_to(app)
        except Exception as error:
            unexpected = None if isinstance(error, RiffusionError) else error
            self._host.report(f"Riffusion: no routes for other programs: {error}", unexpected)

    def _add_to(self, app: HostObject) -> None:
        from riffusion_ext.api.routes.live import mount_live
        from riffusion_ext.api.routes.page import mount_media
        from riffusion_ext.generate.live.registry import JAMS

        mount_media(app, LIBRARY, page_allow_list())
        mount_live(app, JAMS, page_allow_list())
        flags = shared.cmd_opts
        if not (getattr(flags, "api", False) or getattr(flags, "nowebui", False)):
            return
        credentials = self._credentials()
        from riffusion_ext.api.app import mount

        if self._api_context is None:
            self._api_context = self._new_api_context()
        mount(app, self._api_context, credentials, allow_list=api_allow_list())

    def _credentials(self) -> dict[str, str]:
        """Return the passwords of the host's API, or raise a RiffusionError if they cannot be read."""
        from riffusion_ext.api.access.auth import parse_credentials

        flags = shared.cmd_opts
        text = getattr(flags, "api_auth", None) or getattr(flags, "auth", None) or ""  # the latter in SD.Next
        if not text and getattr(flags, "auth_file", None):
            raise RiffusionError("the passwords of the API are in a file, so Riffusion's routes are left out")
        return parse_credentials(text)

    def _new_api_context(self) -> ApiContext:
        from riffusion_ext.api.context import ApiContext

        subpath = str(getattr(shared.cmd_opts, "subpath", None) or "").strip("/")
        return ApiContext(
            host=self._host.name,
            scratch=self._host.scratch_folder,
            device=self._host.device,
            output=self._host.output_folder,
            prefix=f"/{subpath}" if subpath else "",
            model=self._model(),
        )
