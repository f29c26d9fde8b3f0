"""The library itself, client and session layer, against the simulator in virtual time, and its ablations."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final, Self

import attrs
from model import EPOCH, RTT, Run, limit_used
from traces import Trace

from topaz_status import JobRef, PollPolicy, StatusClient
from topaz_status.core.observation import Observation
from topaz_status.core.prediction.law_family import Alive, LawFamily
from topaz_status.core.prediction.life_tables import LifeTable, Lifetimes
from topaz_status.core.schedule.distant_jobs import DistantJobs
from topaz_status.core.schedule.entry import Poll
from topaz_status.core.schedule.list_map import ListMap, Stretch
from topaz_status.core.schedule.schedule import Schedule
from topaz_status.core.schedule.sweep import Sweep
from topaz_status.core.schedule.tracked_job import TrackedJob
from topaz_status.core.schedule.unordered_list import UnorderedList
from topaz_status.models.job import JobKind
from topaz_status.session.engine import Engine
from topaz_status.testing import Simulator, run_virtual


def play(trace: Trace, seed: int, name: str) -> Run:
    """Wait for a trace's jobs with the client variant ``name``, and measure the lags from outside."""
    return run_virtual(_play(trace, seed, name), epoch=EPOCH)


async def _play(trace: Trace, seed: int, name: str) -> Run:
    burst, limit = max(trace.rate, 1.0), trace.limit or trace.rate
    simulator = Simulator(
        seed=seed,
        delay=RTT,
        rate=limit,
        burst=max(limit, 1.0),
        order=trace.order,
        history_order=trace.history_order,
    )
    simulator.clock.follow_running_loop()
    began_at = asyncio.get_running_loop().time()
    refs = simulator.add_jobs(trace.population)
    async with (
        simulator.session() as session,
        Altered(
            VARIANTS[name],
            topaz_url=simulator.base_url,
            pixelcut_url=simulator.base_url,
            topaz_api_key="sim",
            pixelcut_api_key="sim",
            rate=trace.rate,
            burst=burst,
            service_rates={JobKind.TRY_ON: None},
            session=session,
            policy=PollPolicy(price=trace.price),
        ) as client,
    ):
        lags = await _wait(client, simulator, trace, refs)
        stats = simulator.stats()
    pages = stats.by_endpoint.get("image.list", 0) + stats.by_endpoint.get("video.history", 0)
    accepted = [began_at + exchange.at for exchange in simulator.log if exchange.status != 429]
    ends = [simulator.truth(ref).ends_at for ref in refs]
    return Run(
        trace.name,
        name,
        trace.rate,
        seed,
        tuple(sorted(lags)),
        stats.requests,
        pages,
        len(refs),
        stats.rate_limited,
        trace.limit and limit_used(trace.limit, accepted, ends),
    )


async def _wait(client: StatusClient, simulator: Simulator, trace: Trace, refs: Sequence[JobRef]) -> list[float]:
    """Watch each job from its submission on, and return the lags of the jobs that end, from their true ends.

    A job submitted before the trace begins is watched from the beginning on; a lag does not begin before its watch.
    """
    loop = asyncio.get_running_loop()
    began_at, watches = loop.time(), []
    for truth in sorted((simulator.truth(ref) for ref in refs), key=lambda truth: truth.submitted_at):
        if truth.submitted_at > loop.time():
            await asyncio.sleep(truth.submitted_at - loop.time())
        unix = simulator.clock.true_unix(truth.submitted_at - began_at)
        watch = client.watch(truth.job, submitted_at=unix if trace.age_known else None)
        if truth.ends_at < math.inf:
            watches.append((watch, loop.time(), max(truth.ends_at, began_at)))
    lags = []
    for watch, started_at, ends_at in watches:
        outcome = await watch.outcome()
        assert outcome.state is not None, outcome
        lags.append(started_at + outcome.waited - ends_at)
    return lags


# -- ablations --------------------------------------------------------------------------------------------------------


class Altered(StatusClient):
    """A client with a schedule of its own."""

    def __init__(self, plan: Callable[[PollPolicy], Schedule], **arguments: Any) -> None:
        """Take the function that makes the schedule, and the arguments of any client."""
        super().__init__(**arguments)
        self._plan = plan

    async def open(self) -> Self:
        """See :meth:`StatusClient.open`."""
        self._engine = await Engine.start(self._settings, self._transport, None, plan=self._plan)
        return self


class Blinkered(Schedule):
    """A schedule that does not see some of what services report."""

    hidden: ClassVar[Mapping[str, Any]] = {}

    def saw(
        self,
        poll: Poll,
        now: float,
        observations: Collection[Observation],
        *,
        next_cursor: str | None = None,
        ages: Sequence[float] = (),
    ) -> None:
        """Process an answer without the hidden fields."""
        less = [attrs.evolve(seen, **self.hidden) for seen in observations]
        super().saw(poll, now, less, next_cursor=next_cursor, ages=ages)


class WithoutEta(Blinkered):
    """Hides the ETA: progress, estimates and lifetimes remain."""

    hidden: ClassVar = {"remaining": None}


class WithoutHints(Blinkered):
    """Hides ETA, progress and estimates: lifetimes alone remain."""

    hidden: ClassVar = {"remaining": None, "progress": None, "estimate": None}


class FrozenTable(LifeTable):
    """A life table that never changes its prior."""

    __slots__ = ()

    def lived(self, x0: float, x1: float) -> None:
        """Learn nothing."""

    def died(self, x0: float, x1: float) -> None:
        """Learn nothing."""


class FrozenLifetimes(Lifetimes):
    """Life tables that never change their priors."""

    __slots__ = ()

    table_type = FrozenTable

    def first_poll(self, kind: JobKind, over: float) -> None:
        """Learn nothing."""


class LoneTable(LifeTable):
    """A life table whose pseudo-jobs always live by the first belief."""

    __slots__ = ()

    def __init__(self, alive: Alive, weight: float, family: Callable[[], LawFamily] | None = None) -> None:  # noqa: ARG002
        """See :class:`LifeTable`, without the family."""
        super().__init__(alive, weight)


class LoneLifetimes(Lifetimes):
    """Life tables that judge no law by what they have counted."""

    __slots__ = ()

    table_type = LoneTable


class Trusting(Lifetimes):
    """Life tables that trust a source for ever, even one that repeats itself."""

    __slots__ = ()

    doubt = math.inf


class Unhurried(Lifetimes):
    """Life tables that expect no job to be over before its watch begins."""

    __slots__ = ()

    def over_at_first(self, kind: JobKind) -> float:  # noqa: ARG002
        """Return almost zero."""
        return 1e-9


class Spendthrift(Schedule):
    """A schedule whose polls get any token, however few are left."""

    def most_worth(self, now: float, kinds: Collection[JobKind]) -> float:  # noqa: ARG002
        """Return that no poll should wait."""
        return math.inf


class WithoutMarks(ListMap):
    """Remembers no cursors: each sweep begins with the first page, and reads every page."""

    __slots__ = ()

    def seek(self, born_at: float) -> str | None:  # noqa: ARG002
        """Begin with the first page."""
        return None

    def skip(self, stretch: Stretch, births: Iterable[float]) -> str | None:  # noqa: ARG002
        """Go on with the next page."""
        return None


class WithoutDistant(DistantJobs):
    """Makes no sweep because single polls have cost as much."""

    __slots__ = ()

    def due(self, price: float) -> tuple[list[TrackedJob], float]:
        """Return no jobs."""
        return [], price

    def affords(self, polls: float) -> bool:  # noqa: ARG002
        """Return no."""
        return False


class WithoutTurns(UnorderedList):
    """Polls no page in turn in place of a job: the page has to be worth more."""

    least_shown = math.inf


def _altered(policy: PollPolicy, **parts: Callable[[Sweep], object]) -> Schedule:
    """Make a schedule whose sweeps have other parts: what makes each, by the name of its field."""
    schedule = Schedule(policy)
    for lane in schedule._lanes.values():  # noqa: SLF001 - no user exchanges these parts
        if lane.sweep is not None:
            for name, part in parts.items():
                setattr(lane.sweep, name, part(lane.sweep))
    return schedule


VARIANTS: Final[Mapping[str, Callable[[PollPolicy], Schedule]]] = {
    "library": Schedule,
    "no-pages": partial(Schedule, pages={}),
    "no-learning": lambda policy: Schedule(policy, lifetimes=FrozenLifetimes()),
    "no-family": lambda policy: Schedule(policy, lifetimes=LoneLifetimes()),
    "no-eta": WithoutEta,
    "no-hints": WithoutHints,
    "no-guard": partial(Schedule, guard=math.inf),
    "no-doubt": lambda policy: Schedule(policy, lifetimes=Trusting()),
    "no-price": partial(Schedule, gets=0.0),
    "no-saving": Spendthrift,
    "no-marks": lambda policy: _altered(policy, _map=lambda sweep: WithoutMarks(sweep.size)),
    "no-distant": lambda policy: _altered(policy, _distant=lambda _: WithoutDistant()),
    "no-turns": lambda policy: _altered(policy, _unordered=lambda _: WithoutTurns()),
    "no-bonus": lambda policy: _altered(policy, _bonus=lambda _: 0.0),
    "no-over": lambda policy: Schedule(policy, lifetimes=Unhurried()),
}
