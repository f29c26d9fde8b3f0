"""Pictures of ``watch`` for tests, as values and as a terminal shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import attrs
from rich.cells import cell_len
from rich.console import Console

from topaz_status import JobKind, Lag, Shared, Stats
from topaz_status.cli.commands.watch_figures import Bar
from topaz_status.cli.commands.watch_view import WatchPicture
from topaz_status.cli.failures import Failure
from topaz_status.cli.forecast import Forecast

STATS = Stats(
    watches=dict.fromkeys(JobKind, 0),
    in_flight=3,
    peak_in_flight=0,
    requests={JobKind.IMAGE: {"200": 12_000, "429": 7}, JobKind.VIDEO: {}, JobKind.TRY_ON: {}},
    tokens=0.0,
    rates=dict.fromkeys(JobKind, 10.0),
    held=dict.fromkeys(JobKind, 0.0),
    down=dict.fromkeys(JobKind, 0.0),
    lag=Lag(count=100, mean=1.5, p50=1.25, p95=4.0, p99=6.0, max=9.0),
    expected_lag=1.4,
    sweeps={},
    swept_statuses=0,
    overdue=0.0,
)
MANY = WatchPicture(
    states={
        (JobKind.IMAGE, "new"): 1200,
        (JobKind.IMAGE, "running"): 310,
        (JobKind.VIDEO, "running"): 20,
        (JobKind.IMAGE, "completed"): 5000,
        (JobKind.TRY_ON, "completed"): 900,
        (JobKind.VIDEO, "failed"): 30,
    },
    bars=[Bar(f"image:{number:032x}", "Processing", 90.0 - number, number - 0.5) for number in range(8)],
    forecast=Forecast.of([-1.0, 10.0, 20.0, 340.0], 1530, 12.34),
    failures=[Failure("failed: out of memory", 25), Failure("failed: too dark", 5)],
    stats=STATS,
    notes=["the video service has been down for 12.0 s"],
    pace=9.8,
    limit=10.0,
    elapsed=125.0,
    reading=False,
)
FEW = attrs.evolve(MANY, states={(JobKind.IMAGE, "running"): 2}, bars=MANY.bars[:2], failures=[], notes=[])


def printed(picture: WatchPicture, width: int, height: int, **settings: Any) -> list[str]:
    """The lines of a picture, without colors unless they are asked for."""
    options: dict[str, Any] = {"color_system": None, "force_terminal": True, "legacy_windows": False, **settings}
    console = Console(file=io.StringIO(), width=width, height=height, **options)
    with console.capture() as capture:
        console.print(picture.drawing(width, height))
    return capture.get().split("\n")[:-1]


def widest(lines: Sequence[str]) -> int:
    """The columns of the widest line."""
    return max(map(cell_len, lines))


def shared() -> Shared:
    """What a follower knows of its account."""
    return Shared(
        role="follower",
        member="a",
        leader="b",
        epoch=1,
        members=2,
        jobs=None,
        latency=None,
        news_lag=None,
        grants=0,
        grants_expired=0,
        alone_for=0.0,
        outages=0,
        resyncs=0,
        bad_mail=0,
        differs=(),
    )
