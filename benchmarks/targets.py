"""What the figures of the engine and of starting have to be, and whether they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import attrs
from cancelling import Cancels
from idle import Crowd

BARE: Final = 1.15
"""CPU of a poll, in requests of a bare loop that does nothing with the answer."""
NAIVE: Final = 0.65
"""CPU of a poll, in those of the engine that people write by hand, at a service that sets cookies as load balancers do.
Without cookies a bare loop is already dearer than that."""
PAGES: Final = 1 / 15
"""CPU of a status that a page brings, in single polls."""
START: Final = 10.0
"""Seconds to start a hundred thousand watches."""
IDLE: Final = 1 / 4
"""CPU of watches of which none is due, in that of as many sleeping tasks."""
PAUSE: Final = 50.0
"""Milliseconds for which the loop may be blocked."""
TIMERS: Final = 10.0
"""Timers a second that may be set while nothing is due."""
GROWTH: Final = 1.5
"""CPU of one cancel among ten thousand, in that of one among a thousand."""
CANCEL: Final = 10.0
"""CPU of one cancel, in that of canceling a plain task."""
STARTUP: Final = 1.35
"""CPU of importing the client, in that of ``import aiohttp``."""
AT_WORK: Final = 1.5
"""CPU of a program that imports, opens a client and reads a status, in that of one that does so by aiohttp alone."""

Ratios = Mapping[tuple[str, str], float]
"""CPU a poll by what is compared with what: ``("pages, flat out", "library, flat out")``."""


@attrs.frozen
class Target:
    """One figure and how large it may be."""

    claim: str
    most: float
    measured: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """True when it is small enough."""
        return self.measured <= self.most

    def __str__(self) -> str:
        verdict = "PASS" if self.passed else "FAIL"
        return f"{verdict}  {self.claim}: target {self.most:.3g}{self.unit}, measured {self.measured:.3g}{self.unit}"


def poll_targets(ratios: Ratios) -> Iterator[Target]:
    """Check polls against each other."""
    for (name, to), ratio in ratios.items():
        most = PAGES if name.startswith("pages") else BARE if to.startswith("bare") else NAIVE
        yield Target(f"CPU of a status, {name}, to {to}", most, ratio, "x")


def crowd_targets(loop: str, crowd: Crowd) -> Iterator[Target]:
    """Check what many watches in one process cost."""
    of = f"{crowd.watches:,} watches on {loop}"
    yield Target(f"{of}: started in", START, crowd.start, " s")
    yield Target(f"{of}: idle CPU to sleeping tasks", IDLE, crowd.held.cpu / crowd.tasks.cpu, "x")
    yield Target(f"{of}: timers set while idle", TIMERS, crowd.held.timers / crowd.held.seconds, "/s")
    for doing, pause in crowd.pauses.items():
        yield Target(f"{of}: longest pause while {doing}", PAUSE, pause.milliseconds, " ms")


def cancel_targets(found: Mapping[str, Cancels]) -> Iterator[Target]:
    """Check that canceling is fast, and as fast among many."""
    for kind, cancels in found.items():
        if kind != "tasks":
            yield Target(f"one cancel among many to one among few, {kind}", GROWTH, cancels.growth, "x")
            yield Target(f"one cancel to that of a task, {kind}", CANCEL, cancels.many / found["tasks"].many, "x")


def startup_targets(ratios: Ratios) -> Iterator[Target]:
    """Check programs that start against each other."""
    for (name, to), ratio in ratios.items():
        if name.startswith(("from", "import")):
            yield Target(f"CPU of {name}, to {to}", AT_WORK if "status" in to else STARTUP, ratio, "x")
