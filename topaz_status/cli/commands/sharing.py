"""``lead`` and ``members``: the processes that share an account, and one that polls for all of them."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, Final

from ...coordination import Beat, BusError, Member, Pulse, Shared
from ...errors import ConfigurationError
from ...session.settings import KEY_VARIABLES, keys_of_environment
from ..coordinators import coordinator_of
from ..exit_codes import OK, UNKNOWN, CommandError
from ..formatting import json_line, plural
from ..screen import Screen
from .watch import new_client

INTERVAL: Final = 0.25
"""Seconds between two readings of what has changed."""
_OBSERVER: Final = Member(id="observer", priority=0, stands=False)


async def lead(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command until it is interrupted; print a line whenever the role or the number of members changes."""
    _require_a_key()
    async with new_client(arguments, "prefer") as client:
        shown = None
        while True:
            shared = client.stats().shared
            if shared is not None and shown != (shown := (shared.role, shared.leader, shared.members)):
                screen.out(json_line(shared_object(shared)) if arguments.json else shared_line(shared))
            await asyncio.sleep(INTERVAL)


async def members(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return its exit code."""
    pulse = await _pulse(arguments)
    for member in pulse.members:
        fields = member_object(member, pulse)
        screen.out(json_line(fields) if arguments.json else member_line(fields))
    if not pulse.members and not arguments.json:
        screen.err("no process shares this account at the moment")
    return OK


async def _pulse(arguments: argparse.Namespace) -> Pulse:
    """Ask the server who is there, without becoming a member."""
    from ...session.sharing.link import account_name  # noqa: PLC0415  # loaded by what shares

    coordinator = coordinator_of(arguments, "never")
    if coordinator is None:
        raise CommandError("--redis is required", UNKNOWN)
    try:
        account = coordinator.account or account_name(keys_of_environment())
    except ConfigurationError as error:
        raise CommandError(str(error), UNKNOWN) from None
    bus = await coordinator.connect(account, _OBSERVER.id)
    try:
        return await bus.beat(Beat(member=_OBSERVER, ttl=coordinator.lease, wants="leave"))
    except BusError as error:
        raise CommandError(f"the server does not answer: {error}", UNKNOWN) from None
    finally:
        await bus.close()


def _require_a_key() -> None:
    try:
        keys = keys_of_environment()
    except ConfigurationError as error:
        raise CommandError(str(error), UNKNOWN) from None
    if not any(keys.values()):
        raise CommandError(f"no API key: set {' or '.join(KEY_VARIABLES.values())}", UNKNOWN)


def member_object(member: Member, pulse: Pulse) -> dict[str, Any]:
    """Return a member for programs. Times are seconds."""
    leader = next((each for each in pulse.members if each.id == pulse.holder), None)
    return {
        "member": member.id,
        "leads": member.id == pulse.holder,
        "stands": member.stands and member.priority > 0,
        "preferred": member.priority > 1,
        "kinds": sorted(kind.value for kind in member.kinds),
        "latency": round(member.latency, 6),
        "loop_lag": round(member.loop_lag, 6),
        "differs": leader is not None and member.differs_from(leader),
        "version": member.version,
        "epoch": pulse.epoch,
    }


def member_line(fields: dict[str, Any]) -> str:
    """Return a member for people: id, role, how long its beats take, its kinds, what is odd."""
    role = "leads" if fields["leads"] else "stands by" if fields["stands"] else "follows"
    version = f"  version {fields['version']}" if fields["version"] else ""
    odd = "  settings differ from the leader's" if fields["differs"] else ""
    return (
        f"{fields['member']}  {role:<9}  {fields['latency'] * 1000:6.1f} ms  {', '.join(fields['kinds'])}{version}{odd}"
    )


def shared_object(shared: Shared) -> dict[str, Any]:
    """Return the numbers of this process for programs."""
    return {
        "role": shared.role,
        "member": shared.member,
        "leader": shared.leader,
        "epoch": shared.epoch,
        "members": shared.members,
        "jobs": shared.jobs,
    }


def shared_line(shared: Shared) -> str:
    """Return the role of this process for people."""
    others = plural(max(0, shared.members - 1), "other member")
    if shared.role == "leader":
        return f"leading, as {shared.member}, for {others}"
    if shared.role == "follower":
        return f"following {shared.leader or 'nobody for the moment'}, with {others}"
    return "alone: polling with a share of the budget"
