"""The storage that results lie in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from topaz_status import JobRef
from topaz_status.testing import Simulator
from topaz_status.testing.simulator.storage import parse_range, result_bytes

pytestmark = pytest.mark.virtual_time


async def link_to(simulator: Simulator, session: Any, name: str = "download_url") -> tuple[JobRef, str]:
    job = simulator.add_image(duration=1.0, size=1000)
    await asyncio.sleep(1.0)
    url = f"{simulator.base_url}/image/v1/download/{job.id}"
    async with session.get(url, headers={"X-API-Key": "sim"}) as response:
        return job, (await response.json())[name]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("bytes=0-9", (0, 9)),
        ("bytes=990-", (990, 999)),
        ("bytes=990-5000", (990, 999)),
        ("bytes=-10", (990, 999)),
        ("bytes=-5000", (0, 999)),
        ("bytes=1000-", (1, 0)),
        ("bytes=-0", (1, 0)),
        ("bytes=9-3", None),
        ("bytes=-", None),
        ("lines=1-2", None),
        ("bytes=0-1,3-4", None),
    ],
)
def test_ranges(text: str, span: tuple[int, int] | None) -> None:
    """Ranges of a file of 1000 bytes, as HTTP has them: what makes no sense is ignored."""
    assert parse_range(text, 1000) == span


async def test_a_result_and_its_parts(topaz_simulator: Simulator) -> None:
    """The file comes whole or in parts with its length, ETag and date; a HEAD link gives the length alone."""
    async with topaz_simulator.session() as session:
        job, url = await link_to(topaz_simulator, session)
        async with session.get(url) as response:
            data, etag = await response.read(), response.headers["ETag"]
            modified = response.headers["Last-Modified"]
        assert data == topaz_simulator.result_bytes(job) == result_bytes(job, 1000)
        async with session.get(url, headers={"Range": "bytes=100-", "If-Range": etag}) as response:
            assert (response.status, await response.read()) == (206, data[100:])
            assert response.headers["Content-Range"] == "bytes 100-999/1000"
        async with session.get(url, headers={"Range": "bytes=100-", "If-Range": modified}) as response:
            assert (response.status, response.headers["Last-Modified"]) == (206, modified)
        async with session.get(url, headers={"Range": "bytes=100-", "If-Range": '"old"'}) as response:
            assert (response.status, await response.read()) == (200, data)
        async with session.get(url, headers={"Range": "bytes=1000-"}) as response:
            assert (response.status, response.headers["Content-Range"]) == (416, "bytes */1000")
        _, head_url = await link_to(topaz_simulator, session, "head_url")
        async with session.head(head_url) as response:
            assert (response.status, response.headers["Content-Length"]) == (200, "1000")


async def test_a_link_is_good_for_an_hour_and_as_it_is(topaz_simulator: Simulator) -> None:
    """A link that was changed, used with another method, or is older than an hour is refused."""
    async with topaz_simulator.session() as session:
        job, url = await link_to(topaz_simulator, session)
        other = JobRef(job.kind, "other")
        assert (await session.head(url)).status == 403
        assert (await session.get(url.replace("X-Expires=1", "X-Expires=2"))).status == 403
        assert (await session.get(url.partition("?")[0])).status == 403
        assert (await session.get(url.replace(job.id, other.id))).status == 404
        await asyncio.sleep(3601.0)
        assert (await session.get(url)).status == 403


@pytest.mark.parametrize("headers", [{"X-API-Key": "sim"}, {"x-api-key": "sim"}, {"Authorization": "Bearer sim"}])
async def test_a_key_that_leaks_to_storage_is_noticed(topaz_simulator: Simulator, headers: dict[str, str]) -> None:
    """Storage answers 400 to a request that brings a key along, and it is counted."""
    async with topaz_simulator.session() as session:
        _, url = await link_to(topaz_simulator, session)
        async with session.get(url, headers=headers) as response:
            assert response.status == 400
    assert topaz_simulator.stats().leaked_keys == 1
