"""Content codings of a result file (RFC 9110 §8.4), decoded piece by piece. Pure.

A download asks for ``identity``, but a storage or a proxy may compress nevertheless. zlib decodes gzip and deflate
here, because aiohttp takes a gzip stream that ends early for a complete one.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final, Protocol

import attrs

from ...errors import TransportError

MOST_DECODED: Final = 1 << 18
"""The most bytes that a decoder returns at a time. A file may be a thousand times as large as its coded form."""
_PLAIN: Final = frozenset({"", "identity"})
_ALIASES: Final = {"x-gzip": "gzip"}
"""RFC 9110 §8.4.1.3."""
_DEFLATED: Final = 8
"""The compression method in the first byte of a zlib stream (RFC 1950 §2.2)."""


class Decoder(Protocol):
    """Decodes a content coding."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Give the next bytes of the file, at most :data:`MOST_DECODED` at a time unless the file is not coded.

        Raises:
            TransportError: the data are damaged.
        """

    def finish(self) -> None:
        """Check, at the end of the body, that the coded data are complete.

        Raises:
            TransportError: the coded data break off.
        """


def codings(headers: Mapping[str, str]) -> list[str]:
    """List the codings of the body in the order applied, by lower-case names; empty if the body is the file itself."""
    names = [name.strip().lower() for name in headers.get("Content-Encoding", "").split(",")]
    return [_ALIASES.get(name, name) for name in names if name not in _PLAIN]


def decoder_for(names: list[str]) -> Decoder | None:
    """Make the decoder for these codings; ``None`` for unknown codings, and for several on top of each other."""
    match names:
        case []:
            return Plain()
        case ["gzip" | "deflate" as name]:
            return Inflater(name)
    return None


class Plain:
    """The decoder of a body without a coding."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Give the same bytes."""
        yield data

    def finish(self) -> None:
        """Do nothing: there is no coding that could break off."""


@attrs.define(eq=False)
class Inflater:
    """Decodes gzip or deflate.

    A gzip file has one member or several (RFC 1952 §2.2). Deflate has a zlib wrapping (RFC 1950); RFC 9110 §8.4.1.2
    notes that some servers leave the wrapping out.
    """

    name: str
    _stream: Any = None
    """A zlib decompressor; ``None`` before the first byte and between two members."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """See :class:`Decoder`."""
        try:
            while data := self._next_member(data):
                data = yield from self._inflate(data)
        except zlib.error:
            raise TransportError(f"the file's {self.name} coding is damaged") from None

    def finish(self) -> None:
        """See :class:`Decoder`."""
        if self._stream is not None and not self._stream.eof:
            raise TransportError(f"the file's {self.name} coding breaks off")

    def _next_member(self, data: bytes) -> bytes:
        """Make a decompressor where a member begins. Return the data without the zero bytes that pad a gzip file."""
        if self._stream is None:
            data = data.lstrip(b"\0") if self.name == "gzip" else data
            if data:
                self._stream = zlib.decompressobj(self._window(data[0]))
        return data

    def _window(self, first: int) -> int:
        if self.name == "gzip":
            return 16 + zlib.MAX_WBITS
        return zlib.MAX_WBITS if first & 0xF == _DEFLATED else -zlib.MAX_WBITS

    def _inflate(self, data: bytes) -> Generator[bytes, None, bytes]:
        """Give all bytes of one member in ``data``; return the data behind the member."""
        stream = self._stream
        full = True
        while full or data:
            piece = stream.decompress(data, MOST_DECODED)
            data, full = stream.unconsumed_tail, len(piece) == MOST_DECODED
            if piece:
                yield piece
        return self._data_after(stream)

    def _data_after(self, stream: Any) -> bytes:
        if not stream.eof:
            return b""
        if self.name == "gzip":
            self._stream = None
        elif stream.unused_data:
            raise zlib.error("more than one stream")
        return bytes(stream.unused_data)
