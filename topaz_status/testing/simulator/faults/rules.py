"""Which fault befalls which request: rules, drawn with seeded dice. Pure.

A :class:`Fault` says what goes wrong and for whom. Rules are asked in the order in which they were added: delays of all
rules that match add up, of the others the first one is played.
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
"""Played instead of asking the service: no token is taken, no state changes."""

BODIES: Final = frozenset(
    {
        "malformed", "not_utf8", "huge", "gzip_bomb", "deep", "wrong_types", "unknown_word", "null_status",
        "missing_status", "empty_status", "other_id", "no_cursor", "same_cursor", "empty_page", "nan",
        "huge_numbers", "stale", "endless",
    }
)  # fmt: skip
"""Played on the body of a good answer."""

SILENCES: Final = frozenset({"reset", "hang"})
"""Played on the connection before there is an answer: the service is not asked either."""

CONNECTIONS: Final = frozenset({"reset_body", "truncated", "slow", "short_length", "long_length", "double_length"})
"""Played on the connection while a proper answer is sent."""

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
    ``delay``                 the answer is ``seconds`` later
    ``hang``                  no answer for ``seconds`` (for ever unless set), then the connection is closed
    ``reset``                 the connection is reset before any answer
    ``reset_body``            it is reset in the middle of the body
    ``truncated``             it is closed in the middle of the body, whose full length was announced
    ``slow``                  the body drips in over ``seconds``
    ``short_length``          the announced length is one byte short
    ``long_length``           the announced length is one byte too long, then the connection is closed
    ``double_length``         two lengths are announced that differ
    ``malformed``             JSON that breaks off, at its proper length
    ``not_utf8``              JSON with bytes in it that are not UTF-8
    ``huge``                  a good body followed by ``size`` bytes of blanks
    ``gzip_bomb``             ``size`` bytes of blanks, compressed
    ``deep``                  100,000 nested arrays
    ``wrong_types``           fields of other types than documented
    ``nan``                   every number is ``NaN``, which is no JSON
    ``huge_numbers``          every number is 9e307
    ``unknown_word``          a status word that no document lists
    ``null_status``           the status is null; ``empty_status``: an empty text; ``missing_status``: not there
    ``stale``                 a job that has ended is shown at work again
    ``other_id``              the answer names another job
    ``no_cursor``             a page says that there is a next one but not where
    ``same_cursor``           a page's cursor leads to the first page again
    ``empty_page``            a page without items, and with a successor
    ``endless``               a page names a successor that was never named before, and that is the first page again
    ========================  =====================================================================================

    Args:
        name: see above; a status code, such as ``"503"``, is short for ``status``.
        service: only for requests about this kind of job, or ``"storage"``.
        endpoint: only for this endpoint, such as ``"image.list"``.
        path: only for paths that hold this text.
        job: only for requests about this job.
        probability: the share of matching requests.
        since: only from so many seconds after the simulator's start.
        until: only before so many seconds after the simulator's start.
        count: at most so many times.
        status: the status code to send.
        retry_after: the ``Retry-After`` header to send, as text.
        location: where a redirect leads.
        seconds: how long, for those that take time.
        size: in bytes, for those that are large.
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
            ValueError: there is no such fault, or a field is of no use.
        """
        if name.isdigit():
            name, fields = "status", {"status": int(name), **fields}
        try:
            return cls(name=name, **fields)
        except TypeError as problem:
            raise ValueError(str(problem)) from None

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Read a JSON object with the same names.

        Raises:
            ValueError: a field is unknown, missing or of no use.
        """
        rest = dict(fields)
        return cls.of(str(rest.pop("name", "")), **rest)

    def matches(self, call: Call, now: float) -> bool:
        """Whether a request is one of those that this may befall."""
        return (
            self.since <= now < self.until
            and (self.service is None or self.service == call.service)
            and (self.endpoint is None or self.endpoint == call.endpoint)
            and (self.job is None or self.job == call.job_id)
            and (self.path is None or self.path in call.path)
        )


def parse_faults(text: str) -> list[Fault]:
    """Read ``"503=0.01,reset=0.005"``: names or status codes with probabilities, 1 if left out.

    Raises:
        ValueError: a name is unknown or a probability no number from 0 to 1.
    """
    faults = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, share = part.partition("=")
        faults.append(Fault.of(name.strip(), probability=float(share or 1.0)))
    return faults


@attrs.frozen
class Verdict:
    """What befalls one request: seconds of delay, and perhaps a fault, for the ``nth`` time."""

    delay: float = 0.0
    fault: Fault | None = None
    nth: int = 0


_CLEAR: Final = Verdict()


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
    """The rules in force. Each draws from dice of its own, so that adding one leaves the others' draws alone."""

    seed: int = 0
    _rules: list[_Rule] = attrs.field(factory=list)

    def add(self, faults: Iterable[Fault]) -> None:
        """Put more rules in force, after the others."""
        for fault in faults:
            self._rules.append(_Rule(fault, random.Random(f"{self.seed}/{len(self._rules)}")))

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._rules.clear()

    def judge(self, call: Call, now: float) -> Verdict:
        """What befalls this request; ``now`` is in seconds since the simulator's start."""
        if not self._rules:
            return _CLEAR
        delay = 0.0
        for rule in self._rules:
            if rule.strikes(call, now):
                if rule.fault.name != "delay":
                    return Verdict(delay, rule.fault, rule.played)
                delay += rule.fault.seconds or 0.0
        return Verdict(delay)
