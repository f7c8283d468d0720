"""Spectrogram parameters: derived values and validation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.errors import RiffusionError
from riffusion_ext.spectrogram import PRESETS, SpectrogramParams


def test_the_defaults_are_what_riffusion_model_v1_was_trained_on() -> None:
    params = SpectrogramParams()
    assert (params.hop_length, params.win_length, params.n_fft) == (441, 4410, 17640)
    assert (params.num_frequencies, params.min_frequency, params.max_frequency) == (512, 0, 10000)
    assert (params.power_for_image, params.channels) == (0.25, 1)
    assert PRESETS["riffusion-v1"] == params


def test_stereo_preset_is_that_of_the_stereo_models() -> None:
    params = PRESETS["20khz-stereo"]
    assert (params.min_frequency, params.max_frequency, params.channels) == (10, 20000, 2)


@pytest.mark.parametrize(("columns", "seconds"), [(512, 5.11), (513, 5.12), (501, 5.0), (1024, 10.23), (2048, 20.47)])
def test_widths_have_their_known_durations(columns: int, seconds: float) -> None:
    assert SpectrogramParams().samples_of_columns(columns) == round(seconds * 44100)


@pytest.mark.parametrize(("milliseconds", "columns"), [(5110, 512), (5119, 512), (5120, 513), (5000, 501)])
def test_durations_have_their_known_widths(milliseconds: int, columns: int) -> None:
    assert SpectrogramParams().columns_of_samples(milliseconds * 44100 // 1000) == columns


@given(
    columns=st.integers(2, 2100),
    rate=st.sampled_from([8000, 11025, 22050, 32000, 44100, 48000, 96000, 192000]),
    step=st.one_of(st.integers(1, 50), st.floats(1, 50)),
    more=st.floats(0, 0.999),
)
def test_columns_and_samples_are_inverse(columns: int, rate: int, step: float, more: float) -> None:
    params = SpectrogramParams(
        sample_rate=rate, step_size_ms=step, window_duration_ms=2 * step, padded_duration_ms=4 * step,
        max_frequency=4000,
    )  # fmt: skip
    samples = params.samples_of_columns(columns)
    assert samples == (columns - 1) * params.hop_length
    assert params.columns_of_samples(samples + int(more * params.hop_length)) == columns


def test_zero_or_one_column_has_no_samples() -> None:
    assert SpectrogramParams().samples_of_columns(0) == SpectrogramParams().samples_of_columns(1) == 0


@pytest.mark.parametrize("name", ["sample_rate", "step_size_ms", "num_frequencies", "max_frequency", "power_for_image"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, 0, 1e12, True, "44100", None])
def test_invalid_values_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(RiffusionError, match=name):
        SpectrogramParams(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window_duration_ms": 100, "padded_duration_ms": 50}, "not be shorter"),
        ({"step_size_ms": 60}, "at least twice"),
        ({"min_frequency": 10000}, "must be above min_frequency"),
        ({"max_frequency": 22051}, r"half the sample rate \(22050\)"),
        ({"sample_rate": 44100.5}, "whole number"),
        ({"num_frequencies": 511.5}, "whole number"),
        ({"stereo": 1}, "true or false"),
        ({"window_duration_ms": 500, "padded_duration_ms": 500}, "20000 samples, which are 454 ms at 44100 Hz"),
        ({"step_size_ms": 1, "window_duration_ms": 101}, "at most 100 times step_size_ms"),
        ({"sample_rate": 192000, "padded_duration_ms": 700}, "131072 samples, which are 683 ms at 192000 Hz"),
    ],
)
def test_values_that_contradict_each_other_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(RiffusionError, match=message):
        SpectrogramParams(**values)  # type: ignore[arg-type]


def test_replaced_values_are_checked() -> None:
    params = SpectrogramParams().replace(num_frequencies=256)
    assert params == SpectrogramParams(num_frequencies=256)
    with pytest.raises(RiffusionError, match="num_frequencies"):
        params.replace(num_frequencies=1)


def test_mapping_may_lack_fields_and_have_others() -> None:
    params = SpectrogramParams.from_mapping({"sample_rate": 48000, "max_value": 3.0, "other": None})
    assert params == SpectrogramParams(sample_rate=48000)
