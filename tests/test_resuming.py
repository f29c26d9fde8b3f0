"""A download that is cut, links that die, URLs that are none."""

# ruff: noqa: ASYNC240  # a look at a small file on the local disk

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from harness import Heard, RawServer, client_of, http, virtual

from topaz_status import (
    TopazStatusError,
    TransportError,
)
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


RESUMES: list[tuple[bytes, bytes, dict[str, str], bytes]] = [
    (cut(STRONG), part("bytes 5-9/10", b"56789"), {"range": "bytes=5-", "if-range": '"one"'}, WHOLE),
    (cut(STRONG), part("bytes 5-9/*", b"56789"), {"range": "bytes=5-"}, WHOLE),
    (cut(STRONG), http(b"new file", "200 OK", 'ETag: "two"'), {"range": "bytes=5-"}, b"new file"),
    (cut(), http(WHOLE), {}, WHOLE),
    (cut('ETag: W/"weak"'), http(WHOLE), {}, WHOLE),
    (cut("ETag: unquoted"), http(WHOLE), {}, WHOLE),
    (cut(STRONG), part("bytes 3-9/10", b"3456789"), {"range": "bytes=5-"}, WHOLE),
    (cut(STRONG), part("nonsense", b"56789"), {"range": "bytes=5-"}, WHOLE),
    (cut(STRONG), part(f"bytes {'9' * 5000}-9/10", b"56789"), {"range": "bytes=5-"}, WHOLE),
    (cut(STRONG), http(b"", "416 Range Not Satisfiable"), {"range": "bytes=5-"}, WHOLE),
]


def storage(*answers: bytes, url: str = f"{MEMORY_URL}/file.bin?signature=secret", job_id: str = "x") -> RawServer:
    """A try-on service whose file is answered for with these, one after the other, and well in the end."""
    status = orjson.dumps({"job_id": job_id, "status": "completed", "result_url": url})
    left = list(answers)

    def reply(request: Heard) -> bytes:
        if request.path.startswith("/v1"):
            return http(status)
        return left.pop(0) if left else http(WHOLE, "200 OK", STRONG)

    return RawServer(reply, closing=True)


@pytest.mark.parametrize(("first", "second", "asked", "whole"), RESUMES)
@virtual
async def test_resuming(first: bytes, second: bytes, asked: dict[str, str], whole: bytes, tmp_path: Path) -> None:
    """A cut file is resumed only where that is safe; a part that does not fit is thrown away and all fetched anew."""
    server = storage(first, second)
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == whole
    files = [request for request in server.heard if request.path.startswith("/file")]
    assert "range" not in files[0].headers
    told = {name: value for name, value in files[1].headers.items() if name in {"range", "if-range"}}
    assert told.items() >= asked.items()
    assert bool(told) == bool(asked)
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
    """A result URL that is none, or leads elsewhere than to the web, is one of our errors, and nothing stays behind."""
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
