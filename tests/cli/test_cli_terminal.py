"""What moves on a terminal, and how it is left."""

from __future__ import annotations

import os
import re

import pytest

from topaz_status.testing import SimulatorProcess

from .driver import EAGER, terminal

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
