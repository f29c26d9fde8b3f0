"""What is sent again, when, and what never is."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aioresponses import CallbackResult, aioresponses
from harness import SINGLY, MendedResponse, now, options, virtual

from topaz_status import (
    DecodeError,
    RateLimitedError,
    ServerError,
    ServiceError,
    StatusClient,
    TransportError,
)

ID = "d7b3b3b3-7b3b-4b3b-8b3b-3b3b3b3b3b3b"


TOPAZ, PIXELCUT = "https://api.topazlabs.com", "https://api.developer.pixelcut.ai"


IMAGE = f"{TOPAZ}/image/v1/status/{ID}"


VIDEO = f"{TOPAZ}/video/{ID}/status"


GOOD = {"process_id": ID, "status": "Completed", "progress": 100}
GOOD_ONCE: dict[str, Any] = {"payload": GOOD}


@contextlib.asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[StatusClient]:
    """A client of the public hosts, whose session is mocked."""
    async with aiohttp.ClientSession() as session, StatusClient(**options(session=session, **settings)) as client:
        yield client


def times(answers: aioresponses, url: str, *failures: dict[str, Any], method: str = "GET") -> list[float]:
    """Answer with failures, then well; the list fills with the times of all requests."""
    seen: list[float] = []

    def play(_url: Any, **_kwargs: Any) -> CallbackResult:
        seen.append(now())
        if len(seen) > len(failures):
            return CallbackResult(payload=GOOD, response_class=MendedResponse)
        failure = failures[len(seen) - 1]
        if "raises" in failure:
            raise failure["raises"]
        return CallbackResult(**failure, response_class=MendedResponse)

    answers.add(url, method=method, callback=play, repeat=True)
    return seen


TRANSIENT: list[dict[str, Any]] = [
    *({"status": status} for status in (408, 425, 429, 500, 502, 503, 504, 599)),
    {"raises": aiohttp.ServerDisconnectedError()},
    {"raises": aiohttp.ClientOSError(104, "reset")},
    {"raises": TimeoutError()},
    {"raises": aiohttp.ClientPayloadError("cut")},
]


@pytest.mark.parametrize("failure", TRANSIENT, ids=str)
@virtual
async def test_gets_are_tried_again(answers: aioresponses, failure: dict[str, Any]) -> None:
    """After a passing trouble a GET is sent again, each time after a longer wait, six times in all."""
    seen = times(answers, IMAGE, *[failure] * 5)
    async with opened() as client:
        assert (await client.image.get(ID)).is_terminal
    gaps = [later - earlier for earlier, later in pairwise(seen)]
    for step, gap in enumerate(gaps):
        assert 0.25 * 2**step <= gap <= 0.5 * 2**step + 3.0 * (failure.get("status") == 429)
    assert len(seen) == 6


@virtual
async def test_gets_are_given_up(answers: aioresponses) -> None:
    """After the sixth attempt the last trouble is raised."""
    seen = times(answers, IMAGE, *[{"status": 500}] * 5, {"status": 503})
    async with opened() as client:
        with pytest.raises(ServerError) as raised:
            await client.image.get(ID)
    assert raised.value.status_code == 503
    assert len(seen) == 6


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 409, 410, 412])
@virtual
async def test_what_never_heals_is_not_tried_again(answers: aioresponses, status: int) -> None:
    """What a second attempt would not mend is raised at once."""
    seen = times(answers, IMAGE, {"status": status, "payload": {"message": "no"}})
    async with opened() as client:
        with pytest.raises(ServiceError):
            await client.image.get(ID)
    assert len(seen) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
@virtual
async def test_what_a_gateway_says_is_tried_again(answers: aioresponses, status: int) -> None:
    """A 4xx that is not in the service's own words may pass, whatever its code."""
    seen = times(answers, IMAGE, {"status": status}, {"status": status, "body": "<html>"})
    async with opened() as client:
        await client.image.get(ID)
    assert len(seen) == 3


DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


HINTS = [
    ("7", 7.0, 7.8),
    ("7.5", 7.5, 8.3),
    ("Wed, 21 Oct 2026 07:28:09 GMT", 9.0, 9.95),
    ("Wed, 21 Oct 2026 07:27:00 GMT", 0.25, 3.0),
    ("99999999", 300.0, 301.1),
    ("1e300", 300.0, 301.1),
    ("0", 0.25, 3.0),
    ("-5", 0.25, 3.0),
    ("soon", 0.25, 3.0),
    ("", 0.25, 3.0),
    ("nan", 0.25, 3.0),
    ("inf", 0.25, 3.0),
    ("Wed, 99 Oct 2026 07:28:00 GMT", 0.25, 3.0),
    ("9" * 5000, 0.25, 3.0),
]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("hint", "least", "most"), HINTS)
@virtual
async def test_retry_after(answers: aioresponses, status: int, hint: str, least: float, most: float) -> None:
    """``Retry-After`` in seconds or as a date is kept to, up to 300 s; one without sense is as good as none."""
    seen = times(answers, IMAGE, {"status": status, "headers": {"Retry-After": hint, "Date": DATE}})
    async with opened() as client:
        assert (await client.image.get(ID)).is_terminal
    assert least <= seen[1] - seen[0] <= most


@virtual
async def test_retry_after_is_reported(answers: aioresponses) -> None:
    """The exception says how long the service asked to wait."""
    times(answers, IMAGE, *[{"status": 429, "headers": {"Retry-After": "3"}}] * 6)
    async with opened() as client:
        with pytest.raises(RateLimitedError) as raised:
            await client.image.get(ID)
    assert raised.value.retry_after == 3.0


def refused() -> aiohttp.ClientConnectorError:
    """Nobody listens."""
    return aiohttp.ClientConnectorError(
        ConnectionKey("api", 443, True, True, None, None, None), OSError(111, "refused")
    )


@pytest.mark.parametrize("failure", [*TRANSIENT, {"status": 409}, {"status": 404}], ids=str)
@pytest.mark.parametrize("everything", [False, True])
@virtual
async def test_deletes_are_sent_once(answers: aioresponses, everything: bool, failure: dict[str, Any]) -> None:
    """A DELETE that may have arrived is never sent again, whatever happened to it."""
    url = f"{TOPAZ}/image/v1/status" if everything else IMAGE
    seen = times(answers, url, failure, method="DELETE")
    async with opened() as client:
        with pytest.raises((ServiceError, TransportError)):
            await (client.image.delete_all() if everything else client.image.delete(ID))
    assert len(seen) == 1


@virtual
async def test_deletes_that_never_left(answers: aioresponses) -> None:
    """A DELETE for which no connection was made certainly did not arrive: it is tried again."""
    seen = times(answers, IMAGE, {"raises": refused()}, {"raises": refused()}, method="DELETE")
    async with opened() as client:
        await client.image.delete(ID)
    assert len(seen) == 3


@virtual
async def test_certificates(answers: aioresponses) -> None:
    """A certificate that does not fit is a transport error like any other connection that is not made."""
    key = ConnectionKey("api", 443, True, True, None, None, None)
    times(answers, IMAGE, *[{"raises": aiohttp.ClientConnectorCertificateError(key, ValueError("does not fit"))}] * 6)
    async with opened() as client:
        with pytest.raises(TransportError) as raised:
            await client.image.get(ID)
    assert not raised.value.maybe_sent


@virtual
async def test_a_hold_is_for_the_kind(answers: aioresponses) -> None:
    """A ``Retry-After`` holds all requests of that kind, and no other kind's."""
    times(answers, IMAGE, *[{"status": 503, "headers": {"Retry-After": "60"}}] * 9)
    other = times(answers, f"{TOPAZ}/image/v1/download/{ID}")
    videos = times(answers, VIDEO)
    async with opened(policy=SINGLY) as client:
        with pytest.raises(TimeoutError):
            await client.image.watch(ID, timeout=3)
        await client.video.get(ID)
        with pytest.raises(DecodeError):
            await client.image.download_link(ID)
    assert videos[0] < 4.0
    assert other[0] >= 60.0


UNREADABLE: list[dict[str, Any]] = [
    {"body": b""},
    {"body": b"<html>We'll be right back</html>"},
    {"body": b'{"process_id": "d7b'},
    {"body": b"\xff\xfe{}"},
    {"status": 204},
]


@pytest.mark.parametrize("failure", UNREADABLE, ids=str)
@virtual
async def test_what_cannot_be_read_is_tried_again(answers: aioresponses, failure: dict[str, Any]) -> None:
    """A 200 that is no JSON at all is a passing trouble like a 503; after the sixth it is raised."""
    seen = times(answers, IMAGE, *[failure] * 5, GOOD_ONCE, *[failure] * 6)
    async with opened() as client:
        assert (await client.image.get(ID)).is_terminal
        assert len(seen) == 6
        with pytest.raises(DecodeError):
            await client.image.get(ID)
    assert len(seen) == 12


@virtual
async def test_what_says_something_else_is_not_tried_again(answers: aioresponses) -> None:
    """A body that can be read and is no status, or another job's, is raised at once: the service means it."""
    seen = times(answers, IMAGE, {"payload": {"process_id": "another", "status": "Completed"}}, {"payload": {}})
    async with opened() as client:
        for _ in range(2):
            with pytest.raises(DecodeError):
                await client.image.get(ID)
    assert len(seen) == 2
