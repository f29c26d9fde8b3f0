"""Translation of every failure of aiohttp, the sockets and the codecs into an error of the library.

aiohttp's own exceptions carry the request with its headers, and their tracebacks carry the sender's variables. So they
never become a cause or context. Every error that leaves this file is made here, without a key or a signed URL.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from ...errors import CertificateError, TopazStatusError, TransportError
from ...models.job import JobRef
from ...models.redact import shown
from .certificates import certificate_problem
from .network import Proxy

LONGEST_HEADER: Final = 1 << 16
"""Most bytes of one response header, or of the status line; aiohttp's own limit is 8,190."""


class LostError(Exception):
    """A connection dropped before an answer came; aiohttp does not know this error, so it does not send again.

    The error never leaves the transport.
    """


def check_passed(status: int, proxy: Proxy | None) -> None:
    """Refuse a 407: it comes from a proxy on the way of a plain ``http://`` request, not from a service (RFC 9110)."""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        raise TransportError(_refused_by(proxy, "407"))


def _refused_by(proxy: Proxy | None, answer: str) -> str:
    """Say what a proxy's refusal means."""
    name = "a proxy on the way" if proxy is None else f"the proxy {proxy.name}"
    if answer.startswith("407"):
        return f"{name} asks for credentials ({answer}): check user:password@ in its URL"
    return f"{name} does not connect us to the host ({answer})"


def problem_of(error: Exception) -> str | None:
    """Return what is wrong with a certificate, if an error of aiohttp's is about one."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error.__cause__
    return certificate_problem(cause) if isinstance(cause, ssl.SSLError) else None


def translate(
    error: Exception, job: JobRef | None, cleaned: Callable[[str], str] = str, proxy: Proxy | None = None
) -> TransportError:
    """Translate any error of aiohttp, the sockets or the codecs; ``cleaned`` hides what no message may hold."""
    through = "" if proxy is None else f" through the proxy {proxy.name}"
    match error:
        case CertificateError():
            return CertificateError(str(error), job=job)
        case aiohttp.ClientConnectorError():
            return _not_connected(error, job, proxy)
        case aiohttp.ClientHttpProxyError():
            answer = shown(cleaned(f"{error.status} {error.message}"))
            return TransportError(_refused_by(proxy, answer), maybe_sent=False, job=job)
        case TopazStatusError():
            text = str(error)
        case LostError():
            text = f"the connection{through} was lost before an answer came ({error})"
        case TimeoutError():
            text = f"no complete answer in time{through}"
        case aiohttp.ClientResponseError(__cause__=Exception(__cause__=LineTooLong())):
            text = f"the answer has a header of more than {LONGEST_HEADER} bytes"
        case _:
            details = shown(cleaned(_text(error))) or "no details"
            text = f"no usable answer{through} ({type(error).__name__}: {details})"
    return TransportError(text, job=job)


def _not_connected(error: aiohttp.ClientConnectorError, job: JobRef | None, proxy: Proxy | None) -> TransportError:
    """Translate a failed connection to a service or to a proxy; nothing was sent."""
    of_proxy = _is_of_proxy(error, proxy)
    if (problem := problem_of(error)) is not None:  # a certificate names a host, not a port
        what = "the proxy " if of_proxy else ""
        return CertificateError(f"cannot connect to {what}{error.host}: {problem}", maybe_sent=False, job=job)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        what = _address(error) if of_proxy else f"the host name {error.host}"
        text = f"cannot resolve {what}: {error.os_error}"
    else:
        what = _address(error) if of_proxy else error.host
        text = f"cannot connect to {what}: {error.os_error}"
    return TransportError(text, maybe_sent=False, job=job)


def _is_of_proxy(error: aiohttp.ClientConnectorError, proxy: Proxy | None) -> bool:
    """Return whether the proxy itself cannot be reached; behind a proxy, no service's name is resolved here."""
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return True
    if proxy is None:
        return False
    return isinstance(error, aiohttp.ClientConnectorDNSError) or (error.host, error.port) == proxy.address


def _address(error: aiohttp.ClientConnectorError) -> str:
    host = f"[{error.host}]" if ":" in error.host else error.host
    return f"the proxy {host}:{error.port}"


def _text(error: Exception) -> str:
    """Return an error's own text, without the URL that it is about."""
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return ""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.message
    return str(getattr(error, "message", "")) or str(error)
