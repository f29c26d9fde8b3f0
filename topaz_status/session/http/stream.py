"""The answer to a download, piece by piece."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp
import attrs
from multidict import CIMultiDict

from .translation import translate


@attrs.define(eq=False)
class Stream:
    """The answer to :meth:`Transport.stream`: its status and headers, and the body piece by piece."""

    _answer: aiohttp.ClientResponse = attrs.field(repr=False)
    """Never shown: it holds its URL."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._answer.__aexit__(kind, error, traceback)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by name in any case; several of one name are joined (RFC 9110 §5.3)."""
        headers = self._answer.headers
        return CIMultiDict({name: ", ".join(headers.getall(name)) for name in headers})

    async def read(self) -> bytes:
        """Return the next piece; it is empty at the end.

        Raises:
            TransportError: the body broke off.
        """
        try:
            return await self._answer.content.readany()
        except Exception as error:  # noqa: BLE001  # anything may come out of a hostile answer
            failure = translate(error, None)
        raise failure
