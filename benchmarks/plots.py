"""Plots of the lags: small SVG files that differ only where the figures differ."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from model import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES: Final[dict[str, dict[str, Any]]] = {
    "fixed": {"color": "#d55e00", "label": "fixed 5 s"},
    "backoff": {"color": "#e69f00", "label": "backoff to 30 s"},
    "eta": {"color": "#cc79a7", "label": "sleep until the ETA"},
    "sweep": {"color": "#56b4e9", "label": "all pages every 5 s"},
    "library": {"color": "#0072b2", "label": "topaz_status", "linewidth": 2.4},
    "bound-pages": {"color": "#999999", "label": "clairvoyant", "linestyle": "--"},
    "bound-single": {"color": "#999999", "label": "clairvoyant", "linestyle": "--"},
}
TITLES: Final = {
    "burst": "images at once",
    "poisson": "images, 5 a second",
    "foreign": "among 9 foreign images each",
    "try-on": "try-on, 2 a second",
    "mixed": "all kinds, 4 a second",
    "hostile": "wrong ETAs, stuck and unlisted jobs",
}
POINTS: Final = 60
WIDE: Final = 6.0
"""Width in inches above which the legend takes one line."""


def draw_distributions(runs: Iterable[Run], folder: Path) -> None:
    """Draw, for some traces, the share of jobs whose end was detected later than a number of seconds."""
    found = {(run.trace, run.policy): run for run in runs if run.seed == 1}
    shown = [trace for trace in TITLES if any(trace == name for name, _ in found)]
    if not shown:
        return
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = _figure(rows, columns)
    for axis, trace in zip(axes, shown, strict=False):
        for policy, style in STYLES.items():
            run = found.get((trace, policy))
            if run is not None and not (policy == "bound-single" and (trace, "bound-pages") in found):
                axis.plot(*_tail(run), **style)
        axis.set(xscale="log", yscale="log", ylim=(1e-3, 1.1), xlabel="lag, s")
        axis.minorticks_off()
        axis.set_title(TITLES[trace], fontsize=9)
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    for row in range(rows):
        axes[row * columns].set_ylabel("share of jobs with a longer lag")
    _save(figure, axes[0], folder / "lag-distributions.svg")


def draw_by_rate(runs: Iterable[Run], folder: Path) -> None:
    """Draw the mean lag against the budget."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.trace].append(run)
    figure, axes = _figure(1, len(groups))
    for axis, (trace, group) in zip(axes, groups.items(), strict=True):
        _lines(axis, group, [run.rate for run in group])
        axis.set(xscale="log", yscale="log", xlabel="requests a second", ylabel="mean lag, s")
        axis.set_xticks(sorted({run.rate for run in group}), labels=[f"{rate:g}" for rate in _rates(group)])
        axis.minorticks_off()
        axis.set_title(TITLES[trace], fontsize=9)
    _save(figure, axes[0], folder / "lag-by-budget.svg")


def draw_by_count(runs: Sequence[Run], folder: Path) -> None:
    """Draw the mean lag against the number of images submitted at once."""
    figure, (axis,) = _figure(1, 1)
    _lines(axis, runs, [run.jobs for run in runs])
    axis.set(xscale="log", yscale="log", xlabel="images at once", ylabel="mean lag, s")
    axis.minorticks_off()
    axis.set_title("10 requests a second", fontsize=9)
    _save(figure, axis, folder / "lag-by-jobs.svg")


def draw_worlds(lag_ratios: Sequence[float], cost_ratios: Sequence[float], folder: Path) -> None:
    """Draw how the library's lag and cost, divided by those of the best simple policy, are distributed over worlds."""
    figure, (axis,) = _figure(1, 1)
    count = len(lag_ratios)
    shares = [(rank + 1) / count for rank in range(count)]
    axis.axvline(1.0, color="#999999", linestyle="--")
    axis.plot(sorted(lag_ratios), shares, color="#0072b2", label="mean lag, to the best usual policy")
    axis.plot(sorted(cost_ratios), shares, color="#d55e00", label="cost, to the cheapest simple policy")
    axis.set(xscale="log", xlabel="topaz_status / simple policy", ylabel="share of worlds", ylim=(0.0, 1.0))
    axis.set_title(f"{count} random worlds", fontsize=9)
    _save(figure, axis, folder / "worlds.svg")


def _rates(runs: Iterable[Run]) -> list[float]:
    return sorted({run.rate for run in runs})


def _lines(axis: Axes, runs: Iterable[Run], places: Iterable[float]) -> None:
    """Draw one line per policy through the means of its runs."""
    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for run, place in zip(runs, places, strict=True):
        lines[run.policy].append((place, run.mean))
    for policy, style in STYLES.items():
        if policy in lines:
            axis.plot(*zip(*sorted(lines[policy]), strict=True), marker=".", **style)


def _tail(run: Run) -> tuple[list[float], list[float]]:
    """Return lags in rising order and the share of jobs beyond each, spaced evenly by the logarithm of that share."""
    count = len(run.lags)
    shares = sorted({round(count * 0.001 ** (step / POINTS)) for step in range(POINTS + 1)}, reverse=True)
    ranks = [count - beyond for beyond in shares if beyond > 0]
    return [run.lags[rank] for rank in ranks], [(count - rank) / count for rank in ranks]


def _figure(rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    import matplotlib as mpl  # noqa: PLC0415  # needed for plots alone

    mpl.use("svg")
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "lag", "font.size": 8, "lines.linewidth": 1.2}
    mpl.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25}
    from matplotlib import pyplot as plt  # noqa: PLC0415

    size = (3.0 * columns if columns > 1 else 4.5, 2.5 * rows if rows > 1 else 3.0)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    return figure, list(axes.flat)


def _save(figure: Figure, first: Axes, path: Path) -> None:
    handles, labels = first.get_legend_handles_labels()
    columns = 6 if figure.get_figwidth() > WIDE else 3
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text(re.sub(r"(\.\d\d)\d+", r"\1", text.getvalue()), encoding="utf-8")
