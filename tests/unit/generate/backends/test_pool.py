"""The pool of backends: whatever fails, each image is returned once while one backend works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Activity, BackendUnavailableError, OnImage, RefusedError, Request
from riffusion_ext.generate.backends.batch_limit import BatchLimit
from riffusion_ext.generate.backends.pool import BackendPool

MOST = 3


def asked(count: int) -> list[Request]:
    """Return requests with two alternating batch keys."""
    kinds = [7.0 + number // 2 % 2 for number in range(count)]
    return [Request(("a", "b"), seeds=(number, 0), cfg=cfg, width=64, height=64) for number, cfg in enumerate(kinds)]


def generated(request: Request) -> Image.Image:
    return Image.new("RGB", (64, 64), (request.seeds[0], 0, 0))


class Actor:
    """A backend that follows a script, one word per call: ``generate``, ``lose``, ``part``, ``fail`` or ``stop``.

    ``part`` loses the connection after the first image. ``down`` is how often it is unavailable when checked again.
    """

    def __init__(
        self, *script: str, then: str = "generate", down: int = 0, name: str = "tiny", seconds: float = 0.0
    ) -> None:
        self.script, self.then, self.down, self.name = list(script), then, down, name
        self.seconds = seconds
        self.max_batch = MOST
        self.interrupted = False
        self.activity: Activity | None = None
        self.got: list[list[int]] = []
        self.checks = 0
        self.interrupt_requested = threading.Event()
        self.at_work = threading.Lock()

    def check(self) -> None:
        self.checks += 1
        if self.checks <= self.down:
            raise BackendUnavailableError("still away")

    def interrupt(self) -> None:
        self.interrupt_requested.set()

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        assert 1 <= len(requests) <= self.max_batch
        assert len({request.batch_key for request in requests}) == 1
        assert self.at_work.acquire(blocking=False), "two calls at the same time"
        try:
            return self._play(self.script.pop(0) if self.script else self.then, requests, on_image)
        finally:
            self.at_work.release()

    def _play(self, word: str, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        self.interrupted = False
        self.interrupt_requested.clear()
        self.got.append([request.seeds[0] for request in requests])
        if word == "lose":
            raise BackendUnavailableError("the connection broke off")
        if word == "fail":
            raise MemoryError("too little")
        if word == "refuse":
            time.sleep(0.2)
            raise RefusedError("no such sampler")
        if word == "stop":
            self.interrupted = True
            return []
        images = []
        for index, request in enumerate(requests):
            if self.interrupt_requested.wait(self.seconds) if word != "hang" else self.interrupt_requested.wait(120):
                self.interrupted = True
                break
            if word == "part" and index:
                raise BackendUnavailableError("the connection broke off")
            images.append(generated(request))
            on_image(index, images[-1])
        return images


def pool_of(
    *actors: Actor, log: Callable[[str], object] = lambda text: None, retry_after: float = 0.01, **more
) -> BackendPool:
    return BackendPool(actors, "tiny", log=log, retry_after=retry_after, **more)


def all_generated(pool: BackendPool, count: int) -> list[int]:
    """Generate a number of images; check that each comes once, in the calling thread, and return their order."""
    came: list[int] = []
    here = threading.get_ident()

    def keep(number: int, image: Image.Image) -> None:
        assert threading.get_ident() == here
        assert image.getpixel((0, 0))[0] == number
        came.append(number)

    images = pool.generate(asked(count), keep)
    assert [image.getpixel((0, 0))[0] for image in images] == list(range(count))
    assert sorted(came) == list(range(count))
    assert not pool.interrupted
    return came


WORDS = st.lists(st.sampled_from(["generate", "lose", "part", "fail", "stop"]), max_size=5)


@settings(max_examples=80, deadline=None)
@given(
    scripts=st.lists(st.tuples(WORDS, st.sampled_from(["generate", "lose", "fail"]), st.integers(0, 3)), max_size=3),
    steady=st.integers(0, 3),
    count=st.integers(1, 12),
)
def test_pool_returns_each_image_once_while_any_backend_works(
    scripts: list[tuple[list[str], str, int]], steady: int, count: int
) -> None:
    actors = [Actor(*words, then=then, down=down) for words, then, down in scripts]
    actors.insert(min(steady, len(actors)), Actor())
    pool = pool_of(*actors)
    for _ in range(2):
        all_generated(pool, count)


@settings(max_examples=40, deadline=None)
@given(scripts=st.lists(WORDS, min_size=1, max_size=3), count=st.integers(1, 9))
def test_pool_delivers_finished_images_once_before_it_raises_when_every_backend_is_down(
    scripts: list[list[str]], count: int
) -> None:
    pool = pool_of(*(Actor(*words, then="lose", down=99) for words in scripts))
    came: list[int] = []
    try:
        pool.generate(asked(count), lambda number, image: came.append(number))
    except (BackendUnavailableError, MemoryError):
        assert len(came) < count
    assert len(came) == len(set(came))


def test_pool_uses_every_backend() -> None:
    actors = [Actor(seconds=0.02) for _ in range(3)]
    all_generated(pool_of(*actors), 9)
    assert all(actor.got for actor in actors)


def test_slow_backend_gets_fewer_requests() -> None:
    slow, fast = Actor(seconds=0.12), Actor(seconds=0.01)
    pool = pool_of(slow, fast)
    all_generated(pool, 6)  # measures the speeds
    slow.got, fast.got = [], []
    all_generated(pool, 12)
    assert sum(map(len, fast.got)) >= 10


def test_last_requests_are_not_given_to_the_slowest_backend() -> None:
    slow, fast = Actor(seconds=0.5), Actor(seconds=0.01)
    pool = pool_of(slow, fast)
    all_generated(pool, 2)
    slow.got = []
    all_generated(pool, 4)
    assert slow.got == []


def test_backend_that_was_slow_once_is_used_again() -> None:
    late, steady = Actor(seconds=0.6), Actor(seconds=0.02)
    pool = pool_of(late, steady)
    all_generated(pool, 2)
    late.seconds, late.got = 0.02, []
    for _ in range(10):
        all_generated(pool, 4)
    assert sum(map(len, late.got)) >= 4


def test_lost_backend_rejoins_the_pool() -> None:
    told: list[str] = []
    back, steady = Actor("lose", down=2, seconds=0.02), Actor(seconds=0.02)
    pool = pool_of(back, steady, log=told.append)
    for _ in range(12):
        all_generated(pool, 6)
    assert sum(map(len, back.got[1:])) > 0
    last = [text.rpartition("; ")[2] for text in told]
    assert last == [
        "what it had to do is done elsewhere",
        "tiny is available again",
    ]


def test_pool_retries_its_only_backend_once_before_it_raises() -> None:
    pool = pool_of(Actor("lose"), retry_after=60)
    all_generated(pool, 4)
    gone = Actor(then="lose", down=99)
    with pytest.raises(BackendUnavailableError, match=r"^still away$"):
        pool_of(gone, retry_after=60).generate(asked(2), lambda number, image: None)
    assert gone.checks == 1
    flapping = Actor(then="lose")  # always available when checked, and never generates
    with pytest.raises(BackendUnavailableError, match="broke off"):
        pool_of(flapping, retry_after=60).generate(asked(2), lambda number, image: None)
    assert len(flapping.got) == 3


def test_pool_error_names_every_failure_and_the_pool_can_be_used_again() -> None:
    one, two = Actor(then="lose", down=1), Actor(then="lose", down=99)
    pool = pool_of(one, two, retry_after=60)
    one.down = 99
    with pytest.raises(BackendUnavailableError, match=r"^none of the 2 webuis can generate: still away$"):
        pool.generate(asked(4), lambda number, image: None)
    one.down, one.then = 0, "generate"
    all_generated(pool, 4)


def test_pool_does_not_retry_a_request_that_a_backend_refused() -> None:
    picky, other = Actor("refuse"), Actor("hang")
    with pytest.raises(RefusedError, match="no such sampler"):
        pool_of(picky, other).generate(asked(4), lambda number, image: None)
    assert [len(actor.got) for actor in (picky, other)] == [1, 1]


def test_pool_raises_when_every_backend_failed() -> None:
    actors = [Actor(then="fail"), Actor(then="fail")]
    with pytest.raises(MemoryError):
        pool_of(*actors).generate(asked(1), lambda number, image: None)
    assert [actor.got for actor in actors] == [[[0]], [[0]]]


def test_backend_with_another_model_does_not_rejoin_the_pool() -> None:
    told: list[str] = []
    other = Actor(name="other")
    pool = pool_of(other, Actor(), lost={0: "not there"}, log=told.append)
    for _ in range(3):
        all_generated(pool, 3)
        time.sleep(0.02)
    assert other.got == []
    with pytest.raises(BackendUnavailableError, match="has the model other chosen now, tiny is needed"):
        pool_of(other, lost={0: "not there"}).generate(asked(1), lambda number, image: None)


def test_interrupt_reaches_all_backends_and_keeps_finished_images() -> None:
    hanging = [Actor("part", then="hang"), Actor(then="hang"), Actor()]
    pool = pool_of(*hanging)
    threading.Timer(0.3, pool.interrupt).start()
    came: list[int] = []
    began = time.monotonic()
    images = pool.generate(asked(9), lambda number, image: came.append(number))
    assert time.monotonic() - began < 30
    assert pool.interrupted
    assert sorted(came) == [image.getpixel((0, 0))[0] for image in images]
    assert 0 < len(came) < 9


def test_error_in_the_callback_interrupts_every_backend() -> None:
    hanging = Actor(then="hang")

    def full(number: int, image: Image.Image) -> None:
        raise RiffusionError("the disk is full")

    with pytest.raises(RiffusionError, match="disk"):
        pool_of(Actor(seconds=0.2), hanging).generate(asked(6), full)
    assert hanging.interrupt_requested.wait(60)


def test_backend_interrupted_by_its_own_user_is_not_retried() -> None:
    with pytest.raises(BackendUnavailableError, match="interrupted by its own user"):
        pool_of(stopped := Actor(then="stop"), retry_after=60).generate(asked(2), lambda number, image: None)
    assert len(stopped.got) == 1


def test_each_backend_keeps_to_its_own_batch_size() -> None:
    one, two = Actor(), Actor()
    pool = BatchLimit(pool_of(one, two), 2, lambda activity: None, lambda: False)
    assert pool.max_batch == 4
    pool.generate(asked(4), lambda number, image: None)
    assert max(map(len, one.got + two.got)) <= 2


def test_pool_reports_progress_of_the_slowest_backend() -> None:
    pool = pool_of(one := Actor("hang"), two := Actor("hang"))
    one.activity, two.activity = Activity(2, 10), Activity(7, 10)
    thread = threading.Thread(target=pool.generate, args=(asked(2), lambda number, image: None))
    assert pool.activity is None
    thread.start()
    end = time.monotonic() + 60
    while not (one.got and two.got):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert pool.activity == Activity(2, 10)
    one.activity = Activity(waiting=True)
    assert pool.activity == Activity(7, 10)
    pool.interrupt()
    thread.join(10)
