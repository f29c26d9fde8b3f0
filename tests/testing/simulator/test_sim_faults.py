"""Faults: whom they befall, and that a client sees them, on sockets as in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from topaz_status import JobRef
from topaz_status.testing import Fault, Simulator
from topaz_status.testing.simulator.faults.bodies import OTHER_ID
from topaz_status.testing.simulator.faults.rules import FAULTS, FaultDeck, parse_faults
from topaz_status.testing.simulator.http_values import read_call

KEY = {"X-API-Key": "sim"}
CALL = read_call("GET", "/image/v1/status/abc")


@asynccontextmanager
async def reach(simulator: Simulator, way: str) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    if way == "memory":
        async with simulator.session(headers=KEY) as session:
            yield simulator.base_url, session
    else:
        async with simulator.serve() as url, aiohttp.ClientSession(headers=KEY) as session:
            yield url, session


async def ask(simulator: Simulator, url: str, session: aiohttp.ClientSession, path: str) -> tuple[Any, bytes]:
    try:
        async with session.get(url + path, allow_redirects=False) as response:
            return response.status, await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__, b""


SEEN = {
    "delay": (200, "shown"),
    "status": (503, '{"code":503,"message":"Service Unavailable"}'),
    "html": (200, "<html>"),
    "text": (200, "200 ok"),
    "empty": (200, None),
    "redirect": (301, None),
    "hang": ("ServerDisconnectedError", None),
    "reset": ("ClientOSError", None),
    "reset_body": ("ClientPayloadError", None),
    "truncated": ("ClientPayloadError", None),
    "long_length": ("ClientPayloadError", None),
    "short_length": ("ClientResponseError", None),
    "double_length": ("ClientResponseError", None),
    "slow": (200, "shown"),
    "malformed": (200, '{"process_id"'),
    "not_utf8": (200, '{"\udcff\udcfeprocess_id'),
    "huge": (200, " " * 1000),
    "gzip_bomb": (200, " " * 1000),
    "deep": (200, "[" * 1000),
    "wrong_types": (200, '"progress":"ninety"'),
    "nan": (200, '"progress":NaN'),
    "huge_numbers": (200, '"progress":9e307'),
    "stale": (200, "shown"),
    "endless": (200, "shown"),
    "unknown_word": (200, '"status":"Hibernating"'),
    "null_status": (200, '"status":null'),
    "empty_status": (200, '"status":""'),
    "missing_status": (200, "process_id"),
    "other_id": (200, OTHER_ID),
    "no_cursor": (200, "shown"),
    "same_cursor": (200, "shown"),
    "empty_page": (200, "shown"),
}


def test_every_fault_is_tried() -> None:
    """The table of what a client sees knows every fault that there is."""
    assert SEEN.keys() == FAULTS


@pytest.mark.parametrize("way", ["memory", "socket"])
@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_what_a_client_sees(name: str, way: str) -> None:
    """Each fault shows itself to an HTTP client, in memory just as on a socket, and is over when it is cleared."""
    simulator = Simulator()
    job = simulator.add_image()
    path = f"/image/v1/status/{job.id}"
    simulator.add_fault(name, seconds=0.02, size=100_000)
    async with reach(simulator, way) as (url, session):
        status, body = await ask(simulator, url, session, path)
        expected, text = SEEN[name]
        assert status == expected
        shown = body.decode("utf-8", "surrogateescape")
        assert (job.id if text == "shown" else text or "") in shown
        simulator.clear_faults()
        assert (await ask(simulator, url, session, path))[0] == 200
    assert simulator.stats().faults[name] >= 1
    assert simulator.stats().in_flight == 0


@pytest.mark.parametrize(
    ("name", "paging"),
    [("no_cursor", {"has_next_page"}), ("same_cursor", {"has_next_page", "next_cursor"}), ("empty_page", None)],
)
@pytest.mark.virtual_time
async def test_broken_paging(topaz_simulator: Simulator, name: str, paging: set[str] | None) -> None:
    """A last page is made to promise a successor: nowhere, at the start again, or after no items at all."""
    topaz_simulator.add_image()
    topaz_simulator.add_fault(name, endpoint="image.list")
    async with topaz_simulator.session(headers=KEY) as session:
        url = topaz_simulator.base_url + "/image/v1/status?paginated=true"
        for _ in range(3):
            async with session.get(url) as response:
                page = await response.json()
            assert page["pagination"]["has_next_page"] is True
            assert len(page["data"]) == (0 if name == "empty_page" else 1)
            if paging is not None:
                assert page["pagination"].keys() == paging
            if "next_cursor" in page["pagination"]:
                url = f"{url.partition('&')[0]}&cursor={page['pagination']['next_cursor']}"


@pytest.mark.virtual_time
async def test_a_hang_lasts_until_the_client_gives_up(topaz_simulator: Simulator) -> None:
    """A request that is never answered ends with the client's timeout, and the server lets go of it."""
    topaz_simulator.add_fault("hang")
    async with topaz_simulator.session(headers=KEY, timeout=aiohttp.ClientTimeout(total=30)) as session:
        with pytest.raises(TimeoutError):
            await session.get(topaz_simulator.base_url + "/image/v1/status")
        assert asyncio.get_running_loop().time() == pytest.approx(30.0, abs=1.0)
        await asyncio.sleep(1.0)
        stats = topaz_simulator.stats()
        assert (stats.in_flight, stats.by_status) == (0, {0: 1})


@pytest.mark.parametrize(
    ("fields", "strikes"),
    [
        ({}, True),
        ({"service": "image"}, True),
        ({"service": "video"}, False),
        ({"endpoint": "image.status"}, True),
        ({"endpoint": "image.list"}, False),
        ({"path": "/v1/"}, True),
        ({"path": "/v2/"}, False),
        ({"job": JobRef.parse("image:abc")}, True),
        ({"job": "abc"}, True),
        ({"job": "image:other"}, False),
        ({"since": 10.0}, True),
        ({"since": 10.1}, False),
        ({"until": 10.0}, False),
        ({"probability": 0.0}, False),
        ({"count": 0}, False),
    ],
)
def test_whom_a_fault_befalls(fields: dict[str, Any], strikes: bool) -> None:
    """A fault strikes a request only when all of its conditions hold; here at 10 s."""
    deck = FaultDeck()
    deck.add([Fault.of("503", **fields)])
    assert (deck.judge(CALL, 10.0).fault is not None) is strikes


def test_a_share_of_the_requests_and_the_same_ones_each_time() -> None:
    """A probability is a share; the same seed strikes the same requests, and another rule does not change them."""

    def struck(*more: Fault) -> list[int]:
        deck = FaultDeck(seed=3)
        deck.add([Fault.of("503", probability=0.2), *more])
        return [number for number in range(1000) if deck.judge(CALL, 0.0).fault is not None]

    first = struck()
    assert 150 < len(first) < 250
    assert struck() == first
    assert struck(Fault.of("delay", seconds=1.0)) == first


def test_the_first_fault_is_played_and_delays_add_up() -> None:
    """Of several faults that match the first is played, at most as often as it may; delays before it add up."""
    deck = FaultDeck()
    deck.add(
        [Fault.of("delay", seconds=1.0), Fault.of("delay", seconds=2.0), Fault.of("404", count=1), Fault.of("reset")]
    )
    verdicts = [deck.judge(CALL, 0.0) for _ in range(2)]
    assert [verdict.delay for verdict in verdicts] == [3.0, 3.0]
    assert [verdict.fault.name for verdict in verdicts if verdict.fault] == ["status", "reset"]


def test_faults_from_a_command_line() -> None:
    """``name=probability`` pairs are read; digits are status codes; nonsense is refused with what is known."""
    assert parse_faults("503=0.01, reset") == [Fault.of("503", probability=0.01), Fault.of("reset")]
    assert Fault.of("503").status == 503
    for text in ("earthquake=0.1", "503=often", "503=2"):
        with pytest.raises(ValueError, match=r"unknown|convert|must be"):
            parse_faults(text)
    with pytest.raises(ValueError, match="depth"):
        Fault.from_json({"name": "deep", "depth": 3})


@pytest.mark.virtual_time
@pytest.mark.parametrize("said", ["120", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "soon"])
async def test_a_faults_retry_after_is_sent_as_it_is(topaz_simulator: Simulator, said: str) -> None:
    """An unavailable service may say anything in Retry-After."""
    topaz_simulator.add_fault("503", retry_after=said)
    url = topaz_simulator.base_url + "/v1/try-on/job/x"
    async with topaz_simulator.session(headers=KEY) as session, session.get(url) as response:
        assert response.headers["Retry-After"] == said
        assert await response.read() == b""


@pytest.mark.virtual_time
async def test_a_list_that_never_ends(topaz_simulator: Simulator) -> None:
    """Each page names a successor that no page named before, and shows the first page again."""
    job = topaz_simulator.add_image()
    topaz_simulator.add_fault("endless", endpoint="image.list")
    cursors: list[str] = []
    async with topaz_simulator.session(headers=KEY) as session:
        url = topaz_simulator.base_url + "/image/v1/status?paginated=true"
        for _ in range(20):
            async with session.get(url + (f"&cursor={cursors[-1]}" if cursors else "")) as response:
                page = await response.json()
            assert [item["process_id"] for item in page["data"]] == [job.id]
            assert page["pagination"]["has_next_page"]
            cursors.append(page["pagination"]["next_cursor"])
    assert len(set(cursors)) == 20


@pytest.mark.parametrize(
    ("kind", "over", "shown"),
    [("image", "Completed", "Processing"), ("video", "complete", "processing"), ("try-on", "completed", "running")],
)
@pytest.mark.virtual_time
async def test_a_stale_answer(topaz_simulator: Simulator, kind: str, over: str, shown: str) -> None:
    """A job that has ended is shown at work again, and one that is at work as it is."""
    job = topaz_simulator.add(kind, duration=10.0)
    path = {"image": f"/image/v1/status/{job.id}", "video": f"/video/{job.id}/status"}
    url = topaz_simulator.base_url + path.get(kind, f"/v1/try-on/job/{job.id}")
    async with topaz_simulator.session(headers=KEY) as session:

        async def word() -> str:
            async with session.get(url) as response:
                return str((await response.json())["status"])

        await asyncio.sleep(5.0)
        before = await word()
        topaz_simulator.add_fault("stale")
        assert await word() == before
        await asyncio.sleep(10.0)
        assert await word() == shown
        topaz_simulator.clear_faults()
        assert await word() == over
