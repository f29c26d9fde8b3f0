"""A pooler between the stores and their database, which lends a server's connection for one transaction at a time."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import PASSWORD, PostgresServer, new_schema
from harness import PATIENCE, free_port
from stores import row

from topaz_status import PostgresStore, StoreError
from topaz_status.store.postgres import FIRST_NEW

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
SETTINGS = """[databases]
postgres = host=127.0.0.1 port={server} user=postgres password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 1
"""

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs PgBouncer (Debian: apt install pgbouncer)")


@pytest.fixture
def pooled(postgres: PostgresServer) -> Iterator[str]:
    """The URL of the tests' database through a pooler that has one connection to the server, for all."""
    folder, port = postgres.folder, free_port()
    (folder / "users").write_text(f'"postgres" "{PASSWORD}"\n')
    settings = folder / "pgbouncer.ini"
    settings.write_text(SETTINGS.format(server=postgres.port, password=PASSWORD, port=port, folder=folder))
    log = folder / "pgbouncer.log"
    with (
        log.open("w") as said,
        subprocess.Popen([str(PROGRAM), "-q", str(settings)], stderr=said, **postgres.user) as process,  # noqa: S603
    ):
        try:
            wait_for(port, log)
            yield postgres.dsn(port=port)
        finally:
            process.terminate()


def wait_for(port: int, log: Path) -> None:
    """Wait until the pooler accepts connections."""
    give_up_at = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        assert time.monotonic() < give_up_at, log.read_text()


def test_clients_that_share_one_connection_share_the_rows(pooled: str) -> None:
    """Rows, claims, leases and fencing are as without it: nothing is kept in the server's session."""
    schema = new_schema()
    stores = [PostgresStore(pooled, schema=schema, name=name) for name in ("a", "b")]
    for store in stores:
        store.open(0.0)
    stores[0].write([row(FIRST_NEW + n, f"image:{n}") for n in range(1, 101)], [], flush=True)
    assert stores[1].claim(100) == []
    stores[0].close()
    claimed = stores[1].claim(100)
    assert {str(one.job) for one in claimed} == {f"image:{n}" for n in range(1, 101)}
    stores[1].write([], [one.number for one in claimed], flush=True)
    assert stores[1].load() == []
    stores[1].close()


def test_many_clients_claim_each_row_once(pooled: str) -> None:
    """They take turns at the one connection; none waits for ever for a lock that another one's transaction has left."""
    schema = new_schema()
    first = PostgresStore(pooled, schema=schema, name="first")
    first.open(0.0)
    first.write([row(FIRST_NEW + n, f"image:{n}") for n in range(1, 201)], [], flush=True)
    first.close()
    taken: list[str] = []

    def take(name: str) -> None:
        store = PostgresStore(pooled, schema=schema, name=name)
        store.open(0.0)
        while some := store.claim(7):
            taken.extend(str(one.job) for one in some)
            store.write([], [one.number for one in some], flush=True)
        store.close()

    threads = [threading.Thread(target=take, args=(f"c{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(taken) == sorted(f"image:{n}" for n in range(1, 201))


def test_a_statement_has_its_limit_there_too(pooled: str, postgres: PostgresServer) -> None:
    """``statement_timeout`` counts for each transaction by itself."""
    store = PostgresStore(pooled, schema=(schema := new_schema()), name="a", statement_timeout=0.2)
    store.open(0.0)
    with postgres.connect() as connection, connection.transaction():
        connection.execute(f"LOCK TABLE {schema}.watches IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreError, match="timeout"):
            store.write([row(FIRST_NEW + 1)], [], flush=True)
    store.write([row(FIRST_NEW + 1)], [], flush=True)
    assert len(store.load()) == 1
    store.close()
