"""What life tables have learned survives as bytes, and no bytes spoil what was learned."""

from __future__ import annotations

import random
import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.prediction.life_tables import BINS, Lifetimes
from topaz_status.core.prediction.saved_tables import MOST_TABLE_BYTES, dump_lifetimes, merge_lifetimes
from topaz_status.core.prediction.sources import Source
from topaz_status.models.job import JobKind

XS = [2.0**k for k in range(-6, 20)]


def taught(seed: int, lives: int) -> Lifetimes:
    """Lifetimes that have learned from random jobs of every kind, source and size."""
    dice, lifetimes = random.Random(seed), Lifetimes()
    for _ in range(lives):
        table = lifetimes.table(dice.choice(list(JobKind)), dice.choice(list(Source)), dice.uniform(0.5, 600_000.0))
        x0 = dice.expovariate(1.0)
        (table.died if dice.random() < 0.3 else table.lived)(x0, x0 + dice.expovariate(0.1))
        lifetimes.first_poll(dice.choice(list(JobKind)), float(dice.random() < 0.2))
    return lifetimes


def test_a_copy_believes_the_same() -> None:
    """Merged into an empty one, the tables give the same hazards, and the same chance of being over at first."""
    first, second = taught(1, 3_000), Lifetimes()
    body = dump_lifetimes(first)
    assert merge_lifetimes(second, body) == len(list(first.learned()))
    known = dict(second.learned())
    for key, table in first.learned():
        table.adopt(*table.counts())  # so that its curve shows all that it knows
        for x in XS:
            assert known[key].curve.hazard_before(x) == pytest.approx(table.curve.hazard_before(x), rel=0.02, abs=1e-3)
    for kind in JobKind:
        assert second.over_at_first(kind) == pytest.approx(first.over_at_first(kind))


def test_what_has_learned_more_stays() -> None:
    """A table replaces one that has learned less, and never one that has learned more; merging twice adds nothing."""
    small, great = dump_lifetimes(taught(1, 300)), taught(2, 30_000)
    assert merge_lifetimes(great, small) == 0
    assert merge_lifetimes(great, dump_lifetimes(great)) == 0


def test_the_bytes_are_bounded() -> None:
    """However much was learned, the bytes fit into what a server saves."""
    assert len(dump_lifetimes(taught(3, 60_000))) <= MOST_TABLE_BYTES


def _packed(value: object) -> bytes:
    return zlib.compress(orjson.dumps(value))


@given(st.binary(max_size=200) | st.binary(max_size=200).map(zlib.compress))
def test_unreadable_bytes_teach_nothing(body: bytes) -> None:
    """Arbitrary bytes leave everything as it is."""
    lifetimes = taught(1, 100)
    before = dump_lifetimes(lifetimes)
    assert merge_lifetimes(lifetimes, body) == 0
    assert dump_lifetimes(lifetimes) == before


@pytest.mark.parametrize(
    "counts",
    [
        [1e6, [1.0] * BINS, [1.0] * BINS, [1.0] * (BINS - 1)],
        [1e6, [-1.0] * BINS, [1.0] * BINS, [1.0] * BINS],
        [1e6, ["x"] * BINS, [1.0] * BINS, [1.0] * BINS],
        [1e6, [1e300] * BINS, [1.0] * BINS, [1.0] * BINS],
        [None, [1.0] * BINS, [1.0] * BINS, [1.0] * BINS],
        [1e6],
        7,
    ],
)
def test_absurd_tables_teach_nothing(counts: object) -> None:
    """Counts that no table has are refused."""
    assert merge_lifetimes(Lifetimes(), _packed([1, {}, [["image", 0, 1, counts]]])) == 0


@pytest.mark.parametrize("row", [["image", 0, 99], ["image", 99, 1], ["sound", 0, 1], ["image", 0, "1"]])
def test_unknown_tables_teach_nothing(row: list[object]) -> None:
    """A table of no known kind, source or size is refused."""
    counts = [1e6, [1.0] * BINS, [1.0] * BINS, [1.0] * BINS]
    assert merge_lifetimes(Lifetimes(), _packed([1, {}, [[*row, counts]]])) == 0


def test_a_bomb_is_not_expanded() -> None:
    """A few bytes that expand to many are refused before they do."""
    assert merge_lifetimes(Lifetimes(), zlib.compress(b"[" * 60_000_000)) == 0
