"""Faults of the connection: answers of a broken server or network, written straight to the transport."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from ..error_bodies import phrase
from ..http_values import Answer
from .rules import Fault

_DRIPS: Final = 20
_DRIP_SECONDS: Final = 5.0
_RST_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class AlreadySent(web.StreamResponse):
    """Stands for an answer already written, or left out on purpose; the connection is not used again."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, _request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Do nothing: the answer was handled elsewhere."""
        return None

    async def write_eof(self, _data: bytes = b"") -> None:
        """Do nothing: the answer was handled elsewhere."""


async def wreck(fault: Fault, answer: Answer, transport: asyncio.Transport | None) -> AlreadySent:
    """Play ``fault`` on the connection, sending ``answer`` as the fault requires."""
    if transport is not None:
        await _PLAYS[fault.name](fault, answer, transport)
    return AlreadySent()


def reset(transport: asyncio.Transport) -> None:
    """Reset the connection: the peer gets an error, not an EOF."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
    transport.abort()


def head(answer: Answer, *lengths: int) -> bytes:
    """Make the status line and the headers, with one ``Content-Length`` for each of ``lengths``."""
    lines = [f"HTTP/1.1 {answer.status} {phrase(answer.status)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in answer.all_headers().items() if name != "Content-Length"]
    lines += [f"Content-Length: {length}" for length in lengths]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _hang(fault: Fault, _answer: Answer, transport: asyncio.Transport) -> None:
    if fault.seconds is None or math.isinf(fault.seconds):
        await asyncio.get_running_loop().create_future()
    else:
        await asyncio.sleep(fault.seconds)
    transport.close()


async def _reset(_fault: Fault, _answer: Answer, transport: asyncio.Transport) -> None:
    reset(transport)


async def _reset_body(_fault: Fault, answer: Answer, transport: asyncio.Transport) -> None:
    body = answer.encoded()
    transport.write(head(answer, len(body)) + body[: len(body) // 2])
    await asyncio.sleep(0.01)  # let the first half arrive: a reset discards buffered data
    reset(transport)


async def _truncated(_fault: Fault, answer: Answer, transport: asyncio.Transport) -> None:
    body = answer.encoded()
    transport.write(head(answer, len(body)) + body[: len(body) // 2])
    transport.close()


async def _slow(fault: Fault, answer: Answer, transport: asyncio.Transport) -> None:
    body = answer.encoded()
    step = max(1, math.ceil(len(body) / _DRIPS))
    transport.write(head(answer, len(body)))
    for start in range(0, len(body), step):
        await asyncio.sleep((_DRIP_SECONDS if fault.seconds is None else fault.seconds) / _DRIPS)
        transport.write(body[start : start + step])
    transport.close()


def _with_lengths(*offsets: int) -> Callable[[Fault, Answer, asyncio.Transport], Awaitable[None]]:
    async def play(_fault: Fault, answer: Answer, transport: asyncio.Transport) -> None:
        body = answer.encoded()
        transport.write(head(answer, *(max(0, len(body) + offset) for offset in offsets)) + body)
        transport.close()

    return play


_PLAYS: Final[dict[str, Callable[[Fault, Answer, asyncio.Transport], Awaitable[Any]]]] = {
    "hang": _hang,
    "reset": _reset,
    "reset_body": _reset_body,
    "truncated": _truncated,
    "slow": _slow,
    "short_length": _with_lengths(-1),
    "long_length": _with_lengths(1),
    "double_length": _with_lengths(0, 1),
}
