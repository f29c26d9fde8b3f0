"""Result files that the storage sends in a content coding: undone, bounded, whole, or refused; never kept as they come."""

# ruff: noqa: ASYNC240  # a small file on the local disk is read

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import orjson
import pytest
from harness import Heard, RawServer, client_of, http, now, virtual

from topaz_status import ResultTooLargeError, ResultUnavailableError, TransportError
from topaz_status.testing import MEMORY_URL, Simulator

DATA = b"\xff\xd8\xff" + bytes(range(256)) * 400
PACKED = gzip.compress(DATA)
STRONG = 'ETag: "one"'
GZIP = "Content-Encoding: gzip"


def storage(*answers: bytes) -> RawServer:
    """A try-on service whose file is answered for with these, the last one for ever."""
    status = orjson.dumps({"job_id": "x", "status": "completed", "result_url": f"{MEMORY_URL}/file.jpg"})
    left = list(answers)

    def reply(request: Heard) -> bytes:
        if request.path.startswith("/v1"):
            return http(status)
        return left.pop(0) if len(left) > 1 else left[0]

    return RawServer(reply, closing=True)


def ranges(server: RawServer) -> list[str | None]:
    """The ``Range`` of each request for the file."""
    return [request.headers.get("range") for request in server.heard if request.path.startswith("/file")]


def unframed(body: bytes, *headers: str) -> bytes:
    """An answer that ends when the connection does."""
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body


SENT = {
    "gzip": http(PACKED, "200 OK", GZIP),
    "x-gzip": http(PACKED, "200 OK", "Content-Encoding: X-GZip"),
    "deflate": http(zlib.compress(DATA), "200 OK", "Content-Encoding: deflate"),
    "deflate without wrapping": http(zlib.compress(DATA)[2:-4], "200 OK", "Content-Encoding: deflate"),
    "identity": http(DATA, "200 OK", "Content-Encoding: identity"),
    "an empty name": http(DATA, "200 OK", "Content-Encoding:"),
    "identity and gzip": http(PACKED, "200 OK", "Content-Encoding: identity, gzip"),
    "identity and gzip in two headers": http(PACKED, "200 OK", "Content-Encoding: identity", GZIP),
    "without a length": unframed(PACKED, GZIP),
}


@pytest.mark.parametrize("case", SENT)
@virtual
async def test_a_coding_is_undone(case: str, tmp_path: Path) -> None:
    """The file is what was encoded, reported from nothing to all of it; the coded length is nobody's business."""
    reported: list[tuple[int, int | None]] = []
    async with client_of(storage(SENT[case])) as client:
        path = await client.save("try-on:x", tmp_path, progress=lambda at, total: reported.append((at, total)))
    assert path.read_bytes() == DATA
    assert reported[0][0] == 0
    assert reported[-1] == (len(DATA), len(DATA))
    assert {total for _, total in reported} <= {None, len(DATA)}


@virtual
async def test_nothing_encoded(tmp_path: Path) -> None:
    """A body of no bytes is a file of no bytes, whatever coding it is said to be in."""
    async with client_of(storage(http(b"", "200 OK", GZIP))) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == b""


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "aws-chunked", "x" * 3000])
@virtual
async def test_a_coding_that_cannot_be_undone(coding: str, tmp_path: Path) -> None:
    """It is refused at once, by its name, and no byte is kept."""
    server = storage(http(DATA, "200 OK", f"Content-Encoding: {coding}"))
    async with client_of(server) as client:
        with pytest.raises(ResultUnavailableError, match="content coding") as raised:
            await client.save("try-on:x", tmp_path)
        assert now() < 1
    assert coding[:20] in str(raised.value)
    assert len(ranges(server)) == 1
    assert not list(tmp_path.iterdir())


@virtual
async def test_several_headers_are_several_codings(tmp_path: Path) -> None:
    """Codings named in headers of their own were put on top of each other, as in one list."""
    async with client_of(storage(http(PACKED, "200 OK", GZIP, "Content-Encoding: br"))) as client:
        with pytest.raises(ResultUnavailableError, match="gzip, br"):
            await client.save("try-on:x", tmp_path)


CUT = {
    "the connection": http(PACKED, "200 OK", GZIP, STRONG)[:-50],
    "before it was stored": http(PACKED[:-50], "200 OK", GZIP, STRONG),
    "before its checksum": http(PACKED[:-8], "200 OK", GZIP, STRONG),
    "without a length": unframed(PACKED[:-50], GZIP, STRONG),
    "damaged": http(PACKED[:-8] + bytes(8), "200 OK", GZIP, STRONG),
    "not encoded at all": http(DATA, "200 OK", GZIP, STRONG),
}


@pytest.mark.parametrize("case", CUT)
@virtual
async def test_a_cut_encoded_file_is_begun_anew(case: str, tmp_path: Path) -> None:
    """What is encoded cannot be gone on with: after a cut, the next attempt is for the whole file."""
    server = storage(CUT[case], http(DATA, "200 OK", STRONG))
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == DATA
    assert ranges(server) == [None, None]


@pytest.mark.parametrize("case", CUT)
@virtual
async def test_an_encoded_file_that_is_always_cut(case: str, tmp_path: Path) -> None:
    """It is an error in the end, never a shorter file."""
    server = storage(CUT[case])
    async with client_of(server) as client:
        with pytest.raises(TransportError):
            await client.save("try-on:x", tmp_path)
    assert 2 <= len(ranges(server)) <= 12
    assert not list(tmp_path.iterdir())


@virtual
async def test_encoded_where_only_the_second_answer_says_so(tmp_path: Path) -> None:
    """A file whose rest comes encoded, of the same version even, is begun anew."""
    rest = http(PACKED, "206 Partial", GZIP, STRONG, f"Content-Range: bytes 5-{4 + len(PACKED)}/{len(DATA)}")
    cut = f"HTTP/1.1 200 OK\r\n{STRONG}\r\nContent-Length: {len(DATA)}\r\n\r\n".encode() + DATA[:5]
    server = storage(cut, rest, http(PACKED, "200 OK", STRONG, GZIP))
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == DATA
    assert ranges(server) == [None, "bytes=5-", None]


@virtual
async def test_a_bomb(tmp_path: Path) -> None:
    """A bound holds for what comes out: a little that becomes too much is given up on the way, without a second try."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0)
    simulator.add_fault("gzip_bomb", service="storage", size=50_000_000)
    reported: list[int] = []
    async with client_of(simulator) as client:
        with pytest.raises(ResultTooLargeError):
            await client.save(job, tmp_path, max_bytes=3_000_000, progress=lambda at, _: reported.append(at))
        assert max(reported) <= 3_000_000
        assert not list(tmp_path.iterdir())
        assert (await client.save(job, tmp_path, max_bytes=50_000_000)).stat().st_size == 50_000_000
    assert simulator.stats().by_endpoint["storage.file"] == 2


@virtual
async def test_a_bound_is_not_for_the_coded_form(tmp_path: Path) -> None:
    """A file that fits is fetched, though what it is packed in is larger."""
    small = b"x"
    packed = gzip.compress(small)
    async with client_of(storage(http(packed, "200 OK", GZIP))) as client:
        assert (await client.save("try-on:x", tmp_path, max_bytes=1)).read_bytes() == small
    assert len(packed) > 1
