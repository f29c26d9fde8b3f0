"""Workloads that nobody tuned for: worlds drawn at random, and on each the library and the policies that people write.

Each seed draws one world: shape of the arrivals, kinds, load, rate, durations, hints, foreign and older items, orders
of the lists, lead before the watches begin, price of a request. All policies have the same token bucket and virtual
time, as in lag.py. The best simple policy is chosen for each world after the fact, from a fixed set:

- usual: a poll every 5 or 15 s, backoff to 30 s, sleep until the ETA, all pages of the lists every 5 s;
- eager: a poll or all pages every second or every two seconds.

Where tokens are plentiful, the policy that sends more requests is sooner. The world's price says what a request is
worth. So each policy has a cost: its mean lag plus the price of its requests, both for one job. The library is *later*
in a world where a simple policy is sooner by more than 5 % and not dearer.

Where all jobs are try-ons, services report nothing. So no policy is expected to cost less than law_bound.py computes
from five other playings of the world. The summary has the library's cost and that of the cheapest simple policy,
divided by this bound: it says how much any policy could gain. Worlds with a lead or with stuck jobs have no such bound.

A policy may win one playing of a world by luck. With ``--playings N`` each world is played N times, with other jobs of
the same features, and the means count. The best simple policy is chosen by its means, too. Most worlds in which the
library is later remain so: of ten such worlds of seeds 1 to 100, eight did in five playings.

Seeds 1 to 1000 are for tuning; report figures of 1001 to 1500.

Examples::

    python benchmarks/worlds.py --seeds 1-100 --worst 10
    python benchmarks/worlds.py --world 17 --playings 5
    python benchmarks/worlds.py --seeds 1001-1500 --check --json worlds.json --plots benchmarks/plots
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Final

import attrs
import library
import model
import plots
from common import be_quiet, progress, table
from draws import World, world
from law_bound import law_bound
from rivals import EAGER, RIVALS, USUAL
from verdicts import Figures, Verdict, claims, summary

from topaz_status import JobKind

BOUND: Final = "bound-pages"
LAW_PLAYINGS: Final = range(1, 6)
"""The playings of a world that give its law of durations."""
NOTE_EVERY: Final = 10
"""Worlds between two lines of progress where there is no terminal."""


def play(seed: int, playings: int = 1) -> Verdict:
    """Play all policies on the world of a seed, and take the means of their figures over some playings."""
    drawn = [world(seed, playing) for playing in range(playings)]
    first = drawn[0]
    simple = {name: Figures.averaged([_rival(one, name) for one in drawn]) for name in (*USUAL, *EAGER)}
    bound = Figures.averaged([_rival(one, BOUND) for one in drawn])
    ours = Figures.averaged([Figures.of(library.play(one.trace, one.seed, "library")) for one in drawn])
    return Verdict(seed, str(first), first.features["kinds"], first.trace.price, ours, bound, simple, law_cost(drawn))


def law_cost(drawn: Sequence[World]) -> float | None:
    """Return the least cost of a policy that knows the law, on average over some playings of a world of try-ons."""
    first = drawn[0]
    if first.features["kinds"] != JobKind.TRY_ON or first.features.keys() & {"lead", "stuck"}:
        return None
    others = [world(first.seed, playing).trace for playing in LAW_PLAYINGS]
    return mean(law_bound(one.trace, others, one.trace.price).cost for one in drawn)


def _rival(drawn: World, name: str) -> Figures:
    services = model.Services.of(drawn.trace, drawn.seed)
    policy = {**RIVALS, **USUAL, **EAGER}[name](services)
    return Figures.of(model.play(drawn.trace, drawn.seed, policy, services, name))


def play_all(chosen: Sequence[int], workers: int, playings: int = 1) -> Iterator[Verdict]:
    """Play many worlds on several processes, and report progress on stderr."""
    with ProcessPoolExecutor(workers, initializer=be_quiet) as pool, progress() as show:
        for number, verdict in enumerate(pool.map(partial(play, playings=playings), chosen), 1):
            yield verdict
            show(f"{number}/{len(chosen)}")
            if number % NOTE_EVERY == 0 and not sys.stderr.isatty():
                print(f"{number}/{len(chosen)}", file=sys.stderr, flush=True)


# -- output -----------------------------------------------------------------------------------------------------------


def worst(verdicts: Sequence[Verdict], count: int) -> str:
    """Describe the worlds in which the library is later, those with the greatest ratio of costs first."""
    late = [verdict for verdict in verdicts if verdict.winners]
    return "\n".join(_described(verdict) for verdict in sorted(late, key=lambda one: -one.cost_ratio)[:count])


def _described(verdict: Verdict) -> str:
    ours, (name, best) = verdict.library, verdict.rival
    return (
        f"--world {verdict.seed}: {ours.mean:.2f} s, {ours.per_job:.2f} requests a job; {name} {best.mean:.2f} s, "
        f"{best.per_job:.2f}; clairvoyant {verdict.bound.mean:.2f} s\n    {verdict.world}"
    )


def one_world(verdict: Verdict) -> str:
    """Format the figures of every policy on one world."""
    figures = {"library": verdict.library, **verdict.simple, BOUND: verdict.bound}
    rows = [
        [
            name,
            f"{of.mean:.2f}",
            f"{of.p95:.2f}",
            f"{of.worst:.2f}",
            f"{of.per_job:.2f}",
            f"{of.pages:,}",
            f"{cost:.2f}",
        ]
        for name, of in figures.items()
        for cost in [of.cost(verdict.price)]
    ]
    heads = ["policy", "mean lag, s", "p95, s", "worst, s", "requests a job", "pages", "cost, s"]
    law = f"\n\nno policy that knows the law costs less than {verdict.law:.2f} s" if verdict.law is not None else ""
    return f"{verdict.world}\n\n{table([*heads], rows)}{law}"


# -- the command line -------------------------------------------------------------------------------------------------


def read_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=seeds, default=range(1, 101), metavar="A-B", help="default: 1-100")
    parser.add_argument("--world", type=int, metavar="SEED", help="play one world, and show every policy on it")
    parser.add_argument("--playings", type=int, default=1, metavar="N", help="play each world N times (default: once)")
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="describe the N worst worlds")
    parser.add_argument("--check", action="store_true", help="exit with 1 unless all targets are met")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all worlds")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw worlds.svg")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="default: all cores")
    return parser.parse_args(argv)


def seeds(text: str) -> range:
    """Read a range of seeds such as ``1-100``."""
    first, _, last = text.partition("-")
    try:
        found = range(int(first), int(last or first) + 1)
    except ValueError:
        found = range(0)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is no range of seeds such as 1-100")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print and return the exit code."""
    options = read_arguments(argv)
    if options.world is not None:
        be_quiet()
        print(one_world(play(options.world, options.playings)))
        return 0
    verdicts = list(play_all(options.seeds, options.workers, options.playings))
    print(summary(verdicts), end="\n\n")
    if options.worst:
        print(worst(verdicts, options.worst), end="\n\n")
    checks = list(claims(verdicts))
    print(*checks, sep="\n")
    if options.json:
        facts = {"worlds": [attrs.asdict(one) for one in verdicts], "checks": [attrs.asdict(one) for one in checks]}
        options.json.write_text(json.dumps(facts) + "\n")
    if options.plots:
        options.plots.mkdir(parents=True, exist_ok=True)
        plots.draw_worlds([one.lag_ratio for one in verdicts], [one.cost_ratio for one in verdicts], options.plots)
    return int(options.check and not all(one.passed for one in checks))


if __name__ == "__main__":
    sys.exit(main())
