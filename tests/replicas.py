"""Clients that share a database, in one loop of virtual time, and what a test can do to one of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs
from databases import PostgresServer, new_schema
from harness import client_of

from topaz_status import PostgresStore, StatusClient
from topaz_status.testing import Simulator

LEASE = 600.0
"""Seconds."""


@attrs.define
class Replicas:
    """Clients of one consumer, in one loop of virtual time; their leases run by the server's real clock.

    A lease is so long that no test outlasts it: it lapses only where a test says so.
    """

    server: PostgresServer
    simulator: Simulator = attrs.field(factory=Simulator)
    schema: str = attrs.field(factory=new_schema)

    def store(self, name: str, **facts: Any) -> PostgresStore:
        """The store of one of them."""
        return PostgresStore(self.server.dsn(), schema=self.schema, name=name, lease=LEASE, **facts)

    @contextlib.asynccontextmanager
    async def one(self, name: str) -> AsyncIterator[StatusClient]:
        """One of them, which shares nothing but the database."""
        async with client_of(self.simulator, store=self.store(name)) as client:
            yield client

    @contextlib.contextmanager
    def asleep(self, name: str) -> Iterator[None]:
        """Have a replica's lease lapsed, and its renewals without effect, as if it slept."""
        run, owners = self.server.run, f"{self.schema}.owners"
        run(
            f"CREATE OR REPLACE FUNCTION {self.schema}.asleep() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN NEW.lease_until := to_timestamp(0); RETURN NEW; END'"
        )
        run(
            f"CREATE TRIGGER asleep BEFORE UPDATE ON {owners} FOR EACH ROW WHEN (OLD.name = '{name}')"
            f" EXECUTE FUNCTION {self.schema}.asleep()"
        )
        run(f"UPDATE {owners} SET lease_until = now() WHERE name = '{name}'")
        yield
        run(f"DROP TRIGGER asleep ON {owners}")

    @contextlib.contextmanager
    def refusing(self, state: str, when: str = "true") -> Iterator[None]:
        """Have the server refuse each row ``when`` it is as described, with an error of its own (an SQLSTATE)."""
        run, watches = self.server.run, f"{self.schema}.watches"
        run(
            f"CREATE OR REPLACE FUNCTION {self.schema}.refuse() RETURNS trigger LANGUAGE plpgsql"
            f" AS $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '{state}'; END $$"
        )
        run(
            f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {watches} FOR EACH ROW WHEN ({when})"
            f" EXECUTE FUNCTION {self.schema}.refuse()"
        )
        yield
        run(f"DROP TRIGGER refuse ON {watches}")

    def rows(self) -> dict[str, str | None]:
        """Who has which job."""
        found = self.server.run(
            f"SELECT w.kind || ':' || w.key, o.name FROM {self.schema}.watches w"
            f" LEFT JOIN {self.schema}.owners o ON o.id = w.owner"
        )
        return {job: name for job, name in found}  # noqa: C416  # tuples of any length

    def marks(self) -> set[bool | None]:
        """Whether the outcomes in the table were handed out."""
        return {mark for (mark,) in self.server.run(f"SELECT handed_out FROM {self.schema}.watches")}
