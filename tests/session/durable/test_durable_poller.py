"""When a row is written and when it goes: before the first poll, before the outcome, until it is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import pickle
from typing import Any

import pytest
from harness import SINGLY, client_of, polls_of, settle, until, virtual
from stores import Spy, after_a_crash

from topaz_status import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    JobFailedError,
    JobKind,
    JobLostError,
    JobRef,
    JobState,
    NotFoundError,
    PollPolicy,
    ServerError,
    StatusClient,
    StoreError,
    WatchCanceledError,
    WatchTimeoutError,
)
from topaz_status.testing import EPOCH, Simulator


async def left(store: Spy, simulator: Simulator) -> list[tuple[JobRef, JobState | None, bool]]:
    """What a resume after a crash brings; nothing of it is acknowledged."""
    async with client_of(simulator, store=after_a_crash(store)) as client, client.resume() as outcomes:
        return [
            (outcome.job, outcome.state, outcome.redelivered)
            async for outcome in outcomes.unacknowledged()
            if outcome.job is not None
        ]


# -- before the first poll, before the outcome ------------------------------------------------------------------------


@virtual
async def test_a_row_is_on_disk_before_the_first_poll() -> None:
    """While the disk is slow nothing is asked; the watch itself is there at once, and says what it waits for."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=5.0)
    async with client_of(simulator, store=store) as client:
        waits = store.hold()
        watch = client.watch(job, tag={"order": 7}, submitted_at=EPOCH - 3.0, eta=EPOCH + 5.0, timeout=60.0)
        await waits.wait()
        await settle()
        assert not watch.done()
        assert "on its way to the disk" in str(watch.explain())
        assert simulator.log == ()
        store.release()
        assert (await watch).state is JobState.COMPLETED
        assert simulator.log != ()
    first = store.commits[0][0][0]
    assert (first.job, first.tag, first.submitted_at, first.eta) == (job, '{"order":7}', EPOCH - 3.0, EPOCH + 5.0)
    assert (first.started_at, first.timeout, first.deadline, first.end) == (EPOCH, 60.0, EPOCH + 60.0, None)
    assert store.commits[0][2], "it is to survive the power going"


@pytest.mark.parametrize("how", ["await", "outcome", "updates", "as_completed", "gather", "outcomes"])
@virtual
async def test_an_outcome_is_on_disk_before_it_is_handed_out(how: str) -> None:
    """By whatever way it is taken; and that it is handed out is on disk before it is."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=2.0)
    seen: list[Any] = []

    async def take(client: StatusClient) -> None:
        if how == "await":
            await client.watch(job)
        elif how == "outcome":
            await client.watch(job).outcome()
        elif how == "updates":
            async for status in client.watch(job).updates():
                if status.is_terminal:
                    break
        elif how == "as_completed":
            async for _ in client.as_completed([job]):
                break
        elif how == "gather":
            await client.gather([job])
        else:
            await client.outcomes([job])
        seen.append(store.jobs()[str(job)].end)

    async with client_of(simulator, store=store) as client:
        await take(client)
    (end,) = seen
    assert end is not None
    assert end.handed_out
    assert await left(store, simulator) == [(job, JobState.COMPLETED, True)]


@virtual
async def test_nobody_hears_of_an_end_that_is_not_on_disk() -> None:
    """While the commit is under way no handle is done, no update is terminal, and no timeout or cancel overtakes it."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=2.0)
    async with client_of(simulator, store=store) as client:
        watch, other, short = client.watch(job), client.watch(job), client.watch(job, timeout=10.0)
        reported: list[bool] = []

        async def read() -> None:
            reported.extend([status.is_terminal async for status in other.updates()])

        reading = asyncio.create_task(read())
        await until(lambda: store.seen(watch.job))
        await store.hold().wait()
        await settle()
        assert watch.status is not None
        assert watch.status.is_terminal
        watch.cancel()
        short.on_timer()
        await settle()
        assert not watch.done()
        assert not short.done()
        assert not reported
        store.release()
        await reading
        assert reported[-1]
        assert (await watch).state is (await short).state is JobState.COMPLETED


@virtual
async def test_a_change_of_state_is_stored_and_a_change_of_progress_is_not() -> None:
    """Rows are written on change, not on every poll; these writes need not outlive a power failure."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_video(queue=30.0, duration=60.0)
    async with client_of(simulator, store=store, policy=SINGLY) as client:
        await client.watch(job)
    assert len(polls_of(simulator, job)) > 10
    written = [(row.status or "", row.end, flush) for rows, _, flush in store.commits for row in rows]
    words = [status.split('"status":"')[1].split('"')[0] for status, _, _ in written if status]
    assert words[-2:] == ["complete", "complete"]
    assert 2 <= len(words) <= 5
    assert [flush for status, end, flush in written if status and end is None] == [False] * (len(words) - 2)
    assert [flush for _, end, flush in written if end is not None] == [True, False]


# -- acknowledged -----------------------------------------------------------------------------------------------------


@virtual
async def test_in_a_loop_asking_for_more_acknowledges() -> None:
    """The one in hand is not acknowledged before; at the end of the loop all are, and that is on disk."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=1.0 + n) for n in range(3)]
    async with client_of(simulator, store=store) as client:
        async for outcome in client.as_completed(jobs):
            assert str(outcome.job) in store.jobs()
            assert not outcome.redelivered
        assert store.jobs() == {}
        await client.gather(jobs)
        async for outcome in client.resume():
            assert str(outcome.job) in store.jobs()
            assert outcome.redelivered
        assert store.jobs() == {}


@virtual
async def test_leaving_a_loop_leaves_the_rest() -> None:
    """What was in hand comes again, marked; what was not handed out comes unmarked, ended or not."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=duration) for duration in (1.0, 2.0, 2.0, 500.0)]
    async with client_of(simulator, store=store) as client:
        async with client.as_completed(jobs) as outcomes:
            assert (await anext(outcomes)).job == jobs[0]
            assert (await anext(outcomes)).job in jobs[1:3]
            await until(lambda: all(store.jobs()[str(job)].end for job in jobs[1:3]))
        reported = await left(store, simulator)
        assert sorted(redelivered for _, _, redelivered in reported) == [False, False, True]
        assert {job for job, _, _ in reported} == set(jobs[1:])
        assert {state for _, state, _ in reported} == {JobState.COMPLETED}


@virtual
async def test_a_clean_exit_acknowledges_what_was_handed_out() -> None:
    """Leaving ``async with watch`` in order means that its outcome is done with; leaving by an exception does not."""
    simulator, store = Simulator(), Spy()
    taken, raised, ignored = (simulator.add_image(duration=1.0) for _ in range(3))
    async with client_of(simulator, store=store) as client:
        async with client.watch(taken) as watch:
            await watch
            assert str(taken) in store.jobs()
        assert str(taken) not in store.jobs()
        with contextlib.suppress(ZeroDivisionError):
            async with client.watch(raised) as watch:
                await watch
                raise ZeroDivisionError
        async with client.watch(ignored) as watch:
            await until(watch.done)
    assert await left(store, simulator) == [(raised, JobState.COMPLETED, True), (ignored, JobState.COMPLETED, False)]


@virtual
async def test_an_outcome_is_acknowledged_by_hand() -> None:
    """Awaited or not, once or twice; each handle of the job may do it."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=1.0) for _ in range(3)]
    async with client_of(simulator, store=store) as client:
        first, second, third = await client.outcomes(jobs)
        assert len(store.jobs()) == 3
        await first.ack()
        assert str(jobs[0]) not in store.jobs()
        second.ack()
        second.ack()
        await second.ack()
        assert set(store.jobs()) == {str(jobs[2])}
        for useless in (pickle.loads(pickle.dumps(third)), copy.deepcopy(third)):  # noqa: S301  # our own
            assert useless == third
            await useless.ack()
        assert set(store.jobs()) == {str(jobs[2])}
    with pytest.raises(ConfigurationError, match="while its client is open"):
        third.ack()
    assert await left(store, simulator) == [(jobs[2], JobState.COMPLETED, True)]


@virtual
async def test_an_acknowledged_row_does_not_come_back() -> None:
    """Not by a second handle that is given the same outcome afterwards."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator, store=store) as client:
        first, second = client.watch(job), client.watch(job)
        await (await first.outcome()).ack()
        assert (await second.outcome()).state is JobState.COMPLETED
    assert store.jobs() == {}


@virtual
async def test_workers_acknowledge_each_their_own() -> None:
    """Several tasks may share a loop over outcomes: one that asks for more does not speak for the others."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=1.0) for _ in range(4)]
    async with client_of(simulator, store=store) as client:
        outcomes = client.as_completed(jobs)
        slow = asyncio.Event()
        held: list[JobRef | None] = []

        async def careful() -> None:
            held.append((await anext(outcomes)).job)
            await slow.wait()
            async for _ in outcomes:
                pass

        worker = asyncio.create_task(careful())
        await until(lambda: held)
        done = [outcome.job async for outcome in outcomes]
        assert len(done) == 3
        assert set(store.jobs()) == {str(held[0])}
        slow.set()
        await worker
        assert store.jobs() == {}


@virtual
async def test_a_caller_who_asks_anew_in_a_task_of_its_own_acknowledges() -> None:
    """As ``wait_for`` does around each step: a task that has ended is done with what it was given."""
    simulator, store = Simulator(), Spy()
    jobs = [simulator.add_image(duration=1.0) for _ in range(3)]
    async with client_of(simulator, store=store) as client:
        outcomes = client.as_completed(jobs)
        for place in range(3):
            await asyncio.create_task(anext(outcomes))
            assert len(store.jobs()) == 3 - place
        with pytest.raises(StopAsyncIteration):
            await anext(outcomes)
        assert store.jobs() == {}


@virtual
async def test_gathered_statuses_stay_until_they_are_resumed() -> None:
    """There is nothing to acknowledge a bare status with: ``outcomes`` gives what can be acknowledged."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator, store=store) as client:
        await client.gather([job])
        assert [outcome.redelivered async for outcome in client.resume()] == [True]
        assert store.jobs() == {}


@virtual
async def test_without_a_store_an_ack_does_nothing() -> None:
    """Code that acknowledges works with and without."""
    simulator = Simulator()
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator) as client:
        outcome = await client.watch(job).outcome()
        await outcome.ack()
        assert not outcome.redelivered
        with pytest.raises(ConfigurationError, match="without a store"):
            client.resume()
    outcome.ack()


# -- what is left open, and what is forgotten -------------------------------------------------------------------------


@virtual
async def test_only_a_cancel_forgets() -> None:
    """And only that of the last handle; dropping a handle, and leaving its block, keeps the row."""
    simulator, store = Simulator(), Spy()
    canceled, shared, dropped, block = (simulator.add_image(duration=100.0) for _ in range(4))
    async with client_of(simulator, store=store) as client:
        client.watch(canceled).cancel()
        watches = client.watch(shared), client.watch(shared)
        watches[0].cancel()
        client.watch(dropped).drop()
        async with client.watch(block):
            pass
        await until(lambda: len(store.jobs()) == 3)
        assert set(store.jobs()) == {str(shared), str(dropped), str(block)}
        watches[1].cancel()
        with pytest.raises(WatchCanceledError):
            await watches[1]
    assert set(store.jobs()) == {str(dropped), str(block)}


@virtual
async def test_a_cancel_before_the_row_is_written_forgets_it_too() -> None:
    """Whatever is under way, the last word counts; and no poll is wasted on it."""
    simulator, store = Simulator(), Spy()
    job, other = simulator.add_image(duration=100.0), simulator.add_image(duration=100.0)
    async with client_of(simulator, store=store) as client:
        waits = store.hold()
        client.watch(other).drop()
        watch = client.watch(job)
        await waits.wait()
        watch.cancel()
        store.release()
        await until(lambda: str(other) in store.jobs())
        await asyncio.sleep(1.0)
    assert set(store.jobs()) == {str(other)}
    assert simulator.log == ()


@virtual
async def test_the_ends_of_a_wait_leave_the_row_open() -> None:
    """A timeout, a refused key, a service that is down for long, the client's closing: the job is asked for again."""
    simulator, store = Simulator(), Spy()
    late, refused, down, closed = (
        simulator.add(kind, duration=700.0) for kind in ("video", "try-on", "image", "image")
    )
    simulator.add_fault("401", service="try-on", count=2)
    simulator.add_fault("503", job=down, until=90.0)
    policy = PollPolicy(sweep=False, give_up_after=60.0)
    async with client_of(simulator, store=store, policy=policy) as client:
        watches = [client.watch(job) for job in (refused, down, closed)]
        timed = client.watch(late, timeout=20.0)
        with pytest.raises(WatchTimeoutError):
            await timed
        with pytest.raises(AuthenticationError):
            await watches[0]
        with pytest.raises(ServerError):
            await watches[1]
    with pytest.raises(ClientClosedError):
        await watches[2]
    assert all(row.end is None for row in store.jobs().values())
    reported = await left(store, simulator)
    ends = {refused: JobState.COMPLETED, down: JobState.COMPLETED, closed: JobState.COMPLETED}
    assert sorted(reported) == sorted([(late, None, False), *((job, state, False) for job, state in ends.items())])


@virtual
async def test_what_a_service_says_of_a_job_is_an_outcome() -> None:
    """A failure, a job that is lost, unknown or forbidden: each comes again as the error it was."""
    simulator, store = Simulator(), Spy()
    failed = simulator.add_video(duration=1.0, outcome="failed", message="Too dark.", error_code="TOO_DARK")
    gone = simulator.add_image(duration=50.0, deleted_after=20.0)
    unknown = JobRef(JobKind.IMAGE, "00000000-0000-4000-8000-000000000000")
    jobs = [failed, gone, unknown]
    async with client_of(simulator, store=store, policy=SINGLY) as client:
        first = {outcome.job: outcome for outcome in await client.outcomes(jobs)}
    async with client_of(simulator, store=after_a_crash(store)) as client:
        async for outcome in client.resume():
            before = first[outcome.job]
            assert outcome.redelivered
            assert type(outcome.error) is type(before.error)
            assert str(outcome.error) == str(before.error)
            assert (outcome.state, outcome.polls, outcome.waited, outcome.detected_at) == (
                before.state,
                before.polls,
                before.waited,
                before.detected_at,
            )
            assert (outcome.status and outcome.status.status) == (before.status and before.status.status)
        assert client.stats().total_requests == 0
    assert {type(outcome.error) for outcome in first.values()} == {JobFailedError, JobLostError, NotFoundError}


@virtual
async def test_a_job_watched_anew_gets_a_fresh_poll_and_a_row_of_its_own() -> None:
    """The acknowledgement of an earlier watch does not touch the later one."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator, store=store) as client:
        first = await client.watch(job).outcome()
        asked = len(simulator.log)
        second = client.watch(job, tag="again")
        await first.ack()
        assert (await second.outcome()).tag == "again"
        assert len(simulator.log) > asked
        assert store.jobs()[str(job)].tag == '"again"'


@virtual
async def test_handles_on_one_job_share_a_row() -> None:
    """It keeps the first tag that was given, and the latest deadline."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=1000.0)
    async with client_of(simulator, store=store) as client:
        client.watch(job, timeout=10.0)
        client.watch(job, timeout=30.0, tag="a")
        client.watch(job, timeout=20.0, tag="b")
        await until(lambda: str(job) in store.jobs() and store.jobs()[str(job)].tag)  # the first handle had none
        row = store.jobs()[str(job)]
        assert (row.tag, row.timeout, row.deadline) == ('"a"', 30.0, EPOCH + 30.0)
        await asyncio.sleep(40.0)
        assert store.jobs()[str(job)].deadline is None
        client.watch(job, timeout=50.0).drop()
        client.watch(job, timeout=None)
        await until(lambda: store.jobs()[str(job)].timeout is None)


@virtual
async def test_a_tag_that_is_no_json_is_refused_at_the_door() -> None:
    """With a store; without one a tag is anything."""
    simulator = Simulator()
    job = simulator.add_image(duration=1.0)
    async with client_of(simulator, store=Spy()) as client:
        with pytest.raises(ConfigurationError, match="JSON"):
            client.watch(job, tag=object())
        assert sum(client.stats().watches.values()) == 0
    async with client_of(simulator) as client:
        tag = object()
        assert (await client.watch(job, tag=tag).outcome()).tag is tag


@virtual
async def test_a_watch_taken_over_a_crash_needs_no_second_registration() -> None:
    """A row that is there is not written again before its job is asked for."""
    simulator, store = Simulator(), Spy()
    job = simulator.add_image(duration=5.0)
    async with client_of(simulator, store=store) as client:
        client.watch(job)
        await until(store.jobs)
    again = Spy(after_a_crash(store))
    async with client_of(simulator, store=again) as client:
        async for outcome in client.resume():
            assert outcome.state is JobState.COMPLETED
            assert outcome.waited == pytest.approx(5.0, abs=1.0)
    assert again.commits[0][0][0].status is not None


@virtual
async def test_store_errors_are_of_the_tree() -> None:
    """They name the file, pickle, and say what is wrong."""
    error = StoreError("the disk is full", path="/data/w.db")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert (str(again), again.path) == ("/data/w.db: the disk is full", "/data/w.db")
    assert str(StoreError("is closed")) == "is closed"
