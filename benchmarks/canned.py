"""A loopback server that costs almost nothing: every path is a running image job, whose progress changes.

A path with a query is a page of the list of the jobs that :func:`canned_ids` names. Below the prefix ``/cookies`` each
answer also sets the two cookies with which an AWS load balancer binds a client to a server. Their values are new each
time.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from email.utils import formatdate
from multiprocessing.connection import Connection
from typing import Any, Final

COOKIES: Final = "/cookies"
"""The prefix of a URL below which each answer sets cookies."""
_COOKIES: Final = b"GET " + COOKIES.encode()
_STICKY: Final = b"%0128x"
"""A value as long as such a cookie's."""
_TWO_COOKIES: Final = b"%bSet-Cookie: AWSALB=%b%b\r\nSet-Cookie: AWSALBCORS=%b%b; SameSite=None\r\n"
_BUFFER: Final = 1 << 16
_HOUR: Final = 3600
_WEEK: Final = 7 * 86_400
_ID: Final = "00000000-0000-4000-8000-{:012x}"
_LIMIT: Final = re.compile(rb"[?&]limit=(\d+)")
_CURSOR: Final = re.compile(rb"[?&]cursor=(\d+)")


def canned_ids(count: int) -> list[str]:
    """Return the ids of the list's first jobs, in order."""
    return [_ID.format(number) for number in range(count)]


def _bodies() -> list[tuple[bytes, bytes]]:
    """Return the body's parts before and after the id, for each progress of two digits."""
    now = int(time.time())
    body: dict[str, Any] = {
        "process_id": "#",
        "filename": "image.png",
        "input_format": "png",
        "input_height": 720,
        "input_width": 1280,
        "output_format": "jpeg",
        "output_height": 1440,
        "output_width": 2560,
        "category": "Enhance",
        "model_type": "GAN",
        "model": "Standard V2",
        "subject_detection": "All",
        "face_enhancement": False,
        "crop_to_fill": False,
        "options_json": "{}",
        "status": "Processing",
        "progress": 0,
        "creation_time": now - _HOUR,
        "modification_time": now,
        "credits": 2,
        "eta": now + _HOUR,
    }
    texts = (json.dumps(body | {"progress": done}, separators=(",", ":")).encode() for done in range(10, 100))
    return [(before, after) for before, _, after in (text.partition(b"#") for text in texts)]


class Canned(asyncio.BufferedProtocol):
    """One connection: it answers each GET with a status or a page of statuses."""

    bodies: Final = _bodies()
    jobs = 0
    """The number of jobs on the list."""
    _date = (0, b"", b"")
    _turn = 0

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(_BUFFER))
        self._held = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.BaseProtocol`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, _sizehint: int) -> memoryview:
        """See :class:`asyncio.BufferedProtocol`."""
        return self._buffer[self._held :]

    def buffer_updated(self, nbytes: int) -> None:
        """Answer the requests once they have arrived completely."""
        self._held += nbytes
        head = bytes(self._buffer[: self._held])
        if not head.endswith(b"\r\n\r\n"):
            return
        self._held = 0
        assert self._transport is not None
        self._transport.write(b"".join(self._answer(request) for request in head.split(b"\r\n\r\n")[:-1]))

    def _answer(self, request: bytes) -> bytes:
        target = request[: request.index(b" ", 4)]
        Canned._turn += 1
        body = self._page(target) if b"?" in target else self._status(target[target.rindex(b"/") + 1 :], Canned._turn)
        head = self._head(cookies=target.startswith(_COOKIES))
        return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)

    def _status(self, job: bytes, turn: int) -> bytes:
        before, after = self.bodies[turn % len(self.bodies)]
        return b"%b%b%b" % (before, job, after)

    def _page(self, target: bytes) -> bytes:
        """Render the jobs from the cursor on; no two neighbors have the same progress."""
        limit, cursor = _LIMIT.search(target), _CURSOR.search(target)
        first = int(cursor[1]) if cursor else 0
        end = min(first + (int(limit[1]) if limit else 50), self.jobs)
        items = b",".join(
            self._status(_ID.format(number).encode(), Canned._turn + number) for number in range(first, end)
        )
        more = b'"next_cursor":"%d","has_next_page":true' % end if end < self.jobs else b'"has_next_page":false'
        return b'{"data":[%b],"pagination":{%b}}' % (items, more)

    @classmethod
    def _head(cls, *, cookies: bool) -> bytes:
        """Render all headers except the size; the date changes once a second."""
        now = int(time.time())
        if cls._date[0] != now:
            date, expires = formatdate(now, usegmt=True), formatdate(now + _WEEK, usegmt=True)
            cls._date = (
                now,
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: {date}\r\n".encode(),
                f"; Expires={expires}; Path=/".encode(),
            )
        _, head, attributes = cls._date
        if not cookies:
            return head
        value = _STICKY % cls._turn
        return _TWO_COOKIES % (head, value, attributes, value, attributes)


async def serve_canned(pipe: Connection, jobs: int = 0) -> None:
    """Send the URL to the parent and serve until the parent closes the pipe; ``jobs`` is the length of the list.

    The URL has a host name, because aiohttp stores no cookies of a host that is an IP address.
    """
    Canned.jobs = jobs
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Canned, "127.0.0.1", 0, backlog=1024)
    ended = asyncio.Event()
    loop.add_reader(pipe.fileno(), ended.set)
    pipe.send(f"http://localhost:{server.sockets[0].getsockname()[1]}")
    await ended.wait()
