"""Downloads: bounded on request, their progress reported, begun anew when they cannot be resumed."""

# ruff: noqa: ASYNC240  # a small file on the local disk is read

from __future__ import annotations

import copy
import pickle
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from harness import Heard, RawServer, client_of, http, now, options, real, virtual

from topaz_status import ConfigurationError, JobRef, ResultTooLargeError, StatusClient, TransportError
from topaz_status.testing import Simulator

WHOLE = b"0123456789"
STRONG = 'ETag: "one"'


def storage(*answers: bytes | AsyncIterator[bytes]) -> RawServer:
    """A try-on service whose file is answered for with these, the last one for ever."""
    left = list(answers)

    def reply(request: Heard) -> bytes | AsyncIterator[bytes]:
        if request.path.startswith("/v1"):
            url = f"http://{request.headers['host']}/file.bin"
            return http(orjson.dumps({"job_id": "x", "status": "completed", "result_url": url}))
        return left.pop(0) if len(left) > 1 else left[0]

    return RawServer(reply, closing=True)


def asked(server: RawServer) -> list[str | None]:
    """The ``Range`` of each request for the file."""
    return [request.headers.get("range") for request in server.heard if request.path.startswith("/file")]


@pytest.mark.parametrize("size", [0, 1, 5_000, 3_000_000])
@virtual
async def test_a_bound_lets_pass_what_fits(size: int, tmp_path: Path) -> None:
    """A file of just so many bytes is fetched, one of a byte more is not, and nothing of it stays."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0, size=size)
    async with client_of(simulator) as client:
        assert (await client.save(job, tmp_path / "a", max_bytes=size)).stat().st_size == size
        if size:
            reported: list[int] = []
            with pytest.raises(ResultTooLargeError) as raised:
                await client.save(job, tmp_path / "b", max_bytes=size - 1, progress=lambda at, _: reported.append(at))
            assert not reported, "the announced length is enough to refuse it"
            assert (raised.value.job, raised.value.max_bytes, raised.value.size) == (job, size - 1, size)
            assert f"{size:,} bytes where {size - 1:,} bytes are allowed" in str(raised.value)
            assert not list((tmp_path / "b").iterdir())
    assert simulator.stats().by_service["storage"] == (2 if size else 1)


async def endless() -> AsyncIterator[bytes]:
    """A file whose length nobody gives, and that has none."""
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"8000\r\n" + b"x" * 0x8000 + b"\r\n"


@real
async def test_a_length_that_is_not_given(tmp_path: Path) -> None:
    """Bytes are counted as they come: a file without an end is let go at the bound, and not tried again."""
    server = storage(endless())
    written: list[int] = []
    async with server.serve() as url, StatusClient(**options(pixelcut_url=url)) as client:
        with pytest.raises(ResultTooLargeError) as raised:
            await client.save("try-on:x", tmp_path, max_bytes=2_500_000, progress=lambda at, _: written.append(at))
    assert raised.value.size is None
    assert "more where 2,500,000 bytes are allowed" in str(raised.value)
    assert len(asked(server)) == 1
    assert max(written) <= 2_500_000
    assert not list(tmp_path.iterdir())


@virtual
async def test_a_length_that_lies(tmp_path: Path) -> None:
    """What a resumed file comes to in the end counts, whatever its first answer announced."""
    rest = http(b"56789" * 9, "206 Partial Content", "Content-Range: bytes 5-49/10", STRONG)
    async with client_of(storage(http(WHOLE, "200 OK", STRONG)[:-5], rest)) as client:
        with pytest.raises(ResultTooLargeError):
            await client.save("try-on:x", tmp_path, max_bytes=20)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", ["1" * 5000, "-1", "1e9", "0x10", "९"])
@virtual
async def test_lengths_that_are_none(length: str, tmp_path: Path) -> None:
    """A length that is no number is an error of ours, if any."""
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + WHOLE
    async with client_of(storage(answer)) as client:
        with pytest.raises(TransportError):
            await client.save("try-on:x", tmp_path, max_bytes=20)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("most", [-1, 1.5, "1", True, float("nan")])
@virtual
async def test_bounds_that_are_none(most: Any, tmp_path: Path) -> None:
    """A bound that is no number of bytes is refused before anything is sent."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0)
    async with client_of(simulator) as client:
        with pytest.raises(ConfigurationError, match="max_bytes"):
            await client.save(job, tmp_path, max_bytes=most)
    assert not simulator.log


def test_the_error_travels() -> None:
    """It pickles and copies like the others."""
    error = ResultTooLargeError(JobRef("video", "x"), 5, 10)
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301  # our own
        assert (str(other), other.max_bytes, other.size) == (str(error), 5, 10)


@real
async def test_progress_is_reported(tmp_path: Path) -> None:
    """From nothing to all of it, never backwards while nothing is cut, with the whole as soon as it is known."""
    simulator = Simulator()
    job = simulator.add_video(duration=0.0, size=3_500_000)
    reported: list[tuple[int, int | None]] = []
    async with simulator.serve() as url, StatusClient(**options(topaz_url=url)) as client:
        await client.save(job, tmp_path, progress=lambda at, total: reported.append((at, total)))
    assert reported[0] == (0, 3_500_000)
    assert reported[-1] == (3_500_000, 3_500_000)
    assert reported == sorted(reported)
    assert len(reported) >= 4


@virtual
async def test_progress_of_a_file_begun_anew(tmp_path: Path) -> None:
    """Where a file cannot be resumed, its progress falls back to nothing."""
    reported: list[int] = []
    async with client_of(storage(http(WHOLE)[:-5], http(WHOLE))) as client:
        await client.save("try-on:x", tmp_path, progress=lambda at, _: reported.append(at))
    assert reported[0] == 0
    assert reported[-1] == 10
    assert 5 in reported
    assert 0 in reported[reported.index(5) :]


@virtual
async def test_a_listener_that_breaks(tmp_path: Path) -> None:
    """What the caller's own function raises is the caller's, and ends the download without a trace."""
    simulator = Simulator()
    job = simulator.add_video(duration=0.0)
    reported: list[int] = []
    async with client_of(simulator) as client:
        with pytest.raises(ZeroDivisionError):
            await client.save(job, tmp_path, progress=lambda at, _: reported.append(1 // at))
    assert not list(tmp_path.iterdir())


@virtual
async def test_nothing_to_resume(tmp_path: Path) -> None:
    """A 416 to a resume is no passing trouble: the file is begun anew, at once."""
    server = storage(http(WHOLE, "200 OK", STRONG)[:-5], http(b"", "416 No"), http(b"fresh", "200 OK", STRONG))
    async with client_of(server) as client:
        started = now()
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == b"fresh"
        assert now() - started < 1.0
    assert asked(server) == [None, "bytes=5-", None]


@virtual
async def test_nothing_to_resume_for_ever(tmp_path: Path) -> None:
    """Begun anew once: a storage that answers 416 again, or to the whole file, is not asked again and again."""
    cut, no = http(WHOLE, "200 OK", STRONG)[:-5], http(b"", "416 No")
    for answers, ranges in (((cut, no, cut, no), [None, "bytes=5-"] * 2), ((no,), [None])):
        server = storage(*answers)
        async with client_of(server) as client:
            with pytest.raises(TransportError, match="416"):
                await client.save("try-on:x", tmp_path)
        assert asked(server) == ranges
        assert not list(tmp_path.iterdir())
