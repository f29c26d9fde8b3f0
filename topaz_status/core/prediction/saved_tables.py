"""Life tables as bytes, so that what one process has learned of jobs outlives it.

The bytes are compressed JSON. They come from a server that others can write to, so they are bounded and checked. What
cannot be read has taught nothing.
"""

from __future__ import annotations

import math
import zlib
from typing import Any, Final

import orjson

from ...models.job import JobKind
from .life_tables import BINS, FIRST_POLLS, Lifetimes
from .sources import SOONEST, Source, class_bounds

TABLES_VERSION: Final = 1
MOST_TABLE_BYTES: Final = 65_536
"""Most compressed bytes."""
MOST_TABLES: Final = 160
"""Most tables that are saved, those with the most observations first."""
_MOST_TEXT: Final = 2_000_000
_MOST_SEEN: Final = 1e9
_CLASSES: Final = range(-1, 8)
"""Size classes of predictions between half a second and a week."""


def dump_lifetimes(lifetimes: Lifetimes) -> bytes:
    """Write what was learned; tables that would make the bytes too many are left out."""
    tables = sorted(lifetimes.learned(), key=lambda pair: -pair[1].observed)[:MOST_TABLES]
    over = {kind.value: pair for kind, pair in lifetimes.first_polls().items()}
    while True:
        rows = [[kind, int(source), size, _rounded(table.counts())] for (kind, source, size), table in tables]
        body = zlib.compress(orjson.dumps([TABLES_VERSION, over, rows]), 6)
        if len(body) <= MOST_TABLE_BYTES or not tables:
            return body
        tables = tables[: len(tables) * 3 // 4]


def merge_lifetimes(lifetimes: Lifetimes, body: bytes) -> int:
    """Learn from what another process wrote, and return the number of tables taken from it.

    A saved table replaces one that has learned less. They are not added up: both may have learned from the same polls.
    """
    try:
        version, over, rows = orjson.loads(_expanded(body))
        if version != TABLES_VERSION:
            return 0
        for kind, (ended, polls) in over.items():
            _merge_first_polls(lifetimes, JobKind(kind), ended, polls)
        return sum(_merge_table(lifetimes, *row) for row in rows[:MOST_TABLES])
    except (ValueError, TypeError, AttributeError, zlib.error):
        return 0


def _rounded(counts: tuple[float, list[float], list[float], list[float]]) -> list[Any]:
    observed, *columns = counts
    return [observed, *([round(value, 3) for value in column] for column in columns)]


def _expanded(body: bytes) -> bytes:
    if len(body) > MOST_TABLE_BYTES:
        raise ValueError("too long")
    expander = zlib.decompressobj()
    text = expander.decompress(body, _MOST_TEXT)
    if not expander.eof:
        raise ValueError("too long, or cut short")
    return text


def _merge_first_polls(lifetimes: Lifetimes, kind: JobKind, over: Any, polls: Any) -> None:
    _, known = lifetimes.first_polls()[kind]
    if not (_is_count(over) and _is_count(polls) and over <= polls <= FIRST_POLLS + 1.0):
        raise ValueError("these are no counts")
    if polls > known:
        lifetimes.adopt_first_polls(kind, float(over), float(polls))


def _merge_table(lifetimes: Lifetimes, kind: Any, source: Any, size: Any, counts: Any) -> bool:
    observed, deaths, partial, starts = counts
    if size not in _CLASSES or not _is_count(observed) or not (_are_counts(deaths) and _are_counts(partial)):
        raise ValueError("this is no table")
    if not _are_numbers(starts):
        raise ValueError("this is no table")
    origin = Source(source)
    shortest = SOONEST if origin >= Source.QUEUE else class_bounds(size)[0]
    table = lifetimes.table(JobKind(kind), origin, shortest * 1.001)
    if observed <= table.observed:
        return False
    table.adopt(float(observed), *([float(value) for value in column] for column in (deaths, partial, starts)))
    return True


def _is_count(value: Any) -> bool:
    return type(value) in (int, float) and 0.0 <= value <= _MOST_SEEN


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and len(values) == BINS and all(map(_is_count, values))


def _are_numbers(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) == BINS
        and all(type(value) in (int, float) and math.fabs(value) <= _MOST_SEEN for value in values)
    )
