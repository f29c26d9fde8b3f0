"""From an answer to what it says of a job: an observation for the schedule, and a status for those who wait.

Most answers say that an image job is still at work, and nobody reads their other twenty fields before the next answer
comes. So a :class:`LazyStatus` keeps the bytes, and decodes them when somebody asks. :func:`peek` reads only what the
schedule and the readers of changes need. It refuses an answer in which one of these fields is not as the documents
promise, and every answer that tells an end: such an answer is decoded at once. What :func:`peek` accepts can be
decoded, and :func:`.observe.observe_status` of the decoded status is the same observation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import attrs

from ...models import JobStatus
from ...models.job import JobKind, JobRef, JobState
from ...models.status_words import IMAGE_WORDS, state_of
from ..observation import Observation
from ..policy import WEEK
from .coerce import LATEST
from .decode import decode_image, decode_record, decode_status, pack, parse_json
from .list_page import ListPage, decode_list_page
from .observe import observe_record, observe_status, since, until

MOST_SHARED: Final = 1_024
"""Bytes for each watched job that goes on up to which a page is kept in one piece: a status has about 600."""
_IMAGE: Final = JobKind.IMAGE
"""At hand: up to Python 3.11 a member of an enumeration costs as much as a call."""
_WORDS: Final = {"Pending": ("Pending", False), "Processing": ("Processing", True)}
"""For each word of a job that goes on, as the documents spell it: one copy of it for all, and whether it runs."""
_WHOLE: Final = 100.0
_PERCENTS: Final[dict[float, tuple[float, float]]] = {
    percent: (float(percent), percent / _WHOLE) for percent in range(101)
}
"""One copy of each whole percentage and of the share that it is."""
_NUMBERS: Final = frozenset({int, float})
"""The types of a number; ``bool`` is not among them."""
_LATEST_NOW: Final = LATEST - WEEK
"""Where the service's clock stands later, what is within a week of it may be no time at all."""


class LazyPage:
    """The body of a page, shared by the statuses on it.

    It stays in one piece until one of them is asked for; then each item has its own bytes.
    """

    __slots__ = ("_held",)

    def __init__(self, body: bytes) -> None:
        """Take the body of a page that has been parsed before."""
        self._held: bytes | list[object] = body

    def item(self, index: int) -> object:
        """Parse one item."""
        held = self._held
        if isinstance(held, bytes):
            items = decode_list_page(_IMAGE, parse_json(held)).items
            held = self._held = [_packed(item) or item for item in items]
        item = held[index]
        return parse_json(item) if isinstance(item, bytes) else item


_Unread: TypeAlias = bytes | LazyPage
_UNREAD: Final = frozenset({bytes, LazyPage})


class LazyStatus:
    """A status that is decoded when somebody asks for it, once; until then, of an image job, its bytes.

    Its word and its progress, 0 to 100, are known from the start.
    """

    __slots__ = ("_held", "_index", "progress", "word")

    def __init__(self, word: str, progress: float | None, held: JobStatus | _Unread, index: int = 0) -> None:
        """Keep a decoded status; or the body of an image's status, or the item with that index of a page."""
        self.word = word
        self.progress = progress
        self._held = held
        self._index = index

    @classmethod
    def of(cls, status: JobStatus) -> LazyStatus:
        """Keep a status that is decoded already."""
        return cls(status.status, status.progress, status)

    def get(self) -> JobStatus:
        """Decode the status, the first time."""
        held = self._held
        if isinstance(held, bytes):
            held = self._held = decode_image(parse_json(held))
        elif isinstance(held, LazyPage):
            held = self._held = decode_image(held.item(self._index))
        return held

    @property
    def state(self) -> JobState:
        """The neutral word."""
        held = self._held
        return state_of(self.word, IMAGE_WORDS) if isinstance(held, _Unread) else held.state

    @property
    def result_url(self) -> str | None:
        """The link to the result; the status of an image has none."""
        held = self._held
        return None if isinstance(held, _Unread) else held.result_url

    def differs(self, last: LazyStatus) -> bool:
        """Tell whether readers of ``last`` find news in this one: another word, progress or link to the result."""
        if self.word != last.word or self.progress != last.progress:
            return True
        return type(self._held) not in _UNREAD and self.result_url != last.result_url

    def keep_apart(self, items: Sequence[object]) -> None:
        """Keep the own one of a page's items alone: in fewest bytes, or decoded where it is nested too deeply."""
        item = items[self._index]
        self._held = _packed(item) or decode_image(item)


Reading: TypeAlias = tuple[Observation, LazyStatus | None]
"""What a list says of a job; an entry of the video history has no status."""


def read_answer(job: JobRef, body: bytes, service_now: float) -> tuple[Observation, LazyStatus]:
    """Read the answer to the poll of one job, as of ``service_now`` (Unix seconds, the service's clock).

    Raises:
        DecodeError: it is no status of ``job``.
    """
    data = parse_json(body)
    if job.kind is _IMAGE and (peeked := peek(data, job, service_now, body)) is not None:
        return peeked
    return _decoded(job, data, service_now)


@attrs.define(eq=False)
class PageReader:
    """Reads the items of one page that are of interest."""

    _page: ListPage
    _body: bytes
    _service_now: float
    """Unix seconds, the service's clock."""
    _lazy: LazyPage = attrs.field(init=False)
    _peeked: list[LazyStatus] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._lazy = LazyPage(self._body)

    def read(self, index: int, item: dict[str, Any], job: JobRef) -> Reading:
        """Read what the item with that index says of ``job``.

        Raises:
            DecodeError: it cannot be read.
        """
        if job.kind is _IMAGE and (peeked := peek(item, job, self._service_now, self._lazy, index)) is not None:
            self._peeked.append(peeked[1])
            return peeked
        if job.kind is JobKind.VIDEO:
            return observe_record(decode_record(item), job=job, service_now=self._service_now), None
        return _decoded(job, item, self._service_now)

    def unshare(self) -> None:
        """Keep the items alone where so few jobs go on that the whole page is too much to keep for them."""
        if len(self._body) > MOST_SHARED * len(self._peeked):
            for status in self._peeked:
                status.keep_apart(self._page.items)


def _decoded(job: JobRef, data: object, service_now: float) -> tuple[Observation, LazyStatus]:
    status = decode_status(job, data)
    return observe_status(status, job=job, service_now=service_now), LazyStatus.of(status)


def peek(
    data: Any, job: JobRef, service_now: float, held: _Unread, index: int = 0
) -> tuple[Observation, LazyStatus] | None:
    """Read what a parsed answer, or an item of a page, says of ``job``; ``None`` when it must be decoded at once.

    Numbers are whole and times near, as a rule: others are examined more closely. ``held`` and ``index`` are what the
    status is decoded from later.
    """
    if type(data) is not dict or data.get("process_id") != job.id or type(word := data.get("status")) is not str:
        return None
    known = _WORDS.get(word)
    progress, eta, made_at = data.get("progress"), data.get("eta"), data.get("creation_time")
    percents = _PERCENTS.get(progress) if type(progress) is int else _uneven(progress)
    if known is None or percents is None or service_now > _LATEST_NOW:
        return None
    left = eta - service_now if type(eta) is int else math.inf
    lived = service_now - made_at if type(made_at) is int else math.inf
    remaining: float | None = left
    age: float | None = lived
    if not (-WEEK <= left <= WEEK and 0.0 <= lived <= WEEK):
        if not (_is_time(eta) and _is_time(made_at)):
            return None
        remaining, age = until(eta, service_now), since(made_at, service_now)
    word, running = known
    percent, share = percents
    seen = Observation(job, False, running, share, remaining, None, age)  # noqa: FBT003  # faster
    return seen, LazyStatus(word, percent, held, index)


def _uneven(progress: object) -> tuple[float | None, float | None] | None:
    """Give the percentage and the share of what is no whole number; ``None`` where it is no percentage."""
    if progress is None:
        return None, None
    if type(progress) is float and 0.0 <= progress <= _WHOLE:
        return _PERCENTS.get(progress) or (progress, progress / _WHOLE)
    return None


def _is_time(raw: Any) -> bool:
    """Tell whether something is a time as the documents promise it, or is missing."""
    return raw is None or (type(raw) in _NUMBERS and -LATEST <= raw <= LATEST)


def _packed(item: object) -> bytes | None:
    """Write an item in fewest bytes; ``None`` where it is nested deeper than can be written."""
    try:
        return pack(item)
    except TypeError:
        return None
