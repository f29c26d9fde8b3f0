"""Workloads: when jobs are submitted, how long they last, and what their service reports meanwhile.

A trace is data: plans for the simulator, in the order of submission, drawn from one seed. Times are seconds from the
trace's beginning; a job submitted before is watched from the beginning on. ``scale`` below 1 makes a trace shorter, not
thinner: as many jobs per second for a part of the time.
Where all jobs come at once, ``scale`` is the share of the jobs.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final, Protocol

import attrs
from plans import BAD_ETAS, BAD_PROGRESS, arrivals, at_once, image, lognormal, short_video, try_on, video

from topaz_status import JobKind
from topaz_status.testing import JobPlan

SPAN: Final = 600.0
"""Seconds that a stream of jobs lasts."""
OLDER_EVERY: Final = 0.4
"""Seconds between the submissions of the items that are on the account's list from the start."""


@attrs.frozen
class Trace:
    """A workload and the request budget for it."""

    name: str
    rate: float
    """Requests per second, and the burst."""
    plans: tuple[JobPlan, ...]
    """Plans in the order of submission. Some are foreign: on the same account, but not watched here."""
    older: int = 0
    """Items on the account's image list when the trace begins."""
    order: str = "newest"
    """The order of the image list."""
    history_order: str = "newest"
    """The order of the video history."""
    limit: float | None = None
    """Requests per second, and the burst, that the services accept if the client does not know it."""
    older_videos: int = 0
    """Items on the account's video history when the trace begins."""
    age_known: bool = False
    """Whether the client knows when each job was submitted."""
    price: float = 0.1
    """The price of a request for the library, in seconds of waiting."""

    @property
    def watched(self) -> tuple[JobPlan, ...]:
        """The plans of the watched jobs."""
        return tuple(plan for plan in self.plans if not plan.foreign)

    @property
    def population(self) -> list[JobPlan]:
        """All plans of the account, oldest first, to add to a simulator at time 0."""
        counts = {JobKind.IMAGE: self.older, JobKind.VIDEO: self.older_videos}
        return [*(_older(kind, count) for kind, count in counts.items() if count), *self.plans]


def _older(kind: JobKind, count: int) -> JobPlan:
    since = -OLDER_EVERY * count - 60.0
    return JobPlan(kind=kind, count=count, after=since, every=OLDER_EVERY, duration=1.0, foreign=True)


class Maker(Protocol):
    """Draws a trace."""

    def __call__(self, seed: int, scale: float = 1.0) -> Trace:
        """Draw the trace of a seed; ``scale`` is its length as a share of the full one."""


def burst(seed: int, scale: float = 1.0, *, rate: float = 10.0, count: int = 10_000, order: str = "newest") -> Trace:
    """10,000 images at once."""
    dice = random.Random(seed)
    plans = tuple(image(dice, at, 30.0) for at in at_once(dice, round(count * scale)))
    return Trace("burst", rate, plans, order=order)


def burst_slow(seed: int, scale: float = 1.0) -> Trace:
    """10,000 images at once, 2 requests a second."""
    return attrs.evolve(burst(seed, scale, rate=2.0), name="burst-2")


def burst_fast(seed: int, scale: float = 1.0) -> Trace:
    """10,000 images at once, 50 requests a second."""
    return attrs.evolve(burst(seed, scale, rate=50.0), name="burst-50")


def burst_random(seed: int, scale: float = 1.0) -> Trace:
    """10,000 images at once, listed by their ids."""
    return attrs.evolve(burst(seed, scale, order="uuid"), name="burst-random")


def queue(seed: int, scale: float = 1.0, *, count: int = 10_000, workers: int = 60) -> Trace:
    """10,000 images at once behind 60 workers, which take them in order."""
    dice = random.Random(seed)
    free_at = [0.0] * workers
    plans = []
    for at in at_once(dice, round(count * scale)):
        worker = min(range(workers), key=free_at.__getitem__)
        begin_at, work = max(at, free_at[worker]), lognormal(dice, 3.0, 0.6)
        free_at[worker] = begin_at + work
        plans.append(image(dice, at, queue=begin_at - at, duration=work))
    return Trace("queue", 10.0, tuple(plans))


def poisson(seed: int, scale: float = 1.0) -> Trace:
    """Images, 5 a second."""
    dice = random.Random(seed)
    plans = tuple(image(dice, at) for at in arrivals(dice, 5.0, SPAN * scale))
    return Trace("poisson", 10.0, plans, older=2_000)


def foreign(seed: int, scale: float = 1.0, *, order: str = "newest") -> Trace:
    """Images, 5 a second, among 9 foreign ones each; one in twenty images is on no list."""
    dice = random.Random(seed)
    plans = []
    for at in arrivals(dice, 50.0, SPAN * scale):
        strange = dice.random() < 0.9
        plans.append(image(dice, at, foreign=strange, listed=strange or dice.random() >= 0.05))
    return Trace("foreign", 10.0, tuple(plans), older=20_000, order=order)


def foreign_random(seed: int, scale: float = 1.0) -> Trace:
    """The trace "foreign", with the images listed by their ids."""
    return attrs.evolve(foreign(seed, scale, order="uuid"), name="foreign-random")


def deep(seed: int, scale: float = 1.0) -> Trace:
    """200 images, submitted shortly before 1,300 foreign ones; the watches begin when all of them are on the list."""
    dice = random.Random(seed)
    own = [image(dice, at - 1.0, 12.0) for at in at_once(dice, round(200 * scale))]
    newer = [image(dice, at - 0.5, 12.0, foreign=True) for at in at_once(dice, round(1_300 * scale))]
    return Trace("deep", 10.0, (*own, *newer), older=round(1_500 * scale))


def oldest(seed: int, scale: float = 1.0) -> Trace:
    """The trace "poisson" among as many foreign images; the list begins with its oldest image, so new ones are last."""
    dice = random.Random(seed)
    plans = [image(dice, at, foreign=dice.random() < 0.5) for at in arrivals(dice, 10.0, SPAN * scale)]
    return Trace("oldest", 10.0, tuple(plans), older=500, order="oldest")


def oldest_waves(seed: int, scale: float = 1.0, *, count: int = 200) -> Trace:
    """Three waves of 200 images and as many foreign ones, 3 minutes apart, at the end of a list of 3,000 older ones."""
    dice = random.Random(seed)
    plans: list[JobPlan] = []
    for wave in range(3):
        for at in at_once(dice, round(2 * count * scale)):
            plans.append(image(dice, 180.0 * wave + at, foreign=len(plans) % 2 == 1))
    return Trace("oldest-waves", 5.0, tuple(plans), older=round(3_000 * scale), order="oldest")


def waves_shuffled(seed: int, scale: float = 1.0, *, count: int = 1_070) -> Trace:
    """1,070 images of 7 s in three waves 30 s apart, listed by their ids among 3,000 older ones."""
    dice = random.Random(seed)
    times = sorted(30.0 * (number % 3) + at for number, at in enumerate(at_once(dice, round(count * scale))))
    plans = tuple(image(dice, at, 7.0, 0.37) for at in times)
    return Trace("waves-shuffled", 20.0, plans, older=round(3_000 * scale), order="uuid")


def videos(seed: int, scale: float = 1.0) -> Trace:
    """300 videos over an hour."""
    dice = random.Random(seed)
    times = sorted(dice.uniform(0.0, 3600.0 * scale) for _ in range(round(300 * scale)))
    return Trace("video", 2.0, tuple(video(dice, at) for at in times))


def video_burst(seed: int, scale: float = 1.0, *, count: int = 300) -> Trace:
    """300 videos of 20 s at once; the progress of every second one stalls at 99."""
    dice = random.Random(seed)
    times = at_once(dice, round(count * scale))
    plans = (short_video(dice, at, progress=dice.choice(("linear", "stall"))) for at in times)
    return Trace("video-burst", 10.0, tuple(plans))


def video_stream(seed: int, scale: float = 1.0) -> Trace:
    """1,900 videos of a minute within 10 minutes, 5 requests a second."""
    dice = random.Random(seed)
    times = sorted(dice.uniform(0.0, SPAN * scale) for _ in range(round(1_900 * scale)))
    return Trace("video-stream", 5.0, tuple(short_video(dice, at, 60.0) for at in times))


def unknown_limit(seed: int, scale: float = 1.0) -> Trace:
    """500 videos at once; the client may send 100 requests a second, the service accepts 12 and says so only by 429."""
    dice = random.Random(seed)
    plans = tuple(short_video(dice, at, 60.0) for at in at_once(dice, round(500 * scale)))
    return Trace("unknown-limit", 100.0, plans, limit=12.0)


def try_ons(seed: int, scale: float = 1.0) -> Trace:
    """Try-ons, 2 a second."""
    dice = random.Random(seed)
    return Trace("try-on", 10.0, tuple(try_on(dice, at) for at in arrivals(dice, 2.0, SPAN * scale)))


def mixed(seed: int, scale: float = 1.0) -> Trace:
    """4 jobs a second of all kinds, some of them misbehaving, and a foreign image for each."""
    dice = random.Random(seed)
    plans = []
    for at in arrivals(dice, 4.0, SPAN * scale):
        kind, fields = dice.random(), {"stuck": dice.random() < 0.003}
        if kind < 0.6:
            bad_eta = dice.choice(BAD_ETAS) if dice.random() < 0.1 else {}
            bad_progress = dice.choice(BAD_PROGRESS) if dice.random() < 0.1 else {}
            plans.append(image(dice, at, **fields, **bad_eta, **bad_progress))
        else:
            plans.append(video(dice, at, **fields) if kind < 0.68 else try_on(dice, at, **fields))
        plans.append(image(dice, at, foreign=True))
    return Trace("mixed", 10.0, tuple(plans), older=2_000)


def hostile(seed: int, scale: float = 1.0) -> Trace:
    """4 images a second of 3 s or 120 s: wrong ETAs, false progress, stuck jobs, jobs on no list, 3 foreign each."""
    dice = random.Random(seed)
    plans = []
    for at in arrivals(dice, 4.0, SPAN * scale):
        median, law = 3.0 if dice.random() < 0.5 else 120.0, dice.random()
        eta: dict[str, Any] = {"eta_error": 0.6, "eta_error_late": None}
        if law < 0.6:
            eta |= {"eta": "absent"} if law < 0.2 else dice.choice(BAD_ETAS)
        progress = dice.choice(BAD_PROGRESS) if dice.random() < 0.25 else {}
        fate = {"stuck": dice.random() < 0.02, "listed": dice.random() >= 0.05}
        plans.append(image(dice, at, median, 0.3, **eta, **progress, **fate))
        plans.extend(image(dice, at, foreign=True) for _ in range(3))
    return Trace("hostile", 10.0, tuple(plans), older=2_000)


TRACES: Final[Mapping[str, Maker]] = {
    "burst": burst,
    "burst-2": burst_slow,
    "burst-50": burst_fast,
    "burst-random": burst_random,
    "queue": queue,
    "poisson": poisson,
    "foreign": foreign,
    "foreign-random": foreign_random,
    "deep": deep,
    "oldest": oldest,
    "oldest-waves": oldest_waves,
    "waves-shuffled": waves_shuffled,
    "video": videos,
    "video-burst": video_burst,
    "video-stream": video_stream,
    "unknown-limit": unknown_limit,
    "try-on": try_ons,
    "mixed": mixed,
    "hostile": hostile,
}
