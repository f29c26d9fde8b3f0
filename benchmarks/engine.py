"""What the library costs in CPU, against a bare aiohttp loop and the engine that people write by hand.

**Polls.** A loopback server that is many times faster than any client answers status requests from a core of its own.
The clients are processes on another core that take turns of ``--slice`` seconds, all others standing still meanwhile,
so that what else the machine does hits all alike. Each keeps at most 32 requests on the wire, over the same 5,000 image
jobs, none of which ends, and is measured once every job has been looked at:

- bare:    32 loops of ``async with session.get(url) as response: await response.json()``, and nothing else;
- naive:   a task a job, asyncio.Semaphore, aiolimiter, ``response.json()``, cattrs, ``asyncio.sleep``;
- library: ``StatusClient`` with 5,000 watches, single looks, always more due than may go;
- pages:   the same, reading the list: a poll is a status that came in, a page brings a hundred.

As fast as each can; paced at ``--rate`` requests a second (the bare loops pace themselves by ``asyncio.sleep``), for a
paced client meets each answer alone and so pays for more turns of its loop; with the two cookies that a load balancer
of AWS sets on every answer, which a session keeps and sends back by default; and on uvloop where it is installed. CPU
is the process's own, in µs a poll; figures are medians over the rounds, ratios medians of the ratios within each round.
All of it is done ``--sittings`` times with fresh processes: where glibc puts asyncio's buffers of 256 KiB is luck, for
a process's life, and worth 10 %.

**A crowd.** ``--watches`` in one process: see ``idle.py``. **Cancels.** See ``cancelling.py``.

Example::

    python benchmarks/engine.py --check
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Final

from cancelling import MANY, Cancels, measure_cancels
from canned import serve_canned
from common import Child, has_uvloop, progress, run_main, two_cores
from idle import measure_crowd
from polls import CLIENTS, measure_polls, profile
from report import Found

PARTS: Final = ("polls", "crowd", "cancels")
FAILED: Final = 1


def measure(arguments: argparse.Namespace, show: Callable[[str], None]) -> Found:
    """What was asked for, in one run."""
    server_core, core = two_cores()
    parts = arguments.only or PARTS
    found = Found()
    with Child(serve_canned, (arguments.jobs,), server_core) as server:
        url = server.receive()
        if "polls" in parts:
            found.polls = measure_polls(url, arguments, core, show)
        if "crowd" in parts:
            loops = {"asyncio": False} | ({"uvloop": True} if has_uvloop() else {})
            found.crowds = {
                name: measure_crowd(url, arguments.watches, arguments.idle, core, uvloop=fast, show=show)
                for name, fast in loops.items()
            }
    if "cancels" in parts:
        found.cancels = _measure_cancels(arguments.cancel_rounds, show)
    return found


def _measure_cancels(rounds: int, show: Callable[[str], None]) -> dict[str, Cancels]:
    server_core, core = two_cores()
    with (
        Child(serve_canned, (MANY,), server_core) as server,
        Child(measure_cancels, (server.receive(), rounds), core) as child,
    ):
        while not isinstance(found := child.receive(), dict):
            show(f"cancels: round {found + 1} of {rounds}")
    return found


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--rounds", type=int, default=6, help="turns of each client a sitting (default: %(default)s)")
    add("--sittings", type=int, default=4, help="each with fresh processes (default: %(default)s)")
    add("--slice", type=float, default=0.5, help="seconds of a turn (default: %(default)s)")
    add("--jobs", type=int, default=5000, help="jobs watched (default: %(default)s)")
    add("--rate", type=float, default=2000.0, help="requests/s when paced (default: %(default)s)")
    add("--watches", type=int, default=100_000, help="watches in the crowd (default: %(default)s)")
    add("--idle", type=float, default=5.0, help="seconds for which they do nothing (default: %(default)s)")
    add("--cancel-rounds", type=int, default=5, help="rounds of cancels (default: %(default)s)")
    add("--only", action="append", choices=PARTS, help="a part of it; may be given more than once")
    add("--check", action="store_true", help="exit with 1 when a target is missed")
    add("--json", action="store_true", help="print one line of JSON instead of the tables")
    add("--profile", metavar="FILE", help="profile a client instead, and keep the profile there")
    add("--client", choices=CLIENTS, default="library", help="which one to profile (default: %(default)s)")
    return parser.parse_args()


def show_profile(arguments: argparse.Namespace) -> None:
    server_core, core = two_cores()
    with Child(serve_canned, (arguments.jobs,), server_core) as server:
        profile(server.receive(), arguments, core)


def main() -> None:
    arguments = parse()
    if arguments.profile:
        show_profile(arguments)
        return
    with progress() as show:
        found = measure(arguments, show)
    targets = found.targets()
    if arguments.json:
        print(json.dumps({"settings": vars(arguments), **found.to_json()}))
    else:
        found.show()
        print("\n" + "\n".join(map(str, targets)))
    if arguments.check and not all(target.passed for target in targets):
        raise SystemExit(FAILED)


if __name__ == "__main__":
    sys.exit(run_main(main))
