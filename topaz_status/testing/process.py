"""The simulator in a process of its own, for tests that must not share an event loop or an interpreter with it."""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

_STOP_SECONDS: Final = 10.0
_OK: Final = 200


class SimulatorProcess:
    """A child process that serves a simulator on a loopback port; it ends when its parent ends, even after a crash.

    Use it with ``with`` or ``async with``:

        simulator = SimulatorProcess(seed=7, rate=10)
        with simulator as url:
            jobs = simulator.add_jobs([{"kind": "image", "count": 100, "duration": {"lognormal": [30, 0.6]}}])
            ...  # point a client at the URL
            print(simulator.stats()["requests"])

    Args:
        control_timeout: most seconds that a control request may take.
        options: options of ``topaz-status simulate``, such as ``rate=10``, ``try_ons=5`` or ``faults="503=0.01"``.
    """

    def __init__(self, *, control_timeout: float = 30.0, **options: str | float) -> None:
        self._arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self._timeout = control_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        """The base URL; empty until the process is up."""

    def __repr__(self) -> str:
        state = self.url or "not running"
        return f"<SimulatorProcess {state}>"

    def start(self) -> None:
        """Start the child and wait for its URL.

        Raises:
            RuntimeError: the child ended without a URL.
        """
        command = [sys.executable, "-m", "topaz_status.testing", "--until-eof", *self._arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        assert self._process.stdout is not None  # noqa: S101 - stdout is a pipe
        line = self._process.stdout.readline().decode().strip()
        if not line.startswith("http://"):
            self.stop()
            raise RuntimeError(f"the simulator did not start: {' '.join(command)!r} said {line!r}")
        self.url = line

    def stop(self) -> None:
        """End the child: close its input, and kill it if it still runs ten seconds later."""
        process, self._process, self.url = self._process, None, ""
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> str:
        self.start()
        return self.url

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    async def __aenter__(self) -> str:
        await asyncio.to_thread(self.start)
        return self.url

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One control request, such as ``call("GET", "/_sim/stats")``; blocks for a moment.

        Raises:
            ValueError: the simulator refuses the request; the message says why.
        """
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=self._timeout)
        try:
            connection.request(method, path, None if body is None else orjson.dumps(body))
            response = connection.getresponse()
            answer = orjson.loads(response.read())
        finally:
            connection.close()
        if response.status != _OK:
            raise ValueError(answer.get("message", f"{method} {path} answered {response.status}"))
        return answer

    def add_jobs(self, plans: Iterable[dict[str, Any]]) -> list[str]:
        """Create jobs from plans in JSON form, with the fields of :class:`.JobPlan`, and return the jobs' names."""
        names: list[str] = self.call("POST", "/_sim/jobs", {"jobs": list(plans)})["jobs"]
        return names

    def add_faults(self, faults: Iterable[dict[str, Any]]) -> None:
        """Add faults; each has the fields of :class:`.Fault`."""
        self.call("POST", "/_sim/faults", {"faults": list(faults)})

    def stats(self) -> dict[str, Any]:
        """Return the counters of :class:`.ServerStats`."""
        counters: dict[str, Any] = self.call("GET", "/_sim/stats")
        return counters

    def truths(self) -> dict[str, dict[str, Any]]:
        """Return the truth of each job, by the job's name: the fields of :class:`.Truth`."""
        return {job["job"]: job for job in self.call("GET", "/_sim/truth")["jobs"]}

    def reset(self) -> None:
        """Remove all jobs and faults and set the counters to zero."""
        self.call("POST", "/_sim/reset")
