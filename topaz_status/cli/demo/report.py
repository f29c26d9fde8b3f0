"""The demo's report: compares the outcomes with the simulator's own records, by arithmetic alone."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from ...models.job import JobKind, JobState
from ...outcome import Outcome
from ...session.statistics import Lag
from ..exit_codes import FAILED, OK, UNKNOWN
from ..formatting import Table, plural, span

_ENDS: Final = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELED, JobState.EXPIRED)
_MOST_WRONG: Final = 10
ALL: Final = "all"


@attrs.frozen(kw_only=True)
class DemoSettings:
    """The settings of the demo."""

    jobs: int
    rate: float
    burst: float
    max_in_flight: int
    seed: int
    processes: int = 1


@attrs.frozen(kw_only=True)
class Report:
    """The demo's result. Times are seconds, rates requests/s; keys of mappings are kinds of job, and ``"all"``."""

    settings: DemoSettings
    took: float
    jobs: Mapping[str, int]
    ends: Mapping[str, Mapping[str, int]]
    """Ends that the client detected, by state."""
    resolved: int
    true: Mapping[str, int]
    """The number of detected ends that agree with the simulator's records."""
    wrong: Sequence[str]
    """Texts on some of the ends that do not agree."""
    lags: Mapping[str, Lag | None]
    """Seconds from a job's true end to its detection by the client."""
    in_turn: Lag | None
    """The computed lag of a client that polls the open jobs in turn, at the same pace."""
    requests: Mapping[str, int]
    rate_limited: int
    busiest_second: int
    peak_in_flight: int
    vacancy: float | None = None
    """Seconds from the death of the process that led to the next one's lead; ``None`` with one process."""

    @property
    def code(self) -> int:
        """The exit code. The demo fails if an outcome is wrong or a request was answered 429."""
        if self.wrong or self.rate_limited:
            return FAILED
        return OK if self.resolved == self.settings.jobs else UNKNOWN

    def to_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        fields = attrs.asdict(self)
        total = self.requests[ALL]
        allowed = self.settings.burst + self.settings.rate * self.took
        return fields | {
            "per_job": {kind: _each(self.requests[kind], count) for kind, count in self.jobs.items()},
            "requests_per_second": round(total / self.took, 3) if self.took else None,
            "budget_used": round(total / allowed, 4),
        }

    def tables(self) -> Iterator[Table]:
        """Yield the tables: ends by kind, then lag and requests by kind."""
        kinds = [kind for kind, count in self.jobs.items() if count]
        yield Table(
            ("", "jobs", *(state.value for state in _ENDS), "as in truth"),
            [self._ends_row(kind) for kind in kinds],
            total=True,
        )
        yield Table(
            ("detection lag", "p50", "p95", "p99", "worst", "requests", "per job"),
            [self._lag_row(kind) for kind in kinds],
            total=True,
        )

    def _ends_row(self, kind: str) -> list[str]:
        ends = [f"{self.ends[kind].get(state, 0):,}" for state in _ENDS]
        return [kind, f"{self.jobs[kind]:,}", *ends, f"{self.true[kind]:,} of {self.jobs[kind]:,}"]

    def _lag_row(self, kind: str) -> list[str]:
        per_job = _each(self.requests[kind], self.jobs[kind])
        return [kind, *_lag_cells(self.lags[kind]), f"{self.requests[kind]:,}", f"{per_job:.2f}"]

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield the other results, as pairs of a name and a text."""
        jobs, asked = self.settings.jobs, self.settings
        yield "true outcome", f"{self.true[ALL]:,} of {jobs:,} resolved as the simulator's own records have it"
        yield "answered 429", f"{self.rate_limited:,} requests"
        used = self.requests[ALL] / (asked.burst + asked.rate * self.took)
        pace = self.requests[ALL] / self.took
        yield "budget", f"{pace:.1f} requests/s of {asked.rate:g} allowed ({used:.0%}), for {self.took:.1f} s"
        yield "busiest second", f"{self.busiest_second} requests; the limit allows {asked.rate + asked.burst:g}"
        yield "peak in flight", f"{self.peak_in_flight} of {asked.max_in_flight}"
        if asked.processes > 1:
            yield "processes", f"{asked.processes}: one polls for all, and this one sends no request"
        if self.vacancy is not None:
            yield "killed leader", f"replaced by another process after {span(self.vacancy)}"
        if self.in_turn is not None:
            p50, p95, p99, _ = _lag_cells(self.in_turn)
            yield "asked in turn", f"lag p50 {p50}, p95 {p95}, p99 {p99}, computed at this pace"

    def problems(self) -> Iterator[str]:
        """Yield a text for each result that should not happen."""
        missing = self.settings.jobs - self.resolved
        if missing:
            yield f"{plural(missing, 'job')} could not be resolved"
        yield from self.wrong
        if self.rate_limited:
            yield f"{self.rate_limited:,} requests were answered 429: the client broke the limit"


def _lag_cells(lag: Lag | None) -> list[str]:
    return ["–"] * 4 if lag is None else [span(lag.p50), span(lag.p95), span(lag.p99), span(lag.max)]


def _each(requests: int, jobs: int) -> float:
    return round(requests / jobs, 3) if jobs else 0.0


def lag_of(outcome: Outcome, truth: Mapping[str, Any]) -> float | None:
    """Return the seconds from a job's true end to the detection of its outcome; ``None`` if either is missing."""
    ends = truth["ends_unix"]
    return None if outcome.state is None or ends is None else max(0.0, outcome.detected_at - ends)


def in_turn(ends: Sequence[float], rate: float) -> Lag | None:
    """Compute the lag of a client that polls every open job in turn at ``rate``, with answers that take no time.

    Args:
        ends: when each job ends, in seconds from the start.
        rate: requests/s.
    """
    waiting, now, lags = deque(ends), 0.0, []
    while waiting and rate > 0:
        now += 1.0 / rate
        end = waiting.popleft()
        if end > now:
            waiting.append(end)
        else:
            lags.append(now - max(end, 0.0))
    return Lag.of(lags)


def make_report(
    settings: DemoSettings,
    outcomes: Sequence[Outcome],
    truths: Mapping[str, Mapping[str, Any]],
    server: Mapping[str, Any],
    *,
    began_unix: float,
    took: float,
    vacancy: float | None = None,
) -> Report:
    """Compare the outcomes with the truths and the server's counters (in their JSON forms)."""
    kinds = [*(kind.value for kind in JobKind), ALL]
    ends: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    true: Counter[str] = Counter()
    lags: dict[str, list[float]] = {kind: [] for kind in kinds}
    wrong = []
    for outcome in outcomes:
        truth = truths[str(outcome.job)]
        for kind in (str(outcome.job).partition(":")[0], ALL):
            if outcome.state is not None:
                ends[kind][outcome.state.value] += 1
                true[kind] += outcome.state.value == truth["state"]
                lags[kind].append(lag_of(outcome, truth) or 0.0)
        if outcome.state is not None and outcome.state.value != truth["state"]:
            wrong.append(f"{outcome.job} was found {outcome.state.value}, in truth it {_in_truth(truth)}")
    jobs = Counter(name.partition(":")[0] for name in truths) | Counter({ALL: len(truths)})
    requests = {kind: server["by_service"].get(kind, 0) for kind in kinds[:-1]}
    total = sum(requests.values())
    return Report(
        settings=settings,
        took=took,
        jobs={kind: jobs[kind] for kind in kinds},
        ends=ends,
        resolved=sum(ends[ALL].values()),
        true={kind: true[kind] for kind in kinds},
        wrong=wrong[:_MOST_WRONG],
        lags={kind: Lag.of(lags[kind]) for kind in kinds},
        in_turn=in_turn([truth["ends_unix"] - began_unix for truth in truths.values()], total / took),
        requests=requests | {ALL: total},
        rate_limited=server["by_status"].get("429", 0),
        busiest_second=max(server["by_second"].values(), default=0),
        peak_in_flight=server["peak_in_flight"],
        vacancy=vacancy,
    )


def _in_truth(truth: Mapping[str, Any]) -> str:
    return f"ended {truth['state']}" if truth["state"] else "never ends"
