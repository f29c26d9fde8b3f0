"""Headers of answers: as long and as many as gateways send, within bounds."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

import aiohttp
import orjson
import pytest
from harness import RawServer, http, options, real, transport_of

from topaz_status import Download, PollPolicy, StatusClient, TransportError
from topaz_status.session.http.connections import MOST_HEADERS
from topaz_status.session.http.translation import LONGEST_HEADER

BODY = orjson.dumps({"process_id": "a", "status": "Completed"})
LONG = [f"Content-Security-Policy: {'x' * LONGEST_HEADER}"]
MANY = [f"Set-Cookie: name{n}={'x' * 500}" for n in range(MOST_HEADERS - 10)]


@contextlib.asynccontextmanager
async def client_of(headers: Sequence[str], *, own: bool) -> AsyncIterator[tuple[StatusClient, str]]:
    """A client, with connections of its own or in a caller's session, of a server that answers with these headers."""
    server = RawServer(lambda _: http(BODY, "200 OK", *headers))
    async with server.serve() as url, contextlib.AsyncExitStack() as stack:
        session = None if own else await stack.enter_async_context(aiohttp.ClientSession())
        policy = PollPolicy(give_up_after=1e-6, sweep=False)
        async with StatusClient(**options(topaz_url=url, session=session, policy=policy)) as client:
            yield client, url


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("headers", [LONG, MANY], ids=["long", "many"])
@real
async def test_long_and_many_headers(headers: Sequence[str], own: bool) -> None:
    """A header of 64 KB and hundreds of cookies are read, by polls and by downloads."""
    async with client_of(headers, own=own) as (client, url):
        assert (await client.image.watch("a")).is_terminal
        async with transport_of(client).stream(Download(f"{url}/file", None, None), {}) as stream:
            assert await stream.read() == BODY


@pytest.mark.parametrize("own", [True, False])
@real
async def test_a_header_that_is_too_long(own: bool) -> None:
    """It is a failure in transit, and the message says so without quoting it."""
    async with client_of([f"Set-Cookie: secret{'x' * LONGEST_HEADER}"], own=own) as (client, _):
        with pytest.raises(TransportError, match=f"a header of more than {LONGEST_HEADER} bytes") as raised:
            await client.image.watch("a")
    assert "secret" not in str(raised.value)


@real
async def test_too_many_headers() -> None:
    """A flood of them is not read to its end."""
    async with client_of(MANY * 2, own=True) as (client, _):
        with pytest.raises(TransportError, match="Too many headers"):
            await client.image.watch("a")
