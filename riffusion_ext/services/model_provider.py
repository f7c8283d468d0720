"""The model that a place offers: what generates images for songs, riffs, loops and live music there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from riffusion_ext.errors import RiffusionError

if TYPE_CHECKING:
    from riffusion_ext.generate.backends.base import Backend

__all__ = ["BackendModel", "ModelProvider", "NoModel", "RemoteModel"]


class ModelProvider(Protocol):
    """What a place can generate with.

    Attributes
    ----------
    available
        Whether there is a model.
    unavailable_reason
        One sentence why there is none; empty where each interface says it in its own words.
    """

    @property
    def available(self) -> bool:
        """Whether there is a model."""
        ...

    @property
    def unavailable_reason(self) -> str:
        """One sentence why there is none."""
        ...

    def backend(self) -> Backend:
        """Return what generates the images; a RiffusionError where nothing does."""
        ...

    def samplers(self) -> Sequence[str]:
        """Return the names of the samplers."""
        ...

    def usual_sampler(self) -> str:
        """Return the name of the sampler for those who name none; empty where only the backend knows."""
        ...

    def checkpoint_warning(self) -> str:
        """Return one sentence where the checkpoint seems to be made for something else; else nothing."""
        ...

    def styles(self) -> Sequence[str] | None:
        """Return the names of the prompt styles that users keep; None where there are no such things."""
        ...

    def apply_styles(self, prompt: str, negative: str, styles: Sequence[str]) -> tuple[str, str]:
        """Put styles, by name, into a prompt and a negative prompt."""
        ...


class _Plain:
    """A model without a sampler of choice, doubts or styles."""

    available = True
    unavailable_reason = ""

    def samplers(self) -> Sequence[str]:
        """Return the names of the samplers."""
        return []

    def usual_sampler(self) -> str:
        """Leave the choice to the backend."""
        return ""

    def checkpoint_warning(self) -> str:
        """Return nothing: the checkpoint is not known."""
        return ""

    def styles(self) -> Sequence[str] | None:
        """Return None: nobody keeps styles here."""
        return None

    def apply_styles(self, prompt: str, negative: str, styles: Sequence[str]) -> tuple[str, str]:
        """Return both prompts as they are."""
        return prompt, negative


class NoModel(_Plain):
    """No model at all.

    Parameters
    ----------
    unavailable_reason
        See :class:`ModelProvider`.
    """

    available = False

    def __init__(self, unavailable_reason: str = "") -> None:
        self.unavailable_reason = unavailable_reason

    def backend(self) -> Backend:
        """Raise a RiffusionError with the sentence why there is none."""
        raise RiffusionError(self.unavailable_reason or "there is no model here to generate images with")


@dataclass(frozen=True)
class BackendModel(_Plain):
    """A backend of one's own, such as a stand-in for a model.

    Attributes
    ----------
    make
        Returns the backend.
    names
        Samplers.
    default_sampler
        The usual one.
    """

    make: Callable[[], Backend]
    names: Sequence[str] = ()
    default_sampler: str = ""

    def backend(self) -> Backend:
        """Return the backend."""
        return self.make()

    def samplers(self) -> Sequence[str]:
        """Return the names of the samplers."""
        return list(self.names)

    def usual_sampler(self) -> str:
        """Return the usual one."""
        return self.default_sampler


class RemoteModel(_Plain):
    """The model of remote webuis, which all have the same one chosen.

    Parameters
    ----------
    addresses
        At least one.

    Raises
    ------
    RiffusionError
        An address is none, none of the webuis is there, or their models differ.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        from riffusion_ext.generate.backends.remotes import Webuis

        self._webuis = Webuis(addresses)
        self._webuis.backend()  # for the names of the samplers, and so that a typing error shows at once

    def backend(self) -> Backend:
        """Ask all webuis what they are, and return them as one backend."""
        return self._webuis.backend()

    def samplers(self) -> Sequence[str]:
        """Return the samplers that all of them have."""
        return self._webuis.samplers()

    def usual_sampler(self) -> str:
        """Return the usual sampler of the first one."""
        return self._webuis.usual_sampler()
