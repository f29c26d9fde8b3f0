"""Decodes bytes from any program into lines of text.

PowerShell's ``>`` writes UTF-16, and editors of Windows put a byte order mark before UTF-8.
"""

from __future__ import annotations

import codecs
import io
from typing import Final

LONGEST: Final = 1 << 16
"""Characters of one line, at most. A longer line is cut in pieces, which its reader refuses."""
_MARKS: Final = (  # UTF-32 comes first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)


class LineDecoder:
    """Decodes pieces of any size into lines: in UTF-8, or in the encoding of the byte order mark.

    Lines end in LF, CRLF or CR. Bytes that are no text become U+FFFD.
    """

    def __init__(self) -> None:
        self._head = b""
        self._decoder: io.IncrementalNewlineDecoder | None = None
        self._rest = ""

    def feed(self, piece: bytes) -> list[str]:
        """Return the lines that this piece completes; an empty piece is the end of the input."""
        final = not piece
        if self._decoder is None:
            self._head += piece
            if not final and _may_become_a_mark(self._head):
                return []
            piece = self._begin()
        *lines, self._rest = (self._rest + self._decode(piece, final=final)).split("\n")
        if self._rest and (final or len(self._rest) > LONGEST):
            lines, self._rest = [*lines, self._rest], ""
        return lines

    def _begin(self) -> bytes:
        """Choose the encoding; return the bytes after the byte order mark."""
        mark, encoding = next((known for known in _MARKS if self._head.startswith(known[0])), (b"", "utf-8"))
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        return self._head[len(mark) :]

    def _decode(self, piece: bytes, *, final: bool) -> str:
        return "" if self._decoder is None else self._decoder.decode(piece, final=final)


def _may_become_a_mark(head: bytes) -> bool:
    return any(mark.startswith(head) and mark != head for mark, _ in _MARKS)
