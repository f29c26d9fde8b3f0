"""Plays the traces and the random worlds, and writes their tables and plots to this folder's README: one command.

A table in the README stands between two comments with its name. Playing all takes about twenty minutes on two cores.

Examples::

    python benchmarks/figures.py
    python benchmarks/figures.py --seeds 1001-1100 --only worlds
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import lag
import plots
import worlds
from checks import Row
from common import markdown
from tables import figure, summarize
from traces import TRACES
from verdicts import summary

HERE: Final = Path(__file__).parent
COLUMNS: Final = {
    "fixed": "fixed 5 s",
    "backoff": "backoff to 30 s",
    "eta": "sleep until the ETA",
    "sweep": "all pages every 5 s",
    "history": "video history every second",
    "library": "topaz_status",
    "bound-law": "knows the law",
    "clairvoyant": "clairvoyant",
}
REPORTED: Final = range(1_001, 1_501)
"""Seeds of worlds for which nothing was tuned."""


def lag_table(rows: Sequence[Row]) -> str:
    """Format mean lag and requests per job of each policy, one line per trace."""
    cells = {(row.trace, row.policy): f"{figure(row.mean)} / {row.per_job:.2f}" for row in rows}
    for row in rows:
        if row.policy in {"bound-single", "bound-pages"}:  # where pages help, their bound comes last and is the one
            cells[row.trace, "clairvoyant"] = figure(row.mean)
        elif row.policy == "bound-law":
            cells[row.trace, "bound-law"] = figure(row.mean)
        elif row.policy == "library":
            cells[row.trace, "library"] = f"**{cells[row.trace, 'library']}**"
    rates = {row.trace: row.rate for row in rows if row.policy == "library"}
    lines = [
        [_title(trace), f"{rate:g}", *(cells.get((trace, policy), "–") for policy in COLUMNS)]
        for trace, rate in rates.items()
    ]
    return markdown(["jobs", "requests/s", *COLUMNS.values()], lines)


def _title(trace: str) -> str:
    text = (TRACES[trace].__doc__ or "").partition("\n")[0].removesuffix(".")
    return f"`{trace}`: {text[0].lower()}{text[1:]}"


def limit_table(rows: Sequence[Row]) -> str:
    """Format what the policies do with a limit that they do not know."""
    lines = [
        [COLUMNS[row.policy], f"{row.refused_share:.1%}", f"{row.used:.0%}", figure(row.mean)]
        for row in rows
        if row.used is not None and row.policy in COLUMNS
    ]
    return markdown(["policy", "answered 429", "limit used", "mean lag, s"], lines)


def replace(text: str, name: str, table: str) -> str:
    """Return a README with another table between the two comments of a name.

    Raises:
        ValueError: the README has no such comments.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"no place for the table {name!r}")
    return f"{before}{begin}\n{table}\n\n{end}{after}"


def lag_tables(scale: float, workers: int, folder: Path) -> dict[str, str]:
    """Play all traces, draw their plots, and return their tables by name."""
    tasks = [lag.Task(trace, policy, 1, scale) for trace in TRACES for policy in lag.MAIN]
    by_rate, by_count = lag.plot_tasks(scale)
    done = lag.play_all([*tasks, *by_rate, *by_count], workers)
    runs = [done[task] for task in tasks if task in done]
    plots.draw_distributions(runs, folder)
    plots.draw_by_rate([done[task] for task in by_rate if task in done], folder)
    plots.draw_by_count([done[task] for task in by_count if task in done], folder)
    rows = summarize(runs)
    return {"lag": lag_table(rows), "limit": limit_table(rows)}


def worlds_table(seeds: range, workers: int, folder: Path) -> dict[str, str]:
    """Play random worlds, draw their plot, and return their table by its name."""
    verdicts = list(worlds.play_all(seeds, workers))
    plots.draw_worlds([one.lag_ratio for one in verdicts], [one.cost_ratio for one in verdicts], folder)
    return {"worlds": summary(verdicts)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and write README and plots."""
    first, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=["lag", "worlds"], help="only one of the two")
    parser.add_argument("--seeds", type=worlds.seeds, default=REPORTED, metavar="A-B", help="default: 1001-1500")
    parser.add_argument("--quick", action="store_true", help="a tenth of each trace")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (default: 2)")
    parser.add_argument("--folder", type=Path, default=HERE, help="where README.md and plots are (default: here)")
    options = parser.parse_args(argv)
    drawings, readme = options.folder / "plots", options.folder / "README.md"
    drawings.mkdir(exist_ok=True)
    tables: dict[str, str] = {}
    if options.only != "worlds":
        tables |= lag_tables(lag.QUICK if options.quick else 1.0, options.workers, drawings)
    if options.only != "lag":
        tables |= worlds_table(options.seeds, options.workers, drawings)
    text = readme.read_text(encoding="utf-8")
    for name, table in tables.items():
        text = replace(text, name, table)
        print(table, end="\n\n")
    readme.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
