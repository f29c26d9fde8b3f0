"""Decoding: the bytes of a 200 become a status or another model, or a :class:`DecodeError`. Pure.

Decoding is tolerant where services change: missing, null and unknown fields, new words, numbers in strings. It is
strict where a mistake would end or hide a job: a body without a usable ``status``, or about another job, is an error.
The error names the path; the body as a whole is called ``$``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from ...errors import DecodeError
from ...models import (
    Download,
    ImagePage,
    ImageStatus,
    JobKind,
    JobRef,
    JobStatus,
    TryOnStatus,
    VideoStatus,
)
from ...models.fields import ABSENT, ServiceObject, Unit
from ...models.redact import without_urls
from .coerce import LENIENT, STRICT, MisshapenError, Problem, UnreadableError, described
from .list_page import listed, pagination, read_items, usable_cursor

if TYPE_CHECKING:
    from ...models import VideoHistoryPage, VideoRecord
    from .structure import Structurer

F = TypeVar("F", bound=ServiceObject)

BOM: Final = b"\xef\xbb\xbf"
_QUOTED: Final = 40
_OTHER: Final = "names another job"


_SHAPES: Final[dict[type[ServiceObject], Structurer[Any]]] = {}


def _shape_of(cls: type[F]) -> Structurer[F]:
    """Return the reader of a class, made at its first use: about 1 ms, and 8 ms once in a process for cattrs."""
    shape = _SHAPES.get(cls)
    if shape is None:
        from .structure import shape_of  # noqa: PLC0415  # most polls are decided without it

        shape = _SHAPES[cls] = shape_of(cls)
    return shape


def parse_json(body: bytes) -> object:
    """Parse a body.

    Raises:
        DecodeError: at ``$``: it is empty, HTML, cut short, not UTF-8, nested too deeply, or otherwise no JSON.
    """
    try:
        return orjson.loads(body.removeprefix(BOM))
    except orjson.JSONDecodeError as error:
        complaint = _complaint(body, error)
    raise DecodeError([("$", complaint)])  # raised outside the except: orjson's error carries the body


pack: Final[Callable[[object], bytes]] = orjson.dumps
"""Write what :func:`parse_json` read, in the fewest bytes. What is stored is to be :func:`.trimmed`."""


def _complaint(body: bytes, error: orjson.JSONDecodeError) -> str:
    if not body.strip():
        return "is empty"
    start = without_urls(body[: _QUOTED * 4].decode("utf-8", "replace").strip())[:_QUOTED]
    what = "is HTML" if start[:1] == "<" else f"is not JSON ({error.msg[:80]})"
    return f"{what}: {len(body)} bytes that start with {start!r}"


def decode_image(data: object, job: JobRef | None = None) -> ImageStatus:
    """Read the answer of ``GET /image/v1/status/{id}``, or an item of the list.

    Raises:
        DecodeError: no usable ``status``, or ``process_id`` names another job than ``job``. (If ``job`` is given, it
            stands in for a missing ``process_id``, and its spelling of the id is used.)
    """
    return _decode(ImageStatus, data, job, "process_id")


def decode_video(data: object, job: JobRef) -> VideoStatus:
    """Read the answer of ``GET /video/{id}/status``, which names no job.

    Raises:
        DecodeError: no usable ``status``, or the body has an ``id`` or ``requestId`` that names another job.
    """
    if type(data) is dict:
        wrong = [(key, _OTHER) for key in ("id", "requestId") if _names_another(data.get(key), job)]
        if wrong:
            raise DecodeError([*wrong, *_problems(VideoStatus, data, id=job.id)], job=job)
    return _read(VideoStatus, data, job, id=job.id)


def decode_try_on(data: object, job: JobRef) -> TryOnStatus:
    """Read the answer of ``GET /v1/try-on/job/{id}``.

    An ``error`` may also be a string with the code beside it, as in the service's HTTP errors: it is read like the
    object.

    Raises:
        DecodeError: no usable ``status``, or ``job_id`` names another job.
    """
    if type(data) is dict and type(data.get("error")) is str and data["error"]:
        error = {"message": data["error"]}
        if type(data.get("error_code")) is str:
            error["error_code"] = data["error_code"]
        return _decode(TryOnStatus, {**data, "error": error}, job, "job_id", {"error": data["error"]})
    return _decode(TryOnStatus, data, job, "job_id")


def decode_status(job: JobRef, data: object) -> JobStatus:
    """Read the status of one job of any kind.

    Raises:
        DecodeError: as for the job's kind.
    """
    match job.kind:
        case JobKind.IMAGE:
            return decode_image(data, job)
        case JobKind.VIDEO:
            return decode_video(data, job)
        case JobKind.TRY_ON:
            return decode_try_on(data, job)


def _names_another(named: object, job: JobRef) -> bool:
    """Return True if a text names another job; ids are UUIDs, whose case means nothing."""
    return type(named) is str and named != "" and named.lower() != job.id.lower()


def _decode(cls: type[F], data: object, job: JobRef | None, key: str, as_sent: dict[str, Any] | None = None) -> F:
    """Read a status whose body names its job under ``key``, and make sure that it is ``job``."""
    own = {"as_sent": as_sent} if as_sent else {}
    if job is None or type(data) is not dict or (named := data.get(key, ABSENT)) == job.id:
        return _read(cls, data, job, **own)
    body = {**data, key: job.id}
    if _names_another(named, job):
        raise DecodeError([(key, _OTHER), *_problems(cls, body)], job=job)
    if named is not None and named is not ABSENT and type(named) is not str:
        raise DecodeError([(key, described(named)), *_problems(cls, body)], job=job)
    return _read(cls, body, job, as_sent={key: named, **(as_sent or {})})


def _read(cls: type[F], data: object, job: JobRef | None, **own: object) -> F:
    try:
        return _shape_of(cls).read(data, **own)
    except MisshapenError as error:
        raise DecodeError(error.problems, job=job) from None
    except UnreadableError:
        raise DecodeError([("$", f"{described(data)}, not an object")], job=job) from None


def _problems(cls: type[ServiceObject], data: object, **own: object) -> Sequence[Problem]:
    try:
        _shape_of(cls).read(data, **own)
    except MisshapenError as error:
        return error.problems
    return ()


def decode_image_page(data: object, *, lenient: bool = False) -> ImagePage:
    """Read a page of ``GET /image/v1/status?paginated=true``; a bare array is a last page.

    Args:
        data: the parsed body.
        lenient: leave out the items that cannot be read, instead of raising.

    Raises:
        DecodeError: there is no list, or (unless ``lenient``) items are bad; the error names each one, as
            ``data[3].status``.
    """
    items, at = listed(data, "data")
    statuses = read_items(decode_image, items, at, lenient=lenient)
    has_next, cursor = pagination(data.get("pagination") if type(data) is dict else None)
    return ImagePage(statuses=statuses, next_cursor=cursor, has_next_page=has_next)


def decode_image_list(data: object) -> list[ImageStatus]:
    """Read the unpaginated list, an array; the paginated object is accepted as well.

    Raises:
        DecodeError: there is no list, or items are bad; the error names each one, as ``$[3].status``.
    """
    items, at = listed(data, "data")
    return list(read_items(decode_image, items, at, lenient=False))


def decode_record(data: object) -> VideoRecord:
    """Read an entry of the video history.

    Raises:
        DecodeError: no usable ``id`` or ``status``.
    """
    from ...models import VideoRecord  # noqa: PLC0415  # loaded by clients that read the history of videos

    return _read(VideoRecord, data, None)


def decode_history(data: object, *, lenient: bool = False) -> VideoHistoryPage:
    """Read a page of ``GET /video/history`` in either documented form: ``{"result", "nextCursor"}`` or an array.

    Raises:
        DecodeError: there is no list, or (unless ``lenient``) items are bad; the error names each one, as
            ``result[3].id``.
    """
    from ...models import VideoHistoryPage  # noqa: PLC0415  # see above

    items, at = listed(data, "result")
    records = read_items(decode_record, items, at, lenient=lenient)
    cursor = data.get("nextCursor") if type(data) is dict else None
    return VideoHistoryPage(records=records, next_cursor=usable_cursor(cursor))


def decode_download(data: object) -> Download:
    """Read the answer of ``GET /image/v1/download/{id}``.

    Raises:
        DecodeError: the answer is no object, or ``download_url`` is unusable.
    """
    if type(data) is not dict:
        raise DecodeError([("$", f"{described(data)}, not an object")])
    url = _optional(Unit.URL, data.get("download_url"))
    if url is None:
        what = described(data["download_url"]) if "download_url" in data else "is missing"
        raise DecodeError([("download_url", what)])
    return Download(url, _optional(Unit.URL, data.get("head_url")), _optional(Unit.SECONDS, data.get("expiry")))


def decode_deleted_count(data: object) -> int | None:
    """Read how many records ``DELETE /image/v1/status`` removed; ``None`` if the answer does not say."""
    count = _optional(Unit.INTEGER, data.get("deleted_count")) if type(data) is dict else None
    return count if count is not None and count >= 0 else None


def _optional(unit: Unit, raw: object) -> Any:
    try:
        return STRICT[unit](LENIENT[unit](raw) if unit in LENIENT else raw)
    except UnreadableError:
        return None
