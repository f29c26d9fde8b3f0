"""Detection lag of a job's end: the library, the loops that people write, and clairvoyant bounds.

Everything runs in virtual time and is exactly repeatable, apart from ``unknown-limit``: the library spreads retries
after a 429 at random. Every request takes 100 ms; its answer shows the state in the middle of them. One bucket of R
tokens, refilled at R per second, pays for all requests. Lag is the time from a job's true end to its detection, also
for a job that ends before its first poll.
The library is the real one, client and session layer, against the simulator over aiohttp in memory.
Its rivals run in a light model of the same simulator; tests compare the two.

Policies:

- fixed:        a loop per job, a poll every 5 s, first come first served;
- backoff:      the same, with each gap 1.5 times the last, 30 s at most;
- eta:          the same, with a sleep until the end that the service estimates;
- sweep:        all pages of the image list every 5 s, and fixed loops for jobs on no list;
- history:      the same, and all pages of the video history every second: a GET for each video that has ended;
- library:      StatusClient with its defaults;
- no-…:         StatusClient without one of its ideas (--ablations): pages, learned lifetimes, the family of laws, the
                ETA, all hints, the guard, doubt of sources that repeat themselves, the price of a page, the saving of
                tokens, known cursors, sweeps for distant jobs, pages in turn, the bonus of unread pages, the chance
                that a new job is over;
- bound-single: knows when each job ends, and polls one at a time;
- bound-pages:  also knows every cursor, and reads the page with most ends: a reference for means, not a proof;
- bound-law:    knows the law of durations, but no end: the least mean lag without hints, computed by law_bound.py.

Examples::

    python benchmarks/lag.py --quick
    python benchmarks/lag.py --seeds 3 --ablations --check --json lag.json --plots docs
    python benchmarks/lag.py --trace mixed hostile --policy library fixed --rate 5
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import attrs
import law_bound
import library
import model
import plots
import rivals
from checks import check
from common import be_quiet, progress
from model import Run
from tables import as_json, summarize, table
from traces import TRACES, Trace, burst

MAIN: Final = ("fixed", "backoff", "eta", "sweep", "history", "library", "bound-single", "bound-pages", "bound-law")
ABLATIONS: Final = tuple(name for name in library.VARIANTS if name != "library")
LAWFUL: Final = frozenset({"burst", "burst-2", "burst-50", "burst-random", "try-on", "video-burst", "video-stream"})
"""Traces of one kind of job with one law of durations, and with no other items on the lists."""
VIDEOS: Final = frozenset({"video", "video-burst", "video-stream", "unknown-limit"})
"""Traces of videos alone."""
QUICK: Final = 0.1
"""The share of a trace that is enough for a first impression."""
RATES: Final = (2.0, 5.0, 10.0, 20.0, 50.0)
COUNTS: Final = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
PLOTTED: Final = ("fixed", "backoff", "eta", "sweep", "library", "bound-pages")


@attrs.frozen
class Task:
    """One policy on one trace."""

    trace: str
    policy: str
    seed: int
    scale: float = 1.0
    rate: float | None = None
    """Requests a second; by default the trace's own."""
    count: int | None = None
    """Number of images of a burst."""

    def made(self) -> Trace:
        """Draw the trace."""
        if self.count is not None:
            return burst(self.seed, count=self.count)
        trace = TRACES[self.trace](self.seed, self.scale)
        return trace if self.rate is None else attrs.evolve(trace, rate=self.rate)

    @property
    def applies(self) -> bool:
        """Whether the policy makes a difference on this trace: there must be jobs on the lists that it reads."""
        if self.policy == "bound-law":
            return self.trace in LAWFUL
        if self.policy == "history":
            return self.trace in {"mixed", *VIDEOS}
        if self.policy in {"sweep", "bound-pages"}:
            return self.trace not in {"try-on", *VIDEOS}
        return self.policy != "no-pages" or self.trace != "try-on"


def play(task: Task) -> Run:
    """Run one task."""
    trace = task.made()
    if task.policy in library.VARIANTS:
        return library.play(trace, task.seed, task.policy)
    if task.policy == "bound-law":
        return _play_law(task, trace)
    if task.policy.startswith("bound") and trace.limit is not None:
        trace = attrs.evolve(trace, rate=trace.limit, limit=None)
    services = model.Services.of(trace, task.seed)
    return model.play(trace, task.seed, rivals.RIVALS[task.policy](services), services, task.policy)


def _play_law(task: Task, trace: Trace) -> Run:
    others = (TRACES[task.trace](seed, task.scale) for seed in law_bound.SEEDS)
    found, jobs = law_bound.law_bound(trace, others), len(trace.watched)
    requests = round(found.per_job * jobs)
    return Run(trace.name, task.policy, trace.rate, task.seed, (), requests, 0, jobs, computed=found.cost)


def play_all(tasks: Iterable[Task], workers: int) -> dict[Task, Run]:
    """Run many tasks, the long ones first, and report progress on stderr."""
    todo = sorted({task for task in tasks if task.applies}, key=_effort, reverse=True)
    done = {}
    with ProcessPoolExecutor(workers, initializer=be_quiet) as pool, progress() as show:
        for number, (task, run) in enumerate(zip(todo, pool.map(play, todo), strict=True), 1):
            done[task] = run
            show(f"{number}/{len(todo)} {task.trace} {task.policy}")
    return done


def _effort(task: Task) -> tuple[bool, float, float]:
    heavy = {"queue": 4.0, "burst-50": 3.0, "foreign": 2.0, "hostile": 1.5, "poisson": 1.5, "unknown-limit": 0.2}
    size = heavy.get(task.trace, 1.0) * task.scale * (task.rate or 10.0) / 10.0
    return task.policy in library.VARIANTS, size + (task.count or 0) / 20_000, task.seed


# -- the command line -------------------------------------------------------------------------------------------------


def read_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n")
    known = "\n".join(f"- {name + ':':16}{(maker.__doc__ or '')}" for name, maker in TRACES.items())
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=f"{rest}\nTraces:\n\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    traces, policies = list(TRACES), [*MAIN, *ABLATIONS]
    parser.add_argument("--trace", nargs="+", choices=traces, default=traces, metavar="T", help="default: all")
    parser.add_argument("--policy", nargs="+", choices=policies, metavar="P", help="default: all but the ablations")
    parser.add_argument("--ablations", action="store_true", help="the library without one of its ideas, too")
    parser.add_argument("--rate", type=_positive(float), metavar="R", help="requests/s; default: each trace's own")
    parser.add_argument("--seeds", type=_positive(int), default=1, metavar="N", help="seeds 1 to N (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw lag-*.svg; takes a few minutes more")
    parser.add_argument("--quick", action="store_true", help="a tenth of each trace")
    parser.add_argument("--check", action="store_true", help="exit with 1 unless all claims hold")
    parser.add_argument("--workers", type=_positive(int), default=2, metavar="N", help="processes (default: 2)")
    return parser.parse_args(argv)


def _positive(number: Callable[[str], float]) -> Callable[[str], Any]:
    def read(text: str) -> float:
        value = number(text)
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return read


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print and return the exit code."""
    options = read_arguments(argv)
    policies = options.policy or [*MAIN, *(ABLATIONS if options.ablations else ())]
    scale = QUICK if options.quick else 1.0
    shown = [
        Task(trace, policy, seed, scale, options.rate)
        for trace in options.trace
        for policy in policies
        for seed in range(1, options.seeds + 1)
    ]
    by_rate, by_count = plot_tasks(scale) if options.plots else ([], [])
    done = play_all([*shown, *by_rate, *by_count], options.workers)
    runs = [done[task] for task in shown if task in done]
    rows = summarize(runs)
    print(table(rows), end="\n\n")
    checks = list(check(rows, whole=not options.quick and options.rate is None))
    print(*checks, sep="\n")
    if options.json:
        facts = {"runs": [as_json(run) for run in runs], "checks": [attrs.asdict(one) for one in checks]}
        options.json.write_text(json.dumps(facts) + "\n")
    if options.plots:
        options.plots.mkdir(parents=True, exist_ok=True)
        plots.draw_distributions(runs, options.plots)
        plots.draw_by_rate([done[task] for task in by_rate if task in done], options.plots)
        plots.draw_by_count([done[task] for task in by_count if task in done], options.plots)
    return int(options.check and not all(one.passed for one in checks))


def plot_tasks(scale: float) -> tuple[list[Task], list[Task]]:
    """Return the further tasks for the plots: lag by budget, and lag by the number of jobs."""
    by_rate = [
        Task(trace, policy, 1, scale, rate) for trace in ("poisson", "mixed") for rate in RATES for policy in PLOTTED
    ]
    counts = [count for count in COUNTS if count <= COUNTS[-1] * scale]
    return by_rate, [Task("burst", policy, 1, count=count) for count in counts for policy in PLOTTED]


if __name__ == "__main__":
    sys.exit(main())
