"""What the server saw: counters and a log of requests."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import attrs

STORAGE = "storage"
"""Stands for the kind of a request to the storage host."""


@attrs.frozen
class Exchange:
    """One request as the server saw it; control requests are not among them.

    Args:
        at: when it arrived, in seconds on the simulator's clock.
        service: the kind of job, or ``"storage"``.
        endpoint: which of the service's endpoints, such as ``"image.status"``.
        job: the id in the path, if there was one.
        status: the status code of the answer; 0 when there was none.
        fault: the fault played on it, if any.
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
        requests: all of them, control requests left out.
        by_service: by kind of job, and ``"storage"``.
        by_endpoint: such as ``"image.list"``.
        by_status: by status code; 0 for a request that got no answer.
        by_second: how many arrived in each whole second since the start.
        rate_limited: 429s of the limit, not of faults.
        faults: how often each was played.
        in_flight: requests being answered now.
        peak_in_flight: most at once.
        keys: every API key that came in.
        leaked_keys: requests with an API key that reached storage.
        jobs: how many jobs there have been.
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
        """The same for ``GET /_sim/stats``; the keys are counted, not told."""
        fields = attrs.asdict(self, recurse=False)
        return fields | {"keys": len(self.keys)}


@attrs.define
class Ledger:
    """Counts requests as they come and go."""

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
        """A request came in."""
        self.requests += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        self.by_service[service] += 1
        self.by_endpoint[endpoint] += 1
        self.by_second[math.floor(now - self.started_at)] += 1
        if key is not None:
            self.keys.add(key)

    def leave(self, exchange: Exchange) -> None:
        """It was answered, or given up."""
        self.in_flight -= 1
        self.by_status[exchange.status] += 1
        if exchange.fault is not None:
            self.faults[exchange.fault] += 1
        self.log.append(exchange)

    def stats(self, jobs: int) -> ServerStats:
        """A frozen copy of the counters."""
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
