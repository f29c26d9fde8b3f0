"""Through a proxy: on real sockets, to services over TLS whose names only the proxy can resolve."""

# ruff: noqa: SIM117  # a server, a proxy and a client are three things

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import orjson
import pytest
import trustme
from harness import TOPAZ_KEY, Heard, RawServer, http, options, real, transport_of
from proxying import API, STORAGE, Proxy, client_context, port_of, server_context

from topaz_status import (
    CertificateError,
    ConfigurationError,
    Download,
    PollPolicy,
    StatusClient,
    TransportError,
)
from topaz_status.session.http.network import Network, make_network, make_proxy
from topaz_status.session.secret import Secret

CREDENTIALS = "who:s3cr3t%21word"
BASIC = b64encode(b"who:s3cr3t!word").decode()


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@attrs.frozen
class World:
    """A service and a storage host over TLS, behind a proxy."""

    api: RawServer
    storage: RawServer
    proxy: Proxy
    proxy_url: str
    settings: dict[str, Any]

    def client(self, **settings: Any) -> StatusClient:
        """A client that goes through the proxy, unless ``settings`` say otherwise."""
        return StatusClient(**options(**{**self.settings, "proxy": self.proxy_url, **settings}))

    def proxy_with(self, credentials: str) -> str:
        return self.proxy_url.replace("://", f"://{credentials}@")


def service(request: Heard) -> bytes:
    """A job that is done, whose file is in the storage."""
    link = {"download_url": f"https://{STORAGE}/file?sig=1"}
    done = {"process_id": "a", "status": "Completed"}
    return http(orjson.dumps(link if "download" in request.path else done))


@contextlib.asynccontextmanager
async def world(ca: trustme.CA, *, tls: bool = True, **how: Any) -> AsyncIterator[World]:
    """All three, on ports of their own."""
    api, storage = RawServer(service), RawServer(lambda _: http(b"file"))
    async with api.serve(server_context(ca, API) if tls else None) as api_url:
        async with storage.serve(server_context(ca, STORAGE)) as storage_url:
            proxy = Proxy({API: port_of(api_url), STORAGE: port_of(storage_url)}, **how)
            async with proxy.serve() as proxy_url:
                url = f"https://{API}" if tls else f"http://{API}"
                settings = {"topaz_url": url, "ssl": client_context(ca), "allow_plain_http": not tls}
                yield World(api, storage, proxy, proxy_url, settings)


async def failure_of(client: StatusClient) -> TransportError:
    """The outcome of a watch that gives up at once."""
    outcome = await client.image.watch("a").outcome()
    assert outcome.state is None
    assert isinstance(outcome.error, TransportError)
    return outcome.error


AT_ONCE = PollPolicy(give_up_after=1e-6, sweep=False)


@real
async def test_services_and_downloads_pass_encrypted(ca: trustme.CA, tmp_path: Path) -> None:
    """The proxy learns hosts alone: neither a key, nor a link, nor an answer; a tunnel serves many requests."""
    async with world(ca) as here:
        async with here.client() as client:
            assert (await client.image.watch("a")).is_terminal
            assert (await client.image.get("a")).is_terminal
            assert (await client.save("image:a", tmp_path)).read_bytes() == b"file"
    assert here.proxy.lines == [f"CONNECT {API}:443 HTTP/1.1", f"CONNECT {STORAGE}:443 HTTP/1.1"]
    assert [request.headers["x-api-key"] for request in here.api.heard] == [TOPAZ_KEY] * 3
    for word in (TOPAZ_KEY, "X-API-Key", "Completed", "sig=1", "process_id"):
        assert word.encode() not in here.proxy.seen
    assert not [request for request in here.storage.heard if TOPAZ_KEY in str(request)]


@real
async def test_credentials_are_the_proxys_alone(ca: trustme.CA, tmp_path: Path) -> None:
    """User name and password, percent-encoded in the URL, go to the proxy and to nobody behind it."""
    async with world(ca, credentials="who:s3cr3t!word") as here:
        async with here.client(proxy=here.proxy_with(CREDENTIALS)) as client:
            assert (await client.image.get("a")).is_terminal
            await client.save("image:a", tmp_path)
    assert len(here.proxy.heads) == 2
    assert all(f"Proxy-Authorization: Basic {BASIC}" in head for head in here.proxy.heads)
    for request in (*here.api.heard, *here.storage.heard):
        assert not {"proxy-authorization", "authorization"} & request.headers.keys()


@pytest.mark.parametrize("given", ["", "who:wrong@"])
@real
async def test_a_proxy_that_wants_credentials(given: str, ca: trustme.CA) -> None:
    """Its 407 is a failure in transit, and the message names the proxy and what to check, not the password."""
    async with world(ca, credentials="who:s3cr3t!word") as here:
        async with here.client(
            proxy=here.proxy_with(given.rstrip("@")) if given else here.proxy_url, policy=AT_ONCE
        ) as client:
            error = await failure_of(client)
    name = here.proxy_url.removeprefix("http://")
    assert f"the proxy {name} asks for credentials (407 Proxy Authentication Required): check user:password@" in str(
        error
    )
    assert "wrong" not in str(error)
    assert not error.maybe_sent
    assert not here.api.heard


@pytest.mark.parametrize("status", ["403 Forbidden", "502 Bad Gateway", "404 Not Found", "401 Unauthorized"])
@real
async def test_a_proxy_that_refuses(status: str, ca: trustme.CA) -> None:
    """Whatever a proxy answers to CONNECT, it is no verdict about a job or a key."""
    async with world(ca, refusal=http(b"<html>", status)) as here:
        async with here.client(policy=AT_ONCE) as client:
            error = await failure_of(client)
    assert f"does not connect us to the host ({status})" in str(error)
    assert here.proxy_url.removeprefix("http://") in str(error)


@real
async def test_a_proxy_that_drops_connections(ca: trustme.CA) -> None:
    """Where it hangs up, the message says through whom the request went."""
    async with world(ca, refusal=b"") as here:
        async with here.client(policy=AT_ONCE) as client:
            error = await failure_of(client)
    assert f"through the proxy {here.proxy_url.removeprefix('http://')} was lost" in str(error)


@real
async def test_a_proxy_that_is_down(ca: trustme.CA) -> None:
    """The message names the proxy as what cannot be reached, not the service."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with world(ca) as here:
        proxy = f"http://{CREDENTIALS}@127.0.0.1:{port}"
        async with here.client(proxy=proxy, policy=AT_ONCE) as client:
            error = await failure_of(client)
    assert f"cannot connect to the proxy 127.0.0.1:{port}: " in str(error)
    assert "s3cr3t" not in str(error)


@pytest.mark.parametrize(("proxy", "name"), [("no-such-host.invalid", "80"), ("no-such-host.invalid:3128", "3128")])
@real
async def test_a_proxy_that_does_not_resolve(proxy: str, name: str, ca: trustme.CA) -> None:
    """It is named as the proxy, with its port: the service's name is not resolved here."""
    async with world(ca) as here:
        async with here.client(proxy=f"http://{CREDENTIALS}@{proxy}", policy=AT_ONCE) as client:
            error = await failure_of(client)
    assert f"cannot resolve the proxy no-such-host.invalid:{name}: " in str(error)
    assert "s3cr3t" not in str(error)
    assert not error.maybe_sent


@real
async def test_the_log_does_not_blame_the_service_for_its_proxy(
    ca: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody knows how the service fares behind a proxy that refuses: it cannot be reached."""
    async with world(ca, refusal=http(b"", "503 Service Unavailable")) as here:
        async with here.client(policy=PollPolicy(give_up_after=3.0, sweep=False)) as client:
            await client.outcomes([f"image:{number}" for number in range(5)])
    [reported] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert reported.startswith(
        f"the image service cannot be reached (the proxy {here.proxy_url.removeprefix('http://')} "
    )
    assert reported.endswith("): one poll at a time tests it until it answers")


@real
async def test_a_silent_proxy_does_not_hold_up_a_download(ca: trustme.CA) -> None:
    """``request_timeout`` bounds the wait for the answer to CONNECT, too."""
    async with world(ca, silent=True) as here:
        async with here.client(request_timeout=0.05) as client:
            with pytest.raises(TransportError, match="no complete answer in time through the proxy"):
                async with transport_of(client).stream(Download(f"https://{STORAGE}/file", None, None), {}):
                    pass


@real
async def test_plain_http_is_read_by_the_proxy(ca: trustme.CA) -> None:
    """A service without TLS, once ``allow_plain_http`` permits it, is asked through the proxy, credentials included."""
    async with world(ca, tls=False, credentials="who:s3cr3t!word") as here:
        async with here.client(proxy=here.proxy_with(CREDENTIALS)) as client:
            assert (await client.image.get("a")).is_terminal
    assert here.proxy.lines == [f"GET http://{API}/image/v1/status/a HTTP/1.1"]
    assert "proxy-authorization" not in here.api.heard[0].headers


@real
async def test_a_407_on_plain_http_is_no_verdict(ca: trustme.CA) -> None:
    """It comes where an answer of the service would, and is a failure in transit all the same."""
    async with world(ca, tls=False, credentials="who:s3cr3t!word") as here:
        async with here.client(policy=AT_ONCE) as client:
            error = await failure_of(client)
    assert "asks for credentials (407)" in str(error)


@real
async def test_the_authority_holds_for_a_proxy_over_tls(ca: trustme.CA) -> None:
    """``ssl=`` verifies an ``https://`` proxy as well; one that it does not trust is reported by its name."""
    async with world(ca) as here:
        async with here.proxy.serve(server_context(ca, "127.0.0.1")) as url:
            async with here.client(proxy=url) as client:
                assert (await client.image.get("a")).is_terminal
        async with here.proxy.serve(server_context(trustme.CA(), "127.0.0.1")) as url:
            async with here.client(proxy=url) as client:
                with pytest.raises(
                    CertificateError, match=r"the proxy 127\.0\.0\.1: its certificate cannot be trusted"
                ):
                    await client.image.get("a")


@real
async def test_loopback_is_reached_directly(ca: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's loopback is another machine's, so that no key for ours goes there, however the proxy was named."""
    async with world(ca, tls=False) as here:
        url = f"http://127.0.0.1:{here.proxy.ports[API]}"
        monkeypatch.setenv("HTTP_PROXY", here.proxy_url)
        for how in ({"proxy": here.proxy_url}, {"proxy": None, "trust_env": True}):
            async with here.client(topaz_url=url, **how) as client:
                assert (await client.image.get("a")).is_terminal
    assert len(here.api.heard) == 2
    assert not here.proxy.heads


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@real
async def test_the_environment_on_request(
    variable: str, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With ``trust_env`` services and downloads go through the proxy of the environment; ``.netrc`` is not read."""
    netrc = tmp_path / "netrc"
    netrc.write_text("".join(f"machine {host} login me password theirs\n" for host in (API, STORAGE, "127.0.0.1")))
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with world(ca) as here:
        monkeypatch.setenv(variable, here.proxy_url.removeprefix("http://"))
        async with here.client(proxy=None, trust_env=True) as client:
            assert (await client.image.watch("a")).is_terminal
            assert (await client.save("image:a", tmp_path)).read_bytes() == b"file"
    assert len(here.proxy.lines) == 2
    assert "authorization" not in "".join(here.proxy.heads).lower()
    for request in (*here.api.heard, *here.storage.heard):
        assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", False),
        ("other.test", False),
        (API, True),
        (f"other.test, {API}:443", True),
        (f"{API}:8443", False),
        (".topaz.test", True),
        ("topaz.test", True),
        ("*", True),
    ],
)
def test_no_proxy(no_proxy: str, direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts of ``NO_PROXY``, with or without a port, by their domain or all, are reached directly."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (Network(trust_env=True).proxy_for(f"https://{API}/image") is None) is direct
    assert Network(trust_env=False).proxy_for(f"https://{API}") is None
    fixed = make_proxy("proxy", Secret("http://fixed.test"))
    assert Network(proxy=fixed, trust_env=True).proxy_for(f"https://{API}") is fixed


def test_each_scheme_has_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """``HTTPS_PROXY`` is for ``https://`` URLs, ``HTTP_PROXY`` for ``http://``, ``ALL_PROXY`` where those are not set."""
    monkeypatch.setenv("HTTP_PROXY", "http://plain.test:1")
    monkeypatch.setenv("ALL_PROXY", "http://all.test:2")
    network = Network(trust_env=True)
    names = [
        proxy and proxy.name for proxy in (network.proxy_for("http://a.test"), network.proxy_for("https://a.test"))
    ]
    assert names == ["plain.test:1", "all.test:2"]
    monkeypatch.setenv("REQUEST_METHOD", "GET")  # a CGI program, whose HTTP_PROXY is a header of its request
    assert getattr(network.proxy_for("http://a.test"), "name", None) == "all.test:2"


BAD = {
    "proxy.test:3128": "must be http://[user:password@]host:port",
    "//proxy.test": "must be http://[user:password@]host:port",
    "ftp://proxy.test": "must be http://[user:password@]host:port",
    "http://proxy.test/path": "must be http://[user:password@]host:port",
    "http://proxy.test?x=1": "must be http://[user:password@]host:port",
    "socks5://who:s3cr3t@proxy.test": "names a SOCKS proxy, which is not supported",
    "SOCKS4A://proxy.test": "names a SOCKS proxy, which is not supported",
    "http://pro xy.test": "must hold plain ASCII only, without spaces: percent-encode other characters",
    "http://who:s3cr3t word@proxy.test": "must hold plain ASCII only, without spaces: percent-encode other characters",
    " http://proxy.test": "must hold plain ASCII only, without spaces",
    "http://pröxy.test": "must hold plain ASCII only, without spaces",
    "http://proxy.test\r\nX: y": "must hold plain ASCII only, without spaces",
    "http://": "names no host",
    "http://who:s3cr3t@": "names no host",
    "http://proxy.test:0": "has a bad port: it is a number from 1 to 65535",
    "http://who:s3cr3t@proxy.test:port": "has a bad port: it is a number from 1 to 65535",
    "http://pro%xy.test": "names no host",
    "http://proxy.test:99999": "has a bad port: it is a number from 1 to 65535",
    "http://[::1": "is no URL",
    "http://who:%E2%82%AC@proxy.test": "has a user name or password with characters outside Latin-1",
    "http://who%3Aelse:s3cr3t@proxy.test": "has a user name with a colon",
}


@pytest.mark.parametrize("url", BAD)
def test_a_bad_proxy_is_refused_at_the_door(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what is supported and quotes nothing, for the URL may hold a password."""
    with pytest.raises(ConfigurationError) as raised:
        StatusClient(proxy=url)
    assert f"proxy {BAD[url]}" in str(raised.value)
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize("url", [7, b"http://proxy.test", True])
def test_a_proxy_is_text(url: Any) -> None:
    """Anything but a string is refused by its type."""
    with pytest.raises(ConfigurationError, match=f"not {type(url).__name__}"):
        StatusClient(proxy=url)


@pytest.mark.parametrize(
    "url",
    [
        "http://proxy",
        "http://10.0.0.1:3128/",
        "https://who:s%2Fx@proxy.test:8443",
        "http://[fd00::1]:3128",
        "HTTP://a.test",
    ],
)
def test_good_proxies(url: str) -> None:
    """Names, addresses, credentials and both schemes are taken."""
    proxy = make_proxy("proxy", Secret(url))
    assert proxy is not None
    assert "@" not in proxy.name
    assert "s%2Fx" not in repr(proxy)
    StatusClient(proxy=url)


def test_an_empty_proxy_is_none() -> None:
    """What comes from an unset variable is no proxy."""
    assert make_proxy("proxy", Secret("")) is None
    StatusClient(proxy="")


def test_a_bad_variable_is_refused_at_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names it; without ``trust_env``, or for a host that ``NO_PROXY`` names, nobody asks."""
    monkeypatch.setenv("https_proxy", "socks5h://who:s3cr3t@proxy.test")
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY names a SOCKS proxy") as raised:
        StatusClient(trust_env=True)
    assert "s3cr3t" not in str(raised.value)
    StatusClient()
    monkeypatch.setenv("no_proxy", "*")
    StatusClient(trust_env=True)


def test_trust_env_is_a_truth() -> None:
    """A word such as "no" would count as true."""
    with pytest.raises(ConfigurationError, match="trust_env is True or False, not str"):
        make_network(proxy=None, trust_env="no", context=None, has_session=False, urls=())  # type: ignore[arg-type]


@real
async def test_a_callers_session_has_its_own_settings(ca: trustme.CA) -> None:
    """Its proxy and TLS settings hold, its proxy is sent no key; ours beside it are refused."""
    async with world(ca) as here:
        connector = aiohttp.TCPConnector(ssl=client_context(ca))
        async with aiohttp.ClientSession(connector=connector, proxy=here.proxy_url) as session:
            async with here.client(session=session, proxy=None, ssl=None) as client:
                assert (await client.image.get("a")).is_terminal
            for how in (
                {"proxy": here.proxy_url, "ssl": None},
                {"proxy": None, "trust_env": True, "ssl": None},
                {"proxy": None},
            ):
                with pytest.raises(ConfigurationError, match=r"on the aiohttp\.ClientSession"):
                    here.client(session=session, **how)
    assert here.proxy.lines == [f"CONNECT {API}:443 HTTP/1.1"]
    assert TOPAZ_KEY.encode() not in here.proxy.seen


@real
async def test_many_at_once_through_one_proxy(ca: trustme.CA) -> None:
    """Requests that are under way together have tunnels of their own, and give them back."""
    async with world(ca) as here:
        async with here.client(max_in_flight=4) as client:
            await asyncio.gather(*(client.image.get("a") for _ in range(20)))
    assert 1 <= len(here.proxy.heads) <= 4
    assert len(here.api.heard) == 20
