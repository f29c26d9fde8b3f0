"""A web page in place of a result: that of a captive portal, a login or a maintenance is not saved as the result."""

# ruff: noqa: ASYNC240  # a small file on the local disk is read

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from harness import Heard, RawServer, client_of, http, virtual

from topaz_status import TransportError
from topaz_status.testing import MEMORY_URL

HTML = b"<!DOCTYPE html><html>Please log in</html>"
TYPES = ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"]


def sent(body: bytes, kind: str, status: str = "200 OK", *headers: str) -> bytes:
    """A storage's answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def storage(*answers: bytes, name: str = "file.png") -> RawServer:
    """A try-on whose file is answered for in turn; the last answer stays."""
    turns = list(answers)
    status = {"job_id": "x", "status": "completed", "result_url": f"{MEMORY_URL}/file/{name}?secret=a"}

    def reply(request: Heard) -> bytes:
        if not request.path.startswith("/file"):
            return http(orjson.dumps(status))
        return turns.pop(0) if len(turns) > 1 else turns[0]

    return RawServer(reply, closing=True)


def fetches(server: RawServer) -> int:
    """Requests for the file."""
    return sum(request.path.startswith("/file") for request in server.heard)


@pytest.mark.parametrize("kind", TYPES)
@virtual
async def test_a_page_that_stays(kind: str, tmp_path: Path) -> None:
    """It is asked again a few times, then reported clearly; nothing of it stays behind."""
    server = storage(sent(HTML, kind))
    async with client_of(server) as client:
        with pytest.raises(TransportError, match=r"a web page .* instead of the result") as raised:
            await client.save("try-on:x", tmp_path)
    assert fetches(server) == 6
    assert "secret" not in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", TYPES)
@virtual
async def test_a_page_that_passes(kind: str, tmp_path: Path) -> None:
    """It is a failure in transit: the result comes with a later attempt."""
    server = storage(sent(HTML, kind), sent(HTML, kind), sent(b"PNG", "image/png"))
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == b"PNG"
    assert fetches(server) == 3


@virtual
async def test_a_page_in_the_middle(tmp_path: Path) -> None:
    """What had come of the file is kept, and gone on with after the page."""
    tag = 'ETag: "one"'
    cut = sent(b"0123456789", "image/png", "200 OK", tag)[:-6]
    rest = sent(b"456789", "image/png", "206 Partial Content", tag, "Content-Range: bytes 4-9/10")
    server = storage(cut, sent(HTML, "text/html"), rest)
    async with client_of(server) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == b"0123456789"
    assert server.heard[-1].headers["range"] == "bytes=4-"


@pytest.mark.parametrize("name", ["page.html", "PAGE.HTM"])
@virtual
async def test_a_result_that_is_a_page(name: str, tmp_path: Path) -> None:
    """Where the link itself names an HTML file, HTML is the result."""
    async with client_of(storage(sent(HTML, "text/html"), name=name)) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == HTML


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "binary/octet-stream", "text/plain", ""])
@virtual
async def test_any_other_type(kind: str, tmp_path: Path) -> None:
    """Storages give results all kinds of types: none but that of a web page is refused."""
    async with client_of(storage(sent(b"PNG", kind))) as client:
        assert (await client.save("try-on:x", tmp_path)).read_bytes() == b"PNG"
