"""Our routes in the webui's own server: for other programs where it runs with ``--api``, and for our players always."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modules import shared

from riffusion_ext.errors import RiffusionError
from riffusion_ext.host.visitors import api_visitors, page_visitors
from riffusion_ext.library import LIBRARY

if TYPE_CHECKING:
    from riffusion_ext.api.context import ApiContext
    from riffusion_ext.host.base import Host
    from riffusion_ext.services.model_provider import ModelProvider

__all__ = ["Routes"]


class Routes:
    """What was uploaded and is being made; it outlives "Reload UI", which starts another server.

    Parameters
    ----------
    host
        The webui.
    model
        Returns what generates images.
    """

    def __init__(self, host: Host, model: Callable[[], ModelProvider]) -> None:
        self._host, self._model = host, model
        self._service: ApiContext | None = None

    def started(self, _demo: Any, app: Any) -> None:
        """Put the routes into the server that was just started; whatever goes wrong, the webui runs on."""
        try:
            self._add_to(app)
        except Exception as error:
            unexpected = None if isinstance(error, RiffusionError) else error
            self._host.report(f"Riffusion: no routes for other programs: {error}", unexpected)

    def _add_to(self, app: Any) -> None:
        from riffusion_ext.api.routes.live import mount_live
        from riffusion_ext.api.routes.page import mount_media
        from riffusion_ext.generate.live.registry import JAMS

        mount_media(app, LIBRARY, page_visitors())
        mount_live(app, JAMS, page_visitors())
        flags = shared.cmd_opts
        if not (getattr(flags, "api", False) or getattr(flags, "nowebui", False)):
            return
        credentials = self._credentials()
        from riffusion_ext.api.app import mount

        if self._service is None:
            self._service = self._new_service()
        mount(app, self._service, credentials, allow_list=api_visitors())

    def _credentials(self) -> dict[str, str]:
        """Return the passwords of the host's own API; a RiffusionError where there are some that cannot be read."""
        from riffusion_ext.api.access.auth import parse_credentials

        flags = shared.cmd_opts
        text = getattr(flags, "api_auth", None) or getattr(flags, "auth", None) or ""  # the latter in SD.Next
        if not text and getattr(flags, "auth_file", None):
            raise RiffusionError("the passwords of the API are in a file, so Riffusion's routes are left out")
        return parse_credentials(text)

    def _new_service(self) -> ApiContext:
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
