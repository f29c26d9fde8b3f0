"""SIGKILL at any moment: over all restarts each job's outcome is handed out, marked when it comes again.

``TOPAZ_KILLS=1000`` kills so many times instead of 200.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import attrs

from topaz_status import SQLiteStore
from topaz_status.testing import SimulatorProcess

KILLS = int(os.environ.get("TOPAZ_KILLS", "200"))
JOBS_A_LIFE = 2
SHORTEST, LONGEST = 0.01, 0.25
"""Seconds of a life."""
FINAL_LIVES = 20
LIVES = Path(__file__).with_name("lives.py")


@attrs.define
class Program:
    """The process that lives and dies."""

    process: subprocess.Popen[str]
    file: Path
    log: Path

    def live(self, jobs: list[str], seconds: float | None) -> int:
        """One life, of so many seconds or to its own end; gives its exit code."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        end = "goes" if seconds is None else "stays"
        print(self.file, self.log, end, *jobs, file=self.process.stdin, flush=True)
        child = int(self.process.stdout.readline())
        if seconds is not None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):  # it failed, and its exit code says so
                os.kill(child, signal.SIGKILL)
        return int(self.process.stdout.readline())

    def known(self) -> set[str]:
        """The jobs in the store."""
        return {str(row.job) for row in SQLiteStore(self.file).peek()} if self.file.exists() else set()

    def reported(self) -> list[tuple[str, str, bool]]:
        """What was handed out, in its order: job, state, and whether it was marked."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(job, state, mark == "True") for job, state, mark in map(str.split, lines)]


@contextlib.contextmanager
def program(simulator: SimulatorProcess, folder: Path) -> Iterator[Program]:
    environment = os.environ | {
        "TOPAZ_API_URL": simulator.url,
        "PIXELCUT_API_URL": simulator.url,
        "TOPAZ_API_KEY": "test",
        "PIXELCUT_API_KEY": "test",
    }
    with subprocess.Popen(  # noqa: S603  # our own script
        [sys.executable, str(LIVES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Program(process, folder / "watches.db", folder / "log")


def new_jobs(simulator: SimulatorProcess, dice: random.Random) -> list[str]:
    """Jobs of any kind that live about as long as the one who watches them."""
    return simulator.add_jobs(
        {
            "kind": dice.choice(["image", "video", "try-on"]),
            "duration": dice.uniform(0.01, 4 * LONGEST),
            "outcome": dice.choice(["completed", "completed", "failed"]),
        }
        for _ in range(JOBS_A_LIFE)
    )


def test_killed_at_random_moments_none_is_lost(tmp_path: Path) -> None:
    """Each outcome comes at least once, each coming after the first is marked, and few come more than once."""
    dice = random.Random(1)
    simulator = SimulatorProcess()
    waiting: list[str] = []
    with simulator, program(simulator, tmp_path) as lives:
        for _ in range(KILLS):
            waiting += new_jobs(simulator, dice)
            code = lives.live(waiting, dice.uniform(SHORTEST, LONGEST))
            assert code == -signal.SIGKILL, "a life failed by itself"
            done = {job for job, _, _ in lives.reported()}
            known = lives.known()
            waiting = [job for job in waiting if job not in done | known]
        for _ in range(FINAL_LIVES):
            assert lives.live(waiting, None) == 0
            waiting = []
            if not lives.known():
                break
        truths = {job: truth["state"] for job, truth in simulator.truths().items()}
    reported = lives.reported()
    assert {job: state for job, state, _ in reported} == truths
    marks = defaultdict(list)
    for job, _, mark in reported:
        marks[job].append(mark)
    assert all(all(later) for _, *later in marks.values()), "an outcome that came again was not marked"
    surprises = Counter(first for first, *_ in marks.values())[True]
    assert surprises <= KILLS, "outcomes are marked that never were handed out"
    assert len(reported) - len(marks) <= 2 * KILLS, "acknowledged outcomes come again"
    assert len(marks) == KILLS * JOBS_A_LIFE
