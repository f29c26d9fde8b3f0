"""The command line and the network: proxies, authorities and client certificates."""

from __future__ import annotations

import asyncio
import os
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
from harness import RawServer, http, real
from proxying import port_of, server_context

from topaz_status import CertificateError
from topaz_status.cli import main
from topaz_status.cli.arguments import parse
from topaz_status.cli.exits import CommandError, code_of, explain
from topaz_status.cli.network import network_of
from topaz_status.cli.watching import new_client
from topaz_status.client import StatusClient

from .driver import command

DONE = http(b'{"process_id": "a", "status": "Completed"}')
URL = "http://who:s3cr3t@proxy.test:3128"
API = "https://api.topazlabs.com"


def client_of(*words: str) -> StatusClient:
    return new_client(parse(["get", "image:a", *words]))


def proxy_name(client: StatusClient) -> str | None:
    proxy = client._transport._connections.network.proxy_for(API)
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


@pytest.mark.parametrize("url", ["socks5://who:s3cr3t@h", "who:s3cr3t@h:1", "http://who:s3cr3t@", "http://a b"])
def test_a_bad_proxy_is_bad_usage(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says what to write, and shows no password."""
    assert main(["get", "image:a", "--proxy", url]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("topaz-status: argument --proxy: it ")
    assert "s3cr3t" not in said.err + said.out


def test_no_password_in_what_was_parsed() -> None:
    """Nor in a ``repr`` of the arguments, which a debugger or a log may show."""
    assert "s3cr3t" not in repr(parse(["get", "image:a", "--proxy", URL]))


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A proxy of the environment that cannot be used is told in one line; ``--proxy none`` goes without it."""
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


@pytest.mark.parametrize("option", ["--ca-file", "--client-cert"])
@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_of_no_use(option: str, content: str | None, tmp_path: Path) -> None:
    """Where one is missing or holds something else, the line names the option and the file."""
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(CommandError) as raised:
        client_of(option, str(file))
    assert raised.value.code == 2
    assert raised.value.text.startswith(f"{option} {file} ")


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
        assert b"--ca-file)\n" in err
    else:
        assert (child.returncode, err) == (0, b"")
        assert b"completed" in out


def test_a_certificate_error_says_what_to_do_by_itself() -> None:
    """It tells nothing of the job, and gets no further advice."""
    error = CertificateError("its certificate cannot be trusted: check the host of the URL")
    assert code_of(error) == 3
    assert explain(error) == str(error)
