"""The cost of starting: CPU of fresh interpreters, compared with ``import aiohttp``.

Each case is a program of its own. Each round runs all cases once, in turn. CPU is the process's user and system time.
Figures are medians over the rounds; a ratio is the median of the ratios within each round.
Modules are compiled first: a round that does not count writes their ``.pyc`` files to a folder of its own.
``--uncompiled`` shows the cost of a checkout whose modules each process compiles anew.

- import:  ``from topaz_status import StatusClient``;
- made:    the same, and ``StatusClient()``;
- status:  the same, then open the client, read and decode one status of a loopback server, close the client; compared
           with the same done by aiohttp alone;
- help:    ``python -m topaz_status --help``.

Two more tables follow. One has the steps of "status" in milliseconds of CPU; from ``open()`` on they block the event
loop. The other has the modules imported beyond aiohttp, by their own time (``-X importtime``).

Example::

    python benchmarks/startup.py --check
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import attrs
from canned import canned_ids, serve_canned
from common import Child, median, progress, run_main, table
from targets import startup_targets

FAILED: Final = 1
AIOHTTP: Final = "import aiohttp"
IMPORT: Final = "from topaz_status import StatusClient"
MADE: Final = "import, client made"
STATUS: Final = "import, client opened, first status"
BARE_STATUS: Final = "import aiohttp, session, first status"
HELP: Final = "python -m topaz_status --help"
COMPARED: Final = ((IMPORT, AIOHTTP), (MADE, AIOHTTP), (STATUS, BARE_STATUS), (HELP, AIOHTTP))
MOST_MODULES: Final = 12

_BARE: Final = """
import asyncio, json, sys
import aiohttp
async def main(url, job):
    async with aiohttp.ClientSession() as session, session.get(f"{url}/image/v1/status/{job}") as response:
        await response.json()
asyncio.run(main(*sys.argv[1:]))
"""
_OURS: Final = """
import time
steps = {"started": time.process_time()}
import asyncio, json, sys
import aiohttp
steps["import aiohttp"] = time.process_time()
from topaz_status import StatusClient
steps["from topaz_status import StatusClient"] = time.process_time()
async def main(url, job):
    client = StatusClient(topaz_api_key="key", topaz_url=url)
    steps["StatusClient()"] = time.process_time()
    async with client:
        steps["open()"] = time.process_time()
        await client.image.get(job)
        steps["first status, read and decoded"] = time.process_time()
        await client.image.get(job)
        steps["second status"] = time.process_time()
asyncio.run(main(*sys.argv[1:]))
print(json.dumps(steps))
"""


@attrs.frozen
class Startup:
    """The figures measured."""

    cpu: Mapping[str, Sequence[float]]
    """CPU seconds of each case, one figure per round."""
    steps: Mapping[str, float]
    """CPU milliseconds of each step up to the second status."""
    modules: Mapping[str, float]
    """Milliseconds of each module beyond aiohttp, without the modules that it imports."""

    def ratio(self, name: str, to: str) -> float:
        """Return the CPU of one case divided by that of another."""
        return median([mine / other for mine, other in zip(self.cpu[name], self.cpu[to], strict=True)])


def commands(url: str, job: str) -> dict[str, list[str]]:
    """Return the interpreter's arguments of each case."""
    made = f"{IMPORT}; StatusClient(topaz_api_key='key')"
    return {
        AIOHTTP: ["-c", AIOHTTP],
        IMPORT: ["-c", IMPORT],
        MADE: ["-c", made],
        BARE_STATUS: ["-c", _BARE, url, job],
        STATUS: ["-c", _OURS, url, job],
        HELP: ["-m", "topaz_status", "--help"],
    }


def environment(folder: str, *, compiled: bool) -> dict[str, str]:
    """Return a case's environment variables: with the folder of ``.pyc`` files, or without any such files."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**ours, "PYTHONPYCACHEPREFIX": folder} if compiled else {**ours, "PYTHONDONTWRITEBYTECODE": "1"}


def _run(command: Sequence[str], variables: Mapping[str, str]) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Run a command and return its seconds of CPU, and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *command], env=variables, capture_output=True, text=True, check=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done


def modules_beyond(first: str, report: str) -> Iterator[tuple[str, float]]:
    """Read the report of ``-X importtime``; give each module after ``first`` and its own milliseconds."""
    seen = False
    for line in report.splitlines():
        if not line.startswith("import time:") or "[us]" in line:
            continue
        own, _, name = (part.strip() for part in line.removeprefix("import time:").split("|"))
        if seen:
            yield name, int(own) / 1000.0
        seen = seen or name == first


def steps_of(marks: Mapping[str, float]) -> dict[str, float]:
    """Return the milliseconds of each step, from the CPU seconds used up to each step's end."""
    ends = list(marks.items())
    return {name: (end - before) * 1000.0 for (_, before), (name, end) in pairwise(ends)}


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: median([figures[name] for figures in rounds]) for name in rounds[0]}


def measure(url: str, arguments: argparse.Namespace, show: Callable[[str], None]) -> Startup:
    """Run all cases in turn, after a round that compiles the modules and does not count."""
    cases = commands(url, canned_ids(1)[0])
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    steps: list[dict[str, float]] = []
    modules: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        variables = environment(folder, compiled=not arguments.uncompiled)
        for turn in range(-1, arguments.rounds):
            show(f"round {turn + 1} of {arguments.rounds}")
            for name, command in cases.items():
                seconds, done = _run(command, variables)
                if turn < 0:
                    continue
                cpu[name].append(seconds)
                if name == STATUS:
                    steps.append(steps_of(json.loads(done.stdout)))
            if turn >= 0:
                _, done = _run(["-X", "importtime", "-c", f"{AIOHTTP}; {IMPORT}"], variables)
                modules.append(dict(modules_beyond("aiohttp", done.stderr)))
    return Startup(cpu, medians(steps), medians(modules))


def show_found(found: Startup) -> None:
    """Print the tables."""
    to = dict(COMPARED)
    rows = [
        [name, f"{median(cpu) * 1000:.0f}", f"{found.ratio(name, to[name]):.2f} x  {to[name]}" if name in to else ""]
        for name, cpu in found.cpu.items()
    ]
    print(table(["program", "CPU ms", "to"], rows))
    print("\n" + table(["step", "CPU ms"], [[name, f"{spent:.1f}"] for name, spent in found.steps.items()]))
    dearest = sorted(found.modules.items(), key=lambda module: -module[1])
    rest = sum(spent for _, spent in dearest[MOST_MODULES:])
    rows = [[name, f"{spent:.2f}"] for name, spent in dearest[:MOST_MODULES]]
    rows += [[f"{len(dearest[MOST_MODULES:])} others", f"{rest:.2f}"], ["all", f"{sum(found.modules.values()):.2f}"]]
    print("\n" + table(["imported beyond aiohttp", "own ms"], rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--rounds", type=int, default=15, help="runs of each program (default: %(default)s)")
    add("--uncompiled", action="store_true", help="run without compiled modules (.pyc files) of this package")
    add("--check", action="store_true", help="exit with 1 when a target is missed")
    add("--json", action="store_true", help="print one line of JSON instead of the tables")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    with Child(serve_canned, (1,)) as server, progress() as show:
        found = measure(server.receive(), arguments, show)
    ratios = {(name, to): found.ratio(name, to) for name, to in COMPARED}
    targets = list(startup_targets(ratios))
    if arguments.json:
        named = {f"{name} / {to}": ratio for (name, to), ratio in ratios.items()}
        print(json.dumps({"settings": vars(arguments), "ratios": named, **attrs.asdict(found)}))
    else:
        show_found(found)
        print("\n" + "\n".join(map(str, targets)))
    if arguments.check and not all(target.passed for target in targets):
        raise SystemExit(FAILED)


if __name__ == "__main__":
    sys.exit(run_main(main))
