"""Reads a webhook's body: the job that it names, and the state that it claims. Only a poll confirms the claim.

Topaz's webhooks are unsigned: they may come from anybody, twice, late or never. The image service posts ``process_id``.
The fields of the video service's webhooks are undocumented. Its id is therefore searched under the names that its other
documents use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from .core.wire.decode import parse_json
from .errors import TopazStatusError
from .models.job import JobKind, JobRef

LARGEST_NOTICE: Final = 1 << 20
"""Bytes; a larger body is not parsed."""
LONGEST_WORD: Final = 64
"""Characters; a longer status word is ignored, because every state's name is shorter."""
_ID_FIELDS: Final = (
    (JobKind.IMAGE, "process_id"),
    (JobKind.VIDEO, "requestId"),
    (JobKind.VIDEO, "request_id"),
    (JobKind.VIDEO, "id"),
    (JobKind.TRY_ON, "job_id"),
)


@attrs.frozen
class WebhookNotice:
    """One possible meaning of a webhook: the job it may be about, and what it claims."""

    job: JobRef
    word: str | None = None
    """The state that the webhook claims, in the service's own word; ``None`` if it claims no state."""


def parse_notice(notice: object) -> Iterator[WebhookNotice]:
    """Yield the possible meanings of a notice, the likeliest first. Any object may be passed in; nothing is raised."""
    if isinstance(notice, JobRef):
        yield WebhookNotice(notice)
        return
    data: Any = notice
    if isinstance(notice, str) and (ref := _ref_of(notice)):
        yield WebhookNotice(ref)
        return
    if isinstance(notice, str | bytes | bytearray | memoryview):
        data = _parse_body(notice)
    if not isinstance(data, Mapping):
        return
    word = data.get("status")
    word = word if isinstance(word, str) and len(word) <= LONGEST_WORD else None
    for kind, field in _ID_FIELDS:
        value = data.get(field)
        if isinstance(value, str) and (ref := _ref_of(f"{kind.value}:{value}")):
            yield WebhookNotice(ref, word)


def _ref_of(text: str) -> JobRef | None:
    try:
        return JobRef.parse(text)
    except TopazStatusError:
        return None


def _parse_body(notice: str | bytes | bytearray | memoryview) -> object:
    body = notice.encode("utf-8", "surrogatepass") if isinstance(notice, str) else bytes(notice)
    try:
        return parse_json(body) if len(body) <= LARGEST_NOTICE else None
    except TopazStatusError:
        return None
