"""Polls grow rarer for a job only after a notice that its own poll has borne out, and stay the net."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from harness import client_of, engine_of, now, until, virtual
from scripted import Topaz, image

from topaz_status import JobState, PollPolicy, StatusClient

A = "00000000-0000-4000-8000-000000000001"
IDS = [f"00000000-0000-4000-8000-0000000001{number:02d}" for number in range(40)]
EAGER = 0.001
"""A price at which the gaps between polls of a job of which nothing is said stay well below the longest."""
PROVED = "webhooks have proved true"


def notice(word: str, job: str = A) -> dict[str, str]:
    """What Topaz posts."""
    return {"notification_id": "01", "process_id": job, "status": word}


async def story(reported: str | None, *, before: str = "Pending", after: str = "Processing") -> tuple[int, bool]:
    """Watch a job that changes from one word to another at 20 s, when perhaps a notice says a word.

    Give the polls of the ten minutes after, and whether notices are relied on.
    """
    topaz = Topaz(images={A: image(A, before)})
    async with client_of(topaz.server(), policy=PollPolicy(sweep=False, max_interval=60.0, price=EAGER)) as client:
        watch = client.image.watch(A)
        await asyncio.sleep(20)
        topaz.images[A] = image(A, after)
        if reported is not None:
            assert client.notify(notice(reported)) is not None
        await asyncio.sleep(5)
        if reported is None:
            client.notify({"process_id": A})
        await asyncio.sleep(5)
        assert watch.status is not None
        assert watch.status.status == after
        begun = len(topaz.asked)
        relied_on = PROVED in watch.explain().reason
        await asyncio.sleep(600)
        gaps = [later - earlier for earlier, later in pairwise(topaz.times(A))]
        assert max(gaps) <= 60.5
        watch.cancel()
    return len(topaz.asked) - begun, relied_on


@virtual
async def test_polls_grow_rarer_after_a_notice_that_proved_true() -> None:
    """About half as many polls, and no gap longer than the longest."""
    usual, relied_on = await story(None)
    assert not relied_on
    fewer, relied_on = await story("Processing")
    assert relied_on
    assert usual * 0.35 < fewer < usual * 0.7


@pytest.mark.parametrize(
    ("reported", "before", "after"),
    [
        ("Processing", "Processing", "Processing"),
        ("Completed", "Pending", "Processing"),
        ("Completed", "Processing", "Processing"),
        ("Pending", "Pending", "Processing"),
    ],
    ids=["what-was-known", "another-change", "no-change", "the-old-word"],
)
@virtual
async def test_what_anybody_may_send_changes_nothing(reported: str, before: str, after: str) -> None:
    """Only a change that a poll finds as the notice said proves anything."""
    polls, relied_on = await story(reported, before=before, after=after)
    assert not relied_on
    usual, _ = await story(None, before=before, after=after)
    assert abs(polls - usual) <= 2


async def relied_on(client: StatusClient, topaz: Topaz) -> None:
    """Have a notice of a change prove true."""
    await asyncio.sleep(20)
    topaz.images[A] = image(A, "Processing")
    client.notify(notice("Processing"))
    await asyncio.sleep(1)
    assert PROVED in client.image.watch(A).explain().reason


@virtual
async def test_an_end_that_no_notice_announces_is_found() -> None:
    """Notices get lost: the polls find the end all the same."""
    topaz = Topaz(images={A: image(A, "Pending")})
    async with client_of(topaz.server(), policy=PollPolicy(sweep=False, max_interval=60.0)) as client:
        watch = client.image.watch(A)
        await relied_on(client, topaz)
        await asyncio.sleep(600)
        topaz.images[A] = image(A, "Completed")
        ended_at = now()
        assert (await watch).state is JobState.COMPLETED
        assert now() - ended_at <= 60.5


@virtual
async def test_an_end_that_a_notice_announces_is_known_at_once() -> None:
    """However rare polls have become, a notice still brings one now."""
    topaz = Topaz(images={A: image(A, "Pending")})
    async with client_of(topaz.server(), policy=PollPolicy(sweep=False)) as client:
        watch = client.image.watch(A)
        await relied_on(client, topaz)
        await asyncio.sleep(600)
        topaz.images[A] = image(A, "Completed")
        ended_at = now()
        client.notify(notice("Completed"))
        await watch
        assert now() - ended_at < 0.3


@virtual
async def test_a_change_without_a_notice_ends_it() -> None:
    """Notices that stop coming are relied on no more."""
    topaz = Topaz(images={A: image(A, "Pending")})
    async with client_of(topaz.server(), policy=PollPolicy(sweep=False, max_interval=60.0)) as client:
        watch = client.image.watch(A)
        await relied_on(client, topaz)
        topaz.images[A] = image(A, "Pending")
        await asyncio.sleep(61)
        assert watch.status is not None
        assert watch.status.status == "Pending"
        assert PROVED not in watch.explain().reason
        watch.cancel()


@virtual
async def test_a_poll_that_was_on_its_way_bears_nothing_out() -> None:
    """It was not the notice's own: what it found it would have found without."""
    topaz = Topaz(images={A: image(A, "Pending")})
    async with client_of(topaz.server(), policy=PollPolicy(sweep=False), latency=1.0) as client:
        watch = client.image.watch(A)
        await asyncio.sleep(20)
        topaz.images[A] = image(A, "Processing")
        await until(lambda: watch.explain().in_flight)
        client.notify(notice("Processing"))
        await asyncio.sleep(6)
        assert watch.status is not None
        assert watch.status.status == "Processing"
        assert PROVED not in watch.explain().reason
        watch.cancel()
    await asyncio.sleep(3)


async def readings(word: str) -> int:
    """Count the pages read in ten minutes after all jobs changed to "Processing", and notices said ``word``."""
    topaz = Topaz(images={name: image(name, "Pending") for name in IDS})
    topaz.image_list = [image(name, "Pending") for name in IDS]
    async with client_of(topaz.server(), policy=PollPolicy(price=EAGER), rate=10.0, burst=10.0) as client:
        watches = [client.image.watch(name) for name in IDS]
        await asyncio.sleep(60)
        topaz.images = {name: image(name) for name in IDS}
        topaz.image_list = list(topaz.images.values())
        for name in IDS:
            client.notify(notice(word, name))
        await asyncio.sleep(30)
        begun = len(topaz.times("image.list"))
        assert [PROVED in watch.explain().reason for watch in watches] == [word == "Processing"] * len(IDS)
        assert [watch.explain().via_page for watch in watches] == [True] * len(IDS)
        await asyncio.sleep(600)
        for watch in watches:
            watch.cancel()
    return len(topaz.times("image.list")) - begun


@virtual
async def test_a_claim_is_forgotten_once_a_poll_has_answered() -> None:
    """What a forged notice said may come about later: that bears nothing out."""
    topaz = Topaz(images={A: image(A, "Pending")})
    async with client_of(topaz.server(), policy=PollPolicy(sweep=False, max_interval=60.0)) as client:
        watch = client.image.watch(A)
        await asyncio.sleep(20)
        client.notify(notice("Processing"))
        await asyncio.sleep(5)
        topaz.images[A] = image(A, "Processing")
        await asyncio.sleep(61)
        assert watch.status is not None
        assert watch.status.status == "Processing"
        assert PROVED not in watch.explain().reason
        watch.cancel()


@virtual
async def test_pages_grow_rarer_as_well() -> None:
    """A page whose jobs' notices prove true is read about half as often."""
    usual, fewer = await readings("Completed"), await readings("Processing")
    assert usual * 0.35 < fewer < usual * 0.7


@virtual
async def test_only_a_word_is_stored_of_a_notice() -> None:
    """Megabytes that are posted as a status are forgotten at once."""
    topaz = Topaz(images={A: 503})
    async with client_of(topaz.server(), policy=PollPolicy(sweep=False)) as client:
        watch = client.image.watch(A)
        client.notify(notice("x" * 65))
        [poller] = engine_of(client).registry
        assert poller.claim is None
        client.notify(notice("Processing"))
        assert poller.claim is not None
        watch.cancel()
