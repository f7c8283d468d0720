"""Model providers: the backend they offer, or why there is none."""

from __future__ import annotations

import pytest

from riffusion_ext.errors import RiffusionError
from riffusion_ext.services.model_provider import BackendModel, NoModel, RemoteModel
from tests.unit.generate.fake_backends import FakeBackend, by_seed


def test_missing_model_raises_the_reason() -> None:
    model = NoModel("There is none in this webui.")
    assert not model.available
    with pytest.raises(RiffusionError, match="There is none in this webui"):
        model.backend()
    assert (model.samplers(), model.styles(), model.checkpoint_warning()) == ([], None, "")


def test_backend_model_provides_backend_and_samplers() -> None:
    model = BackendModel(lambda: FakeBackend(by_seed), ["Euler"], "Euler")
    assert model.available
    assert model.backend().name == "fake"
    assert (model.samplers(), model.usual_sampler()) == (["Euler"], "Euler")


def test_prompts_are_unchanged_without_styles() -> None:
    assert NoModel().apply_styles("sax", "drums", []) == ("sax", "drums")


def test_remote_model_refuses_an_invalid_address() -> None:
    with pytest.raises(RiffusionError):
        RemoteModel(["no address"])
