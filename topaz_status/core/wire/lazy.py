"""Reading an answer about a job: it gives an observation for the schedule, and a lazy status for the readers.

Most answers say that an image job is still at work, and nobody reads their other twenty fields before the next answer
comes. So a :class:`LazyStatus` stores the bytes and decodes them on demand. :func:`peek` reads only what the schedule
and the readers of changes need. It refuses an answer in which one of these fields is not as documented, and every
answer that states an end; these are decoded at once. What :func:`peek` accepts can be decoded, and
:func:`.observe.observe_status` of the decoded status is the same observation.
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
from ..packing import trimmed
from ..policy import WEEK
from .coerce import LATEST
from .decode import BOM, decode_image, decode_record, decode_status, pack, parse_json
from .list_page import ListPage, decode_list_page
from .observe import observe_record, observe_status, since, until

MOST_SHARED: Final = 1_024
"""A page stays in one piece up to this many bytes for each watched job that goes on; a status has about 600."""
_IMAGE: Final = JobKind.IMAGE
"""A shortcut: up to Python 3.11, reading a member of an enumeration costs as much as a call."""
_WORDS: Final = {"Pending": ("Pending", False), "Processing": ("Processing", True)}
"""For each documented word of a job that goes on: one copy of the word for all statuses, and whether the job runs."""
_WHOLE: Final = 100.0
_PERCENTS: Final[dict[float, tuple[float, float]]] = {
    percent: (float(percent), percent / _WHOLE) for percent in range(101)
}
"""One copy of each whole percentage and of its share, 0 to 1."""
_NUMBERS: Final = frozenset({int, float})
"""The types of a number, without ``bool``."""
_LATEST_NOW: Final = LATEST - WEEK
"""If the service's clock is later than this, a time within a week of it may exceed :data:`LATEST`."""


class LazyPage:
    """The body of a page, shared by the statuses on it.

    The body stays in one piece until one status is decoded; then each item has its own bytes.
    """

    __slots__ = ("_source",)

    def __init__(self, body: bytes) -> None:
        """Take the body of a page that has been parsed before."""
        self._source: bytes | list[object] = body

    def item(self, index: int) -> object:
        """Parse one item."""
        source = self._source
        if isinstance(source, bytes):
            items = decode_list_page(_IMAGE, parse_json(source)).items
            source = self._source = [_packed(item) or item for item in items]
        item = source[index]
        return parse_json(item) if isinstance(item, bytes) else item


_Undecoded: TypeAlias = bytes | LazyPage
_UNDECODED: Final = frozenset({bytes, LazyPage})


class LazyStatus:
    """A status that is decoded once, on demand; until then it stores the bytes of an image job's status.

    Its word and its progress, 0 to 100, are known from the start.
    """

    __slots__ = ("_index", "_source", "progress", "word")

    def __init__(self, word: str, progress: float | None, source: JobStatus | _Undecoded, index: int = 0) -> None:
        """Store a decoded status; or the body of an image's status; or a page, with the index of the item."""
        self.word = word
        self.progress = progress
        self._source = source
        self._index = index

    @classmethod
    def of(cls, status: JobStatus) -> LazyStatus:
        """Store a status that is decoded already."""
        return cls(status.status, status.progress, status)

    def get(self) -> JobStatus:
        """Return the status; decode it the first time."""
        source = self._source
        if isinstance(source, bytes):
            source = self._source = decode_image(parse_json(source))
        elif isinstance(source, LazyPage):
            source = self._source = decode_image(source.item(self._index))
        return source

    def raw(self) -> bytes:
        """Return the status as JSON, as the service sent it.

        Raises:
            TypeError: it is nested too deeply to be written.
        """
        source = self._source
        if isinstance(source, bytes):
            return source.removeprefix(BOM)
        return pack(source.item(self._index) if isinstance(source, LazyPage) else source.to_dict())

    @property
    def state(self) -> JobState:
        """The neutral state."""
        source = self._source
        return state_of(self.word, IMAGE_WORDS) if isinstance(source, _Undecoded) else source.state

    @property
    def result_url(self) -> str | None:
        """The link to the result; always ``None`` for an image."""
        source = self._source
        return None if isinstance(source, _Undecoded) else source.result_url

    def differs(self, last: LazyStatus) -> bool:
        """Return True if this one is a change for readers of ``last``: another word, progress or link to the result."""
        if self.word != last.word or self.progress != last.progress:
            return True
        return type(self._source) not in _UNDECODED and self.result_url != last.result_url

    def detach(self, items: Sequence[object]) -> None:
        """Store only its own item of a page: in the fewest bytes, or decoded if the item is nested too deeply."""
        item = items[self._index]
        self._source = _packed(item) or decode_image(item)


Reading: TypeAlias = tuple[Observation, LazyStatus | None]
"""What a list says of a job; for an entry of the video history, without a status."""


def read_answer(job: JobRef, body: bytes, service_now: float) -> tuple[Observation, LazyStatus]:
    """Read the answer to the poll of one job, as of ``service_now`` (Unix seconds, the service's clock).

    Raises:
        DecodeError: the body is no status of ``job``.
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
        """Read what the item with this index says of ``job``.

        Raises:
            DecodeError: the item cannot be read.
        """
        if job.kind is _IMAGE and (peeked := peek(item, job, self._service_now, self._lazy, index)) is not None:
            self._peeked.append(peeked[1])
            return peeked
        if job.kind is JobKind.VIDEO:
            return observe_record(decode_record(item), job=job, service_now=self._service_now), None
        return _decoded(job, item, self._service_now)

    def unshare(self) -> None:
        """Detach the statuses from the page if the whole page is too large for the few jobs that go on."""
        if len(self._body) > MOST_SHARED * len(self._peeked):
            for status in self._peeked:
                status.detach(self._page.items)


def _decoded(job: JobRef, data: object, service_now: float) -> tuple[Observation, LazyStatus]:
    status = decode_status(job, data)
    return observe_status(status, job=job, service_now=service_now), LazyStatus.of(status)


def peek(
    data: Any, job: JobRef, service_now: float, source: _Undecoded, index: int = 0
) -> tuple[Observation, LazyStatus] | None:
    """Read what a parsed answer, or an item of a page, says of ``job``; ``None`` if it must be decoded at once.

    As a rule numbers are whole and times near; other values are examined more closely. The status is later decoded
    from ``source`` and ``index``.
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
    return seen, LazyStatus(word, percent, source, index)


def _uneven(progress: object) -> tuple[float | None, float | None] | None:
    """Return percentage and share of a progress that is no whole number; ``None`` if it is no percentage."""
    if progress is None:
        return None, None
    if type(progress) is float and 0.0 <= progress <= _WHOLE:
        return _PERCENTS.get(progress) or (progress, progress / _WHOLE)
    return None


def _is_time(raw: Any) -> bool:
    """Return True for a time as documented, and for a missing one."""
    return raw is None or (type(raw) in _NUMBERS and -LATEST <= raw <= LATEST)


def _packed(item: object) -> bytes | None:
    """Write an item in the fewest bytes; ``None`` if it is nested too deeply to be written."""
    try:
        return trimmed(pack(item))
    except TypeError:
        return None
