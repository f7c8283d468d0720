"""Entry point: the webui executes this file at its start and at every "Reload UI"."""

from riffusion_ext.host import webui
from riffusion_ext.host.script import RiffusionScript

webui.register()

__all__ = ["RiffusionScript"]
