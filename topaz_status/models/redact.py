"""What may be shown of a text that a service wrote: no signed URL, nothing that moves a terminal or forges a log line.

Whoever holds a signed URL has the file, so it counts as much as a key. It is known by its scheme, also where JSON in
JSON has escaped its slashes, or by a query that names a signature.
"""

from __future__ import annotations

import re
from typing import Any, Final

MOST_SHOWN: Final = 500
"""Characters of one text in an error, a log line or a ``repr``."""
MOST_READ: Final = 4 * MOST_SHOWN
"""Characters that are looked at for it: URLs take more room than what stands for them."""
_DEEPEST: Final = 50

_SCHEME: Final = r"[a-z0-9+.-]{0,31}:(?:\\?/){2}"
"""Bounded: a long word must not be scanned from each of its letters."""
_URL: Final = re.compile(rf"{_SCHEME}\S*", re.IGNORECASE)
_QUERY: Final = re.compile(rf"({_SCHEME}[^\s?#]*)[?#]\S*", re.IGNORECASE)
_USER: Final = re.compile(rf"({_SCHEME})[^\s/?#]*@", re.IGNORECASE)
_SIGNED: Final = re.compile(
    r"[?&][\w.~%-]{0,40}(?:sig|token|secret|credential|key|policy|expires|access)[\w.~%-]{0,40}=\S*", re.IGNORECASE
)


def without_urls(text: str) -> str:
    """Replace each URL by ``<url>``, and what is left of a signed query by ``?…``."""
    if "/" in text:
        text = _URL.sub("<url>", text)
    return _SIGNED.sub("?…", text)


def without_queries(text: str) -> str:
    """Leave of each URL its host and path: they say what is meant, and sign nothing."""
    return _SIGNED.sub("?…", _QUERY.sub(r"\1?…", _USER.sub(r"\1", text)))


def one_line(text: str) -> str:
    """The beginning of a text as one line of printable characters."""
    return " ".join("".join(one if one.isprintable() else " " for one in text[:MOST_READ]).split())


def legible(text: str) -> str:
    """The whole text, each character that is not printable replaced by one that says so."""
    return (
        text
        if text.isprintable()
        else "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    )


def shortened(text: str) -> str:
    """As much of a text as is shown."""
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"


def shown(text: str) -> str:
    """A service's words, fit for a log, an error or a ``repr``: one line, bounded, no URL."""
    return shortened(without_urls(one_line(text)))


def quoted(value: object) -> str:
    """What a caller passed, as an error quotes it: it may be a webhook's body, or a link."""
    return shown(repr(value[:MOST_READ] if isinstance(value, str | bytes) else value))


def scrubbed(value: Any, depth: int = 0) -> Any:
    """A value of JSON without URLs, however deep; what lies too deep to be meant is left out."""
    if isinstance(value, str):
        return without_urls(value)
    if depth == _DEEPEST:
        return "…" if isinstance(value, dict | list | tuple) else value
    if isinstance(value, dict):
        return {scrubbed(key): scrubbed(item, depth + 1) for key, item in value.items()}
    return [scrubbed(item, depth + 1) for item in value] if isinstance(value, list | tuple) else value
