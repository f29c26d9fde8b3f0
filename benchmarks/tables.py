"""The runs of lag.py as rows, as a table in Markdown, and as JSON."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import mean
from typing import Any

import attrs
from checks import Row
from model import Run


def summarize(runs: Iterable[Run]) -> list[Row]:
    """Average the runs over the seeds, in the order of the runs."""
    groups: dict[tuple[str, str, float], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.trace, run.policy, run.rate].append(run)
    return [
        Row(
            *key,
            mean=mean(run.mean for run in group),
            p95=mean(run.quantile(0.95) for run in group),
            worst=max(run.quantile(1.0) for run in group),
            per_job=mean(run.per_job for run in group),
            refused=sum(run.refused for run in group),
            refused_share=mean(run.refused / run.requests for run in group),
            used=None if group[0].used is None else mean(run.used or 0.0 for run in group),
        )
        for key, group in groups.items()
    ]


def table(rows: Sequence[Row]) -> str:
    """Format a table in Markdown; the last column is the mean lag divided by the greatest bound that takes part.

    Where a list helps, no single polls bound it.
    """
    best: dict[str, float] = {}
    for row in rows:
        if row.policy == "bound-law":
            best[row.trace] = max(row.mean, best.get(row.trace, 0.0))
        elif row.policy.startswith("bound"):
            best[row.trace] = row.mean
    lines = [
        "| trace | R | policy | mean lag, s | p95, s | worst, s | requests a job | 429 | limit used | × bound |",
        "|:--|--:|:--|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        times = f"{row.mean / best[row.trace]:.1f}" if row.trace in best else "–"
        lines.append(
            f"| {row.trace} | {row.rate:g} | {row.policy} | {figure(row.mean)} | {figure(row.p95)} "
            f"| {figure(row.worst)} | {row.per_job:.2f} | {row.refused_share:.1%} "
            f"| {'–' if row.used is None else f'{row.used:.0%}'} | {times} |"
        )
    return "\n".join(lines)


def figure(seconds: float) -> str:
    """Format seconds with about three digits."""
    if math.isnan(seconds):
        return "–"
    return f"{seconds:.0f}" if seconds >= 100 else f"{seconds:.1f}" if seconds >= 10 else f"{seconds:.2f}"


def as_json(run: Run) -> dict[str, Any]:
    """Return a run's figures, with the lags as 101 quantiles."""
    fields = attrs.asdict(run, recurse=False) | {"mean": run.mean, "per_job": run.per_job}
    fields["lags"] = [round(run.quantile(percent / 100), 3) for percent in range(101)] if run.lags else []
    return fields
