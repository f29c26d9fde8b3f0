"""Check of base URLs: no user names, no queries, no host that cannot be reached, no key in plain text."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from ...errors import ConfigurationError


def checked_url(source: str, text: str, *, allow_plain_http: bool) -> str:
    """Return a base URL without a slash at its end; ``source`` names where the URL comes from.

    Raises:
        ConfigurationError: the URL is unusable.
    """
    try:
        text = text.strip()
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError):
        raise ConfigurationError(f"{source} is no URL") from None
    _check_url(source, text, parts)
    if host is None or not is_host(host) or port == 0:
        raise ConfigurationError(f"{source} names no host that can be reached")
    if parts.scheme == "http" and not (allow_plain_http or is_loopback(host)):
        raise ConfigurationError(
            f"{source} would send the API key in plain text to {host}: use https://, or pass allow_plain_http=True"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _check_url(source: str, text: str, parts: SplitResult) -> None:
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"{source} must be https://host with an optional path prefix")
    if "@" in parts.netloc:
        raise ConfigurationError(f"{source} must not hold a user name or password")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ConfigurationError(f"{source} must not hold a query or fragment")
    if not all("!" <= character <= "~" for character in text) or "\\" in text:
        raise ConfigurationError(f"{source} must hold plain ASCII only, without spaces")
    if any(part in {".", ".."} for part in unquote(parts.path).replace("\\", "/").split("/")):
        raise ConfigurationError(f"{source} must not hold dotted path segments")


_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")


def is_host(host: str) -> bool:
    """Return whether a host is an address or a name as in RFC 1123, with the underscores of local networks."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None
    return True


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
