"""Redaction of text from a service: no signed URLs, and no characters that move a terminal or forge a log line.

Anyone who has a signed URL has the file, so such a URL is as secret as a key. It is recognised by its scheme, even if
nested JSON has escaped its slashes, or by a query that names a signature.
"""

from __future__ import annotations

import re
from typing import Any, Final

MOST_SHOWN: Final = 500
"""Most characters of one text in an error, a log line or a ``repr``."""
MOST_READ: Final = 4 * MOST_SHOWN
"""Most characters that are read to make such a text: URLs are longer than their replacements."""
_DEEPEST: Final = 50
"""Levels of nesting down to which JSON is redacted."""

_SCHEME: Final = r"[a-z0-9+.-]{0,31}:(?:\\?/){2}"
"""A bounded pattern, so that a long word is not scanned again from each of its letters."""
_URL: Final = re.compile(rf"{_SCHEME}\S*", re.IGNORECASE)
_QUERY: Final = re.compile(rf"({_SCHEME}[^\s?#]*)[?#]\S*", re.IGNORECASE)
_USER: Final = re.compile(rf"({_SCHEME})[^\s/?#]*@", re.IGNORECASE)
_SIGNED: Final = re.compile(
    r"[?&][\w.~%-]{0,40}(?:sig|token|secret|credential|key|policy|expires|access)[\w.~%-]{0,40}=\S*", re.IGNORECASE
)


def without_urls(text: str) -> str:
    """Replace each URL by ``<url>``, and the rest of a signed query by ``?…``."""
    if "/" in text:
        text = _URL.sub("<url>", text)
    return _SIGNED.sub("?…", text)


def without_queries(text: str) -> str:
    """Reduce each URL to its scheme, host and path, which are useful and sign nothing."""
    return _SIGNED.sub("?…", _QUERY.sub(r"\1?…", _USER.sub(r"\1", text)))


def one_line(text: str) -> str:
    """Return the beginning of a text as one line of printable characters."""
    return " ".join("".join(one if one.isprintable() else " " for one in text[:MOST_READ]).split())


def legible(text: str) -> str:
    """Return the whole text, with each unprintable character replaced by the replacement character."""
    return (
        text
        if text.isprintable()
        else "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    )


def shortened(text: str) -> str:
    """Cut a text to :data:`MOST_SHOWN` characters."""
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"


def shown(text: str) -> str:
    """Make a service's text fit for a log, an error or a ``repr``: one line, bounded, without URLs."""
    return shortened(without_urls(one_line(text)))


def quoted(value: object) -> str:
    """Quote a caller's argument for an error, without URLs: the argument may be a webhook's body, or a link."""
    return shown(repr(value[:MOST_READ] if isinstance(value, str | bytes) else value))


def scrubbed(value: Any, depth: int = 0) -> Any:
    """Return a JSON value without URLs at any depth; objects and arrays below 50 levels become ``…``."""
    if isinstance(value, str):
        return without_urls(value)
    if depth == _DEEPEST:
        return "…" if isinstance(value, dict | list | tuple) else value
    if isinstance(value, dict):
        return {scrubbed(key): scrubbed(item, depth + 1) for key, item in value.items()}
    return [scrubbed(item, depth + 1) for item in value] if isinstance(value, list | tuple) else value
