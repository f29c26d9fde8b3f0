"""SIGKILL at any moment, of four replicas that share a store: no job is lost, and each has one replica at a time."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import attrs
from databases import PostgresServer, new_schema

from topaz_status import PostgresStore, StoreError
from topaz_status.testing import SimulatorProcess

KILLS = int(os.environ.get("TOPAZ_STATUS_REPLICA_KILLS", "40"))
"""The gate's campaign has 200."""
REPLICAS = 4
JOBS_A_LIFE = 2
LONGEST = 0.5
"""Seconds between two kills."""
PATIENCE = 60.0
"""Seconds after the last kill until what is left is taken for lost."""
LIVES = Path(__file__).with_name("replica_lives.py")


@attrs.define
class Replica:
    """A process that lives and dies."""

    process: subprocess.Popen[str]
    child: int = 0

    def begin(self, words: list[str]) -> None:
        """Begin a life."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(*words, file=self.process.stdin, flush=True)
        self.child = int(self.process.stdout.readline())

    def end(self) -> None:
        """Let no life go on, however the test went."""
        if self.child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL)

    def kill(self) -> int:
        """End it; gives its exit code."""
        assert self.process.stdout is not None
        with contextlib.suppress(ProcessLookupError):  # it failed, and its exit code says so
            os.kill(self.child, signal.SIGKILL)
        self.child, code = 0, int(self.process.stdout.readline())
        return code


@attrs.frozen
class Line:
    """What a life appended to the log."""

    what: str
    job: str
    state: str
    redelivered: bool
    process: int


@attrs.define
class Stage:
    """Four replicas, the services that they ask, and the database that they share."""

    simulator: SimulatorProcess
    server: PostgresServer
    log: Path
    replicas: list[Replica]
    schema: str = attrs.field(factory=new_schema)
    dice: random.Random = attrs.field(factory=lambda: random.Random(1))

    def words(self, jobs: list[str]) -> list[str]:
        return [self.server.dsn(), self.schema, str(self.log), *jobs]

    def new_jobs(self) -> list[str]:
        """Jobs of any kind that live about as long as the one who watches them."""
        return self.simulator.add_jobs(
            {
                "kind": self.dice.choice(["image", "video", "try-on"]),
                "duration": self.dice.uniform(0.01, 4 * LONGEST),
                "outcome": self.dice.choice(["completed", "completed", "failed"]),
            }
            for _ in range(JOBS_A_LIFE)
        )

    def stored(self) -> set[str]:
        """The jobs in the store."""
        try:
            return {str(row.job) for row in PostgresStore(self.server.dsn(), schema=self.schema).peek()}
        except StoreError as error:
            if "has no watches" in str(error):  # no replica has lived long enough to make the schema
                return set()
            raise

    def lines(self) -> list[Line]:
        """The log."""
        found = self.log.read_text().splitlines() if self.log.exists() else []
        words = [line.split() for line in found]
        return [Line(what, job, state, mark == "True", int(pid)) for what, job, state, mark, pid in words]


@contextlib.contextmanager
def stage(server: PostgresServer, folder: Path) -> Iterator[Stage]:
    simulator = SimulatorProcess()
    with simulator, contextlib.ExitStack() as stack:
        keys = {"TOPAZ_API_KEY": "test", "PIXELCUT_API_KEY": "test"}
        urls = {"TOPAZ_API_URL": simulator.url, "PIXELCUT_API_URL": simulator.url}
        replicas = [
            Replica(
                stack.enter_context(
                    subprocess.Popen(  # noqa: S603  # our own script
                        [sys.executable, str(LIVES)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                        env=os.environ | keys | urls,
                    )
                )
            )
            for _ in range(REPLICAS)
        ]
        try:
            yield Stage(simulator, server, folder / "log", replicas)
        finally:
            for replica in replicas:
                replica.end()


def test_of_four_replicas_killed_at_random_moments_none_loses_a_job(postgres: PostgresServer, tmp_path: Path) -> None:
    """Each outcome comes, each coming after the first is marked, and nobody works on what another works on.

    Now and then all connections are cut, and half-way the server crashes and starts again.
    """
    died_after: dict[int, int] = {}
    with stage(postgres, tmp_path) as on:
        waiting: list[list[str]] = [[] for _ in on.replicas]
        for replica in on.replicas:
            replica.begin(on.words([]))
        for kill in range(KILLS):
            if kill == KILLS // 2:
                postgres.restart("immediate")
            elif kill % 10 == 5:
                postgres.cut()
            time.sleep(on.dice.uniform(0.0, LONGEST))
            place = on.dice.randrange(REPLICAS)
            replica = on.replicas[place]
            child = replica.child
            assert replica.kill() == -signal.SIGKILL, "a life failed by itself"
            lines = on.lines()
            died_after[child] = len(lines)
            known = on.stored() | {line.job for line in lines}
            waiting[place] = [*(job for job in waiting[place] if job not in known), *on.new_jobs()]
            replica.begin(on.words(waiting[place]))
        patience = time.monotonic() + PATIENCE
        submitted = set(on.simulator.truths())
        while on.stored() or {line.job for line in on.lines() if line.what == "done"} != submitted:
            assert time.monotonic() < patience, "some jobs are lost"
            time.sleep(0.05)
        for replica in on.replicas:
            assert replica.kill() == -signal.SIGKILL, "a life failed by itself"
        truths = {job: truth["state"] for job, truth in on.simulator.truths().items()}
        lines = on.lines()
    begun = [line for line in lines if line.what == "begins"]
    assert {line.job: line.state for line in begun} == truths
    assert len(truths) == KILLS * JOBS_A_LIFE
    marks = defaultdict(list)
    for line in begun:
        marks[line.job].append(line.redelivered)
    assert all(all(later) for _, *later in marks.values()), "an outcome that came again was not marked"
    assert len(begun) - len(marks) <= 2 * KILLS, "acknowledged outcomes come again"
    assert_one_at_a_time(lines, died_after)


def assert_one_at_a_time(lines: list[Line], died_after: dict[int, int]) -> None:
    """Work on a job begins only when the one who worked on it before is done with it, or dead."""
    works: dict[str, int] = {}
    for place, line in enumerate(lines):
        before = works.get(line.job)
        if line.what == "done":
            assert before == line.process
            del works[line.job]
        else:
            assert before is None or died_after.get(before, place + 1) <= place, f"two work on {line.job}"
            works[line.job] = line.process
