"""Mail between this member and the others: one message after the other goes out, and two boxes are read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final, NoReturn

import attrs

from ...coordination import Bus, BusError, box_of, desk
from ...core.sharing.mail import BadMailError, Mail, Vacant, bundles, read_mail, write_mail
from ...core.sharing.membership import Membership
from ..telemetry import Telemetry
from ..timing.backoff_delays import pause
from ..timing.clock import Clock
from .desk import Desk
from .heartbeat import Heartbeat
from .own_jobs import OwnJobs

READ_WAIT: Final = 0.5
"""Seconds that a box is read without mail: no reading of it lasts for ever."""
MESSAGES_READ: Final = 8
"""Messages that are read at once; other tasks of the loop run after each."""
MESSAGES_SENT: Final = 4
"""Messages of a follower that are sent at once."""
READ_AGAIN: Final = 0.2
"""Seconds until a box is read again after a failure."""
MOST_SENDERS: Final = 10_000
_MOST_LAGS: Final = 1_000


@attrs.define(eq=False)
class Post:
    """Sends and reads the mail of one member."""

    _clock: Clock
    _bus: Bus
    _membership: Membership
    _heartbeat: Heartbeat
    _desk: Desk
    _own_jobs: OwnJobs
    _telemetry: Telemetry
    _leading: asyncio.Event
    """Set while this member leads: it then reads the leader's desk."""
    bad_mail: int = attrs.field(default=0, init=False)
    mail_lags: deque[float] = attrs.field(factory=lambda: deque(maxlen=_MOST_LAGS), init=False)
    """Seconds that the leader's latest messages took."""
    was_lost: bool = attrs.field(default=False, init=False)
    """True once a message of a follower may have been lost, until everything is registered anew."""
    _vacancy: tuple[str, ...] = attrs.field(default=(), init=False)
    """Members that are still to hear that this one leads no longer, and nobody does."""
    _number: int = attrs.field(default=0, init=False)
    _wanted: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def wake(self) -> None:
        """Send what there is to send."""
        self._wanted.set()

    def call_for_leader(self, members: Iterable[str]) -> None:
        """Report to members that this one has given up the lease, so that one of them takes it at once."""
        self._vacancy = tuple(member for member in members if member != self._membership.member.id)
        self.wake()

    # -- sending ------------------------------------------------------------------------------------------------------

    async def send(self) -> NoReturn:
        """Send mail until canceled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.flush()

    async def flush(self) -> None:
        """Send what there is to send now."""
        while mail := self._collect():
            try:
                await self._bus.post(mail)
            except BusError:
                self.was_lost = True
                self._desk.was_lost()
                return
            self._desk.was_sent()

    def _collect(self) -> list[tuple[str, bytes]]:
        membership, now = self._membership, self._clock.now()
        at, sender, epoch = now + self._heartbeat.ahead, membership.member.id, membership.epoch
        mail = []
        vacancy, self._vacancy = self._vacancy, ()
        for member in vacancy:
            self._number += 1
            mail.append((box_of(member), write_mail(epoch, sender, self._number, at, [Vacant()])))
        if membership.leads(now):
            for member, items in self._desk.write():
                for bundle in bundles(items):
                    self._number += 1
                    mail.append((box_of(member), write_mail(epoch, sender, self._number, at, bundle)))
        elif self._own_jobs.is_following:
            while len(mail) < MESSAGES_SENT and (items := self._own_jobs.write(self._number + 1)):
                self._number += 1
                mail.append((desk(epoch), write_mail(epoch, sender, self._number, at, items)))
        return mail

    # -- reading ------------------------------------------------------------------------------------------------------

    async def read_own_box(self) -> NoReturn:
        """Read what the leader sends to this member, until canceled."""
        after: str | None = None
        while True:
            after = await self._read(box_of(self._membership.member.id), after)

    async def read_desk(self) -> NoReturn:
        """Read what the members send to this member while it leads, until canceled."""
        after: str | None = None
        epoch = -1
        while True:
            await self._leading.wait()
            if epoch != self._membership.epoch:
                epoch, after = self._membership.epoch, None
            after = await self._read(desk(epoch), after)

    async def _read(self, box: str, after: str | None) -> str | None:
        try:
            found = await self._bus.read(box, after, most=MESSAGES_READ, wait=READ_WAIT)
        except BusError:
            await pause(READ_AGAIN)
            return after
        for message, body in found:
            after = message
            self._take(body)
            await pause(0.0)
        return after

    def _take(self, body: bytes) -> None:
        """Act on one message; nothing that anybody can write raises."""
        try:
            mail = read_mail(body)
            self.bad_mail += mail.bad
            self._act(mail)
        except BadMailError:
            self.bad_mail += 1
        except Exception as error:  # noqa: BLE001  # a bug must not end the reading
            self.bad_mail += 1
            self._telemetry.warn_once("mail", f"a message of another member failed: {type(error).__name__}")

    def _act(self, mail: Mail) -> None:
        membership, now = self._membership, self._clock.now()
        if mail.epoch > membership.epoch:
            self._heartbeat.hurry()  # another one leads: a beat says who
        if mail.epoch != membership.epoch:
            return
        if membership.leads(now):
            if mail.sender != membership.member.id and len(self._desk.subscribers) < MOST_SENDERS:
                self._desk.read(mail)
        elif self._own_jobs.is_following and mail.sender == membership.leader:
            self.mail_lags.append(max(0.0, now + self._heartbeat.ahead - mail.at))
            if any(isinstance(item, Vacant) for item in mail.items):
                self._heartbeat.hurry()
            self._own_jobs.read(mail)
