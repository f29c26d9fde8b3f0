"""Two asyncio transports joined in memory: a TCP connection without sockets.

The protocol at one end receives what the other end writes, in order, after the latency.
Flow control, half-closing, closing and resetting follow asyncio's selector transports:

- A reader that pauses fills the writer's buffer, which pauses the writer in turn.
- ``close()`` flushes first; the peer then sees EOF.
- ``abort()`` gives the peer a ``ConnectionResetError``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

HIGH_WATER: Final = 64 * 1024
LOW_WATER: Final = 16 * 1024

_EOF: Final = b""
_RESET: Final[None] = None


class MemoryTransport(asyncio.Transport):
    """One end of an in-memory connection; :func:`connect` makes them in pairs."""

    def __init__(self, loop: asyncio.AbstractEventLoop, latency: float, extra: dict[str, Any]) -> None:
        super().__init__(extra)
        self._loop = loop
        self._latency = latency
        self._peer: MemoryTransport
        self._protocol: asyncio.BaseProtocol
        self._in_transit: deque[bytes | None] = deque()  # sent to this end, still on the way
        self._arrived: deque[bytes] = deque()  # arrived here, not yet received by the protocol
        self._unread = 0  # bytes in both queues: the size of the peer's write buffer
        self._high, self._low = HIGH_WATER, LOW_WATER
        self._reading = True
        self._writing_paused = False
        self._sent_eof = False
        self._closing = False
        self._lost = False

    # Writing: the protocol calls these methods.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send ``data``, or ignore it once closing, as sockets do."""
        if self._sent_eof and not self._closing:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        self._peer._unread += len(data)  # noqa: SLF001
        self._send(bytes(data))
        self._control_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Send all pieces as one piece."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return True: one direction can be closed alone."""
        return True

    def write_eof(self) -> None:
        """Send EOF to the peer; reading goes on."""
        if not self._sent_eof and not self._closing:
            self._sent_eof = True
            self._send(_EOF)

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes written here that the peer's protocol has not received yet."""
        return self._peer._unread  # noqa: SLF001

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark, in bytes."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks, in bytes, at which the protocol's writing is paused (high) and resumed (low)."""
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        self._high, self._low = high, high // 4 if low is None else low
        self._control_writing()

    # Reading.

    def is_reading(self) -> bool:
        """Return True while the protocol receives arriving data."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Hold back arriving data, which in time pauses the peer's writing."""
        self._reading = False

    def resume_reading(self) -> None:
        """Give the protocol the data held back, in the loop's next iteration."""
        if not self._reading:
            self._reading = True
            self._loop.call_soon(self._drain)

    # Ending.

    def is_closing(self) -> bool:
        """Return True once either end has closed or aborted."""
        return self._closing

    def close(self) -> None:
        """Stop reading, flush, then send EOF to the peer."""
        if self._closing:
            return
        if not self._sent_eof:
            self._sent_eof = True
            self._send(_EOF)
        self._closing = True
        self._discard()
        self._lose_when_flushed()

    def abort(self) -> None:
        """Drop the connection at once: the peer sees a reset."""
        if self._lost:
            return
        if not self._closing:
            self._send(_RESET)
        self._lose(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give the connection to another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol at this end."""
        return self._protocol

    # The wire.

    def _send(self, piece: bytes | None) -> None:
        """Send one piece to the peer. The queue keeps the pieces in order, even if timers fire in another order."""
        peer = self._peer
        peer._in_transit.append(piece)  # noqa: SLF001
        if self._latency > 0:
            self._loop.call_later(self._latency, peer._arrive)  # noqa: SLF001
        else:
            self._loop.call_soon(peer._arrive)  # noqa: SLF001

    def _arrive(self) -> None:
        piece = self._in_transit.popleft()
        if piece is None:
            self._lose(ConnectionResetError("Connection reset by peer"))
        elif self._closing:
            self._taken(len(piece))
        else:
            self._arrived.append(piece)
            self._drain()

    def _drain(self) -> None:
        while self._arrived and self._reading and not self._closing:
            piece = self._arrived.popleft()
            self._taken(len(piece))
            if piece:
                self._protocol.data_received(piece)  # type: ignore[attr-defined]
            elif not self._protocol.eof_received():  # type: ignore[attr-defined]
                self.close()

    def _taken(self, count: int) -> None:
        self._unread -= count
        if count:
            self._peer._control_writing()  # noqa: SLF001
            self._peer._lose_when_flushed()  # noqa: SLF001

    def _discard(self) -> None:
        waiting = sum(len(piece) for piece in self._arrived if piece)
        self._arrived.clear()
        self._taken(waiting)

    def _control_writing(self) -> None:
        """Pause or resume this end's protocol, by the number of bytes that the other end has not received."""
        if self._lost:
            return
        size = self._peer._unread  # noqa: SLF001
        if not self._writing_paused and size > self._high:
            self._writing_paused = True
            self._protocol.pause_writing()
        elif self._writing_paused and size <= self._low:
            self._writing_paused = False
            self._protocol.resume_writing()

    def _lose_when_flushed(self) -> None:
        """End a closing connection once the unread bytes would fit the kernel's buffers (the default high mark)."""
        if self._closing and not self._lost and self._peer._unread <= HIGH_WATER:  # noqa: SLF001
            self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = self._closing = True
            self._discard()
            self._loop.call_soon(self._protocol.connection_lost, error)


def connect(
    loop: asyncio.AbstractEventLoop,
    client: asyncio.BaseProtocol,
    server: asyncio.BaseProtocol,
    *,
    latency: float = 0.0,
    port: int = 1,
) -> tuple[MemoryTransport, MemoryTransport]:
    """Join two protocols with a new connection and notify both that it is made.

    Args:
        loop: the event loop of both protocols.
        client: the protocol at the connecting end.
        server: the protocol at the accepting end.
        latency: seconds that each piece of data travels, each way.
        port: the client's port number in ``peername``.
    """
    client_name, server_name = ("127.0.0.1", port), ("127.0.0.1", 1)
    near = MemoryTransport(loop, latency, {"peername": server_name, "sockname": client_name})
    far = MemoryTransport(loop, latency, {"peername": client_name, "sockname": server_name})
    near._peer, far._peer = far, near  # noqa: SLF001
    for transport, protocol in ((near, client), (far, server)):
        transport.set_protocol(protocol)
    server.connection_made(far)
    client.connection_made(near)
    return near, far
