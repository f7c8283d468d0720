"""Worker threads: their results, and that other threads are unaffected."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from riffusion_ext.spectrogram.threads import SERIAL, ThreadGroup, run_on

CPU = torch.device("cpu")


@pytest.fixture
def two_cores():
    """Let torch use two cores on any machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("frames", [1, 47, 48, 95, 96, 97, 512, 1000])
def test_shares_cover_every_frame_once(size: int, frames: int) -> None:
    """Shares are adjacent from the first frame to the last, not empty, and at most one per thread."""
    shares = ThreadGroup(None, size).shares(frames)
    assert [start for start, _ in shares] == [0, *(stop for _, stop in shares[:-1])]
    assert shares[-1][1] == frames
    assert all(stop > start for start, stop in shares)
    assert len(shares) <= size


@pytest.mark.usefixtures("two_cores")
def test_worker_threads_use_one_core_each_and_other_threads_are_unaffected() -> None:
    """The crew's threads have one core each; the caller and a thread created meanwhile keep theirs."""

    def work(crew: ThreadGroup) -> tuple[int, list[int], int]:
        born: list[int] = []
        other = threading.Thread(target=lambda: born.append(torch.get_num_threads()))
        other.start()
        other.join()
        return torch.get_num_threads(), crew.map(lambda _: torch.get_num_threads(), range(8)), born[0]

    leader, others, born = run_on(CPU, work)
    assert leader == 1
    assert others == [1] * 8
    assert born == 2
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_cores")
def test_nested_call_runs_serially() -> None:
    """The calling thread does not wait for itself."""
    assert run_on(CPU, lambda _: run_on(CPU, lambda inner: inner)) is SERIAL
    assert run_on(CPU, lambda crew: crew.map(lambda _: run_on(CPU, lambda inner: inner), [0])) == [SERIAL]


@pytest.mark.usefixtures("two_cores")
def test_calls_from_many_threads_all_complete() -> None:
    """Calls run one at a time, and all return."""
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda n: run_on(CPU, lambda crew: sum(crew.map(lambda x: x * n, range(5)))), range(20))
        )
    assert answers == [10 * n for n in range(20)]


@pytest.mark.usefixtures("two_cores")
def test_error_is_raised_after_all_threads_have_finished() -> None:
    """No thread still writes into arrays that the caller has dropped."""
    running = threading.Semaphore(0)
    finished: list[int] = []

    def work(number: int) -> None:
        if number == 0:
            running.acquire()
            raise KeyError("broken")
        running.release()
        finished.append(number)

    with pytest.raises(KeyError, match="broken"):
        run_on(CPU, lambda crew: crew.map(work, [0, 1]))
    assert finished == [1]


@pytest.mark.usefixtures("two_cores")
def test_no_gradients_are_recorded() -> None:
    """Gradient mode is per thread, and a parameter of the host must not create a graph."""
    weight = torch.ones(3, requires_grad=True)
    assert run_on(CPU, lambda crew: crew.map(lambda _: (weight * 2).requires_grad, [0, 1])) == [False, False]


def test_error_is_raised_although_other_items_never_started() -> None:
    """With more items than threads, pending items are dropped and the error of the failed item is raised."""
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise KeyError("broken")
        time.sleep(0.002)

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyError, match="broken"):
        ThreadGroup(pool, 1).map(work, range(100))
    assert len(begun) < 100


@pytest.mark.usefixtures("two_cores")
def test_number_of_parallel_items_is_limited_to_torch_threads() -> None:
    """On any number of cores; the results are in the items' order."""
    lock, now, most = threading.Lock(), 0, 0

    def work(item: int) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return -item

    assert run_on(CPU, lambda crew: crew.map(work, range(9))) == [-item for item in range(9)]
    assert most == 2
