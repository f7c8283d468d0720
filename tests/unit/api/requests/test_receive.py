"""Receiving bodies: slow ones are dropped, others are not affected, and all held bytes are counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from riffusion_ext.api.errors import ApiError
from riffusion_ext.api.requests import receive
from riffusion_ext.api.requests.receive import MIN_RATE, WINDOW_S, DisconnectedError, Transfer, Transfers
from tests.unit.waiting import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(clock: Clock, *, max_receiving: int = 4, max_bytes: int = 1000, seconds: float = 1000.0) -> Transfers:
    return Transfers(max_receiving, max_bytes, seconds=seconds, clock=clock)


def drip(clock: Clock, size: int, seconds: float, chunks: int | None = None) -> tuple[Callable[[], Any], list[int]]:
    """Return a receive function that delivers bytes again and again after some seconds, and the sizes delivered."""
    given: list[int] = []

    async def take() -> dict[str, Any]:
        clock.now += seconds
        given.append(size)
        return {"type": "http.request", "body": bytes(size), "more_body": len(given) != chunks}

    return take, given


async def receive_all(transfers: Transfers, take: Callable[[], Any], max_bytes: int = 10**9) -> int:
    size = 0
    async with transfers.enter() as transfer:
        async for chunk in transfer.chunks(take, max_bytes=max_bytes):
            size += len(chunk)
    return size


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))


@pytest.mark.parametrize(("size", "seconds"), [(1, 11.0), (1, 0.3), (0, 1.0), (1000, 1.0), (60_000, 61.0), (1, 29.0)])
def test_too_slow_body_is_refused(clock: Clock, size: int, seconds: float) -> None:
    transfers = make(clock, max_bytes=10**9)
    take, given = drip(clock, size, seconds)
    with pytest.raises(ApiError, match=r"bytes of the body came in \d+ s") as caught:
        run(receive_all(transfers, take))
    assert caught.value.status == 408
    assert caught.value.headers == {"Connection": "close"}
    assert (len(given) - 1) * seconds < WINDOW_S, "dropped within one window"
    assert transfers.held == transfers.receiving == 0


def test_fast_start_does_not_excuse_a_slow_rest(clock: Clock) -> None:
    transfers = make(clock, max_bytes=10**9)
    sizes = [10**6, *[1] * 100]

    async def take() -> dict[str, Any]:
        clock.now += 5.0
        return {"type": "http.request", "body": bytes(sizes.pop(0)), "more_body": True}

    with pytest.raises(ApiError, match=r"came in \d+ s"):
        run(receive_all(transfers, take))
    assert clock.now <= 3 * WINDOW_S


def test_body_at_the_minimum_rate_is_accepted_up_to_the_time_limit(clock: Clock) -> None:
    take, given = drip(clock, round(MIN_RATE * 5), 5.0, chunks=100)
    assert run(receive_all(make(clock, max_bytes=10**9), take)) == sum(given)
    take, given = drip(clock, round(MIN_RATE * 5), 5.0)
    with pytest.raises(ApiError, match="longer than the 1000 s") as caught:
        run(receive_all(make(clock, max_bytes=10**9), take))
    assert caught.value.status == 408
    assert len(given) == 201


@pytest.mark.parametrize("content_length", [0, 11])
def test_too_large_body_is_refused_without_reading_the_rest(clock: Clock, content_length: int) -> None:
    transfers = make(clock)
    take, given = drip(clock, 4, 0.0)

    async def all_of_it() -> None:
        async with transfers.enter() as transfer:
            async for _ in transfer.chunks(take, max_bytes=10, content_length=content_length):
                pass

    with pytest.raises(ApiError, match="larger than the 10 bytes") as caught:
        run(all_of_it())
    assert caught.value.status == 413
    assert len(given) == (0 if content_length else 3)


def test_disconnected_client_leaves_no_data(clock: Clock) -> None:
    transfers = make(clock)

    async def take() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(DisconnectedError):
        run(receive_all(transfers, take))
    assert transfers.held == transfers.receiving == 0


async def forever() -> dict[str, Any]:
    await asyncio.sleep(3600)
    return {}


async def settle(transfers: Transfers, tasks: list[Any], clock: Clock) -> None:
    while transfers.receiving < len(tasks):
        await asyncio.sleep(0.01)
    clock.now += 2.0


def test_slowest_body_is_dropped_for_a_new_one(clock: Clock) -> None:
    async def all_of_it() -> None:
        transfers = make(clock, max_receiving=8, max_bytes=10**9)
        slow = [asyncio.ensure_future(receive_all(transfers, forever)) for _ in range(8)]
        await settle(transfers, slow, clock)
        for _ in range(8):
            take, _ = drip(clock, 100, 0.0, chunks=3)
            assert await receive_all(transfers, take) == 300
        done, waiting = await asyncio.wait(slow, timeout=2.0, return_when=asyncio.FIRST_EXCEPTION)
        assert done
        assert "many others waited" in str(next(iter(done)).exception())
        for task in waiting:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert transfers.held == transfers.receiving == 0

    run(all_of_it())


def test_fast_enough_body_is_never_dropped(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "TIMEOUT_S", 0.0)

    async def all_of_it() -> None:
        transfers = make(clock, max_receiving=1, max_bytes=10**9)
        async with transfers.enter() as good:
            transfers.reserve(good, 10**6)
            clock.now += 2.0
            with pytest.raises(ApiError, match="1 bodies are being received") as caught:
                await receive_all(transfers, forever)
            assert caught.value.status == 503
            assert not good.evicted

    run(all_of_it())


def test_number_of_waiting_bodies_is_limited(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "MAX_WAITING", 2)
    transfers = make(clock, max_receiving=1)

    async def all_of_it() -> None:
        async with transfers.enter():
            waiting = [asyncio.ensure_future(receive_all(transfers, drip(clock, 5, 0.0, 1)[0])) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(ApiError, match="try again later") as caught:
                await receive_all(transfers, forever)
            assert caught.value.status == 503
        assert await asyncio.gather(*waiting) == [5, 5]
        assert await receive_all(transfers, drip(clock, 5, 0.0, 1)[0]) == 5

    run(all_of_it())


def test_partly_received_bodies_do_not_deadlock(clock: Clock) -> None:
    async def all_of_it() -> list[int]:
        transfers = make(clock, max_bytes=1000)
        largest = 0

        async def one() -> int:
            nonlocal largest
            size = 0
            async with transfers.enter() as transfer:
                take, _ = drip(clock, 100, 0.0, chunks=7)
                async for chunk in transfer.chunks(take, max_bytes=700):
                    size += len(chunk)
                    largest = max(largest, transfers.held)
                    await asyncio.sleep(0)
            return size

        sizes = await asyncio.gather(*[one() for _ in range(4)])
        assert largest <= 1000 + 700, "the room plus the excess of one body"
        return sizes

    assert run(all_of_it()) == [700] * 4


def test_stalled_body_that_holds_room_is_dropped(clock: Clock) -> None:
    async def all_of_it() -> None:
        transfers = make(clock, max_bytes=1000)
        chunks = [900]

        async def some() -> dict[str, Any]:
            if not chunks:
                return await forever()
            return {"type": "http.request", "body": bytes(chunks.pop()), "more_body": True}

        slow = asyncio.ensure_future(receive_all(transfers, some))
        while transfers.held < 900:
            await asyncio.sleep(0.01)
        clock.now += 2.0
        take, _ = drip(clock, 100, 0.0, chunks=5)
        assert await receive_all(transfers, take) == 500
        with pytest.raises(ApiError, match="many others waited"):
            await slow

    run(all_of_it())


def test_body_waits_until_earlier_bodies_are_processed(clock: Clock) -> None:
    async def all_of_it() -> None:
        transfers = make(clock, max_bytes=1000)
        async with transfers.enter() as whole:
            assert transfers.reserve(whole, 900)
            whole.receiving = False
            take, given = drip(clock, 200, 0.0, chunks=2)
            second = asyncio.ensure_future(receive_all(transfers, take))
            await asyncio.sleep(0.3)
            assert (given, second.done(), transfers.held) == ([200], False, 900)
            whole.release()
            whole.release()
            assert await second == 400
        assert transfers.held == 0

    run(all_of_it())


def test_time_spent_waiting_for_room_does_not_count_against_the_client(clock: Clock) -> None:
    transfer = Transfer(make(clock), clock)

    async def all_of_it() -> None:
        async with transfer._transfers.enter() as whole:
            transfer._transfers.reserve(whole, 1000)
            whole.receiving = False
            growing = asyncio.ensure_future(transfer._grow(500))
            await asyncio.sleep(0.05)
            clock.now += 50.0
        await growing

    run(all_of_it())
    assert transfer._seconds_left() == WINDOW_S
