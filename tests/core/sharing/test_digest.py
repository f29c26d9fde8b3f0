"""Two sides that hold the same find out that they do, and find out when they do not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from topaz_status import JobKind, JobRef
from topaz_status.core.sharing.digest import Claims, Digest, Summary, fingerprint


def mark(number: int) -> int:
    """The fingerprint of some registration."""
    return fingerprint(JobRef(JobKind.IMAGE, f"job-{number}"), number)


def test_fingerprints_are_the_same_everywhere() -> None:
    """A hash is part of the format: another process, and a later version, computes the same one."""
    assert fingerprint(JobRef(JobKind.IMAGE, "ABC"), 7) == fingerprint(JobRef(JobKind.IMAGE, "abc"), 7)
    assert fingerprint(JobRef(JobKind.TRY_ON, "ABC"), 7) != fingerprint(JobRef(JobKind.TRY_ON, "abc"), 7)
    assert len({mark(number) for number in range(1000)}) == 1000


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60), st.data())
def test_mail_under_way_is_no_disagreement(steps: list[tuple[int, bool]], data: st.DataObject) -> None:
    """The leader agrees at any time that it has read the messages in order, however far behind it is."""
    claims, leader, held, read = Claims(), Digest(), set[int](), 0
    under_way: list[tuple[int, list[tuple[int, bool]]]] = []
    message: list[tuple[int, bool]] = []
    for number, (job, ends_message) in enumerate(steps, 1):
        adds = job not in held
        (held.add if adds else held.remove)(job)
        (claims.claim if adds else claims.give_up)(mark(job))
        message.append((job, adds))
        if ends_message:
            claims.seal(number)
            under_way.append((number, message))
            message = []
        for _ in range(data.draw(st.integers(0, len(under_way)))):
            read, changes = under_way.pop(0)
            for changed, added in changes:
                (leader.add if added else leader.remove)(mark(changed))
        assert claims.agrees(read, leader.summary())


def test_a_lost_message_shows_at_the_second_digest() -> None:
    """What the leader has not heard is found out; the first disagreement may be a matter of timing."""
    claims, leader = Claims(), Digest()
    claims.claim(mark(1))
    claims.seal(1)
    claims.claim(mark(2))
    claims.seal(2)
    leader.add(mark(2))
    assert claims.agrees(2, leader.summary())
    assert not claims.agrees(2, leader.summary())
    claims.forget()
    assert claims.agrees(2, Summary(0, 0))


def test_an_end_is_held_by_nobody() -> None:
    """An end that was heard leaves both sides equal."""
    claims = Claims()
    claims.claim(mark(1))
    claims.seal(1)
    claims.heard_end(mark(1))
    assert claims.agrees(1, Summary(0, 0))
