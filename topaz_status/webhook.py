"""What a webhook's body is about: the name of a job, and what it claims of it, which is no news until a look says so.

Topaz's webhooks are unsigned and may come twice, late or never, from anybody. The image service posts ``process_id``;
what the video service posts is documented nowhere, so its id is looked for under the names its documents use elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from .core.wire.decode import parse_json
from .errors import TopazStatusError
from .models.job import JobKind, JobRef

LARGEST_NOTICE: Final = 1 << 20
"""Bytes; nobody reads a larger one."""
LONGEST_WORD: Final = 64
"""Characters; no state has a longer name."""
_NAMES: Final = (
    (JobKind.IMAGE, "process_id"),
    (JobKind.VIDEO, "requestId"),
    (JobKind.VIDEO, "request_id"),
    (JobKind.VIDEO, "id"),
    (JobKind.TRY_ON, "job_id"),
)


@attrs.frozen
class WebhookNotice:
    """One thing that a notice could mean."""

    job: JobRef
    word: str | None = None
    """What it says of the job's state, in the service's word."""


def readings(notice: object) -> Iterator[WebhookNotice]:
    """What a notice could mean, likeliest first. Anything at all may be passed in; nothing is raised."""
    if isinstance(notice, JobRef):
        yield WebhookNotice(notice)
        return
    data: Any = notice
    if isinstance(notice, str) and (ref := _ref_of(notice)):
        yield WebhookNotice(ref)
        return
    if isinstance(notice, str | bytes | bytearray | memoryview):
        data = _parsed(notice)
    if not isinstance(data, Mapping):
        return
    word = data.get("status")
    word = word if isinstance(word, str) and len(word) <= LONGEST_WORD else None
    for kind, name in _NAMES:
        value = data.get(name)
        if isinstance(value, str) and (ref := _ref_of(f"{kind.value}:{value}")):
            yield WebhookNotice(ref, word)


def _ref_of(text: str) -> JobRef | None:
    try:
        return JobRef.parse(text)
    except TopazStatusError:
        return None


def _parsed(notice: str | bytes | bytearray | memoryview) -> object:
    body = notice.encode("utf-8", "surrogatepass") if isinstance(notice, str) else bytes(notice)
    try:
        return parse_json(body) if len(body) <= LARGEST_NOTICE else None
    except TopazStatusError:
        return None
