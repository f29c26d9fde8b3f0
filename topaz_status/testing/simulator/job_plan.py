"""Frozen plans of the jobs that a test wants, in Python or as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import attrs

from ...models.job import JobKind, JobState
from .durations import DurationLike, Durations

ETA_LAWS: Final = frozenset({"honest", "noisy", "scaled", "frozen", "absent", "zero", "past", "absurd"})
PROGRESS_LAWS: Final = frozenset({"linear", "stall", "jump", "backwards"})
OUTCOMES: Final = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELED, JobState.EXPIRED})

_either = attrs.validators.in_
_share: Final = attrs.validators.and_(attrs.validators.ge(0.0), attrs.validators.le(1.0))


def _law(value: DurationLike) -> Durations:
    return Durations.of(value)


def _pair(value: Sequence[float] | None) -> tuple[float, float] | None:
    if value is None:
        return None
    low, high = value
    return float(low), float(high)


def _seconds(_instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not (isinstance(value, int | float) and math.isfinite(value)):
        raise ValueError(f"{attribute.name} must be a finite number of seconds, not {value!r}")


@attrs.frozen(kw_only=True)
class JobPlan:
    """One job, or ``count`` jobs alike, as a test wants them. All times are in seconds.

    Args:
        kind: the service.
        count: the number of jobs.
        id: the id of a single job; by default the ids are seeded UUIDs.
        after: time from now to the submission of the first job; negative for a job submitted earlier.
        every: time between one submission and the next.
        queue: time from submission to the start of work. A video is ``requested`` for the first tenth of it.
        duration: time that the work takes.
        outcome: the state in which the job ends. Only a try-on can be ``EXPIRED``.
        failure_rate: the share of jobs that fail although ``outcome`` is ``COMPLETED``.
        stuck: the job never ends: it stays at 99 %. With ``stuck_in_queue`` it never even starts.
        listed: False for a job that no list ever shows.
        visible_after: time from submission until the service knows the job; before that it answers 404.
        deleted_after: time from submission until the job's record is removed; after that the service answers 404.
        forbidden: the service answers 403 to every call about this single job.
        foreign: the job belongs to another user of the account: listed, but not returned as a job to watch.
        eta: the law of an image's ``eta``: ``"honest"``; ``"noisy"`` (off by ``eta_error`` of the time left);
            ``"scaled"`` (the time left × ``eta_error``); ``"frozen"`` (a noisy one from the start, never corrected);
            ``"absent"``; ``"zero"``; ``"past"`` (an hour ago); ``"absurd"`` (ten thousand years ahead).
        eta_error: see ``eta``.
        eta_error_late: the value to which ``eta_error`` changes linearly by the end; by default it does not change.
            Only a noisy ETA uses it.
        progress: the curve: ``"linear"`` (to the power ``gamma``); ``"stall"`` (rises fast to 99 and stays there);
            ``"jump"`` (0, then 100 before the end); ``"backwards"`` (falls back to half on the way).
        gamma: the exponent of the curve.
        estimates: a video's ``[lo, hi]`` seconds; by default the true duration ± ``estimate_error``.
        estimate_error: relative half-width of the default estimates; their middle is off by up to as much.
        error_code: the error code of a failed video or try-on.
        message: the message that goes with the error code.
        result: False for a completed job without a result URL.
        error_too: the completed try-on also carries an error object, like the example in the documents.
        size: the size of the result, in bytes.
        body: fields that replace those of every status body of the job.
    """

    kind: JobKind = attrs.field(converter=JobKind)
    count: int = attrs.field(default=1, validator=attrs.validators.ge(0))
    id: str | None = None
    after: float = attrs.field(default=0.0, validator=_seconds)
    every: Durations = attrs.field(default=Durations.constant(0.0), converter=_law)
    queue: Durations = attrs.field(default=Durations.constant(0.0), converter=_law)
    duration: Durations = attrs.field(default=Durations.constant(30.0), converter=_law)
    outcome: JobState = attrs.field(default=JobState.COMPLETED, converter=JobState, validator=_either(OUTCOMES))
    failure_rate: float = attrs.field(default=0.0, validator=_share)
    stuck: bool = False
    stuck_in_queue: bool = False
    listed: bool = True
    visible_after: float = attrs.field(default=0.0, validator=_seconds)
    deleted_after: float | None = None
    forbidden: bool = False
    foreign: bool = False
    eta: str = attrs.field(default="honest", validator=_either(ETA_LAWS))
    eta_error: float = 0.3
    eta_error_late: float | None = None
    progress: str = attrs.field(default="linear", validator=_either(PROGRESS_LAWS))
    gamma: float = attrs.field(default=1.0, validator=attrs.validators.gt(0.0))
    estimates: tuple[float, float] | None = attrs.field(default=None, converter=_pair)
    estimate_error: float = attrs.field(default=0.25, validator=_share)
    error_code: str | None = None
    message: str | None = None
    result: bool = True
    error_too: bool = False
    size: int = attrs.field(default=20_000, validator=attrs.validators.ge(0))
    body: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if self.id is not None and self.count != 1:
            raise ValueError("a plan with an id is a plan for one job")
        if self.outcome is JobState.EXPIRED and self.kind is not JobKind.TRY_ON:
            raise ValueError("only try-on jobs expire")

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Read a plan from a JSON object with the same field names.

        Raises:
            ValueError: a field is unknown, missing or invalid.
        """
        try:
            return cls(**fields)
        except TypeError as problem:
            raise ValueError(str(problem)) from None
