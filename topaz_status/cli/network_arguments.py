"""Arguments about the network, for every command that calls the services."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from .argument_types import a_proxy
from .exit_codes import UNKNOWN, USAGE, CommandError

if TYPE_CHECKING:
    import ssl

_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_TRUSTED: Final = b"-----BEGIN TRUSTED CERTIFICATE-----"  # OpenSSL's own form of a certificate
_KEY: Final = b"PRIVATE KEY-----"
_BOTH: Final = "needs the certificate and its private key in one PEM file"


def add_network(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments about the network."""
    add = parser.add_argument_group(
        "network", "Of the environment, HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE count."
    ).add_argument
    add(
        "--proxy",
        type=a_proxy,
        metavar="URL",
        help="http://user:password@host:3128 instead of those; 'none' for none; loopback is always reached directly",
    )
    add("--ca-file", metavar="FILE", help="trust the certificate authorities in this PEM file, too")
    add("--client-cert", metavar="FILE", help="client certificate to show: a PEM file with its private key")


def network_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the network settings of a client.

    Raises:
        CommandError: one of the files cannot be used.
    """
    proxy = arguments.proxy
    if variable := os.environ.get("SSL_CERT_FILE"):  # OpenSSL silently ignores a file that it cannot read
        _read_pem(f"SSL_CERT_FILE {variable}", variable, UNKNOWN)
    return {
        "proxy": None if proxy is None else proxy.reveal(),
        "trust_env": proxy is None,
        "ssl": _context(arguments.ca_file, arguments.client_cert),
    }


def _context(ca_file: str | None, client_cert: str | None) -> ssl.SSLContext | None:
    """Return the system's TLS settings with these files added; ``None`` if there are no files."""
    if ca_file is None and client_cert is None:
        return None
    import ssl  # noqa: PLC0415  # the help and most commands do not need it here

    context = ssl.create_default_context()
    if ca_file is not None:
        _add_authorities(context, ca_file)
    if client_cert is not None:
        _add_client_cert(context, client_cert)
    return context


def _add_authorities(context: ssl.SSLContext, file: str) -> None:
    source = f"--ca-file {file}"
    _read_pem(source, file, USAGE)
    try:
        context.load_verify_locations(file)
    except OSError as error:  # includes SSLError
        raise CommandError(f"{source} holds a damaged certificate: {error}", USAGE) from None


def _add_client_cert(context: ssl.SSLContext, file: str) -> None:
    source = f"--client-cert {file}"
    content = _read_pem(source, file, USAGE, or_key=True)
    if _KEY not in content or not _has_certificate(content):
        raise CommandError(f"{source} {_BOTH}", USAGE)
    try:
        context.load_cert_chain(file, password=_refuse_password)
    except (OSError, ValueError) as error:
        raise CommandError(f"{source} cannot be used: {_problem(error)}", USAGE) from None


def _read_pem(source: str, file: str, code: int, *, or_key: bool = False) -> bytes:
    """Return the content of a file with certificates; with ``or_key`` a private key is enough.

    Raises:
        CommandError: the file cannot be read, or does not hold these.
    """
    try:
        content = Path(file).read_bytes()
    except (OSError, ValueError) as error:
        raise CommandError(f"{source} cannot be read: {getattr(error, 'strerror', None) or error}", code) from None
    if not (_has_certificate(content) or (or_key and _KEY in content)):
        raise CommandError(f"{source} holds no certificates in PEM form", code)
    return content


def _has_certificate(content: bytes) -> bool:
    return _CERTIFICATE in content or _TRUSTED in content


def _problem(error: Exception) -> str:
    """Return what is wrong with a certificate and its key, in clearer words than OpenSSL's where needed."""
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return "its private key belongs to another certificate"
    return str(error)


def _refuse_password() -> NoReturn:
    """Refuse to give a password, so that OpenSSL does not ask for one at the terminal."""
    raise ValueError("its private key is encrypted; decrypt it first")
