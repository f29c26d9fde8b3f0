"""Where the result of a finished job of any kind lies."""

from __future__ import annotations

import attrs

from .pydantic_schema import PydanticSchema


def _hidden(value: str | None) -> str:
    return "None" if value is None else "<url>"


@attrs.frozen
class Download(PydanticSchema):
    """A link to a result. Whoever holds it may read the file: ``repr`` does not show it, and no log should.

    For images it comes from ``GET /image/v1/download/{id}`` (``DownloadResponse``), otherwise from the status itself.
    """

    url: str = attrs.field(repr=_hidden)
    head_url: str | None = attrs.field(default=None, repr=_hidden)
    """Answers HEAD requests, for the size of the file; only images have one."""
    expires_at: float | None = None
    """Unix seconds after which the links are dead, or ``None`` when the service does not tell."""
