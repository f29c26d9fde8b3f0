"""Arguments about the network, for every command that asks the services."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from .exits import USAGE, CommandError
from .values import a_proxy

if TYPE_CHECKING:
    import ssl


def add_network(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add = parser.add_argument_group(
        "network", "Of the environment, HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE count."
    ).add_argument
    add("--proxy", type=a_proxy, metavar="URL", help="http://user:password@host:3128 instead of those; 'none' for none")
    add("--ca-file", metavar="FILE", help="trust the certificate authorities in this PEM file, too")
    add("--client-cert", metavar="FILE", help="client certificate to show: a PEM file with its private key")


def network_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a client is to be told of the network.

    Raises:
        CommandError: a file cannot be used.
    """
    proxy = arguments.proxy
    return {
        "proxy": None if proxy is None else proxy.reveal(),
        "trust_env": proxy is None,
        "ssl": _context(arguments.ca_file, arguments.client_cert),
    }


def _context(ca_file: str | None, client_cert: str | None) -> ssl.SSLContext | None:
    """The system's settings with these added; ``None`` where there is nothing to add."""
    if ca_file is None and client_cert is None:
        return None
    import ssl  # noqa: PLC0415  # the help and most commands need none here

    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise CommandError(f"--ca-file {ca_file} holds no certificates: {error}", USAGE) from None
    if client_cert is not None:
        try:
            context.load_cert_chain(client_cert, password=_ask_nobody)
        except (OSError, ValueError) as error:
            raise CommandError(f"--client-cert {client_cert} cannot be used: {error}", USAGE) from None
    return context


def _ask_nobody() -> NoReturn:
    """Where OpenSSL would stop to ask at the terminal."""
    raise ValueError("its private key is encrypted; decrypt it first")
