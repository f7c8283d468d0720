"""What one press of Generate made, in the form that travels to the page and to API clients."""

from __future__ import annotations

from typing import Any

from riffusion_ext.files.paths import without_folders
from riffusion_ext.host.images.generated_images import ImageOrigin
from riffusion_ext.library import ClipRecord

__all__ = ["JOB_ATTRIBUTE", "PAYLOAD_KEY", "GenerationJob", "Payload"]

PAYLOAD_KEY = "riffusion"
"""Key of the payload in webui's extra generation parameters."""


JOB_ATTRIBUTE = "_riffusion_job"
"""Attribute of the host's job that holds ours."""


class Payload(dict[str, Any]):
    """``{"clips": [...], "messages": [...]}``, which goes into replies and never into an image's text.

    :meth:`GenerationJob.attach_payload` adds it to the extra generation parameters of replies after the texts of the
    images are written. Should a webui of A1111's family write a text later all the same: it calls every value that is
    callable, and leaves out None.
    """

    def __init__(self) -> None:
        super().__init__(clips=[], messages=[])

    def __call__(self, **_: object) -> None:
        """Answer webui's question for a text: there is none."""


class GenerationJob:
    """One press of Generate. Scripts that copy the host's job for each cell share it.

    Parameters
    ----------
    host_job
        The host's job as it was given to the first hook. Scripts run copies of it ("prompts from file"), and make the
        reply of its own parameters at the end.
    """

    def __init__(self, host_job: Any = None) -> None:
        self.payload = Payload()
        self._host_job = host_job
        self._replies: list[dict[str, Any]] = []
        self._relevant = False
        self.origins: list[ImageOrigin] = []
        """Images finished so far in the run that is going on; emptied when the next cell begins."""

    def attach_payload(self, processed: Any, *, relevant: bool) -> None:
        """Give a reply the payload; also those before it, of which the script that runs the jobs may make one.

        Parameters
        ----------
        processed
            The host's result of a run.
        relevant
            Whether this run has anything to tell.
        """
        reply = dict(processed.extra_generation_params)
        processed.extra_generation_params = reply  # its own: the job's is what the texts of images are written from
        self._replies.append(reply)
        self._relevant = self._relevant or relevant
        if self._relevant:
            for reply in self._replies:
                reply[PAYLOAD_KEY] = self.payload
            if self._host_job is not None:
                known = self._host_job.extra_generation_params
                self._host_job.extra_generation_params = {**known, PAYLOAD_KEY: self.payload}

    def add_clip(self, record: ClipRecord) -> None:
        """Tell the page and API clients of a clip. File names without their folders: the path stays here."""
        self.payload["clips"].append(
            {
                "id": record.id,
                "file": record.path.name,
                "picture": record.image or "",
                "duration": round(record.duration, 3),
                "seed": record.seed,
                "joined": record.image is None,
            }
        )

    def add_message(self, text: str, kind: str = "info") -> bool:
        """Add a message, once, without the folders in it; returns whether it is new."""
        entry = {"text": without_folders(text), "kind": kind}
        if entry in self.payload["messages"]:
            return False
        self.payload["messages"].append(entry)
        return True
