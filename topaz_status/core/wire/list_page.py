"""Lists: where the items are in a body, what is wrong with which item, and where the list goes on.

For a caller a page is decoded in full. For a sweep, which reads it to find jobs, the items stay as they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs

from ...errors import DecodeError
from ...models.fields import ServiceObject, Unit
from ...models.job import JobKind
from .coerce import LENIENT, UnreadableError, described

F = TypeVar("F", bound=ServiceObject)

PAGE_SIZES: Final[Mapping[JobKind, int]] = {JobKind.IMAGE: 100, JobKind.VIDEO: 50}
"""Most statuses on one page, for the kinds that have a list (Image API 1.2.0, Video API 1.0.0)."""
MOST_PROBLEMS: Final = 20
"""Most problems that one error names; it gives the number of the others."""
_IDS: Final = {JobKind.IMAGE: "process_id", JobKind.VIDEO: "id"}


def listed(data: object, key: str) -> tuple[list[object], str]:
    """Find the list of a body and its path: the body itself, or its value under ``key``.

    Raises:
        DecodeError: there is no list.
    """
    if type(data) is list:
        return data, "$"
    if type(data) is not dict:
        raise DecodeError([("$", f"{described(data)}, neither an object nor an array")])
    items = data.get(key)
    if type(items) is not list:
        raise DecodeError([(key, f"{described(items)}, not an array" if key in data else "is missing")])
    return items, key


def read_items(decode: Callable[[object], F], items: list[object], at: str, *, lenient: bool) -> tuple[F, ...]:
    """Read each item of the list at the path ``at``; ``lenient`` leaves bad ones out.

    Raises:
        DecodeError: items are bad, each named by its path (never when ``lenient``).
    """
    found: list[F] = []
    problems: list[tuple[str, str]] = []
    for index, item in enumerate(items):
        try:
            found.append(decode(item))
        except DecodeError as error:
            problems += [(_path(f"{at}[{index}]", path), what) for path, what in error.problems]
    if problems and not lenient:
        raise DecodeError(_fewer(problems, at))
    return tuple(found)


def _path(item: str, inner: str) -> str:
    return item if inner == "$" else f"{item}.{inner}"


def _fewer(problems: Sequence[tuple[str, str]], at: str) -> Sequence[tuple[str, str]]:
    more = len(problems) - MOST_PROBLEMS
    return problems if more <= 0 else [*problems[:MOST_PROBLEMS], (at, f"has {more} more problems")]


def usable_cursor(raw: object) -> str | None:
    """Read a cursor, which is opaque text; ``None`` for anything else."""
    return raw if type(raw) is str and raw else None


def pagination(raw: object) -> tuple[bool, str | None]:
    """Read whether there is a next page, and its cursor; garbage means the end, a cursor alone means a next page."""
    if type(raw) is not dict:
        return False, None
    cursor = usable_cursor(raw.get("next_cursor"))
    try:
        has_next = bool(LENIENT[Unit.FLAG](raw.get("has_next_page")))
    except UnreadableError:
        has_next = cursor is not None
    return has_next, cursor if has_next else None


@attrs.frozen
class ListPage:
    """The items of a page. Iterating it leaves out items that name no job."""

    kind: JobKind
    items: list[Any]
    next_cursor: str | None

    def __iter__(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Give the index of each item, the id of the job that it names, and the item itself."""
        name = _IDS[self.kind]
        for index, item in enumerate(self.items):
            if type(item) is dict and type(job_id := item.get(name)) is str:
                yield index, job_id, item


def decode_list_page(kind: JobKind, data: object) -> ListPage:
    """Find the items of a page of ``kind``.

    Raises:
        DecodeError: there is no list.
    """
    body = data if type(data) is dict else {}
    if kind is JobKind.IMAGE:
        items, _ = listed(data, "data")
        return ListPage(kind, items, pagination(body.get("pagination"))[1])
    items, _ = listed(data, "result")
    return ListPage(kind, items, usable_cursor(body.get("nextCursor")))
