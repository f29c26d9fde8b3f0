"""The bus over one server, or one cluster, that speaks the protocol of Redis.

Each call runs in a task of its own, which ends within the call's time: a caller that is canceled leaves no half-read
answer behind. All keys of an account have one hash tag, so a cluster keeps them together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Final, TypeVar

import attrs

from ..coordination import CALL_TIMEOUT, MAIL_LIFETIME, MOST_MAIL, MOST_MESSAGES, Beat, BusError, Grants, Pulse, Want
from ..models.job import JobKind
from .presence import AGAIN, Presence, ended
from .scripts import script
from .server_errors import READ_ONLY, reason_of
from .values import beat_arguments, read_grants, read_pulse, reserve_arguments, slow_down_arguments

T = TypeVar("T")

SAVED_LIFETIME: Final = 7 * 86_400_000
"""Milliseconds that a saved text is kept."""
MOST_SAVED: Final = 64_000
"""Most bytes of a saved text."""
FIRST: Final = "0-0"
"""Before the id of every message."""
MAIL_AT_ONCE: Final = 100
"""Most messages that one command posts."""


@attrs.define(eq=False)
class RedisBus:
    """One member's connections; see :class:`topaz_status.coordination.Bus`."""

    _client: Any
    _keys: str
    """What the name of every key of the account begins with."""
    _member: str
    _flags: bool
    """Whether the server knows the flags of scripts."""
    _presence: Presence | None
    """``None`` where the server does not know which members are alive."""
    _owned: bool
    """Whether the client is closed with the bus."""
    _tasks: set[asyncio.Task[Any]] = attrs.field(factory=set, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    # -- the lease and the bucket -------------------------------------------------------------------------------------

    async def beat(self, beat: Beat) -> Pulse:
        """See :class:`~topaz_status.coordination.Bus`."""
        channels = "" if self._presence is None else channel(self._keys, "")
        answer = await self._script("beat", ["state", "members"], [*beat_arguments(beat), channels])
        pulse, heard = _understood(read_pulse, answer)
        if self._presence is not None:
            await self._presence.heard(heard=heard)
        return pulse

    async def reserve(self, want: Want) -> Grants:
        """See :class:`~topaz_status.coordination.Bus`."""
        answer = await self._script("reserve", ["state"], reserve_arguments(want, self._member))
        return _understood(lambda found: read_grants(found, want.kinds), answer)

    async def slow_down(self, kind: JobKind, *, limited: bool = False, hold: float = 0.0) -> None:
        """See :class:`~topaz_status.coordination.Bus`."""
        await self._script("slow_down", ["state"], slow_down_arguments(kind, limited=limited, hold=hold))

    # -- mail and saved texts -----------------------------------------------------------------------------------------

    async def post(self, mail: Sequence[tuple[str, bytes]]) -> None:
        """See :class:`~topaz_status.coordination.Bus`."""
        for start in range(0, len(mail), MAIL_AT_ONCE):
            some = mail[start : start + MAIL_AT_ONCE]
            boxes = [_box(box) for box, _ in some]
            await self._script(
                "post", ["state", *boxes], [MOST_MESSAGES, int(MAIL_LIFETIME * 1000), *(body for _, body in some)]
            )

    async def read(self, box: str, after: str | None, *, most: int, wait: float) -> list[tuple[str, bytes]]:
        """See :class:`~topaz_status.coordination.Bus`."""
        blocking = ("BLOCK", max(1, int(wait * 1000.0))) if wait > 0.0 else ()
        found = await self._read(box, ("COUNT", most, *blocking), after or FIRST, wait)
        if not found and after is not None and await self._is_ahead(box, after):
            found = await self._read(box, ("COUNT", most), FIRST)
        return found

    async def _read(self, box: str, options: Sequence[Any], after: str, wait: float = 0.0) -> list[tuple[str, bytes]]:
        command = self._client.execute_command("XREAD", *options, "STREAMS", self._key(_box(box)), after)
        return list(_messages(await self._call(command, wait)))

    async def _is_ahead(self, box: str, after: str) -> bool:
        """Return whether a box's last message has a lower id than ``after``: the server lost its data meanwhile."""
        command = self._client.execute_command("XREVRANGE", self._key(_box(box)), "+", "-", "COUNT", 1)
        last = [_number(name) for name, _ in _messages(await self._call(command))]
        return bool(last) and last[0] < _number(after)

    async def save(self, name: str, body: bytes, epoch: int) -> bool:
        """See :class:`~topaz_status.coordination.Bus`."""
        if len(body) > MOST_SAVED:
            raise BusError(f"{len(body)} bytes are too many to be saved")
        return bool(await self._script("save", ["state", f"saved:{name}"], [self._member, epoch, body, SAVED_LIFETIME]))

    async def load(self, name: str) -> bytes | None:
        """See :class:`~topaz_status.coordination.Bus`."""
        found = await self._call(self._client.execute_command("GET", self._key(f"saved:{name}")))
        return bytes(found) if isinstance(found, bytes) and len(found) <= MOST_SAVED else None

    async def close(self) -> None:
        """See :class:`~topaz_status.coordination.Bus`."""
        self._closed = True
        if self._presence is not None:
            await self._presence.stop()
        await ended(set(self._tasks))
        if self._owned:
            await close_client(self._client)

    # -- one call -----------------------------------------------------------------------------------------------------

    def _key(self, name: str) -> str:
        return self._keys + name

    async def _script(self, name: str, keys: Sequence[str], arguments: list[Any]) -> Any:
        found = script(name, flags=self._flags)
        return await self._call(found.run(self._client, [self._key(key) for key in keys], arguments))

    async def _call(self, command: Coroutine[Any, Any, Any], wait: float = 0.0) -> Any:
        """Run a command to its end, or for as long as it may take.

        Raises:
            BusError: it did not succeed.
        """
        if self._closed:
            command.close()
            raise BusError("the connection is closed")
        task = asyncio.get_running_loop().create_task(_limited(command, CALL_TIMEOUT + wait))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task}, timeout=CALL_TIMEOUT + wait + AGAIN)
        if not task.done() or task.cancelled():
            task.cancel()
            raise BusError("the connection was closed")
        answer, fault = task.result()
        if fault == READ_ONLY and self._owned:  # after a failover the address may lead to another server
            await _limited(self._client.connection_pool.disconnect(), CALL_TIMEOUT)
        if fault is not None:
            raise BusError(fault)
        return answer


async def _limited(command: Coroutine[Any, Any, Any], limit: float) -> tuple[Any, str | None]:
    """Return what a command answers, or else what went wrong, as text: tracebacks hold passwords."""
    try:
        async with asyncio.timeout(limit):
            return await command, None
    except Exception as error:  # noqa: BLE001  # whatever redis-py raises, the call has failed
        return None, reason_of(error)


def channel(keys: str, member: str) -> str:
    """Return the channel of a member."""
    return f"{keys}alive:{member}"


async def close_client(client: Any) -> None:
    """Close a client, as far as that is possible in time."""
    await _limited(client.aclose(), CALL_TIMEOUT)


def _box(box: str) -> str:
    return f"box:{box}"


def _number(message: str) -> tuple[int, int]:
    """Return a message's id as numbers, which can be compared."""
    time, _, count = message.partition("-")
    return int(time), int(count or 0)


def _messages(answer: Any) -> Iterator[tuple[str, bytes]]:
    """Give the messages in an answer of any version of redis-py, which nest them differently.

    What is too large, or of another form, was not posted by a member; it is left out.
    """
    for each in answer.values() if isinstance(answer, dict) else answer or ():
        if isinstance(each, (list, tuple)) and len(each) == 2 and isinstance(each[1], dict):  # noqa: PLR2004  # id, fields
            body = each[1].get(b"b", b"")
            yield each[0].decode("ascii"), body if len(body) <= MOST_MAIL else b""
        elif isinstance(each, (list, tuple)):
            yield from _messages(each)


def _understood(read: Callable[[Any], T], answer: Any) -> T:
    """Read an answer of a script.

    Raises:
        BusError: it cannot be read: somebody else has written to these keys.
    """
    try:
        return read(answer)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError):
        pass
    raise BusError("the server's answer cannot be read")
