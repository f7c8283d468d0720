"""A remote webui that has this extension, as a :class:`~riffusion_ext.generate.backends.base.Backend`.

::

    here                                  there
    init images, masks      ----------->  POST /pictures
    requests                ----------->  POST /paintings      a job in the queue of its server
    step 3 of 30            <-----------  GET  /jobs/ID        polled; each answer is a sign of life
    images                  <-----------  GET  /pictures/ID    the bytes that its model generated
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

from PIL import Image

from riffusion_ext.addresses import Address
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Activity, BackendUnavailableError, OnImage, Request
from riffusion_ext.generate.backends.http_client import NoAnswerError, NoRouteError, WebClient
from riffusion_ext.generate.checkpoint.recipe import image_id

__all__ = ["TIMEOUT_S", "Capabilities", "RemoteWebui"]

TIMEOUT_S = 30.0
"""Seconds without an answer until a webui counts as lost."""

_CHECK_TIMEOUT_S = 10.0
_MIN_POLL_S, _MAX_POLL_S = 0.05, 0.5
_CANCEL_TIMEOUT_S = 20.0  # a webui stops between two steps of its sampler


@dataclass(frozen=True)
class Capabilities:
    """Capabilities of a webui: its selected model, samplers, default sampler and batch size."""

    model: str
    samplers: tuple[str, ...]
    usual_sampler: str
    batch: int


class RemoteWebui:
    """Backend that uses the model selected in a remote webui, and no other.

    Parameters
    ----------
    address
        Such as ``http://user:password@192.168.0.5:7860``.
    timeout
        Seconds to wait for an answer.

    Raises
    ------
    RiffusionError
        The address is not valid.
    """

    def __init__(self, address: str, *, timeout: float = TIMEOUT_S) -> None:
        self._timeout = timeout
        self._client = WebClient(Address.parse(address), timeout)
        self._facts: Capabilities | None = None
        self._activity: Activity | None = None
        self._interrupting = threading.Event()
        self.interrupted = False

    @property
    def url(self) -> str:
        """Address of the webui without the password."""
        return self._client.address.url

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the webui, queried once.

        Raises
        ------
        BackendUnavailableError
            The webui is unavailable or unusable.
        """
        if self._facts is None:
            self.check()
        assert self._facts is not None
        return self._facts

    @property
    def name(self) -> str:
        """Name of the checkpoint selected there."""
        return self.capabilities.model

    @property
    def max_batch(self) -> int:
        """Batch size that the webui reports."""
        return self.capabilities.batch

    @property
    def activity(self) -> Activity | None:
        """Activity in the last answer."""
        return self._activity

    def check(self) -> None:
        """Query the capabilities again.

        Raises
        ------
        BackendUnavailableError
            The webui is unavailable or unusable; the message says why.
        """
        try:
            reply = self._client.json("/capabilities", timeout=min(self._timeout, _CHECK_TIMEOUT_S))
        except NoRouteError:
            raise BackendUnavailableError(self._client.describe_server()) from None
        self._facts = self._read(reply)

    def _read(self, reply: dict[str, object]) -> Capabilities:
        if reply.get("paints") is False:
            raise BackendUnavailableError(
                f"no model is available on {self.url}: it is not a webui, or its model cannot be used"
            )
        try:
            samplers = tuple(str(name) for name in _items(reply["samplers"]))
            batch = max(_to_int(reply["batch"]), 1)
            return Capabilities(str(reply["model"] or ""), samplers, str(reply["usual_sampler"]), batch)
        except (KeyError, TypeError, ValueError):
            other = f"the Riffusion extension on {self.url} is another version"
            raise BackendUnavailableError(f"{other}: update it there, or here") from None

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        """Generate images; see :meth:`riffusion_ext.generate.backends.base.Backend.generate`.

        Raises
        ------
        BackendUnavailableError
            The webui is gone, has not answered for the timeout, or has another model selected now.
        RefusedError
            A request is invalid for any webui.
        """
        self.interrupted = False
        self._interrupting.clear()
        model = self.capabilities.model
        try:
            uploaded = self._upload(requests)
            job = self._client.json("/paintings", {"requests": uploaded, "model": model, "batch": len(requests)})
            result = self._follow(quote(str(job.get("id", "")), safe=""))
            return self._fetch(result, requests, on_image)
        finally:
            self._activity = None

    def interrupt(self) -> None:
        """Stop the job of this object."""
        self._interrupting.set()

    def _upload(self, requests: Sequence[Request]) -> list[dict[str, object]]:
        """Upload the images of the requests, each once; returns the requests in the form that the route accepts."""
        ids: dict[str, str] = {}

        def upload(image: Image.Image | None) -> str | None:
            if image is None:
                return None
            key = image_id(image)
            if key not in ids:
                file = io.BytesIO()
                image.save(file, "PNG", compress_level=1)
                ids[key] = str(self._client.upload("/pictures", file.getvalue()).get("id", ""))
            return ids[key]

        plain = ("alpha", "cfg", "denoise", "steps", "sampler", "width", "height", "loop")
        return [
            {
                "prompts": list(request.prompts),
                "negatives": list(request.negatives),
                "seeds": [seed % 2**32 for seed in request.seeds],
                "init": upload(request.init),
                "mask": upload(request.mask),
                **{name: getattr(request, name) for name in plain},
            }
            for request in requests
        ]

    def _follow(self, job: str) -> dict[str, object]:
        """Wait until a job has ended, and return its result."""
        over = False
        try:
            view = self._wait_for_end(job)
            over = True
        finally:
            if not over:  # whatever happened: its images will not be fetched
                with suppress(RiffusionError):
                    self._client.post_empty(f"/jobs/{job}/cancel", timeout=min(self._timeout, 3.0))
        result = view.get("result")
        if isinstance(result, dict):
            self.interrupted = not result.get("complete", False)
            return result
        if view.get("state") == "cancelled":
            self.interrupted = True
            return {}
        raise RiffusionError(f"{self.url}: {view.get('error') or 'nothing was generated'}")

    def _wait_for_end(self, job: str) -> dict[str, object]:
        last_reply, pause, stop_by = time.monotonic(), _MIN_POLL_S, 0.0
        while True:
            try:
                view = self._client.json(f"/jobs/{job}")
                last_reply = time.monotonic()
                self._activity = _activity_of(view)
                if view.get("state") not in ("waiting", "running"):
                    return view
            except NoRouteError:
                raise BackendUnavailableError(f"{self.url} has forgotten its work, as after a restart") from None
            except NoAnswerError:
                if time.monotonic() - last_reply > self._timeout:
                    raise
            if self._interrupting.is_set() and not stop_by:
                stop_by, pause = time.monotonic() + _CANCEL_TIMEOUT_S, _MIN_POLL_S
                self._client.post_empty(f"/jobs/{job}/cancel")
            if stop_by and time.monotonic() > stop_by:
                return {"state": "cancelled"}
            # Not the event's own wait once it is set: it would return at once.
            time.sleep(pause) if stop_by else self._interrupting.wait(pause)
            pause = min(1.5 * pause, _MAX_POLL_S)

    def _fetch(self, result: dict[str, object], requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        images = []
        views = _items(result.get("pictures") or [])
        for number, (view, request) in enumerate(zip(views, requests, strict=False)):
            image = self._image(_id_of(view), (request.width, request.height))
            on_image(number, image)
            images.append(image)
        return images

    def _image(self, id_: str, size: tuple[int, int]) -> Image.Image:
        content = self._client.file(f"/pictures/{quote(id_.encode('utf-8', 'replace'), safe='')}")
        try:
            image = Image.open(io.BytesIO(content), formats=("PNG",))
            if image.size == size:
                image.load()
        except Exception as error:  # Pillow's plugins raise whatever a damaged file makes them raise
            raise BackendUnavailableError(f"{self.url} gave a damaged image: {type(error).__name__}") from error
        if (image.size, image.mode) != (size, "RGB"):
            expected = f"RGB of {size[0]} x {size[1]}"
            actual = f"{image.mode} of {image.width} x {image.height}"
            raise BackendUnavailableError(f"an image of {expected} was asked for, {self.url} generated {actual}")
        text = image.info.get("parameters")
        image.info = {"parameters": str(text)} if text else {}
        return image


def _activity_of(view: dict[str, object]) -> Activity | None:
    """Return the activity of a job; a queued job has no other activity than waiting."""
    if view.get("state") == "waiting":
        return Activity(waiting=True)
    activity = view.get("activity")
    if not isinstance(activity, dict):
        return None
    try:
        return Activity(int(activity["step"]), int(activity["steps"]), bool(activity["waiting"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _items(value: object) -> Iterable[object]:
    """Return a list in an answer; TypeError for other values."""
    if not isinstance(value, Iterable):
        raise TypeError(f"{type(value).__name__!r} object is not iterable")
    return value


def _to_int(value: object) -> int:
    """Return a whole number in an answer; TypeError or ValueError for other values."""
    if not isinstance(value, (int, float, str)):
        raise TypeError(f"{type(value).__name__!r} object is not a number")
    return int(value)


def _id_of(view: object) -> str:
    """Return the id of an image in an answer; TypeError or KeyError if it has none."""
    if not isinstance(view, dict):
        raise TypeError(f"{type(view).__name__!r} object has no id")
    return str(view["id"])
