"""Were the jobs deleted, or does the service not know its own jobs? Decided from literal times, and from any history."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.health.wave import CROWD, ENOUGH, LONG_MINUTE, MANY, OTHERS, Wave
from topaz_status.models.job import JobKind, JobRef

JOBS = [JobRef(JobKind.IMAGE, f"job-{number}") for number in range(2000)]


def show(wave: Wave, jobs: list[JobRef], now: float) -> None:
    """Show each job by one answer."""
    for job in jobs:
        wave.answered()
        wave.saw(job, now)


def miss(wave: Wave, jobs: list[JobRef], now: float) -> list[bool]:
    """Answer all jobs with a 404."""
    return [wave.missed(job, now) for job in jobs]


def test_two_404s_and_eight_others_agree() -> None:
    """Ten answers in a row are needed: the job's own 404s and answers that show other jobs."""
    wave = Wave()
    miss(wave, JOBS[:1], 100.0)
    assert wave.lacks(2) == ENOUGH - 2
    show(wave, JOBS[1:8], 100.5)
    assert not wave.believes(2, 100.0, 101.0)
    assert wave.lacks(2) == 1
    show(wave, JOBS[8:9], 100.6)
    assert wave.believes(2, 100.0, 101.0)


def test_404s_alone_are_not_enough() -> None:
    """Whatever the number of 404s, some answers must show other jobs."""
    wave = Wave()
    miss(wave, JOBS[:1], 100.0)
    assert not wave.believes(100, 100.0, 500.0)
    show(wave, JOBS[1 : 1 + OTHERS], 500.0)
    assert wave.believes(100, 100.0, 500.0)


def test_another_job_that_goes_missing_starts_the_count_again() -> None:
    """Answers before it say nothing about the service since."""
    wave = Wave()
    miss(wave, JOBS[:1], 100.0)
    show(wave, JOBS[2:20], 100.5)
    miss(wave, JOBS[1:2], 100.6)
    assert not wave.believes(2, 100.0, 101.0)


def test_a_job_that_comes_back_takes_404s_their_credit_for_a_minute() -> None:
    """If one 404 was wrong, others may be wrong as well."""
    wave = Wave()
    miss(wave, JOBS[:2], 100.0)
    show(wave, JOBS[1:30], 110.0)
    assert not wave.is_calm(100.0, 110.0 + LONG_MINUTE - 0.1)
    assert wave.is_calm(100.0, 110.0 + LONG_MINUTE)


def test_a_wave_is_reported_once() -> None:
    """The third missing job reports it; it is reported again only after a long minute without a wave."""
    wave = Wave()
    assert miss(wave, JOBS[:5], 100.0) == [False, False, True, False, False]
    show(wave, JOBS[:5], 110.0)
    assert not any(miss(wave, JOBS[:5], 120.0))
    show(wave, JOBS[:5], 130.0)
    assert any(miss(wave, JOBS[:5], 300.0))


def test_a_fifth_of_those_heard_of_is_a_wave() -> None:
    """A smaller share is no wave, unless it is a crowd."""
    wave = Wave()
    miss(wave, JOBS[:MANY], 100.0)
    show(wave, JOBS[MANY : MANY + 4 * MANY], 101.0)
    assert wave.goes_on
    show(wave, JOBS[100:101], 101.0)
    assert not wave.goes_on
    miss(wave, JOBS[200 : 200 + CROWD], 102.0)
    show(wave, JOBS[300:], 103.0)
    assert wave.goes_on


def test_a_wave_in_which_others_are_shown_is_believed_after_a_minute() -> None:
    """Somebody deleted three records of ten. They are not believed while others go missing, or if no job is shown."""
    wave = Wave()
    miss(wave, JOBS[:MANY], 100.0)
    show(wave, JOBS[3:10], 130.0)
    assert not wave.believes(9, 100.0, 100.0 + LONG_MINUTE - 0.1)
    assert wave.believes(9, 100.0, 100.0 + LONG_MINUTE)
    other = Wave()
    miss(other, JOBS[:MANY], 100.0)
    assert not other.believes(99, 100.0, 9999.0)


def test_the_last_of_a_wave_is_in_it() -> None:
    """The end of the other watches proves nothing."""
    wave = Wave()
    miss(wave, JOBS[:5], 100.0)
    for at in range(101, 1000, 10):
        miss(wave, JOBS[:1], float(at))
    assert len(wave.missing) == 1
    assert not wave.is_calm(100.0, 1000.0)


def test_what_is_watched_no_more_is_forgotten() -> None:
    """A job that is not polled any more does not count as missing."""
    wave = Wave()
    miss(wave, JOBS[:MANY], 100.0)
    miss(wave, JOBS[9:10], 100.0 + LONG_MINUTE + 0.1)
    assert list(wave.missing) == JOBS[9:10]


def kinds() -> tuple[Wave, Wave, list[JobRef]]:
    """The waves of images and of videos, with one over both, and some videos."""
    wider = Wave()
    return Wave(wider), Wave(wider), [JobRef(JobKind.VIDEO, job.id) for job in JOBS]


def test_few_of_each_kind_are_a_wave_together() -> None:
    """Two images and two videos that are all missing are not believed; the wider wave is reported once, and ends."""
    images, videos, others = kinds()
    images.few = videos.few = True
    found = miss(images, JOBS[:2], 100.0) + miss(videos, others[:2], 100.0)
    assert found == [False, False, True, False]
    for wave in (images, videos):
        assert (wave.goes_on, wave.extent, wave.lacks(2)) == (True, 4, 0)
        assert not wave.is_calm(100.0, 500.0)
    show(images, JOBS[:2], 110.0)
    show(videos, others[:2], 110.0)
    assert not images.goes_on
    assert images.is_calm(200.0, 200.0)


def test_answers_about_any_kind_bear_out_the_404s_of_a_kind_that_has_few_jobs() -> None:
    """If many jobs of the kind are watched, only answers about the kind confirm it."""
    images, videos, others = kinds()
    miss(images, JOBS[:1], 100.0)
    show(videos, others[: ENOUGH - 2], 100.5)
    assert (images.lacks(2), images.believes(2, 100.0, 101.0)) == (ENOUGH - 2, False)
    images.few = True
    assert (images.lacks(2), images.believes(2, 100.0, 101.0)) == (0, True)


def test_a_kind_that_is_well_has_no_part_in_the_others_wave() -> None:
    """Services fail separately: so many images are shown that a missing one is believed, whatever the videos do."""
    images, videos, others = kinds()
    miss(videos, others[:20], 100.0)
    miss(images, JOBS[:1], 101.0)
    show(images, JOBS[1:5], 101.5)
    assert images.goes_on
    show(images, JOBS[5:9], 101.5)
    assert not images.goes_on
    assert images.believes(2, 101.0, 102.0)


def test_a_kinds_own_wave_counts_beside_many_living_jobs_of_another() -> None:
    """Three missing images are an outage of images, however many videos are shown."""
    images, videos, others = kinds()
    miss(images, JOBS[:MANY], 100.0)
    show(videos, others[:500], 101.0)
    assert (images.goes_on, videos.goes_on, images.extent) == (True, False, MANY)
    assert not images.believes(9, 100.0, 500.0)


@given(st.data())
def test_nobody_is_believed_gone_while_nothing_else_is_answered(data: st.DataObject) -> None:
    """After any history, 404s alone, of three jobs or more in any order, end no job."""
    wave, now = Wave(), 0.0
    for _ in range(data.draw(st.integers(0, 30))):
        now += data.draw(st.floats(0.0, 40.0))
        job = JOBS[data.draw(st.integers(0, 5))]
        (show if data.draw(st.booleans()) else miss)(wave, [job], now)
    since: dict[JobRef, float] = {}
    misses = dict.fromkeys(JOBS[:6], 0)
    show(wave, JOBS[:6], now)
    for _ in range(data.draw(st.integers(0, 60))):
        now += data.draw(st.floats(0.0, 20.0))
        job = JOBS[data.draw(st.integers(0, 5))]
        since.setdefault(job, now)
        misses[job] += 1
        wave.missed(job, now)
        assert not wave.believes(misses[job], since[job], now)


@given(st.integers(MANY, 40), st.floats(0.05, 0.95), st.integers(0, 10**6))
def test_at_random_nobody_is_believed_gone_once_one_has_come_back(count: int, share: float, seed: int) -> None:
    """While answers are 404 at random, jobs come back all the time, and no 404 is believed."""
    dice, wave, now = random.Random(seed), Wave(), 0.0
    since: dict[JobRef, float] = {}
    misses: dict[JobRef, int] = {}
    returned_at = None
    for _ in range(400):
        now += 1.0
        job = JOBS[dice.randrange(count)]
        if dice.random() < share:
            since.setdefault(job, now)
            misses[job] = misses.get(job, 0) + 1
            wave.missed(job, now)
            if returned_at is not None and now - returned_at < LONG_MINUTE:
                assert not wave.believes(misses[job], since[job], now)
        else:
            if job in wave.missing:
                returned_at = now
            show(wave, [job], now)
            since.pop(job, None)
            misses.pop(job, None)


@given(st.integers(0, 40), st.integers(1, 60))
def test_a_job_that_alone_is_gone_is_believed_gone(others: int, seconds: int) -> None:
    """It is believed as soon as ten answers agree."""
    wave = Wave()
    miss(wave, JOBS[:1], 100.0)
    show(wave, JOBS[1 : 1 + others], 100.0 + seconds)
    assert wave.believes(2, 100.0, 100.0 + seconds) is (others >= ENOUGH - 2)
