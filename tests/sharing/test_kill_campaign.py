"""SIGKILL at any moment: another member leads soon, and the living hear every end of their jobs, each once.

``TOPAZ_KILLS=200 TOPAZ_MEMBERS=8`` makes a campaign of what is a skirmish in the ordinary run.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs
import member_lives
from real_servers import NEEDS_ONE, RealServer, executables, running

from topaz_status.testing import SimulatorProcess

pytestmark = NEEDS_ONE
KILLS = int(os.environ.get("TOPAZ_KILLS", "12"))
MEMBERS = int(os.environ.get("TOPAZ_MEMBERS", "4"))
JOBS_A_LIFE = 6
PATIENCE = 60.0
LATE_TOGETHER = 0.1
"""Seconds: requests that a busy machine delays arrive together."""
SOONEST_END = 2.0
"""Seconds: a lease of 3 s is renewed every second."""
logger = logging.getLogger(__name__)
LIVES = Path(member_lives.__file__)


@attrs.define(eq=False)
class Life:
    """One process, and what it has to watch."""

    process: int
    log: Path
    jobs: list[str]

    def outcomes(self) -> list[tuple[str, str]]:
        """The outcomes that it has written down, as job and state."""
        lines = self.log.read_text().splitlines()[1:] if self.log.exists() else []
        return [(job, state) for job, state in map(str.split, lines)]

    def member(self) -> str:
        """Its name as a member; empty until it is one."""
        return self.log.read_text().partition("\n")[0] if self.log.exists() else ""

    def open_jobs(self) -> list[str]:
        done = {job for job, _ in self.outcomes()}
        return [job for job in self.jobs if job not in done]

    def is_up(self) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, 0)
            return True
        return False


@attrs.define(eq=False)
class Campaign:
    """The living and the dead."""

    process: subprocess.Popen[str]
    folder: Path
    server: RealServer
    living: list[Life] = attrs.field(factory=list)
    dead: list[Life] = attrs.field(factory=list)
    outcomes: dict[str, str] = attrs.field(factory=dict)
    """How each job ends."""
    vacancies: list[float] = attrs.field(factory=list)
    """Seconds from the death of each leader to the next reign."""

    def begin(self, jobs: list[str]) -> None:
        """Start a life that watches some jobs."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        log = self.folder / f"life-{len(self.living) + len(self.dead)}"
        print(log, *jobs, file=self.process.stdin, flush=True)
        self.living.append(Life(int(self.process.stdout.readline()), log, jobs))

    def leader(self) -> str:
        """The member that holds the lease, whether it lives or not."""
        [state] = self.server.command("KEYS", "topaz-status:*:state") or [""]
        holder = self.server.command("HGET", state, "holder") if state else None
        return "" if holder is None else holder.decode()

    def kill(self, victim: Life) -> list[str]:
        """Kill a process, and return the jobs whose outcomes nobody has yet; wait for the next leader if it led."""
        led = victim.member() == self.leader()
        os.kill(victim.process, signal.SIGKILL)
        died_at = time.monotonic()
        self.living.remove(victim)
        self.dead.append(victim)
        if led:
            until(lambda: self.leader() not in {"", victim.member()})
            self.vacancies.append(time.monotonic() - died_at)
        return victim.open_jobs()


def until(holds: object) -> None:
    """Wait for what must come."""
    give_up_at = time.monotonic() + PATIENCE
    assert callable(holds)
    while not holds():
        assert time.monotonic() < give_up_at, "it never came"
        time.sleep(0.005)


@contextlib.contextmanager
def campaign(simulator: SimulatorProcess, server: RealServer, folder: Path) -> Iterator[Campaign]:
    environment = os.environ | {
        "TOPAZ_API_URL": simulator.url,
        "PIXELCUT_API_URL": simulator.url,
        "TOPAZ_API_KEY": "test",
        "PIXELCUT_API_KEY": "test",
        "TOPAZ_STATUS_REDIS_URL": server.url,
    }
    with subprocess.Popen(  # noqa: S603  # our own script
        [sys.executable, str(LIVES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        found = Campaign(process, folder, server)
        try:
            yield found
        finally:
            for life in found.living:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(life.process, signal.SIGKILL)


def new_jobs(simulator: SimulatorProcess, dice: random.Random, lives: Campaign) -> list[str]:
    """Jobs of any kind that live about as long as the members."""
    plans = [
        {
            "kind": dice.choice(["image", "video", "try-on"]),
            "duration": dice.uniform(0.1, 3.0),
            "outcome": dice.choice(["completed", "completed", "failed"]),
        }
        for _ in range(JOBS_A_LIFE)
    ]
    jobs = simulator.add_jobs(plans)
    lives.outcomes |= {job: str(plan["outcome"]) for job, plan in zip(jobs, plans, strict=True)}
    return jobs


def shared_server() -> contextlib.AbstractContextManager[RealServer]:
    """One of the servers that are here, Valkey if it is among them."""
    found = executables()
    return running(found.get("valkey") or next(iter(found.values())))


def begin_all(simulator: SimulatorProcess, dice: random.Random, lives: Campaign) -> None:
    """Begin all members with jobs of their own, and wait until each has joined."""
    for _ in range(MEMBERS):
        lives.begin(new_jobs(simulator, dice, lives))
    until(lambda: all(life.member() for life in lives.living))


def excess(times: list[float], rate: float, burst: float) -> float:
    """By how many requests the worst window breaks the budget; at most 0 when it is kept."""
    worst, lowest = -burst, float("inf")
    for count, at in enumerate(sorted(times)):
        lowest = min(lowest, count - rate * at)
        worst = max(worst, count + 1 - rate * at - lowest - burst)
    return worst


def test_a_leader_that_stands_still_is_replaced_and_follows_when_it_wakes(tmp_path: Path) -> None:
    """Its connections stay open, so its lease decides. On waking it follows, hears its ends, and all keep to the budget."""
    dice, simulator = random.Random(19), SimulatorProcess()
    with simulator, shared_server() as server:
        with campaign(simulator, server, tmp_path) as lives:
            begin_all(simulator, dice, lives)
            [still] = [life for life in lives.living if life.member() == lives.leader()]
            os.kill(still.process, signal.SIGSTOP)
            until(lambda: lives.leader() not in {"", still.member()})
            replaced = len(simulator.call("GET", "/_sim/log")["log"])
            until(lambda: all(not life.open_jobs() for life in lives.living if life is not still))
            os.kill(still.process, signal.SIGCONT)
            until(lambda: not still.open_jobs())
            assert lives.leader() not in {"", still.member()}
            assert all(life.is_up() for life in lives.living)
        log = simulator.call("GET", "/_sim/log")["log"]
    assert len(log) > replaced
    assert all(lives.outcomes[job] == state for life in lives.living for job, state in life.outcomes())
    times = [entry["at"] for entry in log]
    assert excess(times, member_lives.RATE, member_lives.BURST) <= LATE_TOGETHER * member_lives.RATE


def test_members_are_killed_again_and_again(tmp_path: Path) -> None:
    """No end is lost, none comes twice, each is as it was; and all members together keep to one budget."""
    dice, simulator = random.Random(17), SimulatorProcess()
    with simulator, shared_server() as server:
        with campaign(simulator, server, tmp_path) as lives:
            begin_all(simulator, dice, lives)
            for _ in range(KILLS):
                time.sleep(dice.uniform(0.05, 0.6))
                leading = [life for life in lives.living if life.member() == lives.leader()]
                victim = leading[0] if leading and dice.random() < 0.5 else dice.choice(lives.living)
                lives.begin(lives.kill(victim) + new_jobs(simulator, dice, lives))
            until(lambda: not any(life.open_jobs() for life in lives.living))
            assert all(life.is_up() for life in lives.living)
        log = simulator.call("GET", "/_sim/log")["log"]
    for life in [*lives.living, *lives.dead]:
        outcomes = life.outcomes()
        assert not [job for job, times in Counter(job for job, _ in outcomes).items() if times > 1]
        assert all(lives.outcomes[job] == state for job, state in outcomes), outcomes
    vacancies = sorted(lives.vacancies)
    logger.info("%d kills, %d of leaders; seconds to the next: %s", KILLS, len(vacancies), vacancies)
    assert not [entry for entry in log if entry["status"] == 429]
    over = excess([entry["at"] for entry in log], member_lives.RATE, member_lives.BURST)
    logger.info("%d requests; %.2f above the budget in the worst window", len(log), over)
    assert over <= LATE_TOGETHER * member_lives.RATE
    assert vacancies[0] < SOONEST_END, "no leader was replaced before its lease could end"
