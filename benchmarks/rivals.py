"""The policies of :mod:`model` by their names: what people write by hand, and bounds that nobody could write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bounds import Clairvoyant
from loops import Loop, backoff, fixed, until_eta
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
