"""The link to the result of a finished job of any kind."""

from __future__ import annotations

import attrs

from .pydantic_schema import PydanticSchema


def _hidden(value: str | None) -> str:
    return "None" if value is None else "<url>"


@attrs.frozen
class Download(PydanticSchema):
    """A link to a result. Anyone who has the link can read the file: ``repr`` hides it, and logs should not have it.

    For images it comes from ``GET /image/v1/download/{id}`` (``DownloadResponse``), otherwise from the status itself.

    Example:
        >>> status = await client.image.watch(image.id)
        >>> link = await client.result(image)
        >>> isinstance(link, Download), link.url.startswith("http"), link.expires_at is None
        (True, True, False)
    """

    url: str = attrs.field(repr=_hidden)
    head_url: str | None = attrs.field(default=None, repr=_hidden)
    """A link for HEAD requests, which give the size of the file; only images have one."""
    expires_at: float | None = None
    """Unix seconds after which the links are dead; ``None`` if the service does not say."""
