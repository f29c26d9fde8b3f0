"""TLS settings that are safe for a key, and what a TLS error says of certificates."""

from __future__ import annotations

import ssl
from typing import Final

from ...errors import ConfigurationError

_CLOCK: Final = "check this machine's clock"
_AUTHORITY: Final = "trust its authority with ssl=… (command line: --ca-file)"
_ADDRESS: Final = "check the host of the URL"
_REMEDIES: Final = {
    **dict.fromkeys((9, 10), _CLOCK),
    **dict.fromkeys((18, 19, 20, 21), _AUTHORITY),
    **dict.fromkeys((62, 64), _ADDRESS),
}
"""Remedies by OpenSSL's X509_V_ERR codes (``man X509_STORE_CTX_get_error``)."""


def check_context(context: object) -> ssl.SSLContext | None:
    """Return a TLS context that verifies servers; ``None`` stays ``None``.

    Raises:
        ConfigurationError: the argument is no context, or a context that would send the key to any server.
    """
    if context is None:
        return None
    if context is False:
        raise ConfigurationError(
            "ssl=False would send the API key to any server that answers: pass an ssl.SSLContext that trusts yours"
        )
    if not isinstance(context, ssl.SSLContext):
        raise ConfigurationError(
            f'ssl is an ssl.SSLContext, not {type(context).__name__}: use ssl.create_default_context(cafile="ca.pem")'
        )
    if context.protocol is ssl.PROTOCOL_TLS_SERVER:
        raise ConfigurationError("ssl is a context for servers: use ssl.create_default_context()")
    if context.verify_mode is ssl.CERT_NONE or not context.check_hostname:
        raise ConfigurationError(
            "ssl does not verify servers and their host names, so that the API key would go to any of them: "
            "use ssl.create_default_context(cafile=…)"
        )
    return context


def certificate_problem(error: ssl.SSLError) -> str | None:
    """Return what is wrong with a certificate and how to mend it; ``None`` if the error is about something else.

    Under TLS 1.2 a server that wants a client certificate and gets none sends ``handshake_failure`` (RFC 5246 §7.4.6).
    A server sends the same where no cipher or version is shared, and load balancers send it while they are set up anew.
    Python does not report whether a certificate was asked for. So the alert is a failure in transit like any other,
    however often it comes: an outage must not end a watch before ``give_up_after``. TLS 1.3 has an alert of its own,
    ``certificate_required``.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        code, message = getattr(error, "verify_code", 0), getattr(error, "verify_message", "") or str(error)
        remedy = _REMEDIES.get(code)
        problem = f"its certificate cannot be trusted ({message.rstrip('.')})"
        return f"{problem}: {remedy}" if remedy else problem
    reason = error.reason or ""
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        words = reason.lower().replace("_", " ")
        return f"it refuses our certificate ({words}): load one into ssl=… (command line: --client-cert)"
    return None
