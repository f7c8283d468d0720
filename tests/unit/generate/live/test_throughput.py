"""How much of a live session must be buffered before it plays."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from riffusion_ext.generate.live.throughput import MIN_PLAY_S, Throughput

WINDOWS = st.floats(0.5, 30.0)


def test_playback_waits_until_the_throughput_is_known():
    pace = Throughput(20.0)
    assert pace.speed is None
    assert pace.needed == 20.0


@given(WINDOWS, st.floats(0.05, 50.0), st.floats(0.0, 1.0))
def test_next_window_is_ready_in_time(window, speed, late):
    """Even if it takes a quarter longer than the previous ones, and a second to load."""
    pace = Throughput(1e6)
    pace.add(window, window / speed)
    loaded = 1
    while loaded * window < pace.needed:
        pace.add(window, window / speed)
        loaded += 1
    assert 1.25 * window / speed + late <= loaded * window + 1e-9


@given(WINDOWS, st.floats(0.02, 0.98), st.floats(40.0, 200.0))
def test_slow_backend_plays_for_a_minimum_time_without_a_pause(window, speed, ahead):
    pace = Throughput(ahead)
    for _ in range(4):
        pace.add(window, window / speed)
    assume(pace.needed < ahead)
    assert (
        pace.needed / (1.0 - speed) >= MIN_PLAY_S * 0.999
    )  # until the buffer, and what is generated meanwhile, has been played


@given(WINDOWS, st.floats(0.001, 50.0), st.floats(5.0, 60.0))
def test_buffer_never_exceeds_the_time_generated_ahead(window, speed, ahead):
    pace = Throughput(ahead)
    pace.add(window, window / speed)
    assert 0 < pace.needed <= ahead


def test_speed_is_measured_over_the_latest_windows_only():
    pace = Throughput(60.0)
    pace.add(5.0, 500.0)  # the model was loaded
    for _ in range(4):
        pace.add(5.0, 1.0)
    assert pace.speed == 5.0
    assert pace.needed < 5.0  # playback starts with the first window
