"""A loopback server that costs next to nothing: every path is an image job at work, whose progress moves."""

from __future__ import annotations

import asyncio
import json
import time
from email.utils import formatdate
from multiprocessing.connection import Connection
from typing import Any, Final

_BUFFER: Final = 1 << 16
_HOUR: Final = 3600


def _bodies() -> list[tuple[bytes, bytes]]:
    """What stands before and after the id, for each progress of two digits."""
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
        "creation_time": now,
        "modification_time": now,
        "credits": 2,
        "eta": now + _HOUR,
    }
    texts = (json.dumps(body | {"progress": done}, separators=(",", ":")).encode() for done in range(10, 100))
    return [(before, after) for before, _, after in (text.partition(b"#") for text in texts)]


class Canned(asyncio.BufferedProtocol):
    """One connection: a GET in, a status out."""

    bodies: Final = _bodies()
    _date = (0, b"")
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
        """Answer what has come in whole."""
        self._held += nbytes
        head = bytes(self._buffer[: self._held])
        if not head.endswith(b"\r\n\r\n"):
            return
        self._held = 0
        assert self._transport is not None
        self._transport.write(b"".join(self._answer(request) for request in head.split(b"\r\n\r\n")[:-1]))

    def _answer(self, request: bytes) -> bytes:
        target = request[: request.index(b" ", 4)]
        job = target[target.rindex(b"/") + 1 :]
        Canned._turn += 1
        before, after = self.bodies[Canned._turn % len(self.bodies)]
        size = len(before) + len(job) + len(after)
        return b"%b%d\r\n\r\n%b%b%b" % (self._head(), size, before, job, after)

    def _head(self) -> bytes:
        """All headers but the size, dated once a second."""
        now = int(time.time())
        if self._date[0] != now:
            date = formatdate(now, usegmt=True)
            text = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: {date}\r\nContent-Length: "
            Canned._date = (now, text.encode())
        return self._date[1]


async def serve_canned(pipe: Connection) -> None:
    """Tell the URL and serve until the parent lets go."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Canned, "127.0.0.1", 0, backlog=1024)
    ended = asyncio.Event()
    loop.add_reader(pipe.fileno(), ended.set)
    pipe.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await ended.wait()
