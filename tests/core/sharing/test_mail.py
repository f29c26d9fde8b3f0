"""Mail says the same to its reader as to its writer, and nothing that anybody writes harms the reader."""

from __future__ import annotations

import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status import JobKind, JobRef
from topaz_status.core.sharing.digest import Summary
from topaz_status.core.sharing.mail import (
    LARGEST_STATUS,
    MOST_ITEMS,
    MOST_MAIL_BYTES,
    Anew,
    Answered,
    BadMailError,
    Complete,
    Deleted,
    Ended,
    Held,
    Item,
    Left,
    Noticed,
    Registered,
    Vacant,
    bundles,
    read_mail,
    write_mail,
)

ids = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=256)
jobs = st.builds(JobRef, st.sampled_from(JobKind), ids)
numbers = st.integers(0, 2**53)
spans = st.floats(0.0, 1e6)
bodies = st.dictionaries(st.text(max_size=9), st.integers(0, 99) | st.text(max_size=9), max_size=4).map(orjson.dumps)
items: st.SearchStrategy[Item] = st.one_of(
    st.builds(Registered, jobs, numbers, spans, st.none() | st.floats(-1e5, 6e5), spans, st.none() | spans),
    st.builds(Left, jobs, numbers),
    st.builds(Noticed, jobs, st.none() | st.text(max_size=40)),
    st.builds(Deleted, st.none() | st.builds(JobRef, st.just(JobKind.IMAGE), ids)),
    st.just(Anew()),
    st.just(Complete()),
    st.just(Vacant()),
    st.builds(Answered, jobs, numbers, bodies, spans, spans),
    st.builds(Ended, jobs, numbers, st.none() | bodies, spans, st.text(max_size=200)),
    st.builds(Ended, jobs, numbers, bodies, spans, st.none()),
    st.builds(
        Held,
        numbers,
        st.builds(Summary, numbers, st.integers(0, 2**64 - 1)),
        st.dictionaries(st.sampled_from(JobKind), spans, max_size=3),
    ),
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["w", "u", "n", "r", "k", "s", "e", "d", "image", "try-on"]),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=30,
)


@given(st.lists(items, max_size=20), numbers, st.text(max_size=24), numbers, st.floats(0.0, 2e9))
def test_what_is_written_is_read(sent: list[Item], epoch: int, sender: str, number: int, at: float) -> None:
    """Every item comes back equal, in its order."""
    mail = read_mail(write_mail(epoch, sender, number, at, sent))
    assert (mail.epoch, mail.sender, mail.number, mail.at, mail.bad) == (epoch, sender, number, at, 0)
    assert list(mail.items) == sent


def _read(body: bytes) -> None:
    try:
        mail = read_mail(body)
    except BadMailError:
        return
    assert len(mail.items) + mail.bad <= MOST_ITEMS


@given(st.binary(max_size=300) | anything.map(orjson.dumps))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing but one error comes out of arbitrary bytes."""
    _read(body)


@given(st.lists(anything, max_size=6), anything, anything)
def test_any_item_is_read_or_counted(sent: list[object], number: object, at: object) -> None:
    """A proper envelope with arbitrary items and numbers does no harm either."""
    _read(orjson.dumps([1, 5, "me", number, at, sent]))


@pytest.mark.parametrize(
    "item",
    [
        ["w", "image", "..", 1, 0.0, None, 0.0, None],
        ["w", "image", "x" * 257, 1, 0.0, None, 0.0, None],
        ["w", "image", "a b", 1, 0.0, None, 0.0, None],
        ["w", "sound", "x", 1, 0.0, None, 0.0, None],
        ["w", "image", "x", -1, 0.0, None, 0.0, None],
        ["w", "image", "x", 1, -1.0, None, 0.0, None],
        ["w", "image", "x", 1, 0.0, 1e12, 0.0, None],
        ["s", "image", "x", 1, None, 0.0, 0.0],
        ["s", "image", "x", 1, [], 0.0, 0.0],
        ["s", "image", "x", 1, {"status": "x" * LARGEST_STATUS}, 0.0, 0.0],
        ["d", 1, 1, "zz", {}],
        ["d", 1, 1, "-f", {}],
        ["d", 1, 1, "f", []],
        ["u", "image"],
        [],
        7,
    ],
)
def test_unusable_items_are_counted(item: object) -> None:
    """A job that no request may name, and a value of the wrong kind, are dropped; the other items are read."""
    mail = read_mail(orjson.dumps([1, 5, "me", 1, 0.0, [item, ["u", "image", "x", 1]]]))
    assert (list(mail.items), mail.bad) == ([Left(JobRef(JobKind.IMAGE, "x"), 1)], 1)


def test_newer_items_are_skipped_and_other_versions_refused() -> None:
    """A member of a newer version may say more, also at an item's end; one of another format is not read at all."""
    mail = read_mail(orjson.dumps([1, 5, "me", 1, 0.0, [["zzz", 1, 2]], "more"]))
    assert (list(mail.items), mail.bad) == ([], 0)
    with pytest.raises(BadMailError):
        read_mail(orjson.dumps([2, 5, "me", 1, 0.0, []]))
    with pytest.raises(BadMailError):
        read_mail(b" " * (MOST_MAIL_BYTES + 1))
    with pytest.raises(BadMailError):
        read_mail(orjson.dumps([1, 5, "me", 1, 0.0, [["r"]] * (MOST_ITEMS + 1)]))


@given(st.lists(items, max_size=20))
def test_more_parts_at_the_end_of_an_item_are_skipped(sent: list[Item]) -> None:
    """So a newer version may say more of a job, and an older one still reads what it knows."""
    *envelope, written = orjson.loads(write_mail(5, "me", 1, 0.0, sent))
    mail = read_mail(orjson.dumps([*envelope, [[*item, "more", None] for item in written]]))
    assert (list(mail.items), mail.bad) == (sent, 0)


def test_a_status_that_was_read_takes_its_own_size() -> None:
    """No reserve of whatever wrote it: a follower keeps the last status of each of its jobs."""
    item = Answered(JobRef(JobKind.IMAGE, "x"), 1, orjson.dumps({"status": "Processing"}), 1e9, 0.0)
    body = write_mail(5, "me", 1, 0.0, [item] * 100)
    tracemalloc.start()
    try:
        mail = read_mail(body)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken <= len(mail.items) * 1_000


@given(st.lists(st.integers(1, LARGEST_STATUS - 20), max_size=60), st.integers(0, 1200))
def test_bundles_are_within_the_bounds(sizes: list[int], small: int) -> None:
    """All items are in some message, in their order, and no message is too long to be read."""
    job = JobRef(JobKind.IMAGE, "x" * 256)
    sent: list[Item] = [Answered(job, 2**62, b'{"a":"' + b"x" * size + b'"}', 1e9, 1e5) for size in sizes]
    sent += [Left(job, number) for number in range(small)]
    found = list(bundles(sent))
    assert [item for bundle in found for item in bundle] == sent
    assert all(len(bundle) <= MOST_ITEMS for bundle in found)
    assert all(len(write_mail(2**62, "m" * 24, 2**62, 1e9, bundle)) <= MOST_MAIL_BYTES for bundle in found)
