"""Content codings of a result file (RFC 9110 §8.4): undone piece by piece, or not known. Pure.

A download asks for ``identity``; a storage, or a proxy before it, may compress nevertheless. zlib undoes gzip and
deflate here, and not within aiohttp, which takes a gzip stream that ends early for a whole one.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final, Protocol

import attrs

from ...errors import TransportError

MOST_DECODED: Final = 1 << 18
"""Bytes that a decoder gives at a time: what is compressed may be a thousand times as large."""
_PLAIN: Final = frozenset({"", "identity"})
_ALIASES: Final = {"x-gzip": "gzip"}
"""RFC 9110 §8.4.1.3."""
_DEFLATED: Final = 8
"""The compression method in the first byte of a zlib stream (RFC 1950 §2.2)."""


class Decoder(Protocol):
    """Undoes a coding."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """The next bytes of the file, at most :data:`MOST_DECODED` at a time unless nothing is to be undone.

        Raises:
            TransportError: the data are damaged.
        """

    def finish(self) -> None:
        """The body has ended.

        Raises:
            TransportError: the coded data have not.
        """


def codings(headers: Mapping[str, str]) -> list[str]:
    """What was done to the body, in that order, by lower-case names; empty where it is the file as it stands."""
    names = [name.strip().lower() for name in headers.get("Content-Encoding", "").split(",")]
    return [_ALIASES.get(name, name) for name in names if name not in _PLAIN]


def decoder_for(names: list[str]) -> Decoder | None:
    """What undoes these codings; ``None`` for those that are not known here, and for several on top of each other."""
    match names:
        case []:
            return Plain()
        case ["gzip" | "deflate" as name]:
            return Inflater(name)
    return None


class Plain:
    """Undoes nothing."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """The same bytes."""
        yield data

    def finish(self) -> None:
        """Nothing is left."""


@attrs.define(eq=False)
class Inflater:
    """Undoes gzip, of one member or several (RFC 1952 §2.2), or deflate, in its zlib wrapping (RFC 1950) or without.

    RFC 9110 §8.4.1.2 notes that some servers leave the wrapping out.
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
        """Make a decompressor where none is at work. Gives what is left to read: zeros may fill up a gzip file."""
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
        """All that ``data`` hold of one member; what lies behind it is handed back."""
        stream = self._stream
        full = True
        while full or data:
            piece = stream.decompress(data, MOST_DECODED)
            data, full = stream.unconsumed_tail, len(piece) == MOST_DECODED
            if piece:
                yield piece
        return self._behind(stream)

    def _behind(self, stream: Any) -> bytes:
        if not stream.eof:
            return b""
        if self.name == "gzip":
            self._stream = None
        elif stream.unused_data:
            raise zlib.error("more than one stream")
        return bytes(stream.unused_data)
