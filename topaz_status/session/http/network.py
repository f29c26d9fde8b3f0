"""How a client reaches the services and the storage: the proxy it uses and the certificates it trusts.

Loopback hosts of this machine are always reached directly: the loopback of a proxy is another one. A proxy sees an
``https://`` request as an encrypted tunnel (CONNECT, RFC 9110 §9.3.6), so it cannot read the key. It reads an
``http://`` request whole, as does every other machine on the way; ``allow_plain_http`` accepts that.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import attrs

from ...errors import ConfigurationError
from ..secret import Secret
from .certificates import check_context
from .urls import is_host, is_loopback

_PORTS: Final = {"http": 80, "https": 443}
_FORM: Final = "must be http://[user:password@]host:port, or the same with https://"


@attrs.frozen
class Proxy:
    """One HTTP proxy."""

    url: Secret
    """The URL, with the user name and password, if there are any."""
    name: str
    """The proxy's host and port, for messages."""

    @property
    def address(self) -> tuple[str | None, int]:
        """The proxy's host, and its port or the scheme's default port."""
        parts = urlsplit(f"//{self.name}")
        return parts.hostname, parts.port or _PORTS[urlsplit(self.url.reveal()).scheme]


@attrs.frozen(kw_only=True)
class Network:
    """Settings of our own connections."""

    proxy: Proxy | None = None
    trust_env: bool = False
    ssl: ssl.SSLContext | None = None

    def proxy_for(self, url: str) -> Proxy | None:
        """Return the proxy for a URL; ``None`` if its host is reached directly.

        Raises:
            ConfigurationError: a variable of the environment names no proxy that can be used.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        if is_loopback(host):
            return None
        if self.proxy is not None or not self.trust_env:
            return self.proxy
        return _environment_proxy(parts.scheme, host, parts.port or _PORTS.get(parts.scheme, 0))


def make_network(
    *, proxy: Secret | None, trust_env: bool, context: ssl.SSLContext | None, has_session: bool, urls: Iterable[str]
) -> Network:
    """Check the arguments, and the environment if it is trusted, for the services at ``urls``.

    Raises:
        ConfigurationError: naming the argument or variable, and what is wrong with it.
    """
    if not isinstance(trust_env, bool):
        raise ConfigurationError(f"trust_env is True or False, not {type(trust_env).__name__}")
    if has_session and (proxy is not None or trust_env or context is not None):
        raise ConfigurationError(
            "proxy, trust_env and ssl are for connections of the client's own: "
            "set them on the aiohttp.ClientSession that is passed as session"
        )
    network = Network(proxy=make_proxy("proxy", proxy), trust_env=trust_env, ssl=check_context(context))
    for url in urls:
        network.proxy_for(url)
    return network


def make_proxy(source: str, url: Secret | None) -> Proxy | None:
    """Read a proxy's URL, which came from ``source``; an empty one means no proxy.

    Raises:
        ConfigurationError: the URL cannot be used. The message does not quote it, because it may hold a password.
    """
    if url is None or url.reveal() == "":
        return None
    problem = _problem(url.reveal())  # not inline: an error holds the variables of each function it leaves
    if problem is not None:
        raise ConfigurationError(f"{source} {problem}")
    return Proxy(url, urlsplit(url.reveal()).netloc.rpartition("@")[2])


def _problem(url: object) -> str | None:
    """Return what is wrong with a proxy's URL."""
    if not isinstance(url, str):
        return f"is a URL such as http://host:3128, not {type(url).__name__}"
    if not all("!" <= character <= "~" for character in url) or "\\" in url:
        return "must hold plain ASCII only, without spaces: percent-encode other characters"
    if url.lower().startswith("socks"):
        return f"names a SOCKS proxy, which is not supported: it {_FORM}"
    return _problem_of_url(url)


def _problem_of_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "is no URL"
    if "://" not in url or parts.scheme not in _PORTS or parts.path not in {"", "/"} or parts.query or parts.fragment:
        return _FORM
    if not is_host(host):
        return "names no host that can be reached"
    if not _has_good_port(parts):
        return "has a bad port: it is a number from 1 to 65535"
    return _problem_of_credentials(parts.username or "", parts.password or "")


def _has_good_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _problem_of_credentials(user: str, password: str) -> str | None:
    """Return what Basic authentication (RFC 7617), as aiohttp encodes it, cannot carry."""
    try:
        unquote(user + password).encode("latin-1")
    except UnicodeEncodeError:
        return "has a user name or password with characters outside Latin-1"
    return "has a user name with a colon" if ":" in unquote(user) else None


def _environment_proxy(scheme: str, host: str, port: int) -> Proxy | None:
    """Return the proxy that the environment names for a host (on macOS and Windows also the system's settings)."""
    source, url = _environment_url(scheme)
    address = f"[{host}]" if ":" in host else host
    if url is None or any(proxy_bypass(one) for one in (host, f"{address}:{port}")):
        return None
    return make_proxy(source, url)


def _environment_url(scheme: str) -> tuple[str, Secret | None]:
    """Return the variable that counts and its URL; ``http://`` is added to a URL that begins with the host."""
    proxies = getproxies()
    for name in (scheme, "all"):
        if url := proxies.get(name, "").strip():
            return f"{name.upper()}_PROXY", Secret(url if "://" in url else f"http://{url}")
    return "", None
