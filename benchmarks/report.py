"""The engine's figures as tables, as JSON and against their targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from cancelling import MANY, Cancels
from common import table
from idle import Crowd
from polls import Costs, poll_figures, ratios, status_lines
from targets import Target, cancel_targets, crowd_targets, poll_targets


def show_polls(costs: Costs) -> None:
    rows = [
        [
            f"{of['client']}, {of['mode']}",
            *(f"{of[figure]:,.1f}" for figure in ("cpu_us_per_poll", "best_cpu_us_per_poll")),
            f"{of['polls_per_second']:,.0f}",
            *(_times(of[figure]) for figure in ("to_bare", "to_naive")),
        ]
        for of in poll_figures(costs)
    ]
    print(table(["client", "CPU µs/poll", "at best", "polls/s", "to bare", "to naive"], rows))


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x"


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
    print(table([f"{watches:,} watches", *crowds], rows))


def show_cancels(found: Mapping[str, Cancels]) -> None:
    rows = [[kind, f"{of.few:.1f}", f"{of.many:.1f}", f"{of.growth:.2f}x"] for kind, of in found.items()]
    print(table(["CPU µs a cancel", "among 1,000", f"among {MANY:,}", "growth"], rows))


@attrs.define
class Found:
    """The figures of one part of the benchmark, or of several parts."""

    polls: Costs = attrs.field(factory=dict)
    crowds: dict[str, Crowd] = attrs.field(factory=dict)
    cancels: dict[str, Cancels] = attrs.field(factory=dict)

    def add(self, part: Found) -> None:
        """Add the figures of another part."""
        self.polls |= part.polls
        self.crowds |= part.crowds
        self.cancels |= part.cancels

    def targets(self) -> list[Target]:
        """Return the targets of everything measured."""
        targets = [*poll_targets(ratios(self.polls)), *cancel_targets(self.cancels)]
        for loop, crowd in self.crowds.items():
            targets += crowd_targets(loop, crowd)
        return targets

    def show(self) -> None:
        """Print the tables and, below them, each target."""
        if self.polls:
            show_polls(self.polls)
        if self.crowds:
            show_crowds(self.crowds)
        if self.cancels:
            show_cancels(self.cancels)
        print(*self.targets(), "", sep="\n", flush=True)

    def summary(self) -> str:
        """Format the CPU of a status in each mode, the number of targets met, and the targets missed."""
        targets = self.targets()
        missed = [target for target in targets if not target.passed]
        met = f"{len(targets) - len(missed)} of {len(targets)} targets met"
        return "\n".join([*status_lines(self.polls), met, *map(str, missed)])

    def to_json(self) -> dict[str, Any]:
        """Return the figures and the targets."""
        return {
            "clients": list(poll_figures(self.polls)),
            "crowds": {loop: attrs.asdict(crowd) for loop, crowd in self.crowds.items()},
            "cancels": {kind: attrs.asdict(cancels) for kind, cancels in self.cancels.items()},
            "targets": [attrs.asdict(target) | {"passed": target.passed} for target in self.targets()],
        }
