"""Failures by reason, and what is wrong with the services, in sentences."""

from __future__ import annotations

from itertools import islice, product
from string import ascii_letters

import attrs
from hypothesis import given
from hypothesis import strategies as st

from topaz_status import JobKind
from topaz_status.cli.failures import MOST_REASONS, OTHER_REASONS, Failure, FailureCounts
from topaz_status.cli.service_notes import ServiceNotes
from topaz_status.session.statistics import StoreStats

from .pictures import STATS, shared


def _counted(*texts: str) -> FailureCounts:
    failures = FailureCounts()
    for text in texts:
        failures.add(text)
    return failures


def test_failures_with_one_reason_are_one_line() -> None:
    """Ids and numbers in the texts differ from job to job, and mean nothing for the reason."""
    first, second = "failed: job 7f3a-01 is too large (42.5 MB)", "failed: job 9c2b-77 is too large (17 MB)"
    assert _counted(first).top(5) == [Failure(first, 1)]
    assert _counted(first, first).top(5) == [Failure(first, 2)]
    assert _counted(first, second, "lost").top(5) == [
        Failure("failed: job … is too large (… MB)", 2),
        Failure("lost", 1),
    ]


def test_the_most_frequent_reasons_come_first() -> None:
    """So many as are asked for."""
    failures = _counted("lost", "failed: dark", "failed: dark", "expired", "failed: dark", "expired")
    assert failures.top(2) == [Failure("failed: dark", 3), Failure("expired", 2)]


def test_reasons_hold_no_links_and_stay_on_one_line() -> None:
    """A service's text may hold anything."""
    (failure,) = _counted("failed: see\nhttps://x.test/a?sig=5ecr3t \x1b[2J").top(1)
    assert "5ecr3t" not in failure.text
    assert failure.text.isprintable()


@given(st.lists(st.sampled_from(ascii_letters).map(lambda one: one * 3), max_size=300), st.integers(0, 300))
def test_memory_is_bounded_and_no_failure_is_left_out(texts: list[str], more: int) -> None:
    """Beyond a number of reasons, new ones are counted together."""
    texts += ["".join(pair) for pair in islice(product(ascii_letters, repeat=2), more)]
    failures = _counted(*texts)
    top = failures.top(10**6)
    assert len(top) == min(len(set(texts)), MOST_REASONS + 1)
    assert sum(failure.count for failure in top) == len(texts)
    assert (OTHER_REASONS in {failure.text for failure in top}) is (len(set(texts)) > MOST_REASONS)


class TestNotes:
    def test_nothing_wrong_is_no_note(self) -> None:
        """Ceilings that differ by kind are no trouble."""
        notes = ServiceNotes()
        assert notes.of(attrs.evolve(STATS, rates={**STATS.rates, JobKind.TRY_ON: 5.0})) == []

    def test_each_trouble_has_a_sentence(self) -> None:
        """A service that is down, a pause, a store that fails, a budget that is too small, a server out of reach."""
        notes = ServiceNotes().of(
            attrs.evolve(
                STATS,
                down={**STATS.down, JobKind.IMAGE: 12.0},
                held={**STATS.held, JobKind.TRY_ON: 30.0},
                store=StoreStats(waiting=1, down=5.0, taken_over=0, claimed=0),
                overdue=90.0,
                shared=attrs.evolve(shared(), role="alone", alone_for=3.0),
            )
        )
        assert notes == [
            "the image service has been down for 12.0 s",
            "the try-on service asked for a pause of another 30.0 s",
            "the store has failed for 5.0 s; outcomes wait for it",
            "the budget is too small for these jobs: polls are late by 1 min 30 s",
            "this process polls alone: the shared server has been out of reach for 3.0 s",
        ]

    def test_a_process_that_is_alone_blames_no_429(self) -> None:
        """Its rates are lower because it has only its share."""
        notes = ServiceNotes()
        notes.of(STATS)
        alone = attrs.evolve(STATS, rates=dict.fromkeys(JobKind, 2.5), shared=attrs.evolve(shared(), role="alone"))
        assert [note[:17] for note in notes.of(alone)] == ["this process poll"]

    def test_a_rate_that_429s_have_lowered_is_compared_with_the_one_before(self) -> None:
        """Until it has grown again."""
        notes = ServiceNotes()
        lowered = attrs.evolve(STATS, rates={**STATS.rates, JobKind.IMAGE: 2.5})
        assert notes.of(STATS) == []
        assert notes.of(lowered) == ["429s have lowered rates: image to 2.5 of 10/s"]
        assert notes.limit == 10.0
        assert notes.of(STATS) == []
