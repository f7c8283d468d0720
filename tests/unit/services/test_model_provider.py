"""What a place offers to generate with, or why it has nothing."""

from __future__ import annotations

import pytest

from riffusion_ext.errors import RiffusionError
from riffusion_ext.services.model_provider import BackendModel, NoModel, RemoteModel
from tests.unit.generate.fake_backends import FakeBackend, by_seed


def test_no_model_says_why_there_is_none() -> None:
    model = NoModel("There is none in this webui.")
    assert not model.available
    with pytest.raises(RiffusionError, match="There is none in this webui"):
        model.backend()
    assert (model.samplers(), model.styles(), model.checkpoint_warning()) == ([], None, "")


def test_a_backend_is_offered_with_its_samplers() -> None:
    model = BackendModel(lambda: FakeBackend(by_seed), ["Euler"], "Euler")
    assert model.available
    assert model.backend().name == "painter"
    assert (model.samplers(), model.usual_sampler()) == (["Euler"], "Euler")


def test_prompts_stay_as_they_are_without_styles() -> None:
    assert NoModel().apply_styles("sax", "drums", []) == ("sax", "drums")


def test_a_remote_model_needs_an_address_that_is_one() -> None:
    with pytest.raises(RiffusionError):
        RemoteModel(["no address"])
