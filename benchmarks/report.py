"""The figures of the engine: as tables, as JSON, and against what they have to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from cancelling import MANY, Cancels
from common import table
from idle import Crowd
from polls import Costs, poll_figures, ratios
from targets import Target, cancel_targets, crowd_targets, poll_targets


def show_polls(figures: list[dict[str, Any]]) -> None:
    rows = [
        [
            f"{of['client']}, {of['mode']}",
            *(f"{of[figure]:,.0f}" for figure in ("cpu_us_per_poll", "best_cpu_us_per_poll", "polls_per_second")),
            *(f"{of[figure]:.2f}x" for figure in ("to_bare", "to_naive", "to_flat_out")),
        ]
        for of in figures
    ]
    print(table(["client", "CPU µs/poll", "at best", "polls/s", "to bare", "to naive", "to flat out"], rows))


def show_crowds(crowds: Mapping[str, Crowd]) -> None:
    rows = [
        ["starting them, s", *(f"{of.start:.2f}" for of in crowds.values())],
        ["  CPU, s", *(f"{of.start_cpu:.2f}" for of in crowds.values())],
        ["answering all once, CPU s", *(f"{of.answer_cpu:.1f}" for of in crowds.values())],
        ["RSS, bytes a watch", *(f"{of.bytes_per_watch:,.0f}" for of in crowds.values())],
        ["idle, of a core", *(f"{of.held.share:.3%}" for of in crowds.values())],
        ["  sleeping tasks", *(f"{of.tasks.share:.3%}" for of in crowds.values())],
        *(
            [f"longest pause while {doing}, ms", *(f"{of.pauses[doing].milliseconds:.0f}" for of in crowds.values())]
            for doing in next(iter(crowds.values())).pauses
        ),
        [
            "longest collection of garbage, ms",
            *(f"{1e3 * max(pause.collector for pause in of.pauses.values()):.0f}" for of in crowds.values()),
        ],
    ]
    watches = next(iter(crowds.values())).watches
    print()
    print(table([f"{watches:,} watches", *crowds], rows))


def show_cancels(found: Mapping[str, Cancels]) -> None:
    rows = [[kind, f"{of.few:.1f}", f"{of.many:.1f}", f"{of.growth:.2f}x"] for kind, of in found.items()]
    print()
    print(table(["CPU µs a cancel", "among 1,000", f"among {MANY:,}", "growth"], rows))


@attrs.define
class Found:
    """All figures of one run, as far as they were asked for."""

    polls: Costs | None = None
    crowds: dict[str, Crowd] | None = None
    cancels: dict[str, Cancels] | None = None

    def targets(self) -> list[Target]:
        """What they have to be."""
        targets = [*poll_targets(ratios(self.polls or {})), *cancel_targets(self.cancels or {})]
        for loop, crowd in (self.crowds or {}).items():
            targets += crowd_targets(loop, crowd)
        return targets

    def show(self) -> None:
        """Print the tables."""
        if self.polls:
            show_polls(list(poll_figures(self.polls)))
        if self.crowds:
            show_crowds(self.crowds)
        if self.cancels:
            show_cancels(self.cancels)

    def to_json(self) -> dict[str, Any]:
        """The figures, and what they have to be."""
        return {
            "clients": list(poll_figures(self.polls or {})),
            "crowds": {loop: attrs.asdict(crowd) for loop, crowd in (self.crowds or {}).items()},
            "cancels": {kind: attrs.asdict(cancels) for kind, cancels in (self.cancels or {}).items()},
            "targets": [attrs.asdict(target) | {"passed": target.passed} for target in self.targets()],
        }
