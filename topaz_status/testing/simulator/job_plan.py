"""What a test says about the jobs it wants: frozen plans, in Python or as JSON."""

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
    """One job, or ``count`` alike, as a test wants them. All times are seconds.

    Args:
        kind: the service.
        count: how many.
        id: the id of a single job; by default seeded UUIDs.
        after: from now to the submission of the first; negative for a job already on its way.
        every: between one submission and the next.
        queue: from submission to the start of work. A video's first tenth of it is ``requested``.
        duration: of the work.
        outcome: how it ends. ``EXPIRED`` is known to try-on alone.
        failure_rate: the share of jobs that fail although ``outcome`` is ``COMPLETED``.
        stuck: never ends; works on at 99 %. With ``stuck_in_queue`` never even starts.
        listed: False for a job that no list ever shows.
        visible_after: from submission until the service knows the job at all: 404 before.
        deleted_after: from submission until its record is removed: 404 afterwards.
        forbidden: 403 for whoever asks for it by itself.
        foreign: somebody else's on the account: listed, but not given back as a job to watch.
        eta: the law of an image's ``eta``: ``"honest"``; ``"noisy"`` (off by ``eta_error`` of what is left);
            ``"scaled"`` (what is left × ``eta_error``); ``"frozen"`` (a noisy one from the start, never corrected);
            ``"absent"``; ``"zero"``; ``"past"`` (an hour ago); ``"absurd"`` (ten thousand years ahead).
        eta_error: see ``eta``.
        eta_error_late: what ``eta_error`` has come to by the end, evenly; by default it stays. Of a noisy ETA alone.
        progress: the curve: ``"linear"`` (to the power ``gamma``); ``"stall"`` (hurries to 99 and sits there);
            ``"jump"`` (0, then 100 before the end); ``"backwards"`` (falls back to half on the way).
        gamma: the exponent of the curve.
        estimates: a video's ``[lo, hi]`` seconds; by default the true duration ± ``estimate_error``.
        estimate_error: relative half-width of the default estimates; their middle is off by up to as much.
        error_code: of a failed video or try-on.
        message: the words that go with it.
        result: False for a completed job without a URL.
        error_too: a completed try-on that carries an error object as well, like the documents' own example.
        size: of the result, in bytes.
        body: fields laid over every status body of the job.
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
        """Read a JSON object with the same names.

        Raises:
            ValueError: a field is unknown, missing or of no use.
        """
        try:
            return cls(**fields)
        except TypeError as problem:
            raise ValueError(str(problem)) from None
