"""The policies of :mod:`model` by their names: what people write by hand, and bounds that nobody could write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bounds import Clairvoyant
from loops import INTERVAL, Loop, backoff, every, fixed, until_eta
from model import Policy, Services
from sweeps import CADENCE, Reader, SweepAll

from topaz_status import JobKind

RIVALS: Final[Mapping[str, Callable[[Services], Policy]]] = {
    "fixed": lambda _: Loop(fixed),
    "backoff": lambda _: Loop(backoff),
    "eta": lambda _: Loop(until_eta),
    "sweep": lambda _: SweepAll(lists=(Reader(JobKind.IMAGE),)),
    "history": lambda _: SweepAll(lists=(Reader(JobKind.IMAGE), Reader(JobKind.VIDEO, CADENCE))),
    "bound-single": lambda services: Clairvoyant(services, pages=False),
    "bound-pages": lambda services: Clairvoyant(services, pages=True),
}


def _pages(seconds: float) -> SweepAll:
    """Read all pages of both lists in turn, and poll jobs on no list in loops, with one interval for all."""
    return SweepAll((Reader(JobKind.IMAGE, seconds), Reader(JobKind.VIDEO, seconds)), Loop(every(seconds)))


USUAL: Final[Mapping[str, Callable[[Services], Policy]]] = {
    "fixed-5": lambda _: Loop(fixed),
    "fixed-15": lambda _: Loop(every(15.0)),
    "backoff": lambda _: Loop(backoff),
    "eta": lambda _: Loop(until_eta),
    "pages-5": lambda _: _pages(INTERVAL),
}
"""The policies that people write by hand, with the intervals that they usually choose."""
EAGER: Final[Mapping[str, Callable[[Services], Policy]]] = {
    "fixed-1": lambda _: Loop(every(1.0)),
    "fixed-2": lambda _: Loop(every(2.0)),
    "pages-1": lambda _: _pages(1.0),
    "pages-2": lambda _: _pages(2.0),
}
"""The same with short intervals: sooner for more requests."""
