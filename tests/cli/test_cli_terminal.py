"""What moves on a terminal, and how it is left."""

from __future__ import annotations

import os
import re

import pytest

from topaz_status.testing import SimulatorProcess

from .driver import EAGER, Display, terminal

PAST = {"after": -60.0, "duration": 1.0}
SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"
Environment = dict[str, str]


def _jobs(simulator: SimulatorProcess) -> tuple[str, str]:
    done, stuck = simulator.add_jobs([{"kind": "image", **PAST}, {"kind": "image", "stuck": True, "after": -60.0}])
    return done, stuck


def test_a_bar_for_each_job_and_the_fleet_in_a_line(environment: Environment, simulator: SimulatorProcess) -> None:
    """Results go above the bars; Ctrl-C gives the terminal back as it was."""
    done, stuck = _jobs(simulator)
    with terminal(["watch", done, stuck], environment) as screen:
        screen.until("99 %")
        screen.until("1 running · 1 completed")
        assert re.search(rf"{done} +completed", screen.shown)
        screen.interrupt()
        assert screen.end() == 130
    assert screen.shown.rindex(SHOW_CURSOR) > screen.shown.rindex(HIDE_CURSOR)
    assert "1 job still open, 1 ended" in screen.shown
    assert "Traceback" not in screen.shown


def test_without_rich_one_line_moves(environment: Environment, simulator: SimulatorProcess) -> None:
    """It is cleared before a result is printed, and at the end."""
    done, stuck = _jobs(simulator)
    with terminal(["watch", done, stuck], environment, rich=False) as screen:
        screen.until("1 running · 1 completed")
        screen.interrupt()
        assert screen.end() == 130
    assert f"\r\x1b[K{done}" in screen.shown
    assert HIDE_CURSOR not in screen.shown


def test_results_for_a_file_stay_off_the_terminal(environment: Environment, simulator: SimulatorProcess) -> None:
    """Only the picture is shown there; colors are for terminals alone."""
    (job,) = simulator.add_jobs([{"kind": "image", "duration": 0.7}])
    ours, theirs = os.pipe()
    del environment["NO_COLOR"]
    with terminal(["watch", job, *EAGER], environment, out=theirs) as screen:
        os.close(theirs)
        assert screen.end() == 0
    with os.fdopen(ours) as out:
        assert out.read().split()[:2] == [job, "completed"]
    assert not re.search(rf"{job} +completed", screen.shown)


def _many(simulator: SimulatorProcess) -> list[str]:
    """Ten jobs that have completed, ten that have failed, and 300 that never end."""
    return simulator.add_jobs(
        [
            {"kind": "video", "count": 10, **PAST},
            {"kind": "image", "count": 10, "outcome": "failed", **PAST},
            {"kind": "image", "count": 300, "stuck": True, "after": -60.0},
        ]
    )


def _is_whole(lines: list[str]) -> bool:
    """Whether the picture of :func:`_many` is there as it is once all ends are known, and every job was polled."""
    if "jobs: 300 running · 10 completed · 10 failed" in lines[-1]:  # without rich
        return True
    return "20 of 320 ended  6 %" in lines[-1] and not any(line.split()[:1] == ["new"] for line in lines)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 24), (200, 50), (80, 10), (30, 6)])
def test_many_jobs_have_one_picture_that_fits_the_terminal(
    environment: Environment, simulator: SimulatorProcess, columns: int, rows: int
) -> None:
    """Counts, ends, budget, lag, failures, the next ends, and the whole; below the results, and never twice."""
    display = Display(columns, rows)
    with terminal(["watch", *_many(simulator), *EAGER], environment, columns=columns, rows=rows) as screen:
        lines = screen.until_screen(display, _is_whole)
        screen.interrupt()
        assert screen.end() == 130
    assert sum("of 320 ended" in line for line in lines) == 1
    assert re.match(r"(image|video):", lines[0]) or columns < 60, "results stay above the picture"
    if rows >= 24:
        table = next(at for at, line in enumerate(lines) if line.split()[:3] == ["image", "video", "all"])
        assert [line.split()[:4] for line in lines[table + 1 : table + 4]] == [
            ["running", "300", "0", "300"],
            ["completed", "0", "10", "10"],
            ["failed", "10", "0", "10"],
        ]
        labels = [line.split()[0] for line in lines[table + 4 :]]
        assert labels[:4] == ["ends", "requests", "lag", "failures"]


def test_ctrl_c_leaves_a_summary_and_no_rest_of_the_picture(
    environment: Environment, simulator: SimulatorProcess
) -> None:
    """What is open, what has ended and why, and what it cost; the terminal is as it was."""
    display = Display(80, 60)
    with terminal(["watch", *_many(simulator), *EAGER], environment, columns=80, rows=60) as screen:
        screen.until_screen(display, _is_whole)
        screen.type("\x03")  # the terminal shows it as ^C
        screen.interrupt()
        assert screen.end() == 130
    lines = display.lines(screen.shown)
    stopped = next(at for at, line in enumerate(lines) if line.startswith("topaz-status: stopped"))
    assert all(re.match(r"(image|video):\S+ +(completed|failed)", line) for line in lines[:stopped])
    assert lines[stopped] == "topaz-status: stopped: 300 jobs still open, 20 ended; the jobs themselves go on"
    summary = lines[stopped + 12 :]
    assert re.fullmatch(r"topaz-status: 20 jobs ended in \d+:\d\d: 10 completed · 10 failed", summary[0])
    assert summary[1].startswith("  10 × failed")
    assert re.match(r"  \d+ requests, 0 answered 429", summary[2])
    assert screen.shown.rindex(SHOW_CURSOR) > screen.shown.rindex(HIDE_CURSOR)


@pytest.mark.parametrize("rich", [True, False])
def test_a_terminal_that_becomes_narrower_shows_one_picture_only(
    environment: Environment, simulator: SimulatorProcess, *, rich: bool
) -> None:
    """Most terminals wrap the lines that no longer fit: all rows of the old picture go, and no result with them."""
    with terminal(["watch", *_many(simulator), *EAGER], environment, rich=rich, columns=110, rows=90) as screen:
        wide = Display(110, 90)
        screen.pause(wide, _is_whole)
        narrow = wide.narrowed(screen.shown, 45)
        before = narrow.lines(screen.shown)
        screen.resume(45, 90)
        lines = screen.until_screen(
            narrow, lambda lines: lines != before and re.match(r"\d+:\d\d  ", lines[-1]) is not None
        )
        screen.interrupt()
        assert screen.end() == 130
    results = [at for at, line in enumerate(before) if re.match(r"(image|video):\S", line)]
    assert len(results) == 20
    below = results[-1] + 2  # each result has two rows now
    assert lines[:below] == before[:below]
    assert sum(line.startswith(("0:", "1:")) for line in lines) == 1
    assert len(lines) - below == (17 if rich else 1)


@pytest.mark.parametrize("rich", [True, False])
def test_the_demo_shows_itself_and_leaves_a_table(environment: Environment, *, rich: bool) -> None:
    """Live figures while it runs, the closing table at the end."""
    with terminal(["demo", "--jobs=60", "--seconds=1.5"], environment, rich=rich) as screen:
        screen.until("requests/s")
        assert screen.end() == 0
    assert "60 of 60 resolved" in screen.shown
    assert ("budget used" in screen.shown) is rich
    assert screen.shown.rfind(SHOW_CURSOR) >= screen.shown.rfind(HIDE_CURSOR)


def test_ctrl_c_leaves_the_demo(environment: Environment) -> None:
    """It says what was open, and its simulator goes with it."""
    with terminal(["demo", "--jobs=100"], environment) as screen:
        screen.until("budget used")
        screen.interrupt()
        assert screen.end() == 130
    assert "jobs still open" in screen.shown
    assert "Traceback" not in screen.shown
