"""Clips and messages of one press of Generate, as they are sent to the page and to API clients."""

from __future__ import annotations

from riffusion_ext.files.paths import without_folders
from riffusion_ext.host.base import HostObject
from riffusion_ext.host.images.generated_images import ImageOrigin
from riffusion_ext.library import ClipRecord

__all__ = ["JOB_ATTRIBUTE", "PAYLOAD_KEY", "GenerationJob", "Payload"]

PAYLOAD_KEY = "riffusion"
"""Key of the payload in the webui's extra generation parameters."""


JOB_ATTRIBUTE = "_riffusion_job"
"""Attribute of the host's job that holds the :class:`GenerationJob`."""


class Payload(dict[str, list[dict[str, object]]]):
    """``{"clips": [...], "messages": [...]}``, a part of replies, never of an image's infotext.

    :meth:`GenerationJob.attach_payload` adds it to the extra generation parameters of replies after the texts of the
    images are written. Should a webui of A1111's family write a text later all the same: it calls every value that is
    callable, and leaves out None.
    """

    def __init__(self) -> None:
        super().__init__(clips=[], messages=[])

    def __call__(self, **_: object) -> None:
        """Return None, with which the webui omits the payload from an infotext."""


class GenerationJob:
    """One press of Generate. The copies that scripts make of the host's job share it.

    Parameters
    ----------
    host_job
        The host's job of the first hook. Scripts such as "Prompts from file" run copies of it, but make the final reply
        from its own parameters.
    """

    def __init__(self, host_job: HostObject = None) -> None:
        self.payload = Payload()
        self._host_job = host_job
        self._replies: list[dict[str, object]] = []
        self._relevant = False
        self.origins: list[ImageOrigin] = []
        """Finished images of the current run; cleared when the next cell starts."""

    def attach_payload(self, processed: HostObject, *, relevant: bool) -> None:
        """Add the payload to a reply, and to earlier ones, as a script may combine them into one.

        Parameters
        ----------
        processed
            The host's result of a run.
        relevant
            Whether sound is on in this run. The payload is added once this was so in any run of the job.
        """
        reply = dict(processed.extra_generation_params)
        processed.extra_generation_params = reply  # a copy: infotexts are written from the job's
        self._replies.append(reply)
        self._relevant = self._relevant or relevant
        if self._relevant:
            for reply in self._replies:
                reply[PAYLOAD_KEY] = self.payload
            if self._host_job is not None:
                known = self._host_job.extra_generation_params
                self._host_job.extra_generation_params = {**known, PAYLOAD_KEY: self.payload}

    def add_clip(self, record: ClipRecord) -> None:
        """Add a clip, with its file name but without the folders on the server."""
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
        """Add a message, without folders of the server, unless it is there already; return whether it is new."""
        entry: dict[str, object] = {"text": without_folders(text), "kind": kind}
        if entry in self.payload["messages"]:
            return False
        self.payload["messages"].append(entry)
        return True
