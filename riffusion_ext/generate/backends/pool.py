"""Several backends as one: whoever is free takes the next pictures, and what one loses another paints.

::

    requests  0 1 2 3 4 5 6 7      A is twice as fast as B
    A         [0 1 2][4 5]  [7]
    B         [3   ]  x            B is lost: 6 goes back, and is painted by A
                  [6]

One that is lost is asked again after a while, and at once when all are. A backend that fails with an error of its own
is given other pictures, and those that failed go to somebody else; when nobody is left who has not failed at them, the
error is everybody's.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import (
    Activity,
    Backend,
    BackendUnavailableError,
    OnPicture,
    RefusedError,
    Request,
)

__all__ = ["BackendPool", "PoolMember"]

logger = logging.getLogger(__name__)

_REST = 10.0
"""Seconds until one that was lost is asked again; twice as long after each time that it was of no use."""

_LONGEST_REST = 120.0
_STRIKES = 3
"""Times that one may fail, without a picture in between, before it has to rest."""

_TRUST = 1.5
"""How much faster one is thought to be after a round in which it was thought to be too slow to be of use."""

_LOOK_AGAIN = 0.2
_GRACE = 25.0
"""Seconds that those at work have to stop in."""


class PoolMember(Backend, Protocol):
    """A backend that can be lost and come back."""

    def check(self) -> None:
        """Raise a BackendUnavailableError while it is not there."""
        ...


class _Worker:
    """A member, and how it gets on."""

    def __init__(self, member: PoolMember, lost: str) -> None:
        self.member, self.lost = member, lost
        self.again = 0.0  # time from which on it is asked again
        self.called = 0  # the last general call that it has heard
        self.strikes = 0
        self.rate: float | None = None  # pictures a second
        self.idle = False  # whether it has had nothing to do in this round, or the last one
        self.at_work: list[int] = []
        self.lock = threading.Lock()  # one thing at a time, also where a round has ended without it


class _Round:
    """One call of generate."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests = requests
        self.kinds = [request.batch_key for request in requests]
        self.pending = list(range(len(requests)))
        self.failed: dict[int, dict[_Worker, Exception]] = {number: {} for number in self.pending}
        self.news: SimpleQueue[tuple[int, Image.Image] | None] = SimpleQueue()
        self.error: BaseException | None = None
        self.over = False


class BackendPool:
    """Several backends as one, which takes requests of different kinds at once.

    Parameters
    ----------
    members
        At least one; all with the same name, that of the model.
    name
        Of the model.
    lost
        Those of them, by number, that are not there at first, and why: one sentence.
    most
        How many requests each is given at once, at most; None: as many as it takes.
    tell
        Is told, from any thread, one sentence about each that is lost or comes back.
    """

    accepts_mixed = True

    def __init__(
        self,
        members: Sequence[PoolMember],
        name: str,
        *,
        lost: Mapping[int, str] = {},
        most: int | None = None,
        tell: Callable[[str], object] = logger.info,
        rest: float = _REST,
    ) -> None:
        self.name, self.interrupted = name, False
        self._hands = [_Worker(member, lost.get(number, "")) for number, member in enumerate(members)]
        self._most, self._tell, self._rest = most, tell, rest
        self._wish = False
        self._calls = 0
        self._changed = threading.Condition()

    @property
    def max_batch(self) -> int:
        """What those that are there take at once, all together."""
        there = [hand for hand in self._hands if not hand.lost]
        return max(sum(self._takes(hand) for hand in there), 1)

    @property
    def activity(self) -> Activity | None:
        """That of the one that is furthest behind with its pictures."""
        told = [hand.member.activity for hand in self._hands if hand.at_work]
        known = [activity for activity in told if activity is not None]
        working = [activity for activity in known if activity.steps and not activity.waiting]
        return min(working, key=lambda activity: activity.step / activity.steps, default=known[0] if known else None)

    def held_to(self, most: int) -> BackendPool:
        """Give each at most so many requests at once; returns itself."""
        self._most = max(most, 1)
        return self

    def generate(self, requests: Sequence[Request], on_picture: OnPicture) -> list[Image.Image]:
        """Paint pictures; see :meth:`riffusion_ext.generate.backends.base.Backend.generate`.

        `on_picture` is called in the thread of the caller.

        Raises
        ------
        BackendUnavailableError
            All are lost; one sentence says how. What `on_picture` was given is there.
        """
        self.interrupted = self._wish = False
        round_ = _Round(requests)
        with self._changed:
            if all(hand.lost for hand in self._hands):
                self._call_all(again=True)
            for hand in self._hands:  # it may have been slow only once, as when it had to load its model
                if hand.idle and hand.rate is not None:
                    hand.rate *= _TRUST
                hand.idle = True
        for hand in self._hands:
            threading.Thread(target=self._serve, args=(hand, round_), daemon=True, name="riffusion-several").start()
        painted: dict[int, Image.Image] = {}
        try:
            self._follow(round_, painted, on_picture)
        finally:
            with self._changed:
                round_.over = True
                self._changed.notify_all()
        return [painted[number] for number in sorted(painted)]

    def interrupt(self) -> None:
        """Stop all."""
        self._wish = True
        self._stop_all()

    def _follow(self, round_: _Round, painted: dict[int, Image.Image], on_picture: OnPicture) -> None:
        """Hand out what is painted until all is there, or nothing more comes."""
        stop_by = 0.0
        try:
            while len(painted) < len(round_.requests):
                with self._changed:
                    idle = not any(hand.at_work for hand in self._hands)
                    ending = self._wish or round_.error is not None
                with suppress(Empty):  # what was painted before the last one stopped lies there by now
                    news = round_.news.get(block=not (ending and idle), timeout=_LOOK_AGAIN)
                    if news is not None:
                        number, picture = news
                        on_picture(number, picture)
                        painted[number] = picture
                    continue
                if ending and (idle or (stop_by and time.monotonic() > stop_by)):
                    break
                if ending:
                    stop_by = stop_by or time.monotonic() + _GRACE
                    self._stop_all()
        except BaseException:
            self._stop_all()
            raise
        if len(painted) < len(round_.requests):
            if round_.error is not None:
                raise round_.error
            self.interrupted = True

    def _stop_all(self) -> None:
        for hand in self._hands:
            if hand.at_work:
                hand.member.interrupt()

    def _serve(self, hand: _Worker, round_: _Round) -> None:
        """Work for a round, in a thread of the member's own."""
        with hand.lock:
            while not round_.over:
                if hand.lost:
                    self._ask_again(hand, round_)
                elif chunk := self._taken(hand, round_):
                    self._paint(hand, round_, chunk)

    def _taken(self, hand: _Worker, round_: _Round) -> list[int]:
        """Take requests, or wait a moment for some."""
        with self._changed:
            ending = self._wish or round_.over or round_.error is not None
            chunk = [] if ending else self._share(hand, round_)
            if chunk:
                round_.pending = [number for number in round_.pending if number not in chunk]
                hand.at_work, hand.idle = list(chunk), False
            elif not round_.over:
                self._changed.wait(_LOOK_AGAIN)
            return chunk

    def _share(self, hand: _Worker, round_: _Round) -> list[int]:
        """Choose the requests that a member had better paint now; none where others have them sooner."""
        mine = [number for number in round_.pending if hand not in round_.failed[number]]
        if not mine:
            return []
        others = [other for other in self._hands if other is not hand and not other.lost]
        others = [other for other in others if other not in round_.failed[mine[0]]]
        known = [other.rate for other in self._hands if other.rate is not None]
        usual = sum(known) / len(known) if known else 1.0
        rate = hand.rate or usual
        rates = [other.rate or usual for other in others]
        if rates:
            left = len(mine) + sum(len(other.at_work) for other in others)
            if 1 / rate > max(left / sum(rates), 1 / max(rates)):
                return []
        share = max(round(len(mine) * rate / (rate + sum(rates))), 1)
        alike = [number for number in mine if round_.kinds[number] == round_.kinds[mine[0]]]
        return alike[: min(share, self._takes(hand))]

    def _takes(self, hand: _Worker) -> int:
        takes = max(hand.member.max_batch, 1)
        return takes if self._most is None else min(takes, self._most)

    def _paint(self, hand: _Worker, round_: _Round, chunk: list[int]) -> None:
        began = time.monotonic()

        def keep(index: int, picture: Image.Image) -> None:
            with self._changed:
                hand.at_work.remove(chunk[index])
                hand.strikes = 0
                round_.news.put((chunk[index], picture))

        try:
            hand.member.generate([round_.requests[number] for number in chunk], keep)
            error: BaseException | None = None
        except BaseException as caught:
            error = caught
        with self._changed:
            painted = len(chunk) - len(hand.at_work)
            missing, hand.at_work = hand.at_work, []
            round_.pending = sorted([*round_.pending, *missing])
            if painted:
                rate = painted / max(time.monotonic() - began, 1e-3)
                hand.rate = rate if hand.rate is None else (hand.rate + rate) / 2
            if error is not None:
                self._take_in(hand, round_, missing, error)
            elif missing and not (self._wish or round_.over or round_.error):
                hand.strikes = _STRIKES  # somebody wants it for something else
                self._lose(hand, round_, f"{_label(hand)} was interrupted by its own user")
            self._settle(round_)
            self._changed.notify_all()
            round_.news.put(None)

    def _take_in(self, hand: _Worker, round_: _Round, missing: Sequence[int], error: BaseException) -> None:
        """Decide what an error means: that this member is lost, that nobody can paint this, or that another may."""
        if isinstance(error, BackendUnavailableError):
            self._lose(hand, round_, str(error))
            return
        if isinstance(error, RefusedError) or not isinstance(error, Exception):
            round_.error = round_.error or error
            return
        for number in missing:
            round_.failed[number][hand] = error
        hand.strikes += 1
        if hand.strikes >= _STRIKES and any(not other.lost for other in self._hands if other is not hand):
            self._lose(hand, round_, str(error))

    def _settle(self, round_: _Round) -> None:
        """End a round where all that are there have failed at the same request."""
        there = [hand for hand in self._hands if not hand.lost]
        for number in round_.pending:
            failed = round_.failed[number]
            if there and all(hand in failed for hand in there):
                round_.error = round_.error or next(iter(failed.values()))

    def _lose(self, hand: _Worker, round_: _Round, why: str) -> None:
        hand.strikes += 1
        hand.lost = why
        hand.again = time.monotonic() + min(self._rest * 2 ** (hand.strikes - 1), _LONGEST_REST)
        if all(other.lost for other in self._hands):
            self._call_all()
            self._give_up(round_)
        else:
            self._tell(f"{why}; what it had to do is done elsewhere")

    def _call_all(self, *, again: bool = False) -> None:
        """Have all that are lost asked at once, but for those that have been of no use again and again."""
        self._calls += 1
        for hand in self._hands:
            hand.strikes = 0 if again else hand.strikes
            if hand.strikes >= _STRIKES:
                hand.called = self._calls
        self._changed.notify_all()

    def _give_up(self, round_: _Round) -> None:
        """End a round where all are lost and have been asked whether they really are."""
        if all(hand.lost and hand.called >= self._calls for hand in self._hands):
            reasons = "; ".join(dict.fromkeys(hand.lost for hand in self._hands))
            count = len(self._hands)
            round_.error = round_.error or BackendUnavailableError(
                reasons if count == 1 else f"none of the {count} webuis can generate: {reasons}"
            )
            round_.news.put(None)

    def _ask_again(self, hand: _Worker, round_: _Round) -> None:
        """Ask one that is lost whether it is back, when it is time; else wait a moment."""
        with self._changed:
            calls = self._calls
            if self._wish or (time.monotonic() < hand.again and hand.called >= calls):
                self._changed.wait(_LOOK_AGAIN)
                return
        try:
            hand.member.check()
            now = hand.member.name
            why = "" if now == self.name else f"{_label(hand)} has the model {now} chosen now, {self.name} is needed"
        except Exception as error:
            why = str(error) if isinstance(error, RiffusionError) else f"{_label(hand)}: {type(error).__name__}"
        with self._changed:
            hand.lost, hand.called = why, max(hand.called, calls)
            hand.again = time.monotonic() + self._rest
            if why:
                self._give_up(round_)
            else:
                self._tell(f"{_label(hand)} is there again")
            self._changed.notify_all()


def _label(hand: _Worker) -> str:
    return str(getattr(hand.member, "url", "") or hand.member.name)
