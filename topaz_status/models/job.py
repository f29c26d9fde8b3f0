"""The basic types of all other modules: the kind of a job, its name, its neutral state."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable
from typing import Any, Final, Self

import attrs

from ..errors_base import ConfigurationError
from .redact import quoted

MAX_ID_LENGTH: Final = 256


class JobKind(enum.StrEnum):
    """The service that has a job.

    Example:
        >>> JobKind("try-on") is JobKind.TRY_ON
        True
    """

    IMAGE = "image"
    VIDEO = "video"
    TRY_ON = "try-on"


class JobState(enum.StrEnum):
    """The state of a job, in one spelling for all three services.

    ``COMPLETED``, ``FAILED``, ``CANCELED`` and ``EXPIRED`` are terminal. ``UNKNOWN`` stands for an undocumented status
    word: neither success nor failure, and not terminal.

    Example:
        >>> [state.value for state in JobState if state.is_terminal]
        ['completed', 'failed', 'canceled', 'expired']
    """

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """True when a job in this state will never change again."""
        return self in _TERMINAL


_TERMINAL: Final = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELED, JobState.EXPIRED})


def _kind(value: str) -> JobKind:
    try:
        return JobKind(value)
    except ValueError:
        known = ", ".join(repr(kind.value) for kind in JobKind)
        raise ConfigurationError(f"unknown kind of job {quoted(value)}: expected one of {known}") from None


def _text_id(value: str | uuid.UUID) -> str:
    return str(value) if isinstance(value, uuid.UUID) else value


def _check_id(_instance: object, _attribute: object, value: str) -> None:
    """Refuse an id that would lead to another endpoint, or that names no job.

    Raises:
        ConfigurationError: the id is unusable.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"a job id is a string, not {type(value).__name__}")
    if not value:
        raise ConfigurationError("a job id must not be empty")
    if value in {".", ".."}:
        raise ConfigurationError(f"a job id must not be {value!r}: it would change the path")
    if len(value) > MAX_ID_LENGTH:
        raise ConfigurationError(f"a job id has at most {MAX_ID_LENGTH} characters, this one has {len(value)}")
    if not value.isprintable() or " " in value:  # the one space that is printable
        raise ConfigurationError(f"a job id must not hold spaces or control characters: {quoted(value)}")


@attrs.frozen(order=True, cache_hash=True)
class JobRef:
    """The name of one job: its kind and the service's own id.

    ``str()`` gives ``"image:d7b3…"`` and :meth:`parse` reads it back. Ids are opaque, and percent-encoded on the wire.
    An id is refused if it is empty, ``.`` or ``..``, longer than 256 characters, or has spaces or control characters.

    Raises:
        ConfigurationError: the kind is unknown or the id unusable.

    Example:
        >>> ref = JobRef.parse("video:0a1b")
        >>> ref == JobRef("video", "0a1b"), str(ref)
        (True, 'video:0a1b')
    """

    kind: JobKind = attrs.field(converter=_kind)
    id: str = attrs.field(converter=_text_id, validator=_check_id)

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"kind:id"``.

        Raises:
            ConfigurationError: the text is not of that form.
        """
        kind, colon, job_id = text.partition(":")
        if not colon:
            kinds = ", ".join(f"'{kind.value}:ID'" for kind in JobKind)
            raise ConfigurationError(f"{quoted(text)} names no job: expected one of {kinds}")
        return cls(kind.strip(), job_id)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        """Give pydantic a schema: in JSON, in a query or a path, a job is its text."""
        from pydantic_core import core_schema  # noqa: PLC0415  # no dependency: only pydantic calls this

        text = core_schema.no_info_after_validator_function(cls.parse, core_schema.str_schema())
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), text]),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: Any, _handler: Callable[[Any], Any]) -> dict[str, Any]:
        kinds = "|".join(JobKind)
        return {"type": "string", "title": "JobRef", "pattern": f"^({kinds}):[^\\s]{{1,{MAX_ID_LENGTH}}}$"}


def canonical_id(job: JobRef) -> str:
    """Return the id in its one canonical spelling: Topaz's ids are UUIDs, whose case means nothing."""
    if job.kind is JobKind.TRY_ON:
        return job.id
    lower = job.id.lower()
    return job.id if lower == job.id else lower
