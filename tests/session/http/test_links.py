"""A result that lags behind the status that announces it, and links that a storage refuses: both have an end."""

# ruff: noqa: ASYNC240  # a small file on the local disk is read

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from harness import Heard, RawServer, client_of, http, now, virtual

from topaz_status import (
    ConflictError,
    NotFoundError,
    ResultUnavailableError,
    ServiceError,
    TransportError,
)
from topaz_status.session.timing.backoff_delays import LAG, Backoff
from topaz_status.testing import MEMORY_URL

CALM = 0.5 * LAG
"""Seconds within which what does not lag has ended."""


def service(
    word: str | int = "Completed", links: Iterable[bytes | int] = (), files: Iterable[bytes | int] = ()
) -> RawServer:
    """An image service and its storage: links and files are answered for in turn, and well in the end."""
    turns = {"link": list(links), "file": list(files)}
    link = {"download_url": f"{MEMORY_URL}/file.jpg", "head_url": f"{MEMORY_URL}/file.jpg", "expiry": 2_000_000_000}
    good = {"link": http(orjson.dumps(link)), "file": http(b"JPEG", "200 OK", 'ETag: "one"')}

    def reply(request: Heard) -> bytes:
        if "/status/" in request.path:
            status = orjson.dumps({"process_id": "x", "status": word, "progress": 50})
            return http(status) if isinstance(word, str) else no(word)
        name = "file" if request.path.startswith("/file") else "link"
        answer = turns[name].pop(0) if turns[name] else good[name]
        return no(answer) if isinstance(answer, int) else answer

    return RawServer(reply, closing=True)


def no(status: int) -> bytes:
    """A refusal, as the service words it."""
    return http(b'{"message": "not now"}', f"{status} No")


def count(server: RawServer, part: str) -> int:
    """Requests with this in their path."""
    return sum(part in request.path for request in server.heard)


@pytest.mark.parametrize("lag", [[409], [409, 409, 409], [404, 404], [404, 409, 404, 409, 409]])
@virtual
async def test_a_link_that_lags(lag: list[int], tmp_path: Path) -> None:
    """A completed job's link may be refused for a while: one request for the status says that waiting is worth while."""
    server = service(links=lag)
    async with client_of(server) as client:
        assert (await client.save("image:x", tmp_path)).read_bytes() == b"JPEG"
    assert count(server, "/download/") == len(lag) + 1
    assert count(server, "/status/") == 1


@pytest.mark.parametrize(("status", "error"), [(409, ConflictError), (404, NotFoundError)])
@virtual
async def test_a_link_that_never_comes(status: int, error: type[ServiceError], tmp_path: Path) -> None:
    """The wait has an end, reported by the last refusal; neither a file nor a request is left over."""
    server = service(links=[status] * 100)
    async with client_of(server) as client:
        with pytest.raises(error):
            await client.save("image:x", tmp_path)
        assert now() == pytest.approx(LAG, abs=1)
    assert count(server, "/download/") <= 15
    assert count(server, "/status/") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["Pending", "Processing", "Failed", "Cancelled", "Hibernating", 404, 403])
@pytest.mark.parametrize(("status", "error"), [(409, ConflictError), (404, NotFoundError)])
@virtual
async def test_no_result_to_wait_for(word: str | int, status: int, error: type[ServiceError], tmp_path: Path) -> None:
    """A job that has not completed, or that nobody knows, is reported at once: nothing is on its way."""
    server = service(word, links=[status] * 100)
    async with client_of(server) as client:
        with pytest.raises(error):
            await client.save("image:x", tmp_path)
        assert now() < 1
    assert (count(server, "/download/"), count(server, "/status/")) == (1, 1)


URL = f"{MEMORY_URL}/file.bin"
STATUSES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "video": ({"id": "x", "status": "complete"}, {"download": {"url": URL, "expiresAt": 2e12}}, "processing"),
    "try-on": ({"job_id": "x", "status": "completed"}, {"result_url": URL}, "running"),
}


def without_url(kind: str, lag: int) -> RawServer:
    """A service whose job has completed, and has a URL from the ``lag + 1``-th status on."""
    bare, url, _ = STATUSES[kind]
    statuses = [bare] * lag

    def reply(request: Heard) -> bytes:
        if request.path.startswith("/file"):
            return http(b"file")
        return http(orjson.dumps(statuses.pop() if statuses else bare | url))

    return RawServer(reply)


@pytest.mark.parametrize("kind", STATUSES)
@pytest.mark.parametrize("lag", [1, 3])
@virtual
async def test_a_url_that_lags(kind: str, lag: int, tmp_path: Path) -> None:
    """A completed video or try-on whose status names no URL yet is asked about again."""
    server = without_url(kind, lag)
    async with client_of(server) as client:
        assert (await client.save(f"{kind}:x", tmp_path)).read_bytes() == b"file"
    assert len(server.heard) == lag + 2


@pytest.mark.parametrize("kind", STATUSES)
@virtual
async def test_a_url_that_never_comes(kind: str, tmp_path: Path) -> None:
    """The wait has the same end; ``result`` does not wait at all."""
    server = without_url(kind, 100)
    async with client_of(server) as client:
        with pytest.raises(ResultUnavailableError, match="names no URL"):
            await client.result(f"{kind}:x")
        assert len(server.heard) == 1
        with pytest.raises(ResultUnavailableError, match="names no URL"):
            await client.save(f"{kind}:x", tmp_path)
        assert now() == pytest.approx(LAG, abs=1)
    assert len(server.heard) <= 20  # a delay is at least half of its step


@pytest.mark.parametrize("kind", STATUSES)
@virtual
async def test_a_video_at_work_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    """One that has not ended is reported at once."""
    bare, _, word = STATUSES[kind]
    server = RawServer(lambda _: http(orjson.dumps(bare | {"status": word})))
    async with client_of(server) as client:
        with pytest.raises(ResultUnavailableError, match=word):
            await client.save(f"{kind}:x", tmp_path)
    assert len(server.heard) == 1


@pytest.mark.parametrize("lag", [1, 2, 6])
@virtual
async def test_a_file_that_lags(lag: int, tmp_path: Path) -> None:
    """A storage that does not know the file yet is asked again, each time by a new link."""
    server = service(files=[404] * lag)
    async with client_of(server) as client:
        assert (await client.save("image:x", tmp_path)).read_bytes() == b"JPEG"
    assert count(server, "/file") == count(server, "/download/") == lag + 1


@virtual
async def test_a_file_that_never_comes(tmp_path: Path) -> None:
    """The wait for link and file together has one end."""
    server = service(links=[409] * 3, files=[404] * 100)
    async with client_of(server) as client:
        with pytest.raises(TransportError, match="404"):
            await client.save("image:x", tmp_path)
        assert now() == pytest.approx(LAG, abs=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [400, 401, 403, 410])
@virtual
async def test_a_refused_link_is_replaced_once(status: int, tmp_path: Path) -> None:
    """An expired link gives way to a fresh one; a fresh one that is refused, too, is the end, said clearly."""
    server = service(files=[status])
    async with client_of(server) as client:
        assert (await client.save("image:x", tmp_path)).read_bytes() == b"JPEG"
    assert count(server, "/file") == count(server, "/download/") == 2
    server = service(files=[status] * 100)
    async with client_of(server) as client:
        with pytest.raises(TransportError, match=f"{status} to a fresh link, too"):
            await client.save("image:x", tmp_path / "other")
        assert now() < CALM
    assert count(server, "/file") == count(server, "/download/") == 2
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.parametrize("status", [401, 403, 404, 410])
@virtual
async def test_links_that_die_on_the_way(status: int, tmp_path: Path) -> None:
    """A link may die as often as the one before brought something: each fresh one goes on where that stopped."""
    strong = 'ETag: "one"'
    begun = http(b"0123456789", "200 OK", strong)[:-9]
    parts: list[bytes | int] = [begun]
    for at in range(1, 9):
        part = http(b"0123456789"[at:], "206 Partial", strong, f"Content-Range: bytes {at}-9/10")
        parts += [status, part[: len(part) - 9 + at]]
    server = service(files=[*parts, http(b"9", "206 Partial", strong, "Content-Range: bytes 9-9/10")])
    async with client_of(server) as client:
        assert (await client.save("image:x", tmp_path)).read_bytes() == b"0123456789"
    asked = [request.headers.get("range") for request in server.heard if request.path.startswith("/file")]
    assert asked == [None, *(f"bytes={at}-" for at in range(1, 9) for _ in range(2)), "bytes=9-"]
    assert count(server, "/download/") == 9


@virtual
async def test_a_fresh_link_to_another_version(tmp_path: Path) -> None:
    """Where the fresh link leads to another file, that is fetched from its beginning."""
    begun = http(b"0123456789", "200 OK", 'ETag: "one"')[:-5]
    server = service(files=[begun, 403, http(b"abcdefghij", "200 OK", 'ETag: "two"')])
    async with client_of(server) as client:
        assert (await client.save("image:x", tmp_path)).read_bytes() == b"abcdefghij"


@pytest.mark.parametrize("seed", range(20))
def test_the_waits_come_to_the_limit(seed: int) -> None:
    """However the dice fall, the waits for what lags are short at first, bounded, and come to the limit together."""
    delays = list(Backoff(seed).lag_delays())
    assert sum(delays) == pytest.approx(LAG)
    assert delays[0] <= 0.5
    assert max(delays) <= 4.0
    assert len(delays) <= 15
