"""Measures the polls of all clients in one mode, in turns within one run."""

from __future__ import annotations

import argparse
import pstats
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from canned import COOKIES
from common import Child, has_uvloop, median
from engines import run_bare, run_library, run_naive, run_pages
from targets import Ratios
from turns import Cost, Order, ratio, take_rounds

UNLIMITED: Final = 1e6
"""Requests per second that no client reaches."""
CLIENTS: Final = {"bare": run_bare, "naive": run_naive, "library": run_library, "pages": run_pages}
FLAT_OUT: Final = "flat out"
UVLOOP: Final = "on uvloop"
MODES: Final[Mapping[str, tuple[str, ...]]] = {
    FLAT_OUT: ("bare", "naive", "library", "pages"),
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
"""Costs by client and mode."""


def modes() -> list[str]:
    """Return the modes that can be measured on this machine."""
    return [mode for mode in MODES if mode != UVLOOP or has_uvloop()]


def clients_of(mode: str, *, thorough: bool) -> list[str]:
    """Return the clients to measure in a mode: those that a target compares, or all. Flat out, it is always all."""
    compared = {name for pair in COMPARED for name in pair}
    return [name for name in MODES[mode] if thorough or mode == FLAT_OUT or f"{name}, {mode}" in compared]


def measure_polls(
    url: str, mode: str, arguments: argparse.Namespace, core: int | None, show: Callable[[str], None]
) -> Costs:
    """Measure all turns of all clients in one mode."""
    found: Costs = {}
    for sitting in range(arguments.sittings):
        report = partial(_report, show, f"{mode}, sitting {sitting + 1} of {arguments.sittings}")
        for key, costs in _sit(url, mode, arguments, core, report).items():
            found.setdefault(key, []).extend(costs)
    return found


def _sit(url: str, mode: str, arguments: argparse.Namespace, core: int | None, report: Callable[[str], None]) -> Costs:
    """Measure all turns of one sitting: every client is a fresh process."""
    with ExitStack() as stack:
        report("the clients start and warm up")
        clients = {
            (name, mode): stack.enter_context(
                Child(CLIENTS[name], (_order(url, mode, arguments),), core, mode == UVLOOP)
            )
            for name in clients_of(mode, thorough=arguments.thorough)
        }
        for client in clients.values():
            client.receive()
        return take_rounds(clients, arguments.rounds, arguments.slice, report)


def _report(show: Callable[[str], None], at: str, text: str) -> None:
    show(f"{at}: {text}")


def _order(url: str, mode: str, arguments: argparse.Namespace) -> Order:
    paced = mode == "paced"
    prefix = COOKIES if mode == "cookies" else ""
    return Order(url + prefix, arguments.jobs, arguments.rate if paced else UNLIMITED, paced=paced)


def ratios(costs: Costs) -> Ratios:
    """Return the ratios of the compared pairs that were measured."""
    by_name = {f"{name}, {mode}": found for (name, mode), found in costs.items()}
    return {(name, to): ratio(by_name[name], by_name[to]) for name, to in COMPARED if name in by_name and to in by_name}


def poll_figures(costs: Costs) -> Iterator[dict[str, Any]]:
    """Give the figures of each client and mode. A ratio to a client that was not measured is ``None``."""
    for (name, mode), found in costs.items():
        yield {
            "client": name,
            "mode": mode,
            "cpu_us_per_poll": _per_poll(found),
            "best_cpu_us_per_poll": min(cost.per_poll for cost in found),
            "polls_per_second": median([cost.rate for cost in found]),
            **{f"to_{other}": _ratio(found, costs.get((other, mode))) for other in ("bare", "naive")},
            "to_flat_out": _ratio(found, costs.get((name, FLAT_OUT))),
        }


def _per_poll(costs: list[Cost]) -> float:
    return median([cost.per_poll for cost in costs])


def _ratio(costs: list[Cost], to: list[Cost] | None) -> float | None:
    return None if to is None else ratio(costs, to)


def status_lines(costs: Costs) -> Iterator[str]:
    """Give a line for each mode with both figures: the CPU of a status by a single poll, and through pages."""
    for (name, mode), pages in costs.items():
        if name == "pages" and ("library", mode) in costs:
            single = _per_poll(costs["library", mode])
            yield f"CPU µs a status, {mode}: {single:.1f} by a single poll, {_per_poll(pages):.2f} through pages"


def profile(url: str, arguments: argparse.Namespace, core: int | None) -> None:
    """Profile a client with cProfile. The profiler's own cost is included and falls mostly on small functions."""
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
