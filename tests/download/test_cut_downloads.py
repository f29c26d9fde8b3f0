"""A download that is cut, links that die, URLs that cannot be used."""

# ruff: noqa: ASYNC240  # a small file on the local disk is read

from __future__ import annotations

import itertools
from pathlib import Path

import orjson
import pytest
from harness import Heard, RawServer, client_of, http, now, virtual

from topaz_status import TopazStatusError, TransportError
from topaz_status.testing import MEMORY_URL, Simulator


@pytest.mark.parametrize("fault", ["truncated", "reset_body", "reset", "500", "503", "404"])
@virtual
async def test_a_download_with_troubles(fault: str, tmp_path: Path) -> None:
    """Troubles on the way are got over, and a link that went stale is asked for anew."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0, size=2_500_000)
    simulator.add_fault(fault, service="storage", count=4)
    async with client_of(simulator) as client:
        assert (await client.save(job, tmp_path)).read_bytes() == simulator.result_bytes(job)
    asked = simulator.stats().by_endpoint
    assert asked["storage.file"] == 5
    assert asked["image.download"] == (5 if fault == "404" else 1)


@pytest.mark.parametrize("fault", ["truncated", "long_length", "reset", "500", "404"])
@virtual
async def test_a_download_that_never_succeeds(fault: str, tmp_path: Path) -> None:
    """A file that does not arrive whole is an error in the end, and nothing of it stays behind."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0, size=0 if fault == "truncated" else 20_000)
    simulator.add_fault("long_length" if fault == "truncated" else fault, service="storage")
    async with client_of(simulator) as client:
        with pytest.raises(TransportError):
            await client.save(job, tmp_path)
    assert not list(tmp_path.iterdir())
    statuses = simulator.stats().by_status
    assert statuses.get(416, 0) in ({2} if fault == "long_length" else {0})
    assert simulator.stats().by_service["storage"] >= (4 if fault == "long_length" else 6)


@virtual
async def test_many_cuts(tmp_path: Path) -> None:
    """However often a download is cut, it goes on as long as each attempt brings something."""
    simulator = Simulator()
    job = simulator.add_video(duration=0.0, size=2_500_000)
    simulator.add_fault("truncated", service="storage", count=12)
    async with client_of(simulator) as client:
        assert (await client.save(job, tmp_path)).read_bytes() == simulator.result_bytes(job)
    assert simulator.stats().by_endpoint["storage.file"] == 13


@virtual
async def test_a_link_that_dies_on_the_way(tmp_path: Path) -> None:
    """A link that dies while its file is fetched slowly is asked for anew, and the rest is fetched."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0, size=2_500_000)
    simulator.add_fault("slow", service="storage", seconds=4000, count=1)
    simulator.add_fault("truncated", service="storage", count=1)
    simulator.add_fault("403", service="storage", count=1)
    async with client_of(simulator, request_timeout=500) as client:
        assert (await client.save(job, tmp_path)).read_bytes() == simulator.result_bytes(job)


WHOLE = b"0123456789"


STRONG = 'ETag: "one"'


def cut(*headers: str) -> bytes:
    """The first half of the file, then nothing."""
    return http(WHOLE, "200 OK", *headers)[:-5]


def part(text: str, body: bytes) -> bytes:
    """A partial answer."""
    return http(body, "206 Partial Content", f"Content-Range: {text}", STRONG)


OLD, NOW = "Last-Modified: Tue, 21 Oct 2025 07:28:00 GMT", "Date: Wed, 22 Oct 2025 07:28:00 GMT"
DATE = OLD.partition(": ")[2]
WEAK = 'ETag: W/"one"'
REST = "bytes 5-9/10"
AGAIN = {"range": "bytes=5-", "if-range": '"one"'}
BY_DATE = {"range": "bytes=5-", "if-range": DATE}


def dated(text: str, body: bytes, *headers: str) -> bytes:
    """A partial answer without a strong tag."""
    return http(body, "206 Partial Content", f"Content-Range: {text}", *headers)


RESUMES: dict[str, tuple[bytes, bytes, dict[str, str], bytes]] = {
    "the rest": (cut(STRONG), part(REST, b"56789"), AGAIN, WHOLE),
    "of a size that is not given again": (cut(STRONG), part("bytes 5-9/*", b"56789"), AGAIN, WHOLE),
    "a changed file": (cut(STRONG), http(b"new file", "200 OK", 'ETag: "two"'), AGAIN, b"new file"),
    "a storage without ranges": (cut(STRONG), http(WHOLE, "200 OK", STRONG), AGAIN, WHOLE),
    "the same file, longer now": (cut(STRONG), http(WHOLE * 2, "200 OK", STRONG), AGAIN, WHOLE * 2),
    "no validator": (cut(), http(WHOLE), {}, WHOLE),
    "a weak tag": (cut(WEAK), http(WHOLE), {}, WHOLE),
    "a tag without quotes": (cut("ETag: unquoted"), http(WHOLE), {}, WHOLE),
    "a date": (cut(OLD, NOW), dated(REST, b"56789", OLD), BY_DATE, WHOLE),
    "a date and a weak tag": (cut(WEAK, OLD, NOW), dated(REST, b"56789", WEAK, OLD), BY_DATE, WHOLE),
    "a strong tag and a date": (cut(STRONG, OLD, NOW), part(REST, b"56789"), AGAIN, WHOLE),
    "a date that is too new": (cut(OLD, OLD.replace("Last-Modified", "Date")), http(WHOLE), {}, WHOLE),
    "a date with no other to measure it by": (cut(OLD), http(WHOLE), {}, WHOLE),
    "the rest of another date": (cut(OLD, NOW), dated(REST, b"WRONG", OLD.replace("28", "29")), BY_DATE, WHOLE),
    "the rest of another weak tag": (
        cut(WEAK, OLD, NOW),
        dated(REST, b"WRONG", WEAK.replace("one", "two"), OLD),
        BY_DATE,
        WHOLE,
    ),
    "the rest of another tag": (cut(STRONG), dated(REST, b"WRONG", 'ETag: "two"'), AGAIN, WHOLE),
    "the rest of a longer file": (cut(STRONG), part("bytes 5-9/12", b"WRONG"), AGAIN, WHOLE),
    "a part that begins before": (cut(STRONG), part("bytes 3-9/10", b"WRONG!!"), AGAIN, WHOLE),
    "a part that begins behind": (cut(STRONG), part("bytes 6-9/10", b"WRONG"), AGAIN, WHOLE),
    "a part of another length": (cut(STRONG), part("bytes 5-8/10", b"WRONG"), AGAIN, WHOLE),
    "a part beyond the end": (cut(STRONG), part("bytes 5-10/10", b"WRONG!"), AGAIN, WHOLE),
    "a part that does not say which": (cut(STRONG), part("nonsense", b"WRONG"), AGAIN, WHOLE),
    "a number without end": (cut(STRONG), part(f"bytes {'9' * 5000}-9/10", b"WRONG"), AGAIN, WHOLE),
    "several parts": (
        cut(STRONG),
        http(b"--x\r\n\r\nWRONG--x--", "206 Partial Content", "Content-Type: multipart/byteranges; boundary=x"),
        AGAIN,
        WHOLE,
    ),
    "a part in a coding": (cut(STRONG), part(f"{REST}\r\nContent-Encoding: gzip", b"WRONG"), AGAIN, WHOLE),
    "nothing there": (cut(STRONG), http(b"", "416 Range Not Satisfiable"), AGAIN, WHOLE),
    "nothing there, of a file that shrank": (
        cut(STRONG),
        http(b"", "416 Range Not Satisfiable", "Content-Range: bytes */5", 'ETag: "two"'),
        AGAIN,
        WHOLE,
    ),
}


def storage(*answers: bytes, url: str = f"{MEMORY_URL}/file.bin?signature=secret", job_id: str = "x") -> RawServer:
    """A try-on service whose file is answered for with these, one after the other, and well in the end."""
    status = orjson.dumps({"job_id": job_id, "status": "completed", "result_url": url})
    left = list(answers)

    def reply(request: Heard) -> bytes:
        if request.path.startswith("/v1"):
            return http(status)
        return left.pop(0) if left else http(WHOLE, "200 OK", STRONG)

    return RawServer(reply, closing=True)


@pytest.mark.parametrize("case", RESUMES)
@virtual
async def test_resuming(case: str, tmp_path: Path) -> None:
    """A cut file is resumed only where that is safe; a part that does not fit is thrown away and all fetched anew."""
    first, second, asked, whole = RESUMES[case]
    server = storage(first, second)
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == whole
    files = [request for request in server.heard if request.path.startswith("/file")]
    assert "range" not in files[0].headers
    sent = {name: value for name, value in files[1].headers.items() if name in {"range", "if-range"}}
    assert sent == asked
    assert all("range" not in request.headers for request in files[2:])
    assert files[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/x",
        "file:///etc/passwd",
        "http://[x",
        "http://h:99999/",
        "https://",
        "nonsense",
        "http://h/x HTTP/1.1\r\nX: y\r\n\r\n",
        "//h/x",
        "http://\x00/",
    ],
)
@virtual
async def test_urls_that_are_none(url: str, tmp_path: Path) -> None:
    """A result URL that is no URL, or leads elsewhere than to the web, is one of our errors, and nothing stays behind."""
    async with client_of(storage(url=url)) as client:
        with pytest.raises(TopazStatusError):
            await client.save("try-on:x", tmp_path)
    assert not list(tmp_path.iterdir())


@virtual
async def test_no_secret_in_errors(tmp_path: Path) -> None:
    """An error about a download does not show its signed URL."""
    server = storage(*[http(b"", "500 Oops")] * 10)
    async with client_of(server) as client:
        with pytest.raises(TransportError) as raised:
            await client.save("try-on:x", tmp_path)
    assert "secret" not in str(raised.value) + repr(raised.value)


@virtual
async def test_a_range_that_is_refused_is_not_asked_for_again(tmp_path: Path) -> None:
    """After a 416 the whole file is asked for, at the next attempt."""
    server = storage(cut(STRONG), http(b"", "416 Range Not Satisfiable"))
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == WHOLE
    asked = ["range" in request.headers for request in server.heard if request.path.startswith("/file")]
    assert asked == [False, True, False]


CHUNKS = b"HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\n%s\r\n\r\n"


def chunked(*pieces: bytes, status: str = "200 OK", headers: str = STRONG, end: bool = True) -> bytes:
    """An answer that does not give its length beforehand."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return CHUNKS % (status.encode(), headers.encode()) + body + (b"0\r\n\r\n" if end else b"")


def ranges(server: RawServer) -> list[str | None]:
    """The ``Range`` of each request for the file."""
    return [request.headers.get("range") for request in server.heard if request.path.startswith("/file")]


@virtual
async def test_a_chunked_body_that_is_cut(tmp_path: Path) -> None:
    """A body without a length ends with its last chunk: one that lacks it is no file, and is resumed."""
    server = storage(chunked(b"01234", end=False), part(REST, b"56789"))
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == WHOLE
    assert ranges(server) == [None, "bytes=5-"]


@virtual
async def test_nothing_came_before_the_cut(tmp_path: Path) -> None:
    """Of an answer that brought no byte nothing is kept: neither its size nor its version binds the next one."""
    server = storage(cut(STRONG)[:-5], chunked(b"another file", headers='ETag: "two"'))
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == b"another file"
    assert ranges(server) == [None, None]


@virtual
async def test_only_the_last_chunk_is_missing(tmp_path: Path) -> None:
    """All bytes are there, and only a 416 that names their number says so: the file is whole, by two requests."""
    no = http(b"", "416 Range Not Satisfiable", "Content-Range: bytes */10")
    server = storage(chunked(WHOLE, end=False), no)
    reported: list[tuple[int, int | None]] = []
    async with client_of(server) as client:
        path = await client.save("try-on:x", tmp_path, progress=lambda at, total: reported.append((at, total)))
    assert path.read_bytes() == WHOLE
    assert ranges(server) == [None, "bytes=10-"]
    assert reported[-1] == (10, 10)


@virtual
async def test_a_part_whose_end_is_nobody_knows_where(tmp_path: Path) -> None:
    """Of a file whose size was never given, a part is not taken for the last one until the storage has nothing more."""
    more = part("bytes 5-7/*", b"567"), part("bytes 8-9/*", b"89")
    no = http(b"", "416 Range Not Satisfiable", "Content-Range: bytes */10")
    server = storage(chunked(b"01234", end=False), *more, no)
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == WHOLE
    assert ranges(server) == [None, "bytes=5-", "bytes=8-", "bytes=10-"]


@virtual
async def test_parts_smaller_than_asked_for(tmp_path: Path) -> None:
    """A storage may send less than the rest: what it sends is kept, and the next part asked for."""
    server = storage(cut(STRONG), *(part(f"bytes {n}-{n}/10", b"%d" % n) for n in range(5, 10)))
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == WHOLE
    assert ranges(server) == [None, *(f"bytes={n}-" for n in range(5, 10))]


@virtual
async def test_more_bytes_than_announced(tmp_path: Path) -> None:
    """A part that does not end where it said is thrown away with all before it."""
    longer = chunked(b"56789", b"WRONG", status="206 Partial", headers=f"Content-Range: {REST}\r\n{STRONG}")
    server = storage(cut(STRONG), longer)
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == WHOLE
    assert ranges(server) == [None, "bytes=5-", None]


def always(*answers: bytes) -> RawServer:
    """A storage that gives these answers in turn, for ever."""
    turns = itertools.cycle(answers)
    status = orjson.dumps({"job_id": "x", "status": "completed", "result_url": f"{MEMORY_URL}/file.bin"})
    return RawServer(lambda request: http(status) if request.path.startswith("/v1") else next(turns), closing=True)


ENDLESS = {
    "cut at the same byte, no validator": [cut()],
    "cut at the same byte, ranges ignored": [cut(STRONG)],
    "cut a byte later each time, no validator": [http(bytes(50))[: -40 + n] for n in range(40)],
    "another version each time": [cut(f'ETag: "{n}"') for n in range(50)],
    "a part of the middle": [part(REST, b"56789")],
    "several parts": [http(b"x", "206 Partial", "Content-Type: multipart/byteranges; boundary=x")],
    "the rest of another version": [cut(STRONG), dated(REST, b"56789", 'ETag: "two"')],
    "nothing there": [cut(STRONG), http(b"", "416 No")],
    "nothing there, of the right size": [http(b"", "416 No", "Content-Range: bytes */0")],
    "a whole file that is always longer": [http(WHOLE, "206 Partial", "Content-Range: bytes 0-9/11")],
    "a redirect to nowhere": [http(b"", "302 Found")],
    "not modified": [http(b"", "304 Not Modified")],
    "bad request": [http(b"", "400 No")],
}


@pytest.mark.parametrize("case", ENDLESS)
@virtual
async def test_no_download_goes_on_for_ever(case: str, tmp_path: Path) -> None:
    """Without progress every download ends: after a handful of requests, with an error, and nothing stays behind."""
    server = always(*ENDLESS[case])
    async with client_of(server) as client:
        with pytest.raises(TransportError):
            await client.save("try-on:x", tmp_path)
        assert now() < 60
    assert len(ranges(server)) <= 15
    assert not list(tmp_path.iterdir())
