"""Plans of single jobs for the simulator, drawn at random, and the times of their submission."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any, Final

from topaz_status import JobKind
from topaz_status.testing import JobPlan

BAD_ETAS: Final[tuple[dict[str, Any], ...]] = (
    {"eta": "absent"},
    {"eta": "frozen"},
    {"eta": "scaled", "eta_error": 0.3},
    {"eta": "scaled", "eta_error": 3.0},
    {"eta": "zero"},
)
BAD_PROGRESS: Final[tuple[dict[str, Any], ...]] = ({"progress": "stall"}, {"progress": "jump"})
"""Progress that rises fast to 99 and stays there; progress that is 0, then 100 long before the end."""
MOST_DRAWS: Final = 1_000
"""Draws outside their bounds before the nearest bound is taken."""


def lognormal(dice: random.Random, median: float, sigma: float, low: float = 0.0, high: float = math.inf) -> float:
    """Draw seconds; draw again if the value is outside the bounds, but return the nearest one if nearly all are."""
    for _ in range(MOST_DRAWS):
        seconds = median * math.exp(dice.gauss(0.0, sigma))
        if low <= seconds <= high:
            return seconds
    return min(max(median, low), high)


def image(dice: random.Random, at: float, median: float = 20.0, sigma: float = 0.6, **fields: Any) -> JobPlan:
    """Draw an image: its ETA is off by up to 30 % of the time left at first, and by up to 8 % near the end."""
    drawn: dict[str, Any] = {
        "duration": lognormal(dice, median, sigma),
        "eta": "noisy",
        "eta_error": 0.3,
        "eta_error_late": 0.08,
        "gamma": math.exp(dice.gauss(0.0, 0.25)),
    }
    return JobPlan(kind=JobKind.IMAGE, after=at, **(drawn | fields))


def video(dice: random.Random, at: float, **fields: Any) -> JobPlan:
    """Draw a video of a minute to six hours; its estimates are off by up to 25 %, and its progress is uneven."""
    drawn: dict[str, Any] = {
        "queue": lognormal(dice, 20.0, 1.0),
        "duration": lognormal(dice, 1200.0, 0.9, 60.0, 21_600.0),
        "gamma": math.exp(dice.gauss(0.0, 0.25)),
        "estimate_error": 0.25,
    }
    return JobPlan(kind=JobKind.VIDEO, after=at, **(drawn | fields))


def short_video(dice: random.Random, at: float, median: float = 20.0, **fields: Any) -> JobPlan:
    """Draw a video of less than a minute or a few minutes, which hardly waits for its start."""
    drawn = {"queue": lognormal(dice, 1.0, 0.5), "duration": lognormal(dice, median, 0.5)}
    return video(dice, at, **(drawn | fields))


def try_on(dice: random.Random, at: float, **fields: Any) -> JobPlan:
    """Draw a try-on: the service gives no progress or estimate before its end."""
    drawn: dict[str, Any] = {"duration": lognormal(dice, 22.0, 0.45, 8.0, 90.0)}
    return JobPlan(kind=JobKind.TRY_ON, after=at, **(drawn | fields))


def arrivals(dice: random.Random, rate: float, span: float) -> Iterator[float]:
    """Draw the times of a Poisson stream."""
    at = dice.expovariate(rate)
    while at < span:
        yield at
        at += dice.expovariate(rate)


def at_once(dice: random.Random, count: int) -> list[float]:
    """Draw the times of jobs that are submitted within half a second."""
    return sorted(dice.uniform(0.0, 0.5) for _ in range(count))
