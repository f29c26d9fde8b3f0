"""A lazy status says what decoding at once would have said; only a job that goes on has one that is not decoded."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import attrs
import pytest
from documented_bodies import IMAGE
from hypothesis import given
from hypothesis import strategies as st

from topaz_status import JobKind, JobRef
from topaz_status.core.observation import Observation
from topaz_status.core.wire.decode import decode_image, pack, parse_json
from topaz_status.core.wire.lazy import LazyPage, LazyStatus, PageReader, peek, read_answer
from topaz_status.core.wire.list_page import decode_list_page
from topaz_status.core.wire.observe import observe_status

JOB = JobRef(JobKind.IMAGE, "d7b3e7a1-0000-4000-8000-00000000000a")
NOW = 1_740_000_000.0
PROMISED: dict[str, Any] = {
    "process_id": JOB.id,
    "status": "Processing",
    "progress": 40,
    "eta": NOW + 12,
    "creation_time": NOW - 30,
    "modification_time": NOW - 1,
}
FIELDS = [field.name for field in attrs.fields(Observation)]
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),  # what a parser makes integers of; the others are floats
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(min_value=NOW - 1e6, max_value=NOW + 1e6),
    st.text(max_size=8),
    st.sampled_from([JOB.id, JOB.id.upper(), "Pending", "Processing", "processing ", "Completed", "40", []]),
)


JOBS = [JobRef(JobKind.IMAGE, f"d7b3e7a1-0000-4000-8000-{number:012x}") for number in range(8)]
NESTED: Any = json.loads("[" * 280 + "]" * 280)
"""It can be parsed, and not written."""


def is_peeked(data: object) -> bool:
    return peek(data, JOB, NOW, b"") is not None


@given(
    changes=st.dictionaries(st.sampled_from([*PROMISED, "credits", "filename", "surprise"]), values),
    without=st.sets(st.sampled_from([*PROMISED])),
)
def test_a_lazy_status_is_what_decoding_would_have_said(changes: dict[str, Any], without: set[str]) -> None:
    """For any body that is not decoded at once, decoding succeeds later and says the same."""
    body = pack({key: value for key, value in (PROMISED | changes).items() if key not in without})
    peeked = peek(parse_json(body), JOB, NOW, body)
    if peeked is None:
        return
    seen, lazy = peeked
    status = decode_image(parse_json(body), JOB)
    assert (lazy.word, lazy.progress, lazy.state, lazy.result_url) == (
        status.status,
        status.progress,
        status.state,
        None,
    )
    assert lazy.get() == status
    assert (lazy.state, lazy.result_url) == (status.state, status.result_url)
    assert not status.is_terminal
    in_full = observe_status(status, job=JOB, service_now=NOW)
    assert {name: getattr(seen, name) for name in FIELDS} == {name: getattr(in_full, name) for name in FIELDS}


@given(st.recursive(values, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=5))
def test_anything_else_is_decoded_at_once(data: object) -> None:
    """A body that names no job, or another job, is decoded at once."""
    assert not is_peeked(data)


def test_the_documented_body_is_not_decoded_at_once() -> None:
    """The most common answer is not decoded at once."""
    job = JobRef(JobKind.IMAGE, IMAGE["process_id"])
    assert peek(IMAGE | {"status": "Processing"}, job, NOW, b"") is not None


def test_a_status_is_decoded_once() -> None:
    """Readers share it."""
    _, lazy = read_answer(JOB, pack(PROMISED), NOW)
    assert lazy.get() is lazy.get()


def test_an_item_held_apart_takes_memory_of_its_own_size() -> None:
    """No reserve of whatever wrote it: a client holds a hundred thousand such statuses."""
    statuses = [LazyStatus("Processing", 40.0, LazyPage(b"[]")) for _ in range(100)]
    tracemalloc.start()
    try:
        for status in statuses:
            status.detach([PROMISED])
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken <= len(statuses) * (len(pack(PROMISED)) + 100)


def test_readers_hear_of_another_word_progress_or_link() -> None:
    """No other field of a status makes a change."""
    ended = decode_image({**PROMISED, "status": "Completed", "progress": 100}, JOB)
    lazy = LazyStatus.of(ended)
    assert not lazy.differs(LazyStatus.of(attrs.evolve(ended, credits=7)))
    assert lazy.differs(LazyStatus("Processing", 100.0, ended))
    assert lazy.differs(LazyStatus("Completed", 99.0, ended))
    video = JobRef(JobKind.VIDEO, "d7b3e7a1-0000-4000-8000-00000000000b")
    link = {"download": {"url": "https://storage.test/1", "expiresIn": 60}}
    bodies = [pack({"status": "complete", **more}) for more in ({}, link)]
    [without, with_link] = [read_answer(video, body, NOW)[1] for body in bodies]
    assert with_link.result_url
    assert with_link.differs(without)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "Completed"},
        {"status": "Failed"},
        {"status": "Cancelled"},
        {"status": "Sleeping"},
        {"status": None},
        {"process_id": None},
        {"process_id": JOB.id.upper()},
        {"progress": 101},
        {"progress": "40"},
        {"progress": True},
        {"eta": "soon"},
        {"eta": 1e300},
        {"creation_time": False},
    ],
    ids=str,
)
def test_what_is_not_as_promised_is_decoded_at_once(change: dict[str, Any]) -> None:
    """One field is enough."""
    assert is_peeked(PROMISED)
    assert not is_peeked(PROMISED | change)


def items_of(surprises: list[object]) -> list[dict[str, Any]]:
    return [
        {**IMAGE, "process_id": job.id, "status": "Processing", "progress": number, "surprise": surprise}
        for number, (job, surprise) in enumerate(zip(JOBS, surprises, strict=False))
    ]


@given(
    surprises=st.lists(st.sampled_from([None, "ü", {"a": []}, 2**70, NESTED]), min_size=1, max_size=len(JOBS)),
    bare=st.booleans(),
    asked=st.lists(st.integers(0, len(JOBS) - 1), max_size=12),
    foreign=st.sampled_from([0, 100]),
)
def test_an_item_of_a_page(surprises: list[object], bare: bool, asked: list[int], foreign: int) -> None:
    """The order and number of reads do not matter, even if most of the page is about other jobs."""
    items = items_of(surprises)
    body = json.dumps(
        [*items, *[IMAGE] * foreign] if bare else {"data": ["no job", *items, *[IMAGE] * foreign]}
    ).encode()
    page = decode_list_page(JobKind.IMAGE, parse_json(body))
    reader = PageReader(page, body, NOW)
    mine = {job.id: job for job in JOBS}
    readings = [reader.read(index, item, mine[job_id]) for index, job_id, item in page if job_id in mine]
    reader.unshare()
    for number in asked:
        if number < len(items):
            seen, lazy = readings[number]
            assert seen.job == JOBS[number]
            assert lazy is not None
            assert lazy.get() == decode_image(items[number], JOBS[number])


@given(surprise=st.sampled_from([None, "ü", NESTED]))
def test_an_item_that_is_held_apart(surprise: object) -> None:
    """It releases its page."""
    [item] = items_of([surprise])
    lazy = LazyStatus("Processing", 0.0, LazyPage(b"[]"), 0)
    lazy.detach([item])
    assert lazy.get() == decode_image(item, JOBS[0])
