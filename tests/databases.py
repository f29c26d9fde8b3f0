"""A real PostgreSQL for the tests: a server of their own in a temporary folder, that they can stop and start."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from harness import free_port

REQUIRED: Final = "TOPAZ_STATUS_REQUIRE_POSTGRES"
"""With this in the environment a missing server is a failure: for a gate that is to have one."""
PASSWORD: Final = "pg-5ecr3t-Pa55word"
"""Of the tests' user. It must not be in any text."""
_FOLDERS: Final = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt")
_schemas: Final = itertools.count(1)


def missing(reason: str) -> None:
    """Skip the test, or fail it where a server is required."""
    if os.environ.get(REQUIRED):
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str) -> str | None:
    """The path of one of PostgreSQL's programs, of the newest version that is here."""
    found = [path for folder in _FOLDERS for path in Path(folder).glob(f"*/bin/{name}")]
    return str(max(found)) if found else shutil.which(name)


@attrs.define(eq=False)
class PostgresServer:
    """A server on a free port of loopback."""

    folder: Path
    port: int
    user: dict[str, Any]
    """How its processes are started: as somebody who is not root."""

    def dsn(self, *, port: int | None = None) -> str:
        """The URL of the tests' database, or of the same through a proxy's ``port``."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port or self.port}/postgres"

    def start(self, **settings: object) -> None:
        """Start the server and wait until it answers."""
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "fsync": "off", "max_connections": 60}
        words = " ".join(f"-c {name}={value}" for name, value in (options | settings).items())
        self._control("start", "-l", "log", "-o", f"-k {self.folder} {words}")

    def stop(self, how: str = "fast") -> None:
        """Stop the server: ``fast``, or ``immediate``, as a crash would."""
        self._control("stop", "-m", how)

    def restart(self, how: str) -> None:
        """Stop the server and start it again."""
        self.stop(how)
        self.start()

    def _control(self, *words: str) -> None:
        command = program("pg_ctl")
        assert command is not None
        done = subprocess.run(  # noqa: S603  # PostgreSQL's own program
            [command, "-D", str(self.folder / "data"), "-w", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            check=False,
            **self.user,
        )
        assert done.returncode == 0, (self.folder / "log").read_text()[-4000:]

    def connect(self) -> Any:
        """A connection of the tests' own."""
        import psycopg  # noqa: PLC0415  # a machine without it skips these tests

        return psycopg.connect(self.dsn(), autocommit=True)

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement, and give the rows of its answer."""
        with self.connect() as connection:
            cursor = connection.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def cut(self) -> int:
        """Terminate the connections of all stores; gives how many there were."""
        return len(
            self.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'topaz_status%' AND pid <> pg_backend_pid()"
            )
        )


@attrs.define(eq=False)
class Wire:
    """A proxy between a store and its server, which a test can cut, at a bad moment if it likes, or make silent."""

    server_port: int
    port: int = 0
    dead: bool = False
    """Connections are refused."""
    silent: bool = False
    """Answers are swallowed, as by a network that has gone."""
    cut_after: bytes | None = None
    """The connection is cut when what holds this has reached the server, and before its answer is passed on; once."""
    _ends: list[socket.socket] = attrs.field(factory=list)
    _threads: list[threading.Thread] = attrs.field(factory=list)

    @contextlib.contextmanager
    def serve(self) -> Iterator[Wire]:
        """Accept connections on a free port."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            self._start(self._accept, listener)
            try:
                yield self
            finally:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                self.cut()
                for thread in self._threads:
                    thread.join(10)

    def cut(self) -> None:
        """Cut all connections."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Any, *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments))
        self._threads[-1].start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    if self.dead:
                        raise ConnectionRefusedError
                    far = socket.create_connection(("127.0.0.1", self.server_port))
                except OSError:
                    near.close()
                    continue
                self._ends += [near, far]
                doomed = threading.Event()
                self._start(self._ask, near, far, doomed)
                self._start(self._answer, far, near, doomed)

    def _ask(self, near: socket.socket, far: socket.socket, doomed: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := near.recv(1 << 16):
                if self.cut_after is not None and self.cut_after in piece:
                    self.cut_after = None
                    doomed.set()
                far.sendall(piece)
        self._end(near, far)

    def _answer(self, far: socket.socket, near: socket.socket, doomed: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := far.recv(1 << 16):
                if doomed.is_set():
                    break
                if not self.silent:
                    near.sendall(piece)
        self._end(far, near)

    @staticmethod
    def _end(*ends: socket.socket) -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        ends[0].close()


@contextlib.contextmanager
def serving() -> Iterator[PostgresServer]:
    """Make a server, and remove it with all that it holds."""
    try:
        import psycopg  # noqa: F401, PLC0415
    except ImportError:
        missing("needs psycopg (pip install 'psycopg[binary]')")
    initdb = program("initdb")
    if initdb is None or program("postgres") is None:
        missing("needs a PostgreSQL server (Debian: apt install postgresql)")
    assert initdb is not None
    folder = Path(tempfile.mkdtemp(prefix="topaz-status-postgres-"))
    user = _unprivileged(folder)
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    subprocess.run(  # noqa: S603
        [
            initdb,
            "-D",
            str(folder / "data"),
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            f"--pwfile={secret}",
            "-N",
            "-E",
            "UTF8",
        ],
        check=True,
        capture_output=True,
        cwd=folder,
        **user,
    )
    server = PostgresServer(folder, free_port(), user)
    with _removal(folder, user):
        server.start()
        yield server


@contextlib.contextmanager
def _removal(folder: Path, user: dict[str, Any]) -> Iterator[None]:
    """Stop a server and remove its folder at the end, even if this process is killed before."""
    command = program("pg_ctl")
    assert command is not None
    waiting = subprocess.Popen(  # noqa: S603  # it reads to the end of its input, which comes with that of this process
        ["/bin/sh", "-c", 'cat; "$1" -D "$2/data" -m immediate -w stop; rm -rf "$2"', "sh", command, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
        **user,
    )
    try:
        yield
    finally:
        waiting.communicate()


def _unprivileged(folder: Path) -> dict[str, Any]:
    """What a server is started with: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    name = next((name for name in ("postgres", "nobody") if _exists(name)), None)
    if name is None:
        missing("PostgreSQL does not run as root, and there is no other user")
    assert name is not None
    entry = pwd.getpwnam(name)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def new_schema() -> str:
    """A name that no test has used."""
    return f"watches_{os.getpid()}_{next(_schemas)}"
