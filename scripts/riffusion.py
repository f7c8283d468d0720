"""webui executes this file, again on every "Reload UI": it shows the host our Script and registers our callbacks."""

from riffusion_ext.host import webui
from riffusion_ext.host.script import RiffusionScript

webui.register()

__all__ = ["RiffusionScript"]
