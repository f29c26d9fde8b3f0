"""Transports in memory behave like sockets' transports."""

from __future__ import annotations

import asyncio

import pytest

from topaz_status.testing import run_virtual
from topaz_status.testing.loop import memory_transport as pipe


class Recorder(asyncio.Protocol):
    def __init__(self, *, keep_open: bool = False) -> None:
        self.events: list[object] = []
        self.data = b""
        self.keep_open = keep_open
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.events.append((self.loop.time(), len(data)))

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(("lost", type(exc).__name__))

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")


async def settle() -> None:
    await asyncio.sleep(10.0)


def test_data_arrives_in_order_after_the_latency() -> None:
    """Pieces written at one moment arrive one latency later, in the order in which they were written."""

    async def main() -> None:
        near, far = Recorder(), Recorder()
        transport, _ = pipe.connect(asyncio.get_running_loop(), near, far, latency=0.05)
        for number in range(50):
            transport.write(bytes([number]))
        await settle()
        assert far.data == bytes(range(50))
        assert far.events[1] == (0.05, 1)

    run_virtual(main())


def test_closing_flushes_then_ends_both_sides() -> None:
    """What was written before close() still arrives, then EOF; both ends are lost without an error."""

    async def main() -> None:
        near, far = Recorder(), Recorder()
        transport, _ = pipe.connect(asyncio.get_running_loop(), near, far, latency=0.05)
        transport.write(b"last words")
        transport.close()
        transport.write(b"too late")
        assert transport.is_closing()
        await settle()
        assert far.data == b"last words"
        assert far.events[-2:] == ["eof", ("lost", "NoneType")]
        assert near.events == ["made", ("lost", "NoneType")]

    run_virtual(main())


def test_aborting_resets_the_peer() -> None:
    """After abort() the peer loses its connection by a reset, exactly once."""

    async def main() -> None:
        near, far = Recorder(), Recorder()
        transport, _ = pipe.connect(asyncio.get_running_loop(), near, far)
        transport.abort()
        transport.abort()
        await settle()
        assert near.events == ["made", ("lost", "NoneType")]
        assert far.events == ["made", ("lost", "ConnectionResetError")]

    run_virtual(main())


def test_a_slow_reader_pauses_the_writer() -> None:
    """Above the high water mark writing is paused, and resumed once the reader has taken enough."""

    async def main() -> None:
        near, far = Recorder(), Recorder()
        transport, other = pipe.connect(asyncio.get_running_loop(), near, far)
        other.pause_reading()
        transport.write(b"x" * (pipe.HIGH_WATER + 1))
        await settle()
        assert near.events == ["made", "pause"]
        assert far.data == b""
        assert transport.get_write_buffer_size() == pipe.HIGH_WATER + 1
        other.resume_reading()
        await settle()
        assert near.events == ["made", "pause", "resume"]
        assert len(far.data) == pipe.HIGH_WATER + 1
        assert transport.get_write_buffer_size() == 0

    run_virtual(main())


def test_a_full_buffer_delays_the_end_of_close() -> None:
    """A closing end is not lost before its peer has taken what does not fit into buffers."""

    async def main() -> None:
        near, far = Recorder(), Recorder()
        transport, other = pipe.connect(asyncio.get_running_loop(), near, far)
        other.pause_reading()
        transport.write(b"x" * (2 * pipe.HIGH_WATER))
        transport.close()
        await settle()
        assert ("lost", "NoneType") not in near.events
        other.resume_reading()
        await settle()
        assert len(far.data) == 2 * pipe.HIGH_WATER
        assert near.events[-1] == ("lost", "NoneType")

    run_virtual(main())


def test_one_direction_can_be_closed_alone() -> None:
    """After write_eof() the other direction still works, if the peer keeps it open."""

    async def main() -> None:
        near, far = Recorder(), Recorder(keep_open=True)
        transport, other = pipe.connect(asyncio.get_running_loop(), near, far)
        transport.write_eof()
        with pytest.raises(RuntimeError):
            transport.write(b"more")
        await settle()
        other.write(b"answer")
        await settle()
        assert far.events == ["made", "eof"]
        assert near.data == b"answer"

    run_virtual(main())
