"""TLS to the database, as the DSN asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from databases import PASSWORD, PostgresServer, new_schema
from stores import row

from topaz_status import PostgresStore, StoreError
from topaz_status.store.postgres import FIRST_NEW


@pytest.fixture(scope="module")
def authority(postgres: PostgresServer) -> Iterator[trustme.CA]:
    """The authority of the server's certificate; the server speaks TLS meanwhile."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = postgres.folder / "server.crt", postgres.folder / "server.key"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    key.chmod(0o600)
    owner = (postgres.folder / "data").stat()
    for path in (chain, key):
        os.chown(path, owner.st_uid, owner.st_gid)
    postgres.stop()
    postgres.start(ssl="on", ssl_cert_file=chain, ssl_key_file=key)
    yield authority
    postgres.restart("fast")


def dsn(postgres: PostgresServer, authority: trustme.CA, folder: Path) -> str:
    """A DSN that trusts one authority alone."""
    root = folder / "root.crt"
    authority.cert_pem.write_to_path(str(root))
    return f"{postgres.dsn()}?sslmode=verify-full&sslrootcert={root}"


def test_rows_go_over_tls(postgres: PostgresServer, authority: trustme.CA, tmp_path: Path) -> None:
    """``sslmode=verify-full`` checks the server's certificate and name; the connection is then encrypted."""
    store = PostgresStore(dsn(postgres, authority, tmp_path), schema=new_schema())
    store.open(0.0)
    store.write([row(FIRST_NEW + 1)], [], flush=True)
    encrypted = postgres.run(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'topaz_status%'"
    )
    assert encrypted == [(True,)]
    assert [str(one.job) for one in store.load()] == ["image:a"]
    store.close()


def test_a_certificate_of_another_authority_is_refused(
    postgres: PostgresServer, authority: trustme.CA, tmp_path: Path
) -> None:
    """Nothing is sent to such a server, and the error says what is wrong, without the password."""
    with pytest.raises(StoreError, match="certificate verify failed") as refused:
        PostgresStore(dsn(postgres, trustme.CA(), tmp_path), schema=new_schema()).open(0.0)
    assert PASSWORD not in str(refused.value)
