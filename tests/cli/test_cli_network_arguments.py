"""The command line and the network: proxies, authorities and client certificates."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from harness import RawServer, http, real, transport_of
from proxying import port_of, server_context

from topaz_status import CertificateError
from topaz_status.cli import main
from topaz_status.cli.commands.watch import new_client
from topaz_status.cli.exit_codes import CommandError, code_of, explain
from topaz_status.cli.network_arguments import network_of
from topaz_status.cli.parsers import parse
from topaz_status.client import StatusClient
from topaz_status.session.http.certificates import certificate_problem

from .driver import Cli, command

DONE = http(b'{"process_id": "a", "status": "Completed"}')
URL = "http://who:s3cr3t@proxy.test:3128"
API = "https://api.topazlabs.com"


def client_of(*words: str) -> StatusClient:
    return new_client(parse(["get", "image:a", *words]))


def proxy_name(client: StatusClient) -> str | None:
    proxy = transport_of(client)._connections.network.proxy_for(API)
    return None if proxy is None else proxy.name


def test_which_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's by default, another or none where that is asked for."""
    assert proxy_name(client_of()) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://office.test:8080")
    assert proxy_name(client_of()) == "office.test:8080"
    assert proxy_name(client_of("--proxy", URL)) == "proxy.test:3128"
    assert proxy_name(client_of("--proxy", "none")) is None
    monkeypatch.setenv("NO_PROXY", ".topazlabs.com")
    assert proxy_name(client_of()) is None
    assert proxy_name(client_of("--proxy", URL)) == "proxy.test:3128"


BAD_PROXIES = {
    "": "is empty: write http://host:3128, or 'none' to use no proxy",
    "socks5://who:s3cr3t@h": "names a SOCKS proxy, which is not supported",
    "who:s3cr3t@h:1": "must be http://[user:password@]host:port",
    "http://who:s3cr3t@": "names no host",
    "http://who:s3cr3t@h:0": "has a bad port: it is a number from 1 to 65535",
    "http://who:s3cr3t@h:http": "has a bad port: it is a number from 1 to 65535",
    "http://who:s3cr3t word@h": "must hold plain ASCII only, without spaces: percent-encode other characters",
}


@pytest.mark.parametrize("url", [*BAD_PROXIES])
def test_a_bad_proxy_is_bad_usage(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The line names the argument, says what to write, and shows no password."""
    assert main(["get", "image:a", "--proxy", url]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"topaz-status: argument --proxy: URL {BAD_PROXIES[url]}")
    assert "s3cr3t" not in said.err + said.out


def test_no_password_in_what_was_parsed() -> None:
    """Nor in a ``repr`` of the arguments, which a debugger or a log may show."""
    assert "s3cr3t" not in repr(parse(["get", "image:a", "--proxy", URL]))


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A proxy of the environment that cannot be used is shown in one line; ``--proxy none`` goes without it."""
    monkeypatch.setenv("TOPAZ_API_KEY", "key-of-the-tests")
    monkeypatch.setenv("ALL_PROXY", "socks5://who:s3cr3t@h")
    assert main(["get", "image:a"]) == 3
    said = capsys.readouterr()
    assert said.err.startswith("topaz-status: ALL_PROXY names a SOCKS proxy, which is not supported")
    assert said.err.count("\n") == 1
    assert "s3cr3t" not in said.err
    assert proxy_name(client_of("--proxy", "none")) is None


def test_an_authority_and_a_client_certificate(tmp_path: Path) -> None:
    """``--ca-file`` is trusted beside the system's authorities, ``--client-cert`` holds both parts."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ca.issue_cert("me@topaz.test").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "me.pem"))
    words = ["--ca-file", str(tmp_path / "ca.pem"), "--client-cert", str(tmp_path / "me.pem")]
    context = network_of(parse(["get", "image:a", *words]))["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    issuers = [dict(part[0] for part in one["issuer"]) for one in context.get_ca_certs()]  # type: ignore[misc]
    assert any("trustme" in name.get("organizationName", "") for name in issuers)
    assert len(issuers) > len(ssl.create_default_context().get_ca_certs())
    client_of(*words)


def refusal(*words: str) -> CommandError:
    with pytest.raises(CommandError) as raised:
        client_of(*words)
    return raised.value


@pytest.mark.parametrize("source", ["--ca-file", "--client-cert", "SSL_CERT_FILE"])
@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\x30\x82\x01\x0a\xff", "folder"])
def test_a_file_of_no_use(
    source: str, content: bytes | str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one is missing or holds something else, the line names what named it, the file, and what is wrong."""
    file = tmp_path / "file.pem"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        file.mkdir()
    if source == "SSL_CERT_FILE":
        monkeypatch.setenv(source, str(file))
    problem = refusal(*([] if source == "SSL_CERT_FILE" else [source, str(file)]))
    wrong = {None: "cannot be read: No such file or directory", "folder": "cannot be read: Is a directory"}
    said = wrong.get(content) if not isinstance(content, bytes) else "holds no certificates in PEM form"
    assert problem.text == f"{source} {file} {said}"
    assert problem.code == (3 if source == "SSL_CERT_FILE" else 2)


def test_a_damaged_authority(tmp_path: Path) -> None:
    """What only resembles a certificate is not taken for one."""
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    assert refusal("--ca-file", str(file)).text.startswith(f"--ca-file {file} holds a damaged certificate: ")


@pytest.mark.parametrize("part", ["certificate", "key", "another's key"])
def test_a_client_certificate_needs_its_key(part: str, tmp_path: Path) -> None:
    """Both are needed, they belong together, and they are in one file."""
    ca, file = trustme.CA(), tmp_path / "me.pem"
    mine, other = ca.issue_cert("me@topaz.test"), ca.issue_cert("other@topaz.test")
    certificate, key = mine.cert_chain_pems[0].bytes(), mine.private_key_pem.bytes()
    file.write_bytes(
        {"certificate": certificate, "key": key, "another's key": certificate + other.private_key_pem.bytes()}[part]
    )
    said = "needs the certificate and its private key in one PEM file"
    if part == "another's key":
        said = "cannot be used: its private key belongs to another certificate"
    assert refusal("--client-cert", str(file)).text == f"--client-cert {file} {said}"


def test_an_encrypted_key_asks_nobody(tmp_path: Path) -> None:
    """Where OpenSSL would stop to ask for a passphrase at the terminal, one line says what to do."""
    leaf = trustme.CA().issue_cert("me@topaz.test")
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    file = tmp_path / "me.pem"
    file.write_bytes(locked + leaf.cert_chain_pems[0].bytes())
    with pytest.raises(CommandError, match="its private key is encrypted; decrypt it first"):
        client_of("--client-cert", str(file))


@pytest.mark.parametrize("how", ["nothing", "option", "variable"])
@real
async def test_a_service_with_a_private_authority(how: str, tmp_path: Path) -> None:
    """``--ca-file`` and ``SSL_CERT_FILE`` both do; without them the line says so, and that it could not be found out."""
    ca, file = trustme.CA(), tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    async with RawServer(lambda _: DONE).serve(server_context(ca, "localhost")) as url:
        variables = {"TOPAZ_API_KEY": "key-of-the-tests", "TOPAZ_API_URL": f"https://localhost:{port_of(url)}"}
        if how == "variable":
            variables["SSL_CERT_FILE"] = str(file)
        words = command("get", "image:a", *(["--ca-file", file] if how == "option" else []))
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=pipe, env={**os.environ, **variables})
        out, err = await child.communicate()
    if how == "nothing":
        assert child.returncode == 3
        assert b"localhost: its certificate cannot be trusted (" in err
        assert err.endswith(b": trust its authority with --ca-file FILE\n")
        assert b"ssl=" not in err
    else:
        assert (child.returncode, err) == (0, b"")
        assert b"completed" in out


def test_a_certificate_error_says_what_to_do_by_itself() -> None:
    """It says nothing of the job, and gets no further advice."""
    error = CertificateError("its certificate cannot be trusted: check the host of the URL")
    assert code_of(error) == 3
    assert explain(error) == str(error)


@real
async def test_a_watch_that_a_certificate_ends_says_it_in_options(tmp_path: Path) -> None:
    """Once as a warning and once as the outcome, both in the words of the command line."""
    async with RawServer(lambda _: DONE).serve(server_context(trustme.CA(), "localhost")) as url:
        variables = {"TOPAZ_API_KEY": "key-of-the-tests", "TOPAZ_API_URL": f"https://localhost:{port_of(url)}"}
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            *command("watch", "image:a"), stdout=pipe, stderr=pipe, env={**os.environ, **variables}
        )
        out, err = (heard.decode() for heard in await child.communicate())
    assert child.returncode == 3
    assert (out.count("\n"), err.count("\n")) == (1, 1)
    assert "watches of image jobs end: " in err
    for text in (out, err):
        assert text.endswith(": trust its authority with --ca-file FILE\n")
        assert "ssl=" not in text


def test_a_certificate_of_ours_that_is_refused_is_reported_in_options() -> None:
    """There is an option for it."""
    error = ssl.SSLError(1, "tlsv13 alert certificate required")
    error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    text = certificate_problem(error)
    assert text is not None
    assert explain(CertificateError(text)).endswith("load one with --client-cert FILE")


@pytest.mark.parametrize("json", [True, False])
def test_a_watch_behind_a_proxy_that_is_down_says_so(json: bool, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    """Its line, or its object, says that no poll was answered and why; it advises to check the proxy."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        proxy = f"127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setenv("TOPAZ_API_URL", "https://api.topaz.test")
    result = cli("watch", "image:a", "--timeout", "1s", "--proxy", f"http://{proxy}", *(["--json"] if json else []))
    assert result.code == 3
    trouble = f" s; last trouble: cannot connect to the proxy {proxy}: "
    assert trouble in result.out
    if json:
        assert result.objects[0]["error"]["type"] == "WatchTimeoutError"
        assert result.objects[0]["error"]["message"].startswith("image:a: no poll was answered in ")
    else:
        assert "no poll was answered in " in result.out
        assert result.out.endswith("; check the proxy (--proxy, or HTTPS_PROXY in the environment)\n")
