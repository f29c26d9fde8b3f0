"""Values of the bus as arguments of scripts, and the scripts' answers as values.

Anybody who may write to the server can make these answers. So what cannot be read is a :class:`ValueError`, and what a
member says of itself is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from ..coordination import LONGEST_HORIZON, MOST_HOLD, Beat, Grants, Member, Pulse, Want
from ..models.job import JobKind

_KINDS: Final = tuple(JobKind)
MOST_MEMBER_BYTES: Final = 2_000
"""Most bytes of what a member says of itself."""
MOST_TEXT_SHOWN: Final = 64
"""Most characters of a text of another member."""
_SECOND: Final = 1_000_000
_LATEST: Final = str(int(LONGEST_HORIZON * _SECOND))


def micros(seconds: float) -> int:
    """Return whole microseconds, rounded down."""
    return int(seconds * _SECOND)


def beat_arguments(beat: Beat) -> list[Any]:
    """Return the arguments of ``beat.lua``, without the channels."""
    member = beat.member
    return [member.id, micros(beat.ttl), beat.wants, member.priority, beat.epoch, _member_bytes(member)]


def read_pulse(answer: Sequence[Any]) -> tuple[Pulse, bool]:
    """Return the answer to a beat, and whether the server hears this member.

    Raises:
        ValueError: it is no such answer.
    """
    reading, holder, epoch, left, deposed, heard, *members = answer
    pulse = Pulse(
        now=int(reading) / _SECOND,
        holder=holder.decode("ascii") or None,
        epoch=int(epoch),
        lease_left=int(left) / _SECOND,
        members=tuple(sorted(_read_members(members), key=lambda member: member.id)),
        deposed=bool(deposed),
    )
    return pulse, bool(heard)


def reserve_arguments(want: Want, member: str) -> list[Any]:
    """Return the arguments of ``reserve.lua``."""
    horizon = micros(min(max(0.0, want.horizon), LONGEST_HORIZON))
    epoch = "" if want.epoch is None else want.epoch
    terms = want.terms
    arguments: list[Any] = [member, epoch, horizon, want.shared, repr(terms.rate), repr(terms.burst), _LATEST, ""]
    for kind in _KINDS:
        rate = terms.kinds.get(kind)
        arguments += [kind.value, want.kinds.get(kind, 0), "" if rate is None else repr(rate)]
    return arguments


def read_grants(answer: Sequence[Any], wanted: Iterable[JobKind]) -> Grants:
    """Return the tokens that were granted; ``wanted`` are the kinds of which own tokens were asked for.

    Raises:
        ValueError: it is no such answer.
    """
    reading = int(answer[1]) / _SECOND
    if not answer[0]:
        return Grants(now=reading, epoch_ok=False)
    _, _, next_in, slots, *each = answer
    kinds = dict(zip(_KINDS, each, strict=True))
    limited = {kind: found for kind, found in kinds.items() if found[0]}
    return Grants(
        now=reading,
        shared=_seconds(slots),
        kinds={kind: _seconds(kinds[kind][4]) for kind in wanted},
        next_in=next_in / _SECOND,
        kinds_next_in={kind: found[1] / _SECOND for kind, found in limited.items()},
        rates={kind: float(found[0]) for kind, found in limited.items()},
        held={kind: found[2] / _SECOND for kind, found in kinds.items() if found[2] > 0},
        limited={kind: found[3] for kind, found in kinds.items() if found[3]},
    )


def slow_down_arguments(kind: JobKind, *, limited: bool, hold: float) -> list[Any]:
    """Return the arguments of ``slow_down.lua``."""
    return [kind.value, int(limited), micros(min(max(0.0, hold), MOST_HOLD))]


def _seconds(slots: Iterable[int]) -> tuple[float, ...]:
    return tuple(slot / _SECOND for slot in slots)


def _member_bytes(member: Member) -> bytes:
    kinds = sorted(kind.value for kind in member.kinds)
    health = member.loop_lag, member.latency
    return orjson.dumps(
        [member.id, member.priority, member.stands, kinds, member.settings, member.version, *health, member.mail]
    )


def _read_members(texts: Iterable[bytes]) -> Iterable[Member]:
    """Give the members whose texts can be read; another version may write them in another way."""
    for text in texts:
        try:
            yield _read_member(text)
        except (ValueError, TypeError, IndexError):
            continue


def _read_member(text: bytes) -> Member:
    if len(text) > MOST_MEMBER_BYTES:
        raise ValueError("a member says too much")
    name, priority, stands, kinds, settings, version, loop_lag, latency, mail = orjson.loads(text)[:9]
    return Member(
        id=_short(name),
        priority=int(priority),
        stands=bool(stands),
        kinds=frozenset(JobKind(kind) for kind in kinds if kind in _BY_NAME),
        settings=_short(settings),
        version=_short(version),
        loop_lag=float(loop_lag),
        latency=float(latency),
        mail=int(mail),
    )


_BY_NAME: Final[Mapping[str, JobKind]] = {kind.value: kind for kind in _KINDS}


def _short(text: object) -> str:
    """Return a text of another member, if it may be shown."""
    if not isinstance(text, str) or len(text) > MOST_TEXT_SHOWN or not text.isprintable():
        raise ValueError("no short text")
    return text
