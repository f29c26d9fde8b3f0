"""Bytes from outside as lines of text, whatever program wrote them.

PowerShell's ``>`` writes UTF-16, and editors of Windows put a byte order mark before UTF-8.
"""

from __future__ import annotations

import codecs
import io
from typing import Final

LONGEST: Final = 1 << 16
"""Characters of one line; a longer one is cut, for its reader to refuse."""
_MARKS: Final = (  # UTF-32 before UTF-16, whose mark its own begins with
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)


class LineDecoder:
    """Lines from pieces of any size: UTF-8, or what a byte order mark says; they end in LF, CRLF or CR.

    Bytes that are no text become U+FFFD.
    """

    def __init__(self) -> None:
        self._head = b""
        self._decoder: io.IncrementalNewlineDecoder | None = None
        self._rest = ""

    def feed(self, piece: bytes) -> list[str]:
        """Give the lines that are complete with this piece; an empty one is the end."""
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
        """Choose the encoding; gives what came after the mark."""
        mark, encoding = next((known for known in _MARKS if self._head.startswith(known[0])), (b"", "utf-8"))
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        return self._head[len(mark) :]

    def _decode(self, piece: bytes, *, final: bool) -> str:
        return "" if self._decoder is None else self._decoder.decode(piece, final=final)


def _may_become_a_mark(head: bytes) -> bool:
    return any(mark.startswith(head) and mark != head for mark, _ in _MARKS)
