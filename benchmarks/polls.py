"""Polls of all clients in all modes, in turns within one run."""

from __future__ import annotations

import argparse
import pstats
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final

from canned import COOKIES
from common import Child, has_uvloop, median
from engines import run_bare, run_library, run_naive, run_pages
from targets import Ratios
from turns import Cost, Order, ratio, take_rounds

UNLIMITED: Final = 1e6
"""Requests a second that nobody reaches."""
CLIENTS: Final = {"bare": run_bare, "naive": run_naive, "library": run_library, "pages": run_pages}
UVLOOP: Final = "on uvloop"
MODES: Final[Mapping[str, tuple[str, ...]]] = {
    "flat out": ("bare", "naive", "library", "pages"),
    "paced": ("bare", "naive", "library"),
    "cookies": ("bare", "naive", "library"),
    UVLOOP: ("bare", "naive", "library", "pages"),
}
COMPARED: Final = (
    ("library, flat out", "bare, flat out"),
    ("library, paced", "bare, paced"),
    ("library, cookies", "naive, cookies"),
    (f"library, {UVLOOP}", f"bare, {UVLOOP}"),
    ("pages, flat out", "library, flat out"),
    (f"pages, {UVLOOP}", f"library, {UVLOOP}"),
)
Costs = dict[tuple[str, str], list[Cost]]
"""By client and mode."""


def modes() -> list[str]:
    """Those that can be measured here."""
    return [mode for mode in MODES if mode != UVLOOP or has_uvloop()]


def measure_polls(url: str, arguments: argparse.Namespace, core: int | None, show: Callable[[str], None]) -> Costs:
    """All turns, by client and mode."""
    found: Costs = {}
    for sitting in range(arguments.sittings):
        with ExitStack() as stack:
            clients: dict[tuple[str, str], Child] = {}
            for mode in modes():
                for name in MODES[mode]:
                    show(f"sitting {sitting + 1} of {arguments.sittings}: {name}, {mode}, warms up")
                    child = Child(CLIENTS[name], (_order(url, mode, arguments),), core, mode == UVLOOP)
                    clients[name, mode] = stack.enter_context(child)
                    child.receive()
            for key, costs in take_rounds(clients, arguments.rounds, arguments.slice, show).items():
                found.setdefault(key, []).extend(costs)
    return found


def _order(url: str, mode: str, arguments: argparse.Namespace) -> Order:
    paced = mode == "paced"
    prefix = COOKIES if mode == "cookies" else ""
    return Order(url + prefix, arguments.jobs, arguments.rate if paced else UNLIMITED, paced=paced)


def ratios(costs: Costs) -> Ratios:
    """What is compared, as far as it was measured."""
    by_name = {f"{name}, {mode}": found for (name, mode), found in costs.items()}
    return {(name, to): ratio(by_name[name], by_name[to]) for name, to in COMPARED if name in by_name and to in by_name}


def poll_figures(costs: Costs) -> Iterator[dict[str, Any]]:
    """A line for each client and mode."""
    for (name, mode), found in costs.items():
        yield {
            "client": name,
            "mode": mode,
            "cpu_us_per_poll": median([cost.per_poll for cost in found]),
            "best_cpu_us_per_poll": min(cost.per_poll for cost in found),
            "polls_per_second": median([cost.rate for cost in found]),
            **{f"to_{other}": ratio(found, costs[other, mode]) for other in ("bare", "naive")},
            "to_flat_out": ratio(found, costs[name, "flat out"]),
        }


def profile(url: str, arguments: argparse.Namespace, core: int | None) -> None:
    """Where a client's time goes, by cProfile; its own cost is on top, and falls on small functions."""
    order = Order(url, arguments.jobs, UNLIMITED, profile=arguments.profile)
    with Child(CLIENTS[arguments.client], (order,), core) as client:
        client.receive()
        client.send("begin")
        client.receive()
        time.sleep(arguments.rounds * arguments.slice)
        client.send("end")
        client.receive()
        client.send(None)
        client.receive()
    pstats.Stats(arguments.profile).sort_stats("tottime").print_stats(40)
