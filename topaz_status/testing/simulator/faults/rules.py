"""The rules that choose a fault for a request, with seeded random generators. Pure.

A :class:`Fault` states what goes wrong and for which requests. Rules are tried in the order in which they were added.
The delays of matching rules add up. The first matching rule that is no delay is played, and no later rule is tried.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

import attrs

from ....models.job import JobKind, JobRef
from ..http_values import Call

INSTEAD: Final = frozenset({"status", "html", "text", "empty", "redirect"})
"""Faults played in place of the service. They spend no token and change no state."""

BODIES: Final = frozenset(
    {
        "malformed", "not_utf8", "huge", "gzip_bomb", "deep", "wrong_types", "unknown_word", "null_status",
        "missing_status", "empty_status", "other_id", "no_cursor", "same_cursor", "empty_page", "nan",
        "huge_numbers", "stale", "endless",
    }
)  # fmt: skip
"""Faults played on the body of a good answer."""

SILENCES: Final = frozenset({"reset", "hang"})
"""Faults played on the connection before there is an answer. The service is not called."""

CONNECTIONS: Final = frozenset({"reset_body", "truncated", "slow", "short_length", "long_length", "double_length"})
"""Faults played on the connection while a proper answer is sent."""

FAULTS: Final = INSTEAD | BODIES | SILENCES | CONNECTIONS | {"delay"}


def _known(_instance: object, _attribute: object, name: str) -> None:
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}: expected one of {', '.join(sorted(FAULTS))}, or a status code")


def _service(value: JobKind | str | None) -> str | None:
    return value.value if isinstance(value, JobKind) else value


def _job(value: JobRef | str | None) -> str | None:
    if isinstance(value, JobRef):
        return value.id
    return value.partition(":")[2] or value if value else None


@attrs.frozen(kw_only=True)
class Fault:
    """One thing that goes wrong, and for which requests.

    ========================  =====================================================================================
    name                      what happens
    ========================  =====================================================================================
    ``status``                ``status`` in the service's own error shape, with ``retry_after`` if set
    ``html``                  ``status`` (200 unless set) with a gateway's HTML page
    ``text``                  ``status`` (200 unless set) with a gateway's plain text
    ``empty``                 ``status`` (200 unless set) without a body
    ``redirect``              301 to ``location``
    ``delay``                 the answer comes ``seconds`` later
    ``hang``                  no answer; the connection is closed after ``seconds``, or never if unset
    ``reset``                 the connection is reset before any answer
    ``reset_body``            the connection is reset in the middle of the body
    ``truncated``             the connection is closed in the middle of the body, whose full length was announced
    ``slow``                  the body arrives in small pieces over ``seconds``
    ``short_length``          the announced length is one byte short
    ``long_length``           the announced length is one byte too long; the connection is closed at the end
    ``double_length``         two different lengths are announced
    ``malformed``             JSON that breaks off, at its proper length
    ``not_utf8``              JSON with bytes that are not UTF-8
    ``huge``                  a good body followed by ``size`` bytes of blanks
    ``gzip_bomb``             ``size`` bytes of blanks, compressed
    ``deep``                  100,000 nested arrays
    ``wrong_types``           fields of other types than documented
    ``nan``                   every number is ``NaN``, which is no JSON
    ``huge_numbers``          every number is 9e307
    ``unknown_word``          a status word that no document lists
    ``null_status``           the status is null
    ``empty_status``          the status is an empty text
    ``missing_status``        the status is missing
    ``stale``                 a job that has ended is shown as running again
    ``other_id``              the answer names another job
    ``no_cursor``             a page says that there is a next page but gives no cursor
    ``same_cursor``           a page's cursor leads to the first page again
    ``empty_page``            a page without items that names a next page
    ``endless``               a page's cursor is always a new one and leads to the first page again
    ========================  =====================================================================================

    Args:
        name: see above; a status code, such as ``"503"``, is short for ``status``.
        service: only for requests about this kind of job, or ``"storage"``.
        endpoint: only for this endpoint, such as ``"image.list"``.
        path: only for paths that contain this text.
        job: only for requests about this job.
        probability: the share of matching requests on which the fault is played.
        since: only from this many seconds after the simulator's start.
        until: only before this many seconds after the simulator's start.
        count: at most this many times.
        status: the status code to send.
        retry_after: the ``Retry-After`` header to send, as text.
        location: the target of a redirect.
        seconds: the duration, for faults that take time.
        size: the size in bytes, for faults that are large.
    """

    name: str = attrs.field(validator=_known)
    service: str | None = attrs.field(default=None, converter=_service)
    endpoint: str | None = None
    path: str | None = None
    job: str | None = attrs.field(default=None, converter=_job)
    probability: float = attrs.field(
        default=1.0, validator=attrs.validators.and_(attrs.validators.ge(0.0), attrs.validators.le(1.0))
    )
    since: float = 0.0
    until: float = math.inf
    count: int | None = None
    status: int | None = None
    retry_after: str | None = None
    location: str = "http://127.0.0.1:9/elsewhere"
    seconds: float | None = None
    size: int = 16 * 1024 * 1024

    @classmethod
    def of(cls, name: str, **fields: Any) -> Self:
        """Make a fault from its name; digits, such as ``"503"``, are a status code.

        Raises:
            ValueError: there is no such fault, or a field is invalid.
        """
        if name.isdigit():
            name, fields = "status", {"status": int(name), **fields}
        try:
            return cls(name=name, **fields)
        except TypeError as problem:
            raise ValueError(str(problem)) from None

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Read a fault from a JSON object with the same field names.

        Raises:
            ValueError: a field is unknown, missing or invalid.
        """
        rest = dict(fields)
        return cls.of(str(rest.pop("name", "")), **rest)

    def matches(self, call: Call, now: float) -> bool:
        """Return True when the fault may be played on a request."""
        return (
            self.since <= now < self.until
            and (self.service is None or self.service == call.service)
            and (self.endpoint is None or self.endpoint == call.endpoint)
            and (self.job is None or self.job == call.job_id)
            and (self.path is None or self.path in call.path)
        )


def parse_faults(text: str) -> list[Fault]:
    """Read ``"503=0.01,reset=0.005"``: names or status codes with probabilities, which are 1 by default.

    Raises:
        ValueError: a name is unknown, or a probability is not a number from 0 to 1.
    """
    faults = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, share = part.partition("=")
        faults.append(Fault.of(name.strip(), probability=float(share or 1.0)))
    return faults


@attrs.frozen
class DrawnFault:
    """The faults drawn for one request: seconds of delay, and perhaps a fault, played for the ``nth`` time."""

    delay: float = 0.0
    fault: Fault | None = None
    nth: int = 0


_CLEAR: Final = DrawnFault()


@attrs.define
class _Rule:
    fault: Fault
    dice: random.Random
    played: int = 0

    def strikes(self, call: Call, now: float) -> bool:
        fault = self.fault
        if fault.count is not None and self.played >= fault.count:
            return False
        if not fault.matches(call, now):
            return False
        if fault.probability < 1.0 and self.dice.random() >= fault.probability:
            return False
        self.played += 1
        return True


@attrs.define
class FaultDeck:
    """The rules in use. Each has its own random generator, so that a new rule does not change the others' draws."""

    seed: int = 0
    _rules: list[_Rule] = attrs.field(factory=list)

    def add(self, faults: Iterable[Fault]) -> None:
        """Add rules after the others."""
        for fault in faults:
            self._rules.append(_Rule(fault, random.Random(f"{self.seed}/{len(self._rules)}")))

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()

    def judge(self, call: Call, now: float) -> DrawnFault:
        """Draw the faults of a request; ``now`` is in seconds since the simulator's start."""
        if not self._rules:
            return _CLEAR
        delay = 0.0
        for rule in self._rules:
            if rule.strikes(call, now):
                if rule.fault.name != "delay":
                    return DrawnFault(delay, rule.fault, rule.played)
                delay += rule.fault.seconds or 0.0
        return DrawnFault(delay)
