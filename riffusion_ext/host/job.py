"""What one press of Generate made, in the form that travels to the page and to API clients."""

from __future__ import annotations

from typing import Any

from riffusion_ext.host.pictures import Made
from riffusion_ext.library import ClipRecord
from riffusion_ext.paths import without_folders

__all__ = ["JOB_ATTRIBUTE", "PAYLOAD_KEY", "Job", "Payload"]

PAYLOAD_KEY = "riffusion"
"""Key of the payload in webui's extra generation parameters."""


JOB_ATTRIBUTE = "_riffusion_job"
"""Attribute of the host's job that holds ours."""


class Payload(dict[str, Any]):
    """``{"clips": [...], "messages": [...]}``, kept among a job's extra generation parameters.

    webui calls whatever is callable there when it writes a picture's text, and leaves out what returns None; the JSON
    for pages and API clients is written from the mapping itself. So the payload reaches every reply, also those that
    scripts put together from many jobs (X/Y/Z plot, prompts from file), and never a picture's text.
    """

    def __init__(self) -> None:
        super().__init__(clips=[], messages=[])

    def __call__(self, **_: object) -> None:
        """Answer webui's question for a text: there is none."""


class Job:
    """One press of Generate. Scripts that copy the host's job for each cell share it."""

    def __init__(self) -> None:
        self.payload = Payload()
        self.made: list[Made] = []
        """Pictures finished so far in the run that is going on; emptied when the next cell begins."""

    def add_clip(self, record: ClipRecord) -> None:
        """Tell the page and API clients of a clip. File names without their folders: the path stays here."""
        self.payload["clips"].append(
            {
                "id": record.id,
                "file": record.path.name,
                "picture": record.picture or "",
                "duration": round(record.duration, 3),
                "seed": record.seed,
                "joined": record.picture is None,
            }
        )

    def say(self, text: str, kind: str = "info") -> bool:
        """Add a message, once, without the folders in it; returns whether it is new."""
        entry = {"text": without_folders(text), "kind": kind}
        if entry in self.payload["messages"]:
            return False
        self.payload["messages"].append(entry)
        return True
