"""The library's CPU cost, compared with a bare aiohttp loop and the engine that people write by hand.

**Polls.** A loopback server on a core of its own answers status requests; it is many times faster than any client.
The clients are processes on another core. They take turns of ``--slice`` seconds while all others stand still, so that
other work of the machine affects all alike. Each has at most 32 requests in flight, over the same 5,000 image jobs.
No job ends. A client is measured once it has polled every job:

- bare:    32 loops of ``async with session.get(url) as response: await response.json()``, and nothing else;
- naive:   a task per job, asyncio.Semaphore, aiolimiter, ``response.json()``, cattrs, ``asyncio.sleep``;
- library: ``StatusClient`` with 5,000 watches and single polls; more polls are always due than the limit permits;
- pages:   the same, reading the list: each status received counts as a poll, a page brings a hundred.

Four parts measure polls. CPU is the process's own, in µs per poll:

- flat-out: as fast as each client can;
- paced:    at ``--rate`` requests per second. A client handles each answer alone, which costs more turns of its loop
            (the bare loops pace themselves with ``asyncio.sleep``);
- cookies:  with the two cookies that an AWS load balancer sets on every answer; by default a session stores them and
            sends them back;
- uvloop:   flat out on uvloop, where it is installed.

Figures are medians over the rounds, ratios are medians of the ratios within each round. Each part is measured
``--sittings`` times with fresh processes. The reason: the address at which glibc puts asyncio's buffers of 256 KiB is
random, stays for a process's life, and changes the cost by 10 %.

**A crowd.** Parts ``crowd-asyncio`` and ``crowd-uvloop``: ``--watches`` in one process, see ``idle.py``.
**Cancels.** Part ``cancels``: see ``cancelling.py``.

Each part's table and targets are printed as soon as it is measured. ``--part`` measures one part alone, in less than a
minute on a quiet machine.

**Short and thorough.** The short form takes five minutes on two cores that do nothing else; ``--thorough`` takes more
than ten. The short form leaves out the following, at this cost in precision:

- It has 4 sittings of 2 rounds, the long one 8 of 3. The differences between processes outweigh the gain of more
  rounds. On a busy machine the ratios of one sitting were within 5 % of each other, and those of different sittings
  scattered by 10 %. So a median varies by about 6 % from run to run in the short form, and by about 4 % in the long
  one. Where a figure is nearer to its target than that, one run does not decide: use more ``--sittings``, of that
  ``--part`` alone.
- It leaves out clients without a target: the naive engine in ``paced`` and ``uvloop``, the bare loops in ``cookies``.
- The crowd on uvloop is 25,000 watches, not ``--watches``. Its start is four times easier, and only asyncio shows a
  pause that grows with the crowd.
- The crowd is idle for 4 s, not 5. Cancels have 2 rounds, not 5: the median of two figures is the larger one.

In both forms the modes follow each other. Ratios within a mode are exact all the same; ``to_flat_out`` in the JSON
compares turns that are a minute apart.

Example::

    python benchmarks/engine.py --check
    python benchmarks/engine.py --part flat-out
    python benchmarks/engine.py --thorough --check
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import attrs
from cancelling import MANY, Cancels, measure_cancels
from canned import serve_canned
from common import Child, has_uvloop, progress, run_main, two_cores
from idle import Crowd, measure_crowd
from polls import CLIENTS, FLAT_OUT, UVLOOP, measure_polls, profile
from report import Found

POLLS: Final = {"flat-out": FLAT_OUT, "paced": "paced", "cookies": "cookies", "uvloop": UVLOOP}
"""The mode of the polls, by part."""
CROWDS: Final = {"crowd-asyncio": False, "crowd-uvloop": True}
"""Whether the crowd's event loop is uvloop's, by part."""
CANCELS: Final = "cancels"
PARTS: Final = (*POLLS, *CROWDS, CANCELS)
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {"polls": tuple(POLLS), "crowd": tuple(CROWDS)}
NEED_UVLOOP: Final = frozenset({"uvloop", "crowd-uvloop"})
FAILED: Final = 1


@attrs.frozen
class Form:
    """How often and how long each part is measured."""

    rounds: int
    sittings: int
    slice: float
    idle: float
    cancel_rounds: int
    uvloop_watches: int


SHORT: Final = Form(rounds=2, sittings=4, slice=0.5, idle=4.0, cancel_rounds=2, uvloop_watches=25_000)
THOROUGH: Final = Form(rounds=3, sittings=8, slice=0.5, idle=5.0, cancel_rounds=5, uvloop_watches=100_000)


def chosen(asked: Sequence[str] | None, *, uvloop: bool) -> list[str]:
    """Return the parts to measure, in order. A group means its parts; without uvloop, its parts are left out."""
    wanted = {part for name in asked or PARTS for part in GROUPS.get(name, (name,))}
    return [part for part in PARTS if part in wanted and (uvloop or part not in NEED_UVLOOP)]


def measure(arguments: argparse.Namespace, show: Callable[[str], None]) -> Iterator[tuple[str, Found]]:
    """Measure the parts and give each part's figures as soon as it is measured."""
    for part in chosen(arguments.part, uvloop=has_uvloop()):
        if part in POLLS:
            yield part, _measure_polls(POLLS[part], arguments, show)
        elif part in CROWDS:
            yield part, Found(crowds={part.removeprefix("crowd-"): _measure_crowd(part, arguments, show)})
        else:
            yield part, Found(cancels=_measure_cancels(arguments.cancel_rounds, show))


def _measure_polls(mode: str, arguments: argparse.Namespace, show: Callable[[str], None]) -> Found:
    server_core, core = two_cores()
    with Child(serve_canned, (arguments.jobs,), server_core) as server:
        return Found(polls=measure_polls(server.receive(), mode, arguments, core, show))


def _measure_crowd(part: str, arguments: argparse.Namespace, show: Callable[[str], None]) -> Crowd:
    server_core, core = two_cores()
    with Child(serve_canned, (arguments.jobs,), server_core) as server:
        url, uvloop = server.receive(), CROWDS[part]
        watches = arguments.uvloop_watches if uvloop else arguments.watches
        return measure_crowd(url, watches, arguments.idle, core, uvloop=uvloop, show=show)


def _measure_cancels(rounds: int, show: Callable[[str], None]) -> dict[str, Cancels]:
    server_core, core = two_cores()
    with (
        Child(serve_canned, (MANY,), server_core) as server,
        Child(measure_cancels, (server.receive(), rounds), core) as child,
    ):
        while not isinstance(found := child.receive(), dict):
            show(f"cancels: {found}")
    return found


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--thorough", action="store_true", help="the long form: all clients, more rounds and sittings")
    for name, option, meaning in (
        ("rounds", int, "turns of each client a sitting"),
        ("sittings", int, "each with fresh processes"),
        ("slice", float, "seconds of a turn"),
        ("idle", float, "seconds for which the crowd does nothing"),
        ("cancel_rounds", int, "rounds of cancels"),
        ("uvloop_watches", int, "watches in the crowd on uvloop"),
    ):
        usual = f"(default: {getattr(SHORT, name)}; thorough: {getattr(THOROUGH, name)})"
        add("--" + name.replace("_", "-"), type=option, help=f"{meaning} {usual}")
    add("--jobs", type=int, default=5000, help="jobs watched (default: %(default)s)")
    add("--rate", type=float, default=2000.0, help="requests/s when paced (default: %(default)s)")
    add("--watches", type=int, default=100_000, help="watches in the crowd (default: %(default)s)")
    add(
        "--part",
        "--only",
        action="append",
        choices=(*PARTS, *GROUPS),
        help="measure this part alone; may be given more than once",
    )
    add("--check", action="store_true", help="exit with 1 when a target is missed")
    add("--json", action="store_true", help="print one line of JSON instead of the tables")
    add("--profile", metavar="FILE", help="profile a client instead, and write the profile there")
    add("--client", choices=CLIENTS, default="library", help="which one to profile (default: %(default)s)")
    arguments = parser.parse_args(words)
    for name, usual in attrs.asdict(THOROUGH if arguments.thorough else SHORT).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, usual)
    return arguments


def show_profile(arguments: argparse.Namespace) -> None:
    server_core, core = two_cores()
    with Child(serve_canned, (arguments.jobs,), server_core) as server:
        profile(server.receive(), arguments, core)


def run(arguments: argparse.Namespace) -> Found:
    """Measure all parts. Print each one's tables, and on standard error the time it took."""
    total, began = Found(), time.monotonic()
    with progress() as show:
        at = began
        for part, found in measure(arguments, show):
            show("")
            now = time.monotonic()
            _report(part, now - at)
            at = now
            if not arguments.json:
                found.show()
            total.add(found)
    _report("all", time.monotonic() - began)
    return total


def _report(part: str, seconds: float) -> None:
    """Report how long a part took and how busy the machine was: on a busy one figures scatter more."""
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{part}: measured in {seconds:.0f} s{load}", file=sys.stderr, flush=True)


def main() -> None:
    arguments = parse()
    if arguments.profile:
        show_profile(arguments)
        return
    total = run(arguments)
    if arguments.json:
        print(json.dumps({"settings": vars(arguments), **total.to_json()}))
    else:
        print(total.summary())
    if arguments.check and not all(target.passed for target in total.targets()):
        raise SystemExit(FAILED)


if __name__ == "__main__":
    sys.exit(run_main(main))
