"""TLS: whom a client trusts, what it shows of itself, and what is said of a certificate that is wrong."""

# ruff: noqa: SIM117  # a server and its client are two things

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import trustme
from harness import RawServer, http, options, real
from proxying import client_context, port_of, server_context

from topaz_status import CertificateError, ConfigurationError, Download, PollPolicy, StatusClient, TransportError
from topaz_status.session.http.certificates import certificate_problem, check_context
from topaz_status.session.http.connections import IDLE_UNTIL_PROBED
from topaz_status.session.http.translation import problem_of

DONE = http(orjson.dumps({"process_id": "a", "status": "Completed"}))
HOST = "localhost"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@contextlib.asynccontextmanager
async def serving(context: ssl.SSLContext, host: str = HOST) -> AsyncIterator[tuple[RawServer, str]]:
    """A service over TLS, and its URL."""
    server = RawServer(lambda _: DONE)
    async with server.serve(context) as url:
        yield server, f"https://{host}:{port_of(url)}"


def client(url: str, **settings: Any) -> StatusClient:
    return StatusClient(**options(topaz_url=url, **settings))


@real
async def test_a_private_authority(ca: trustme.CA) -> None:
    """``ssl=`` trusts the authority in it."""
    async with serving(server_context(ca, HOST)) as (server, url), client(url, ssl=client_context(ca)) as asking:
        assert (await asking.image.watch("a")).is_terminal
    assert server.heard


@real
async def test_a_client_certificate(ca: trustme.CA) -> None:
    """``ssl=`` shows the certificate in it to a server that demands one."""
    demanding = server_context(ca, HOST)
    demanding.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(demanding)
    showing = client_context(ca)
    ca.issue_cert("me@topaz.test").configure_cert(showing)
    async with serving(demanding) as (server, url), client(url, ssl=showing) as asking:
        assert (await asking.image.get("a")).is_terminal
    assert server.heard


YEAR = dt.timedelta(days=365)
NOW = dt.datetime.now(dt.UTC)


def untrusted(kind: str, ca: trustme.CA) -> tuple[ssl.SSLContext, str]:
    """A server's context that is wrong, and the host that it is asked by."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    match kind:
        case "unknown":
            return server_context(trustme.CA(), HOST), HOST
        case "expired":
            ca.issue_cert(HOST, not_before=NOW - 2 * YEAR, not_after=NOW - YEAR).configure_cert(context)
            return context, HOST
        case "early":
            ca.issue_cert(HOST, not_before=NOW + YEAR, not_after=NOW + 2 * YEAR).configure_cert(context)
            return context, HOST
        case "address":
            return server_context(ca, HOST), "127.0.0.1"
        case _:
            return server_context(ca, "other.test"), HOST


@pytest.mark.parametrize(
    ("kind", "problem", "remedy"),
    [
        ("unknown", "certificate", "trust its authority with ssl=… (command line: --ca-file)"),
        ("expired", "certificate has expired", "check this machine's clock"),
        ("early", "certificate is not yet valid", "check this machine's clock"),
        ("name", "Hostname mismatch, certificate is not valid for 'localhost'", "check the host of the URL"),
        ("address", "IP address mismatch, certificate is not valid for '127.0.0.1'", "check the host of the URL"),
    ],
)
@real
async def test_a_wrong_certificate(kind: str, problem: str, remedy: str, ca: trustme.CA) -> None:
    """A direct call raises at once, sends nothing, and says what is wrong and what to do."""
    context, host = untrusted(kind, ca)
    async with serving(context, host) as (server, url), client(url, ssl=client_context(ca)) as asking:
        with pytest.raises(CertificateError) as raised:
            await asking.image.get("a")
        with pytest.raises(CertificateError):
            await asking.image.delete("a")
        tries = asking.stats().requests
    assert f"cannot connect to {host}: its certificate cannot be trusted (" in str(raised.value)
    assert problem in str(raised.value)
    assert str(raised.value).endswith(remedy)
    assert not raised.value.maybe_sent
    assert sum(count for answers in tries.values() for count in answers.values()) == 2
    assert not server.heard


@real
async def test_a_wrong_certificate_of_the_storage(ca: trustme.CA, tmp_path: Path) -> None:
    """A download raises at once as well, instead of trying for a minute."""
    async with serving(server_context(trustme.CA(), HOST)) as (_, storage_url):
        link = http(orjson.dumps({"download_url": f"{storage_url}/file"}))
        service = RawServer(lambda _: link)
        async with service.serve() as url, client(url, ssl=client_context(ca)) as asking:
            with pytest.raises(CertificateError, match="cannot be trusted"):
                await asking.save("image:a", tmp_path)
    assert len(service.heard) == 1


@contextlib.contextmanager
def alerting(context: ssl.SSLContext) -> Iterator[int]:
    """A server on a thread that says in an alert why it refuses a client, which asyncio's servers do not; its port."""

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                with context.wrap_socket(near, server_side=True, do_handshake_on_connect=False) as far:
                    with contextlib.suppress(OSError):
                        far.do_handshake()
                    with contextlib.suppress(OSError):
                        socket.socket.shutdown(far, socket.SHUT_WR)
                        while socket.socket.recv(far, 1 << 16):
                            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@real
async def test_a_certificate_of_ours_that_is_refused(version: ssl.TLSVersion, ca: trustme.CA) -> None:
    """A server that does not trust ours says so, in the handshake or, with TLS 1.3, after it: a certificate error."""
    demanding = server_context(ca, HOST)
    demanding.maximum_version = version
    demanding.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(demanding)
    showing = client_context(ca)
    trustme.CA().issue_cert("me@topaz.test").configure_cert(showing)
    with alerting(demanding) as port:
        async with client(f"https://{HOST}:{port}", ssl=showing) as asking:
            with pytest.raises(CertificateError, match=r"localhost: it refuses our certificate .*--client-cert"):
                await asking.image.get("a")


@real
async def test_a_certificate_of_ours_that_is_missing(ca: trustme.CA) -> None:
    """A server that demands one, with TLS 1.3, is understood as well."""
    demanding = server_context(ca, HOST)
    demanding.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(demanding)
    with alerting(demanding) as port:
        async with client(f"https://{HOST}:{port}", ssl=client_context(ca)) as asking:
            with pytest.raises(CertificateError, match=r"it refuses our certificate .*certificate required"):
                await asking.image.get("a")


@pytest.mark.parametrize(
    ("reason", "about"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", True),
        ("SSLV3_ALERT_BAD_CERTIFICATE", True),
        ("SSL/TLS_ALERT_CERTIFICATE_EXPIRED", True),
        ("TLSV1_ALERT_UNKNOWN_CA", True),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", False),
        ("WRONG_VERSION_NUMBER", False),
        ("TLSV1_ALERT_INTERNAL_ERROR", False),
        (None, False),
    ],
)
def test_which_tls_errors_are_about_a_certificate(reason: str | None, about: bool) -> None:
    """Alerts that name a certificate or an authority are; others, which a server that restarts may send, are not."""
    error = ssl.SSLError(1, "x")
    error.reason = reason  # type: ignore[assignment]
    assert (certificate_problem(error) is not None) is about
    wrapped = aiohttp.ClientOSError(1, "x")
    wrapped.__cause__ = error
    assert (problem_of(wrapped) is not None) is about


def unverified() -> Iterator[tuple[Any, str]]:
    """What would send a key to anybody, and what is no context for clients."""
    yield False, "ssl=False would send the API key to any server"
    yield True, "ssl is an ssl.SSLContext, not bool"
    yield "ca.pem", 'ssl is an ssl.SSLContext, not str: use ssl.create_default_context(cafile="ca.pem")'
    yield ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "ssl is a context for servers"
    lax = ssl.create_default_context()
    lax.check_hostname = False
    yield lax, "ssl does not verify servers and their host names"
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    yield blind, "ssl does not verify servers and their host names"


@pytest.mark.parametrize(("context", "problem"), list(unverified()))
def test_verification_is_not_switched_off(context: Any, problem: str) -> None:
    """Nothing that would send the key to any server that answers passes the door."""
    with pytest.raises(ConfigurationError) as raised:
        StatusClient(ssl=context)
    assert problem in str(raised.value)


def test_verifying_contexts_pass() -> None:
    """The default context, and none at all."""
    assert check_context(None) is None
    context = ssl.create_default_context()
    assert check_context(context) is context
    assert check_context(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) is not None


@real
async def test_a_name_that_cannot_be_resolved() -> None:
    """It is said as such, and is no certificate error: names come back."""
    async with client("https://nowhere.invalid", policy=PollPolicy(give_up_after=1e-6, sweep=False)) as asking:
        with pytest.raises(TransportError, match=r"cannot resolve the host name nowhere\.invalid") as raised:
            await asking.image.watch("a")
    assert type(raised.value) is TransportError


@pytest.mark.parametrize("tls", [False, True])
@real
async def test_idle_connections_stay_alive(tls: bool, ca: trustme.CA) -> None:
    """The operating system probes idle connections, to services and to the storage, with TLS and without."""
    service, storage = RawServer(lambda _: DONE), RawServer(lambda _: http(b"file"))
    context = server_context(ca, "127.0.0.1") if tls else None
    async with service.serve(context) as url, storage.serve(context) as storage_url:
        async with client(url, ssl=client_context(ca)) as asking:
            await asking.image.get("a")
            async with asking._transport.stream(Download(f"{storage_url}/file", None, None), {}) as stream:
                assert await stream.read() == b"file"
            idle = idle_sockets(asking)
            assert len(idle) == 2
            for one in idle:
                assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == IDLE_UNTIL_PROBED


def idle_sockets(asking: StatusClient) -> list[Any]:
    """The sockets of all idle connections of a client's own."""
    pools = {session.connector for session in asking._transport._connections.ours}
    idle = [held for pool in pools if pool is not None for held in pool._conns.values()]
    return [protocol.transport.get_extra_info("socket") for held in idle for protocol, _ in held if protocol.transport]
