"""The requests that reached the server: counters and a log."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import attrs

STORAGE = "storage"
"""The service name of a request to the storage host, in place of a job kind."""


@attrs.frozen
class Exchange:
    """One request as the server received it; control requests are not logged.

    Args:
        at: when the request arrived, in seconds on the simulator's clock.
        service: the kind of job, or ``"storage"``.
        endpoint: the service's endpoint, such as ``"image.status"``.
        job: the id in the path, if there was one.
        status: the status code of the answer; 0 when there was no answer.
        fault: the fault played on the request, if any.
    """

    at: float
    service: str
    endpoint: str
    job: str | None
    status: int
    fault: str | None = None


@attrs.frozen
class ServerStats:
    """The server's counters at one moment.

    Args:
        requests: all requests, except control requests.
        by_service: requests by kind of job, and ``"storage"``.
        by_endpoint: requests by endpoint, such as ``"image.list"``.
        by_status: requests by status code; 0 for a request without an answer.
        by_second: requests that arrived in each whole second since the start.
        rate_limited: 429 answers of the rate limit, not of faults.
        faults: how often each fault was played.
        in_flight: requests being answered now.
        peak_in_flight: most requests in flight at once.
        keys: every API key received.
        leaked_keys: requests with an API key that reached storage.
        jobs: the number of jobs so far.
    """

    requests: int
    by_service: Mapping[str, int]
    by_endpoint: Mapping[str, int]
    by_status: Mapping[int, int]
    by_second: Mapping[int, int]
    rate_limited: int
    faults: Mapping[str, int]
    in_flight: int
    peak_in_flight: int
    keys: frozenset[str]
    leaked_keys: int
    jobs: int

    def to_json(self) -> dict[str, Any]:
        """Return the counters for ``GET /_sim/stats``; only the number of keys is given, not the keys."""
        fields = attrs.asdict(self, recurse=False)
        return fields | {"keys": len(self.keys)}


@attrs.define
class RequestLog:
    """Counts and logs requests as they arrive and are answered."""

    log: deque[Exchange]
    started_at: float = 0.0
    requests: int = 0
    rate_limited: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    leaked_keys: int = 0
    by_service: Counter[str] = attrs.field(factory=Counter)
    by_endpoint: Counter[str] = attrs.field(factory=Counter)
    by_status: Counter[int] = attrs.field(factory=Counter)
    by_second: Counter[int] = attrs.field(factory=Counter)
    faults: Counter[str] = attrs.field(factory=Counter)
    keys: set[str] = attrs.field(factory=set)

    def arrive(self, now: float, service: str, endpoint: str, key: str | None) -> None:
        """Count a request that arrived."""
        self.requests += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        self.by_service[service] += 1
        self.by_endpoint[endpoint] += 1
        self.by_second[math.floor(now - self.started_at)] += 1
        if key is not None:
            self.keys.add(key)

    def leave(self, exchange: Exchange) -> None:
        """Count and log a request that was answered or abandoned."""
        self.in_flight -= 1
        self.by_status[exchange.status] += 1
        if exchange.fault is not None:
            self.faults[exchange.fault] += 1
        self.log.append(exchange)

    def stats(self, jobs: int) -> ServerStats:
        """Return a frozen copy of the counters."""
        return ServerStats(
            requests=self.requests,
            by_service=dict(self.by_service),
            by_endpoint=dict(self.by_endpoint),
            by_status=dict(self.by_status),
            by_second=dict(self.by_second),
            rate_limited=self.rate_limited,
            faults=dict(self.faults),
            in_flight=self.in_flight,
            peak_in_flight=self.peak_in_flight,
            keys=frozenset(self.keys),
            leaked_keys=self.leaked_keys,
            jobs=jobs,
        )
