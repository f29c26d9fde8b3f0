"""The targets of the engine's and the start's figures, and the check whether they are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import attrs
from cancelling import Cancels
from idle import Crowd

BARE: Final = 1.15
"""CPU of a poll, divided by that of a request of a bare loop, which does nothing with the answer."""
NAIVE: Final = 0.65
"""CPU of a poll, divided by that of the engine that people write by hand, where the service sets a load balancer's
cookies. Without cookies a bare loop already costs more than this target."""
PAGES: Final = 1 / 15
"""CPU of a status that a page brings, divided by that of a single poll."""
START: Final = 10.0
"""Seconds to start a hundred thousand watches."""
IDLE: Final = 1 / 4
"""CPU of watches without a due poll, divided by that of as many sleeping tasks."""
PAUSE: Final = 50.0
"""Milliseconds for which the loop may be blocked."""
TIMERS: Final = 10.0
"""Timers per second that may be set while nothing is due."""
GROWTH: Final = 1.5
"""CPU of one cancel among ten thousand, divided by that of one among a thousand."""
CANCEL: Final = 10.0
"""CPU of one cancel, divided by that of canceling a plain task."""
STARTUP: Final = 1.35
"""CPU of importing the client, divided by that of ``import aiohttp``."""
AT_WORK: Final = 1.5
"""CPU of a program that imports, opens a client and reads a status, divided by that of the same by aiohttp alone."""

Ratios = Mapping[tuple[str, str], float]
"""Ratios of CPU per poll by the pair compared: ``("pages, flat out", "library, flat out")``."""


@attrs.frozen
class Target:
    """One figure and its largest permitted value."""

    claim: str
    most: float
    measured: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether the figure is within its target."""
        return self.measured <= self.most

    def __str__(self) -> str:
        verdict = "PASS" if self.passed else "FAIL"
        return f"{verdict}  {self.claim}: target {self.most:.3g}{self.unit}, measured {self.measured:.3g}{self.unit}"


def poll_targets(ratios: Ratios) -> Iterator[Target]:
    """Check the costs of polls against each other."""
    for (name, to), ratio in ratios.items():
        most = PAGES if name.startswith("pages") else BARE if to.startswith("bare") else NAIVE
        yield Target(f"CPU of a status, {name}, to {to}", most, ratio, "x")


def crowd_targets(loop: str, crowd: Crowd) -> Iterator[Target]:
    """Check the cost of many watches in one process."""
    of = f"{crowd.watches:,} watches on {loop}"
    yield Target(f"{of}: started in", START, crowd.start, " s")
    yield Target(f"{of}: idle CPU to sleeping tasks", IDLE, crowd.held.cpu / crowd.tasks.cpu, "x")
    yield Target(f"{of}: timers set while idle", TIMERS, crowd.held.timers / crowd.held.seconds, "/s")
    for doing, pause in crowd.pauses.items():
        yield Target(f"{of}: longest pause while {doing}", PAUSE, pause.milliseconds, " ms")


def cancel_targets(found: Mapping[str, Cancels]) -> Iterator[Target]:
    """Check that canceling is fast, and that it is as fast among many watches."""
    for kind, cancels in found.items():
        if kind != "tasks":
            yield Target(f"one cancel among many to one among few, {kind}", GROWTH, cancels.growth, "x")
            yield Target(f"one cancel to that of a task, {kind}", CANCEL, cancels.many / found["tasks"].many, "x")


def startup_targets(ratios: Ratios) -> Iterator[Target]:
    """Check the costs of starting programs against each other."""
    for (name, to), ratio in ratios.items():
        if name.startswith(("from", "import")):
            yield Target(f"CPU of {name}, to {to}", AT_WORK if "status" in to else STARTUP, ratio, "x")
