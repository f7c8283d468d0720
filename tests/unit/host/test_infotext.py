"""Settings to infotext and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.errors import RiffusionError
from riffusion_ext.host import infotext
from riffusion_ext.options.sound import CONTROLS, CUSTOM, SoundOptions, control

OPTIONS = st.builds(
    SoundOptions,
    mode=st.sampled_from(control("mode").choices),
    engine=st.sampled_from(control("engine").choices),
    level=st.sampled_from(control("level").choices),
    format=st.sampled_from(control("format").choices),
    channels=st.sampled_from(control("channels").choices),
    joined=st.booleans(),
    crossfade=st.sampled_from([0.0, 0.05, 0.5, 4.0]),
    preset=st.sampled_from(control("preset").choices),
    custom=st.sampled_from(["", "max_frequency=16000, stereo=true"]),
    high_frequencies=st.sampled_from(control("high_frequencies").choices),
)


@given(OPTIONS)
def test_written_infotext_is_read_back(options: SoundOptions) -> None:
    params: dict[str, object] = {"Steps": 20}
    infotext.write(params, options)
    read = {item.id: infotext.reader(item)({key: str(value) for key, value in params.items()}) for item in CONTROLS}
    used = options if options.preset == CUSTOM else replace(options, custom="")  # an unused text is not written
    assert SoundOptions(**read) == used  # type: ignore[arg-type]


@given(OPTIONS, OPTIONS)
def test_grid_cell_settings_do_not_leak_into_the_next_cell(first: SoundOptions, second: SoundOptions) -> None:
    shared: dict[str, object] = {"Steps": 20}
    infotext.write(shared, first)
    infotext.write(shared, second)
    alone: dict[str, object] = {"Steps": 20}
    infotext.write(alone, second)
    assert shared == alone
    infotext.remove(shared)
    assert shared == {"Steps": 20}


def test_infotext_without_our_keys_changes_nothing() -> None:
    assert [infotext.reader(item)({"Steps": "20"}) for item in CONTROLS] == [None] * len(CONTROLS)


def test_unavailable_engine_falls_back_to_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    from riffusion_ext.host import xyz
    from riffusion_ext.spectrogram import settings

    monkeypatch.setattr(settings, "available_engines", lambda: ("fast", "best"))
    assert infotext.reader(control("engine"))({"Riffusion sound": "On", "Riffusion engine": "reference"}) == "fast"
    with pytest.raises(RiffusionError, match="reference is not available"):
        xyz._confirm(control("engine"))(None, ["fast", "reference"])


def test_unknown_values_of_later_versions_fall_back_to_the_default() -> None:
    assert infotext.reader(control("engine"))({"Riffusion sound": "On", "Riffusion engine": "quantum"}) == "fast"
