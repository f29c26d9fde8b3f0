"""An unknown limit is found with few 429s, used almost fully, and not forgotten, whatever its shape."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from uuid import UUID

import attrs
import pytest
from harness import client_of, now, virtual

from topaz_status import NotFoundError
from topaz_status.core.budget.budget import LocalBudget
from topaz_status.models.job import JobKind
from topaz_status.testing import Simulator
from topaz_status.testing.simulator.rate_limit import Limiter, limiter

KIND = JobKind.VIDEO
RTT = 0.1


@attrs.define
class Service:
    """A client that always has something to send, and a service with a limit that it does not name."""

    limit: Limiter
    budget: LocalBudget = attrs.field(factory=lambda: LocalBudget(100.0, 100.0, {}))
    retry_after: bool = False
    """Whether a 429 names the whole seconds until a request may pass."""
    rtt: float = RTT
    now: float = 0.37
    admitted: list[float] = attrs.field(factory=list)
    refused: list[float] = attrs.field(factory=list)
    _answers: list[tuple[float, int, float, float | None]] = attrs.field(factory=list)
    _order: itertools.count[int] = attrs.field(factory=itertools.count)

    def run(self, seconds: float) -> None:
        """Send as fast as the budget allows."""
        until = self.now + seconds
        while (at := max(self.now, self.budget.ready_at(KIND))) < until or self._answers:
            if self._answers and (self._answers[0][0] <= at or at >= until):
                self._answer()
            else:
                self._send(at)
        self.now = until

    def _send(self, at: float) -> None:
        self.now = at
        self.budget.take(KIND, at)
        seen_at = at + self.rtt / 2.0
        delay = None
        if self.limit.has_token(seen_at):
            self.limit.take()
            self.admitted.append(at)
        else:
            delay = self.limit.token_delay(seen_at)
            self.refused.append(at)
        heapq.heappush(self._answers, (at + self.rtt, next(self._order), at, delay))

    def _answer(self) -> None:
        self.now, _, sent_at, delay = heapq.heappop(self._answers)
        if delay is None:
            self.budget.confirmed(KIND, sent_at)
            return
        self.budget.limited(KIND, sent_at=sent_at, now=self.now)
        if self.retry_after:
            self.budget.hold(KIND, self.now, math.ceil(delay))

    def rates(self, since: float = 0.0) -> tuple[float, float]:
        """Return the admitted requests per second, and the share of the requests that was refused."""
        admitted, refused = (sum(at >= since for at in times) for times in (self.admitted, self.refused))
        return admitted / (self.now - since), refused / (admitted + refused)


def bucket(rate: float) -> Limiter:
    """A token bucket with the tokens of a second."""
    return found(limiter(rate))


def tight_bucket(rate: float) -> Limiter:
    """A token bucket without a burst."""
    return found(limiter(rate, 1.0))


def fixed_window(rate: float) -> Limiter:
    """A number of requests in each second of the clock."""
    return found(limiter(rate, window=1.0))


def sliding_window(rate: float) -> Limiter:
    """A number of requests in any second."""
    return found(limiter(rate, window=1.0, sliding=True))


def found(limit: Limiter | None) -> Limiter:
    """Return the limiter, which is there because a rate was given."""
    assert limit is not None
    return limit


Maker = Callable[[float], Limiter]
SHAPES: Sequence[Maker] = (bucket, tight_bucket, fixed_window, sliding_window)


@pytest.mark.parametrize("retry_after", [False, True])
@pytest.mark.parametrize("rate", [6.0, 12.0, 40.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_at_most_two_in_a_hundred_are_refused(shape: Maker, rate: float, *, retry_after: bool) -> None:
    """Over three minutes at full load under a ceiling of 100/s, the search from the first request on included.

    A pause of a whole second for each 429 costs some of the limit, and so does a bucket that forgives no jitter.
    """
    service = Service(shape(rate), retry_after=retry_after)
    service.run(180.0)
    used, refused = service.rates()
    assert refused <= 0.02
    assert used >= (0.75 if retry_after or shape is tight_bucket else 0.9) * rate


def test_a_limit_that_counts_for_ten_seconds_is_found_as_well() -> None:
    """All that is left of such a window is refused, but the rate after it is nearly right."""
    for sliding in (False, True):
        service = Service(found(limiter(12.0, window=10.0, sliding=sliding)))
        service.run(600.0)
        used, refused = service.rates()
        assert refused <= 0.03
        assert used >= 0.9 * 12.0


def test_the_first_volley_is_small_and_cut_once() -> None:
    """Of 250 jobs under a ceiling of 100/s at once, fewer than ten meet a 429 in the first second."""
    service = Service(bucket(12.0))
    service.run(1.0)
    assert len(service.refused) < 10
    assert service.budget.rate(KIND) == pytest.approx(12.0, rel=0.25)


def test_a_quiet_minute_does_not_start_the_search_anew() -> None:
    """After it the learned rate holds: hardly any request is refused."""
    service = Service(bucket(12.0))
    service.run(60.0)
    service.now += 60.0
    again = service.now
    service.run(10.0)
    used, refused = service.rates(since=again)
    assert used >= 0.9 * 12.0
    assert refused <= 0.02


@pytest.mark.parametrize("shape", SHAPES)
def test_a_limit_that_falls_is_followed_within_seconds(shape: Maker) -> None:
    """From 40 to 4 requests/s: after five seconds few are refused."""
    service = Service(shape(40.0))
    service.run(60.0)
    service.limit = shape(4.0)
    fell_at = service.now
    service.run(5.0)
    assert len([at for at in service.refused if at >= fell_at]) <= 30
    service.run(60.0)
    used, refused = service.rates(since=fell_at + 5.0)
    assert refused <= 0.05
    assert used >= 0.85 * 4.0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_limit_that_rises_is_found_within_a_minute(shape: Maker) -> None:
    """From 6 to 30 requests/s."""
    service = Service(shape(6.0))
    service.run(60.0)
    service.limit = shape(30.0)
    service.run(60.0)
    rose_at = service.now
    service.run(30.0)
    used, _ = service.rates(since=rose_at)
    assert used >= 0.8 * 30.0


def test_a_client_that_knows_the_limit_is_as_fast_as_it() -> None:
    """A burst of 50 that was never tried is out within three round trips, and nothing is refused."""
    service = Service(bucket(50.0), LocalBudget(50.0, 50.0, {}))
    service.run(0.4 + 0.001)
    assert len(service.admitted) >= 50
    service.run(10.0)
    assert len(service.admitted) >= 550
    assert not service.refused


def test_slow_answers_do_not_make_the_search_wild() -> None:
    """With answers after a second, more is on the wire when the first 429 comes, and all count as one."""
    service = Service(bucket(12.0), rtt=1.0)
    service.run(180.0)
    used, refused = service.rates()
    assert refused <= 0.04
    assert used >= 0.9 * 12.0


@virtual
async def test_jobs_that_are_not_there_show_that_requests_are_admitted() -> None:
    """A 404 refuses what was asked for and not the rate, so a large burst goes on growing with such answers."""
    simulator = Simulator(delay=RTT)
    async with client_of(simulator, rate=100.0, burst=100.0) as client:
        asked = (client.image.get(f"image:{UUID(int=number)}") for number in range(60))
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(error) for error in errors} == {NotFoundError}
        assert now() < 6.0 * RTT
