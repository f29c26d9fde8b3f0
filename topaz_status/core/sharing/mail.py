"""Mail between the leader and the members: JSON of one version, bounded, and checked item by item when it is read.

A message is ``[version, epoch, sender, number, at, items]``. ``number`` grows with each message of a sender, and ``at``
is the server's clock when the message was written, for statistics. An item is a list that begins with a letter:

======================================================  ============================================================
item of a member to the leader                          means
======================================================  ============================================================
``["w", kind, id, reg, age, remaining, unseen, left]``  :class:`Registered`: poll this job for me
``["u", kind, id, reg]``                                :class:`Left`: no longer; also the receipt for an end
``["n", kind, id, word]``                               :class:`Noticed`: a webhook came
``["x", id]``                                           :class:`Deleted`: an image's record, or all (``null``)
``["r"]`` and ``["k"]``                                 :class:`Anew`, :class:`Complete`: all that I watch is in between
======================================================  ============================================================

======================================================  ============================================================
item of the leader to a member                          means
======================================================  ============================================================
``["s", kind, id, reg, body, service_now, ago]``        :class:`Answered`: a status, as the service sent it
``["e", kind, id, reg, body, service_now, error]``      :class:`Ended`: the watches of the job are over
``["d", read, count, xor, down]``                       :class:`Held`: what the leader holds for the member
``["v"]``                                               :class:`Vacant`: the sender leads no longer, and nobody does
======================================================  ============================================================

Anybody who can write to the server can forge mail. So a message is bounded before it is parsed, jobs are checked as
:class:`JobRef` checks them, and a status passes the decoders of HTTP answers. Unusable items are counted and dropped.

Members of several versions of the library run side by side during a deployment. A newer one may send items that are
unknown here, and more parts at the end of a message or an item: both are skipped. What an older member would
misunderstand needs another :data:`MAIL_VERSION`; members of two such versions do not follow each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs
import orjson

from ...errors import ConfigurationError
from ...models.job import JobKind, JobRef
from ..packing import trimmed
from ..policy import WEEK
from .digest import Summary

MAIL_VERSION: Final = 1
MOST_MAIL_BYTES: Final = 1_000_000
"""Most bytes of one message."""
MOST_ITEMS: Final = 500
"""Most items of one message."""
LARGEST_STATUS: Final = 200_000
"""Most bytes of one status in mail."""
MOST_TEXT: Final = 10_000
"""Most characters of the words in an item."""
_BUNDLE: Final = 600_000
"""Bytes of statuses after which another message is begun."""
_LATEST: Final = 1e11
"""Unix seconds beyond which a time is absurd."""
_LARGEST: Final = 2**63


class BadMailError(ValueError):
    """A message, or an item, that cannot be used."""


@attrs.frozen
class Registered:
    """A member watches a job, and wants it polled. Times are seconds."""

    job: JobRef
    registration: int
    age: float
    """Since the job was submitted."""
    remaining: float | None
    """Until its end, as its submission predicted."""
    unseen: float
    """The last part of its life, of which nothing is known."""
    left: float | None
    """Until the first of its watches times out; ``None`` for never."""


@attrs.frozen
class Left:
    """A registration is over on the member's side: nobody watches the job, or its end has been heard."""

    job: JobRef
    registration: int


@attrs.frozen
class Noticed:
    """A webhook reported a change, perhaps with the service's status ``word``."""

    job: JobRef
    word: str | None


@attrs.frozen
class Deleted:
    """The record of an image job was deleted by a direct call, or all records were (``None``): a 404 will follow."""

    job: JobRef | None


@attrs.frozen
class Anew:
    """All registrations of the member follow; older ones that do not come again are void."""


@attrs.frozen
class Complete:
    """All registrations since :class:`Anew` have been sent."""


@attrs.frozen
class Answered:
    """A status of a job."""

    job: JobRef
    registration: int
    body: bytes
    """JSON, as the service sent it."""
    service_now: float
    """The service's clock when the message was written, in Unix seconds."""
    ago: float
    """Seconds since the poll with this status was sent."""


@attrs.frozen
class Ended:
    """A job's watches end: with a terminal status, or with an error. It is sent until its receipt has come."""

    job: JobRef
    registration: int
    body: bytes | None
    """The last status, if there is one."""
    service_now: float
    error: str | None
    """JSON, which its reader checks; ``None`` for an end that the status states."""


@attrs.frozen
class Held:
    """What the leader holds for the member, having read its messages up to number ``read``."""

    read: int
    held: Summary
    down: Mapping[JobKind, float]
    """Seconds for which services have been down."""


@attrs.frozen
class Vacant:
    """The sender has given up the lease: a member that stands may take it at once."""


Item: TypeAlias = Registered | Left | Noticed | Deleted | Anew | Complete | Answered | Ended | Held | Vacant


@attrs.frozen
class Mail:
    """One message."""

    epoch: int
    sender: str
    number: int
    at: float
    items: Sequence[Item]
    bad: int = 0
    """Items that were unusable."""


# -- writing -----------------------------------------------------------------------------------------------------------


def write_mail(epoch: int, sender: str, number: int, at: float, items: Iterable[Item]) -> bytes:
    """Write one message of at most :data:`MOST_ITEMS` items."""
    return orjson.dumps([MAIL_VERSION, epoch, sender, number, at, [_WRITERS[type(item)](item) for item in items]])


def bundles(items: Iterable[Item]) -> Iterable[list[Item]]:
    """Divide items into messages that are within the bounds."""
    bundle: list[Item] = []
    size = 0
    for item in items:
        size += len(item.body or b"") if isinstance(item, Answered | Ended) else 0
        bundle.append(item)
        if len(bundle) == MOST_ITEMS or size > _BUNDLE:
            yield bundle
            bundle, size = [], 0
    if bundle:
        yield bundle


def _write_registered(item: Registered) -> list[Any]:
    job = item.job
    return ["w", job.kind, job.id, item.registration, item.age, item.remaining, item.unseen, item.left]


def _write_ended(item: Ended) -> list[Any]:
    body = None if item.body is None else orjson.Fragment(item.body)
    return ["e", item.job.kind, item.job.id, item.registration, body, item.service_now, item.error]


def _write_answered(item: Answered) -> list[Any]:
    job = item.job
    return ["s", job.kind, job.id, item.registration, orjson.Fragment(item.body), item.service_now, item.ago]


def _write_held(item: Held) -> list[Any]:
    down = {kind.value: seconds for kind, seconds in item.down.items()}
    return ["d", item.read, item.held.count, f"{item.held.xor:x}", down]


_WRITERS: Final[Mapping[type, Callable[[Any], list[Any]]]] = {
    Registered: _write_registered,
    Left: lambda item: ["u", item.job.kind, item.job.id, item.registration],
    Noticed: lambda item: ["n", item.job.kind, item.job.id, item.word],
    Deleted: lambda item: ["x", None if item.job is None else item.job.id],
    Anew: lambda _: ["r"],
    Complete: lambda _: ["k"],
    Answered: _write_answered,
    Ended: _write_ended,
    Held: _write_held,
    Vacant: lambda _: ["v"],
}


# -- reading -----------------------------------------------------------------------------------------------------------


def read_mail(body: bytes) -> Mail:
    """Read one message; items that are unusable are dropped and counted, unknown ones are dropped.

    Raises:
        BadMailError: it is no message of this version.
    """
    if len(body) > MOST_MAIL_BYTES:
        raise BadMailError("the message is too long")
    try:
        version, epoch, sender, number, at, items, *_ = orjson.loads(body)
    except (ValueError, TypeError):
        raise BadMailError("this is no message") from None
    if version != MAIL_VERSION or not isinstance(items, list) or len(items) > MOST_ITEMS:
        raise BadMailError("this is no message of this version")
    read: list[Item] = []
    bad = 0
    for item in items:
        try:
            read += _read_item(item)
        except (ConfigurationError, ValueError, TypeError):  # of the wrong length, or with values of the wrong kind
            bad += 1
    return Mail(_whole(epoch), _text(sender), _whole(number), _number(at, _LATEST), read, bad)


def _read_item(item: object) -> tuple[Item, ...]:
    if not isinstance(item, list) or not item or not isinstance(item[0], str):
        raise BadMailError("this is no item")
    reader = _READERS.get(item[0])
    return () if reader is None else (reader(item[1:]),)


def _read_registered(parts: list[Any]) -> Registered:
    kind, job_id, registration, age, remaining, unseen, left, *_ = parts
    return Registered(
        _job(kind, job_id),
        _whole(registration),
        _number(age, _LATEST, least=0.0),
        None if remaining is None else _number(remaining, WEEK),
        _number(unseen, _LATEST, least=0.0),
        None if left is None else _number(left, _LATEST),
    )


def _read_left(parts: list[Any]) -> Left:
    kind, job_id, registration, *_ = parts
    return Left(_job(kind, job_id), _whole(registration))


def _read_noticed(parts: list[Any]) -> Noticed:
    kind, job_id, word, *_ = parts
    return Noticed(_job(kind, job_id), None if word is None else _text(word))


def _read_deleted(parts: list[Any]) -> Deleted:
    job_id, *_ = parts
    return Deleted(None if job_id is None else _job(JobKind.IMAGE.value, job_id))


def _read_answered(parts: list[Any]) -> Answered:
    kind, job_id, registration, body, service_now, ago, *_ = parts
    status = _status(body)
    if status is None:
        raise BadMailError("no status")
    now, since = _number(service_now, _LATEST), _number(ago, _LATEST, least=0.0)
    return Answered(_job(kind, job_id), _whole(registration), status, now, since)


def _read_ended(parts: list[Any]) -> Ended:
    kind, job_id, registration, body, service_now, error, *_ = parts
    now = _number(service_now, _LATEST)
    if error is None and body is None:
        raise BadMailError("this is no end")
    text = None if error is None else _text(error, MOST_TEXT)
    return Ended(_job(kind, job_id), _whole(registration), _status(body), now, text)


def _read_held(parts: list[Any]) -> Held:
    read, count, xor, down, *_ = parts
    if not isinstance(down, dict):
        raise BadMailError("no services")
    known = {JobKind(kind): _number(seconds, _LATEST, least=0.0) for kind, seconds in down.items() if kind in _KINDS}
    return Held(_whole(read), Summary(_whole(count), _hash(xor)), known)


_HASH: Final = re.compile("[0-9a-f]{1,16}")
_KINDS: Final = frozenset(kind.value for kind in JobKind)
_READERS: Final[Mapping[str, Callable[[list[Any]], Item]]] = {
    "w": _read_registered,
    "u": _read_left,
    "n": _read_noticed,
    "x": _read_deleted,
    "r": lambda _: Anew(),
    "k": lambda _: Complete(),
    "s": _read_answered,
    "e": _read_ended,
    "d": _read_held,
    "v": lambda _: Vacant(),
}


def _job(kind: Any, job_id: Any) -> JobRef:
    if not isinstance(kind, str) or kind not in _KINDS or not isinstance(job_id, str):
        raise BadMailError("this is no job")
    return JobRef(JobKind(kind), job_id)


def _status(body: Any) -> bytes | None:
    """Return a status as bytes, for the decoder of HTTP answers."""
    if body is None:
        return None
    if not isinstance(body, dict):
        raise BadMailError("this is no status")
    packed = trimmed(orjson.dumps(body))
    if len(packed) > LARGEST_STATUS:
        raise BadMailError("the status is too long")
    return packed


def _text(value: Any, most: int = 256) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise BadMailError("this is no text")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise BadMailError("this is no number")
    return int(value)


def _hash(value: Any) -> int:
    if not _HASH.fullmatch(_text(value)):
        raise BadMailError("this is no hash")
    return int(value, 16)


def _number(value: Any, most: float, *, least: float = -math.inf) -> float:
    if type(value) not in (int, float) or not max(least, -most) <= value <= most:
        raise BadMailError("this is no number of seconds")
    return float(value)
