"""Check of a server's URL: known schemes and options only, and no password in plain text over a network."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ..errors import ConfigurationError
from ..session.http.urls import is_loopback

SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
    "unix": "unix",
}
"""The schemes that are taken, and redis-py's word for each."""
OPTIONS: Final = {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
"""What may stand in a URL's query; all else goes into a client of the caller's own."""


def checked_redis_url(source: str, text: object, *, allow_plain: bool) -> str:
    """Return a URL as redis-py takes it; ``source`` names where it comes from, and no message holds its text.

    Raises:
        ConfigurationError: the URL is unusable.
    """
    parts = _split(text)
    if parts is None or parts.scheme not in SCHEMES or not (parts.hostname or (parts.scheme == "unix" and parts.path)):
        raise ConfigurationError(f"{source} must be rediss://host:port/0, or one of {', '.join(sorted(SCHEMES))}")
    unknown = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} - OPTIONS)
    if unknown or parts.fragment:
        raise ConfigurationError(f"{source} holds more than {', '.join(sorted(OPTIONS))}: pass a client= of your own")
    if SCHEMES[parts.scheme] == "redis" and parts.password and not (allow_plain or is_loopback(parts.hostname or "")):
        raise ConfigurationError(f"{source} would send a password in plain text: use rediss://, or allow_plain=True")
    return parts._replace(scheme=SCHEMES[parts.scheme]).geturl()


def _split(text: object) -> SplitResult | None:
    """Split a URL; return ``None`` if it is malformed."""
    try:
        parts = urlsplit(text.strip()) if isinstance(text, str) else None
        if parts is not None:
            _ = parts.port  # raises for a port that is no number
    except ValueError:
        return None
    return parts


def shown_url(url: str) -> str:
    """Return a URL without its user, password and options."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def tls_options(url: str) -> dict[str, Any]:
    """Return the settings that make redis-py check certificates and host names, on every version of it."""
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True} if url.startswith("rediss:") else {}
