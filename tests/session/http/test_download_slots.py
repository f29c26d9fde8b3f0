"""Downloads beside polls: in a line and over connections of their own, without a key, and over when the client is."""

# ruff: noqa: ASYNC240  # a small file on the local disk is read

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from harness import (
    PIXELCUT_KEY,
    SINGLY,
    TOPAZ_KEY,
    Axe,
    Heard,
    RawServer,
    at_every_await,
    client_of,
    http,
    now,
    options,
    real,
    settle,
    sockets,
    until,
    virtual,
)

from topaz_status import (
    ClientClosedError,
    ConfigurationError,
    JobState,
    PollPolicy,
    StatusClient,
    TopazStatusError,
)
from topaz_status.session.http.download_slots import Downloads
from topaz_status.testing import MEMORY_URL, MemoryConnector, Simulator

MANY = 10_000


def files(simulator: Simulator) -> int:
    """Requests that the storage has heard."""
    return simulator.stats().by_service.get("storage", 0)


def links(simulator: Simulator) -> int:
    """Links that the image service has been asked for."""
    return simulator.stats().by_endpoint.get("image.download", 0)


@pytest.mark.parametrize("value", [0, -1, 1.5, "8", True, None])
def test_a_bound_that_is_none(value: Any) -> None:
    """The number of downloads is checked at the door."""
    with pytest.raises(ConfigurationError, match="max_downloads"):
        StatusClient(**options(max_downloads=value))


@pytest.mark.parametrize("own", [True, False])
@real
async def test_slow_downloads_hold_up_no_poll(own: bool, tmp_path: Path) -> None:
    """With more slow downloads than requests may be in flight, polls go as ever and fail never."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=0.0) for _ in range(10)]
    watched = simulator.add_image(duration=0.0)
    simulator.add_fault("slow", service="storage", seconds=60.0)
    settings = {"max_in_flight": 2, "max_downloads": 10, "request_timeout": 2.0, "policy": PollPolicy(give_up_after=3)}
    async with simulator.serve() as url, aiohttp.ClientSession() as theirs:
        session = None if own else theirs
        async with StatusClient(**options(topaz_url=url, session=session, **settings)) as client:
            saves = [asyncio.create_task(client.save(job, tmp_path)) for job in jobs]
            await until(lambda: files(simulator) == len(jobs))
            assert (await client.watch(watched)).state is JobState.COMPLETED
            await client.image.get(watched)
            assert not [save for save in saves if save.done()]
        ended = await asyncio.gather(*saves, return_exceptions=True)
    assert {type(error) for error in ended} == {ClientClosedError}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "limits", [{"limit": 6}, {"limit": 0, "limit_per_host": 6}, {"limit": 6, "limit_per_host": 20}]
)
@real
async def test_half_of_a_callers_connections(limits: dict[str, Any], tmp_path: Path) -> None:
    """Of a caller's connector downloads take half at most, so that polls have the other, however small it is."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=0.0) for _ in range(10)]
    watched = simulator.add_image(duration=0.0)
    simulator.add_fault("slow", service="storage", seconds=60.0)
    connector = aiohttp.TCPConnector(**limits)
    async with simulator.serve() as url, aiohttp.ClientSession(connector=connector) as theirs:
        async with StatusClient(**options(topaz_url=url, session=theirs)) as client:
            saves = [asyncio.create_task(client.save(job, tmp_path)) for job in jobs]
            await until(lambda: files(simulator) == 3)
            assert (await client.watch(watched)).state is JobState.COMPLETED
            assert files(simulator) == links(simulator) == 3
        await asyncio.gather(*saves, return_exceptions=True)


@virtual
async def test_whole_lists_hold_up_no_poll() -> None:
    """Nor do direct calls, however long their answers take: polls have slots that no call can have."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0)
    simulator.add_fault("slow", endpoint="image.list", seconds=25.0)
    async with client_of(simulator, max_in_flight=4, policy=SINGLY) as client:
        lists = [asyncio.create_task(client.image.list_all()) for _ in range(8)]
        await asyncio.sleep(1)
        assert (await client.watch(job)).state is JobState.COMPLETED
        assert now() < 3
        await asyncio.gather(*lists)


@virtual
async def test_waiting_for_a_connection_is_no_failure(tmp_path: Path) -> None:
    """However long others hold a caller's only connection, a download that waits for it has failed in nothing."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=0.0, size=40_000) for _ in range(4)]
    simulator.add_fault("slow", service="storage", seconds=150.0)
    async with aiohttp.ClientSession(connector=MemoryConnector(simulator, limit=1)) as session:
        urls = {"topaz_url": MEMORY_URL, "session": session, "request_timeout": 10.0}
        async with StatusClient(**options(**urls)) as client, asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(client.save(job, tmp_path))
    assert len(list(tmp_path.iterdir())) == files(simulator) == 4
    assert now() >= 600


@virtual
async def test_first_come_first_served(tmp_path: Path) -> None:
    """Downloads go in the order in which they came, so many at a time; none asks for its link before its turn."""
    simulator = Simulator(delay=1.0)
    jobs = [simulator.add_image(duration=0.0) for _ in range(7)]
    ended: list[Path] = []
    async with client_of(simulator, max_downloads=2) as client:
        saves = [asyncio.create_task(client.save(job, tmp_path, name=str(n))) for n, job in enumerate(jobs)]
        for save in saves:
            save.add_done_callback(lambda save: ended.append(save.result()))
        for n in range(4):
            await asyncio.sleep(2.0 * n + 0.5 - now())
            assert links(simulator) == min(2 * n + 2, 7)
        await asyncio.gather(*saves)
    assert [int(path.name) // 2 for path in ended] == [n // 2 for n in range(7)]


@virtual
async def test_a_link_does_not_expire_in_line(tmp_path: Path) -> None:
    """A link lives for an hour; a download that waits longer than that for its turn gets one that is good."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=0.0) for _ in range(3)]
    simulator.add_fault("slow", service="storage", seconds=4000.0, count=2)
    async with client_of(simulator, max_downloads=1, request_timeout=500.0) as client:
        await asyncio.gather(*(client.save(job, tmp_path) for job in jobs))
    assert now() >= 8000
    assert simulator.stats().by_status == {200: 6}


@virtual
async def test_a_slot_is_given_back(tmp_path: Path) -> None:
    """Whatever ends a download, and wherever one in line is canceled, the next has its slot."""
    simulator = Simulator()
    good, bad = simulator.add_image(duration=0.0), simulator.add_video(duration=0.0, outcome="failed")
    simulator.add_fault("hang", service="storage", count=3)
    async with client_of(simulator, max_downloads=2) as client:
        hanging = [asyncio.create_task(client.save(good, tmp_path)) for _ in range(2)]
        waiting = [asyncio.create_task(client.save(bad, tmp_path)) for _ in range(5)]
        last = asyncio.create_task(client.save(good, tmp_path))
        await asyncio.sleep(1)
        waiting[1].cancel()
        hanging[0].cancel()
        waiting[0].cancel()
        assert (await last).exists()
        hanging[1].cancel()
        await asyncio.gather(*hanging, *waiting, return_exceptions=True)
        assert (await client.save(good, tmp_path)).exists()


def test_slots_at_every_await() -> None:
    """Canceled wherever it waits, in line or in its slot, a download leaves all slots to the others."""

    async def scenario(axe: Axe) -> None:
        downloads = Downloads(2)

        async def work() -> None:
            await asyncio.sleep(1)

        others = [asyncio.create_task(downloads.run(work)) for _ in range(2)]
        await settle()
        behind = asyncio.create_task(downloads.run(work))
        await axe.fall_on(downloads.run(work))
        await asyncio.gather(*others, behind)
        assert downloads.taken == 0
        await downloads.wait_closed()

    at_every_await(scenario, least=2)


def test_slots_at_every_await_of_one_that_idles() -> None:
    """The same for one that gives its slot back for a while, wherever it is canceled, and for all that wait."""

    async def scenario(axe: Axe) -> None:
        downloads = Downloads(2)

        async def work() -> None:
            await asyncio.sleep(2)

        async def idling() -> None:
            await asyncio.sleep(1)
            await downloads.idle(1)
            assert downloads.taken <= 2
            await asyncio.sleep(1)

        struck = asyncio.create_task(axe.fall_on(downloads.run(idling)))
        await settle()
        others = [asyncio.create_task(downloads.run(work)) for _ in range(5)]
        await asyncio.gather(struck, *others)
        assert downloads.taken == 0
        await downloads.wait_closed()

    at_every_await(scenario, least=4)


@virtual
async def test_who_idles_goes_first_afterwards() -> None:
    """Those that gave their slots back came before all that wait for their first one, and go in their own order."""
    downloads, began = Downloads(1), list[str]()

    async def idling(name: str) -> None:
        await downloads.idle(1.0)
        began.append(name)

    async def work(name: str) -> None:
        began.append(name)
        await asyncio.sleep(10)

    names = [asyncio.create_task(downloads.run(functools.partial(idling, name))) for name in "AB"]
    names += [asyncio.create_task(downloads.run(functools.partial(work, name))) for name in "123"]
    await asyncio.gather(*names)
    assert began == ["1", "A", "B", "2", "3"]
    assert downloads.taken == 0


LAGGING = {"a link": ("/download/", b'{"message": "not ready"}', "409 No"), "a file": ("/late/", b"", "404 No")}


@pytest.mark.parametrize("what", LAGGING)
@virtual
async def test_what_lags_holds_no_slot(what: str, tmp_path: Path) -> None:
    """While results lag for half a minute, in any number, those that are there are saved at once."""
    part, body, status = LAGGING[what]

    def reply(request: Heard) -> bytes:
        name = request.path.rsplit("/", 1)[1]
        if part in request.path and name != "ready":
            return http(body, status)
        if "/download/" in request.path:
            url = f"{MEMORY_URL}/{'file' if name == 'ready' else 'late'}/{name}"
            return http(orjson.dumps({"download_url": url, "head_url": url, "expiry": 2_000_000_000}))
        if "/status/" in request.path:
            return http(orjson.dumps({"process_id": name, "status": "Completed", "progress": 100}))
        return http(b"JPEG")

    async with client_of(RawServer(reply), max_downloads=2) as client:
        lagging = [asyncio.create_task(client.save(f"image:late-{n}", tmp_path)) for n in range(10)]
        await asyncio.sleep(1)
        began = now()
        assert (await client.save("image:ready", tmp_path)).exists()
        assert now() - began < 0.1
        errors = await asyncio.gather(*lagging, return_exceptions=True)
        assert all(isinstance(error, TopazStatusError) for error in errors)
        assert 25 < now() < 35
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("moment", [0.0, 0.5, 1.5, 2.5, 20.0])
@virtual
async def test_closing(moment: float, tmp_path: Path) -> None:
    """The client's end is the end of every download, wherever it is: in line, at its link, at its file, in a pause."""
    simulator = Simulator(delay=1.0)
    jobs = [simulator.add_image(duration=0.0) for _ in range(4)] + [simulator.add_video(duration=0.0, result=False)]
    simulator.add_fault("slow", service="storage", seconds=1000.0)
    async with client_of(simulator, max_downloads=3) as client:
        saves = [asyncio.create_task(client.save(job, tmp_path)) for job in reversed(jobs)]
        await asyncio.sleep(moment)
        started = now()
        await client.aclose()
        assert now() - started < 0.01
        assert not list(tmp_path.iterdir()), "at the end of closing nothing is left"
        for error in await asyncio.gather(*saves, return_exceptions=True):
            assert type(error) is ClientClosedError
            assert error.__context__ is None
        with pytest.raises(ConfigurationError):
            await client.save(jobs[0], tmp_path)


@virtual
async def test_thousands_in_line(tmp_path: Path) -> None:
    """Ten thousand downloads wait without a request, and are gone as soon as they are canceled."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0)
    simulator.add_fault("hang", service="storage")
    async with client_of(simulator, max_downloads=2, request_timeout=1000.0) as client:
        saves = [asyncio.create_task(client.save(job, tmp_path)) for _ in range(MANY)]
        await asyncio.sleep(1)
        assert links(simulator) == files(simulator) == 2
        for save in reversed(saves):
            save.cancel()
        await asyncio.wait(saves)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("whose", ["ours", "theirs"])
@real
async def test_no_key_on_any_hop(whose: str, tmp_path: Path) -> None:
    """Neither the storage nor where it redirects to, on its own host or another, hears a key, a cookie or a header."""
    last = RawServer(lambda _: http(b"file", "200 OK", "Set-Cookie: theirs=2; Path=/"))
    async with last.serve() as elsewhere:
        hops = {"/file": "/hop", "/hop": f"{elsewhere}/end"}
        middle = RawServer(
            lambda request: http(b"", "302 Found", f"Location: {hops[request.path]}", "Set-Cookie: theirs=1; Path=/")
        )
        async with middle.serve() as storage_url:

            def reply(_: Heard) -> bytes:
                reported = {"job_id": "x", "status": "completed", "result_url": f"{storage_url}/file"}
                return http(orjson.dumps(reported))

            api = RawServer(reply)
            async with api.serve() as url, loaded_session() as session:
                settings = options(pixelcut_url=url, session=session if whose == "theirs" else None)
                async with StatusClient(**settings) as client:
                    for _ in range(2):
                        assert (await client.save("try-on:x", tmp_path)).read_bytes() == b"file"
    heard = [*middle.heard, *last.heard]
    assert [request.path for request in heard] == ["/file", "/hop"] * 2 + ["/end"] * 2
    for request in heard:
        assert request.method == "GET"
        assert request.headers.keys() <= {"host", "accept", "accept-encoding", "user-agent"}
        assert not {TOPAZ_KEY, PIXELCUT_KEY, "theirs"} & set(request.headers.values())
    assert {request.headers["x-api-key"] for request in api.heard} == {PIXELCUT_KEY}


def loaded_session() -> aiohttp.ClientSession:
    """A caller's session that would say a lot to everybody."""
    headers = {"X-API-Key": "theirs", "Authorization": "theirs", "X-Other": "theirs"}
    jar = aiohttp.CookieJar(unsafe=True)
    return aiohttp.ClientSession(headers=headers, cookies={"session": "theirs"}, cookie_jar=jar)


@real
async def test_connections_go_with_the_client(tmp_path: Path) -> None:
    """The connections to storages are closed with the client's others."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0)
    before = sockets()
    async with simulator.serve() as url:
        async with StatusClient(**options(topaz_url=url)) as client:
            await client.save(job, tmp_path)
        await settle()
    assert sockets() <= before
