"""Provide the model that generates images for songs, riffs, loops and live music."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from riffusion_ext.errors import RiffusionError

if TYPE_CHECKING:
    from riffusion_ext.generate.backends.base import Backend

__all__ = ["BackendModel", "ModelProvider", "NoModel", "RemoteModel"]


class ModelProvider(Protocol):
    """A source of a backend, with its samplers and prompt styles.

    Attributes
    ----------
    available
        Whether there is a model.
    unavailable_reason
        One sentence why there is none; empty if each interface has its own message.
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
        """Return the backend; a RiffusionError if there is no model."""
        ...

    def samplers(self) -> Sequence[str]:
        """Return the names of the samplers."""
        ...

    def usual_sampler(self) -> str:
        """Return the name of the default sampler; empty if only the backend knows it."""
        ...

    def checkpoint_warning(self) -> str:
        """Return one sentence if the checkpoint does not seem to be a Riffusion model; else an empty text."""
        ...

    def styles(self) -> Sequence[str] | None:
        """Return the names of the saved prompt styles; None if styles are not supported."""
        ...

    def apply_styles(self, prompt: str, negative: str, styles: Sequence[str]) -> tuple[str, str]:
        """Apply named styles to a prompt and a negative prompt."""
        ...


class _ProviderDefaults:
    """Base class of models without a default sampler, checkpoint warning or styles."""

    available = True
    unavailable_reason = ""

    def samplers(self) -> Sequence[str]:
        """Return the names of the samplers."""
        return []

    def usual_sampler(self) -> str:
        """Leave the choice to the backend."""
        return ""

    def checkpoint_warning(self) -> str:
        """Return an empty text: the checkpoint is not known."""
        return ""

    def styles(self) -> Sequence[str] | None:
        """Return None: styles are not supported."""
        return None

    def apply_styles(self, prompt: str, negative: str, styles: Sequence[str]) -> tuple[str, str]:
        """Return both prompts unchanged."""
        return prompt, negative


class NoModel(_ProviderDefaults):
    """A provider without a model.

    Parameters
    ----------
    unavailable_reason
        See :class:`ModelProvider`.
    """

    available = False

    def __init__(self, unavailable_reason: str = "") -> None:
        self.unavailable_reason = unavailable_reason

    def backend(self) -> Backend:
        """Raise a RiffusionError that says why there is no model."""
        raise RiffusionError(self.unavailable_reason or "there is no model here to generate images with")


@dataclass(frozen=True)
class BackendModel(_ProviderDefaults):
    """A provider of a given backend, such as a substitute for a model in tests.

    Attributes
    ----------
    make
        Returns the backend.
    names
        Names of the samplers.
    default_sampler
        Name of the default sampler.
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
        """Return the name of the default sampler."""
        return self.default_sampler


class RemoteModel(_ProviderDefaults):
    """The model of remote webuis, all of which must use the same checkpoint.

    Parameters
    ----------
    addresses
        Addresses of the webuis, at least one.

    Raises
    ------
    RiffusionError
        An address is invalid, no webui can be reached, or their checkpoints differ.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        from riffusion_ext.generate.backends.remotes import Webuis

        self._webuis = Webuis(addresses)
        self._webuis.backend()  # for the names of the samplers, and to report a typo at once

    def backend(self) -> Backend:
        """Query all webuis, and return them as one backend."""
        return self._webuis.backend()

    def samplers(self) -> Sequence[str]:
        """Return the samplers that all webuis have."""
        return self._webuis.samplers()

    def usual_sampler(self) -> str:
        """Return the default sampler of the first webui."""
        return self._webuis.usual_sampler()
