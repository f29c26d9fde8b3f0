"""Workloads drawn at random, for which nobody has tuned anything: one world per seed.

A world has a few features, each drawn by itself: the shape of its arrivals, the mix of kinds, the load, the law of
durations, what services report, whose items are on the lists and in which order. The features come first from the seed,
and the jobs after them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs
from plans import BAD_ETAS, BAD_PROGRESS, arrivals, at_once, image, lognormal, try_on, video
from traces import Trace

from topaz_status import JobKind
from topaz_status.core.wire.list_page import PAGE_SIZES
from topaz_status.testing import JobPlan

SHAPES: Final = {"burst": 3, "waves": 2, "stream": 4, "trickle": 1}
"""How jobs arrive: all at once, in some waves, as a Poisson stream, or a few of them now and then."""
MIXES: Final = {"image": 7, "video": 4, "try-on": 3, "mixed": 6}
HINTS: Final = {"good": 4, "bad": 2, "absent": 2, "all sorts": 4}
ORDERS: Final = {"newest": 5, "oldest": 2, "uuid": 2, "random": 1}
PRICES: Final = {0.02: 1, 0.1: 4, 0.5: 1}
TOKENS: Final = (200.0, 6_000.0)
"""Tokens that come in a world: with fewer a world is chance, with more it takes long."""
PLAYING: Final = 1_000_000
"""The seeds of the services in two playings of a world differ by so much."""


@attrs.frozen
class World:
    """One workload drawn at random, and the features that describe it."""

    seed: int
    """The seed of its services, which draws the noise of what they report."""
    trace: Trace
    features: Mapping[str, Any]

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.features.items())


@attrs.frozen
class Law:
    """The durations of one kind: lognormal, or one of two lognormals by chance."""

    median: float
    sigma: float
    second: float | None = None
    """The other median."""

    def __str__(self) -> str:
        return f"{self.median:.0f}" + (f"/{self.second:.0f}" if self.second else "")

    def draw(self, dice: random.Random) -> float:
        """Draw seconds."""
        median = self.median if self.second is None or dice.random() < 0.5 else self.second
        return lognormal(dice, median, self.sigma, 0.2, 3_600.0)


def world(seed: int, playing: int = 0) -> World:
    """Draw a world. All playings of a seed have the same features; each has jobs and noise of its own."""
    dice = random.Random(f"world/{seed}")
    while True:
        frame = _frame(dice)
        if frame.shape == "trickle" or TOKENS[0] <= frame.tokens <= TOKENS[1]:
            return _fill(seed, playing, frame, dice)


def _choose(dice: random.Random, weights: Mapping[Any, float]) -> Any:
    return dice.choices(list(weights), list(weights.values()))[0]


def _between(dice: random.Random, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return low * math.exp(dice.random() * math.log(high / low))


@attrs.frozen
class Frame:
    """The size of a world: how many jobs come, how fast, and how long they last."""

    shape: str
    rate: float
    jobs: int
    load: float
    """Jobs per token that comes until the typical job has ended."""
    median: float
    sigma: float
    span: float
    """Seconds from the first submission to the last one."""

    @property
    def tokens(self) -> float:
        """Tokens until hardly a job is left."""
        return self.rate * (self.span + self.median * math.exp(2.0 * self.sigma))


def _frame(dice: random.Random) -> Frame:
    shape, rate, sigma = _choose(dice, SHAPES), _between(dice, 1.0, 50.0), dice.uniform(0.1, 1.1)
    jobs, median, load = round(_between(dice, 50, 2_000)), _between(dice, 4.0, 200.0), _between(dice, 0.15, 4.0)
    if shape == "trickle":
        jobs, alive = round(_between(dice, 40, 120)), _between(dice, 0.3, 3.0)
        return Frame(shape, rate, jobs, alive / (rate * median), median, sigma, jobs * median / alive)
    if shape == "burst":
        return Frame(shape, rate, jobs, load, max(3.0, jobs / (rate * load)), sigma, 0.5)
    span = max(0.5, jobs / (rate * load) - median)
    return Frame(shape, rate, jobs, jobs / (rate * (span + median)), median, sigma, span)


def _times(frame: Frame, dice: random.Random) -> list[float]:
    """Draw when the jobs are submitted."""
    if frame.shape == "burst":
        return at_once(dice, frame.jobs)
    if frame.shape == "waves":
        waves = dice.randint(2, 6)
        gap = frame.span / (waves - 1)
        return sorted(gap * dice.randrange(waves) + at for at in at_once(dice, frame.jobs))
    return list(arrivals(dice, frame.jobs / frame.span, frame.span)) or [0.0]


@attrs.frozen
class Setting:
    """What all jobs of a world have in common, beside their number and times."""

    mix: str
    hints: str
    laws: Mapping[JobKind, Law]
    shares: Mapping[JobKind, float]
    """How often each kind comes, as weights."""
    lead: float
    """Seconds from the first submission to the beginning of the watches."""
    foreign: float
    """Foreign jobs for each watched one that a list shows."""
    stuck: float
    unlisted: float
    failing: float
    queue: float
    """The median time in the queue, as a share of the median duration."""

    def jobs(self, dice: random.Random, at: float) -> Iterator[JobPlan]:
        """Draw a watched job and the foreign ones that come with it."""
        kind = _choose(dice, self.shares)
        stuck, listed = dice.random() < self.stuck, dice.random() >= self.unlisted
        yield self._job(dice, kind, at - self.lead, stuck=stuck, listed=listed, failure_rate=self.failing)
        for _ in range(_whole(self.foreign, dice) if kind in PAGE_SIZES else 0):
            yield self._job(dice, kind, at - self.lead + dice.uniform(0.0, 1.0), foreign=True)

    def _job(self, dice: random.Random, kind: JobKind, at: float, **fate: Any) -> JobPlan:
        law = self.laws[kind]
        duration = law.draw(dice)
        waits = lognormal(dice, self.queue * law.median, 0.5) if self.queue else 0.0
        hints = _hints(kind, self.hints, dice)
        return _MAKERS[kind](dice, at, duration=duration, queue=waits, **hints, **fate)


def _setting(frame: Frame, dice: random.Random) -> Setting:
    mix, hints = _choose(dice, MIXES), _choose(dice, HINTS)
    shares = _shares(mix, dice)
    return Setting(
        mix,
        hints,
        laws={kind: _law(frame, dice) for kind in shares},
        shares=shares,
        lead=frame.median * _between(dice, 0.3, 3.0) if dice.random() < 0.2 else 0.0,
        foreign=0.0 if dice.random() < 0.4 else _between(dice, 0.3, 10.0),
        stuck=dice.choice((0.0, 0.0, 0.0, 0.01)),
        unlisted=dice.choice((0.0, 0.0, 0.0, 0.05)),
        failing=dice.choice((0.0, 0.0, 0.05)),
        queue=dice.choice((0.0, 0.0, 0.3)),
    )


def _fill(seed: int, playing: int, frame: Frame, dice: random.Random) -> World:
    setting = _setting(frame, dice)
    plans = _plans(frame, setting, dice)
    older = 0 if dice.random() < 0.3 else round(_between(dice, 50, 5_000))
    trace = Trace(
        f"world-{seed}",
        round(frame.rate, 2),
        plans,
        older=older if JobKind.IMAGE in setting.laws else 0,
        older_videos=older // 5 if JobKind.VIDEO in setting.laws else 0,
        order=_choose(dice, ORDERS),
        history_order=_choose(dice, ORDERS),
        age_known=dice.random() < 0.5,
        price=_choose(dice, PRICES),
    )
    if playing:
        trace = attrs.evolve(trace, plans=_plans(frame, setting, random.Random(f"world/{seed}/{playing}")))
    return World(seed + playing * PLAYING, trace, _features(trace, frame, setting))


def _plans(frame: Frame, setting: Setting, dice: random.Random) -> tuple[JobPlan, ...]:
    """Draw the jobs of one playing, by the times of their submission."""
    plans = sorted((plan for at in _times(frame, dice) for plan in setting.jobs(dice, at)), key=lambda plan: plan.after)
    if all(plan.foreign or plan.stuck for plan in plans):
        plans[0] = attrs.evolve(plans[0], foreign=False, stuck=False)
    return tuple(plans)


def _whole(mean: float, dice: random.Random) -> int:
    """Draw a whole number with this mean."""
    return int(mean) + (dice.random() < mean % 1.0)


def _shares(mix: str, dice: random.Random) -> dict[JobKind, float]:
    if mix == "mixed":
        return {kind: dice.uniform(0.05, 1.0) for kind in JobKind}
    return {JobKind(mix): 1.0}


def _law(frame: Frame, dice: random.Random) -> Law:
    median = frame.median * math.exp(dice.gauss(0.0, 0.3))
    return Law(median, frame.sigma, median * _between(dice, 4.0, 20.0) if dice.random() < 0.15 else None)


_MAKERS: Final[Mapping[JobKind, Callable[..., JobPlan]]] = {
    JobKind.IMAGE: image,
    JobKind.VIDEO: video,
    JobKind.TRY_ON: try_on,
}


def _hints(kind: JobKind, hints: str, dice: random.Random) -> dict[str, Any]:
    """Draw what the service reports of one job: the fields of a plan."""
    if hints == "all sorts":
        hints = dice.choice(("good", "good", "bad", "absent"))
    if kind is JobKind.TRY_ON or hints == "good":
        return {}
    if hints == "absent":
        return {"progress": "jump", "eta": "absent", "estimate_error": 1.0}
    return {"estimate_error": 1.0, **dice.choice(BAD_ETAS), **dice.choice((*BAD_PROGRESS, {"progress": "backwards"}))}


def _features(trace: Trace, frame: Frame, setting: Setting) -> dict[str, Any]:
    """Return what describes a world, without what it does not have."""
    listed = setting.laws.keys() & PAGE_SIZES.keys()
    features = {
        "shape": frame.shape,
        "kinds": setting.mix,
        "jobs": len(trace.watched),
        "rate": trace.rate,
        "load": round(frame.load, 2),
        "median": " and ".join(map(str, setting.laws.values())),
        "sigma": round(frame.sigma, 2),
        "span": round(frame.span),
        "order": trace.order if JobKind.IMAGE in listed else None,
        "history": trace.history_order if JobKind.VIDEO in listed else None,
        "foreign": f"×{setting.foreign:.1f}" if setting.foreign and listed else None,
        "older": trace.older or trace.older_videos,
        "hints": setting.hints if listed else None,
        "lead": round(setting.lead),
        "age": "known" if trace.age_known and setting.lead else None,
        "stuck": setting.stuck,
        "unlisted": setting.unlisted if listed else None,
        "failing": setting.failing,
        "queue": setting.queue,
        "price": trace.price,
    }
    return {name: value for name, value in features.items() if value}
