"""What a store in PostgreSQL does within one transaction, as one owner of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import orjson

from ..errors import StoreError
from .base import Row
from .held_rows import HeldRows, Key
from .postgres_schema import in_schema
from .postgres_statements import (
    CLAIM,
    DELETE,
    ENLIST,
    EVERYTHING,
    HELD,
    HOLDERS,
    INSERT,
    LEAVE,
    MINE,
    PURGE,
    PURGE_OWNERS,
    RENEW,
    UPDATE,
    WRITING,
)
from .row_columns import COLUMNS, key_of, row_of, values_of

ROWS_A_FETCH: Final = 500
"""Rows that are read from an answer in one step: the loop's thread can run between the steps."""
_FINISHED: Final = "another client, which has finished it"

Lost = dict[int, StoreError]
"""Rows that are not this owner's, by number."""


@attrs.frozen
class Owner:
    """One opening of a store: who owns its rows."""

    schema: str
    consumer: str
    name: str
    lease: float
    id: int | None = None

    def execute(self, cursor: Any, statement: str, **values: Any) -> Any:
        """Execute one of the statements, with the owner's facts and these values."""
        facts = {"owner": self.id, "consumer": self.consumer, "name": self.name, "lease": self.lease}
        return cursor.execute(in_schema(statement, self.schema), facts | values)

    # -- life ---------------------------------------------------------------------------------------------------------

    def enlist(self, cursor: Any, since: float | None) -> tuple[Owner, int]:
        """Become an owner with an id of its own; delete rows from before ``since``, and return how many they were."""
        (owner,) = self.execute(cursor, ENLIST).fetchone()
        purged = 0 if since is None else int(self.execute(cursor, PURGE, since=since).rowcount)
        self.execute(cursor, PURGE_OWNERS)
        return attrs.evolve(self, id=owner), purged

    def renew(self, cursor: Any, held: HeldRows) -> Lost:
        """Renew the lease. If it had lapsed, return the rows that others have taken since."""
        (is_held,) = self.execute(cursor, RENEW).fetchone()
        if is_held:
            return {}
        mine = {number for (number,) in self.execute(cursor, HELD)}
        return self._lost(cursor, {number: key for number, key in held.keys.items() if number not in mine}, _FINISHED)

    def leave(self, cursor: Any) -> None:
        """Let others take the rows at once."""
        self.execute(cursor, LEAVE)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def write(self, cursor: Any, rows: Sequence[Row], gone: Sequence[int], held: HeldRows) -> Lost:
        """Write and delete rows of this owner; ``held`` says which of them are in the table already."""
        known = [row for row in rows if row.number in held.keys]
        new = [row for row in rows if row.number not in held.keys]
        lost = self.renew(cursor, held)
        lost |= self._lost(cursor, self._put(cursor, UPDATE, known), _FINISHED)
        lost |= self._refused(cursor, self._put(cursor, INSERT, new))
        return lost | self._lost(cursor, self._delete(cursor, gone, held), None)

    def claim(self, cursor: Any, most: int, above: int, held: HeldRows) -> tuple[list[Row], Lost]:
        """Take at most so many rows that have no living owner, and number them from ``above`` on.

        The second value is that of :meth:`renew`. The claim passes over locked rows while it finds others. Otherwise it
        waits for the writes of lapsed owners: a write that fails leaves its rows to the claim.
        """
        lost = self.renew(cursor, held)
        rows = self._take(cursor, most, above)
        if not rows and self.execute(cursor, WRITING).fetchall():
            rows = self._take(cursor, most, above)
        self.execute(cursor, PURGE_OWNERS)
        return rows, lost

    def rows(self, cursor: Any, above: int, upto: int) -> list[Row]:
        """Return this owner's rows with numbers in a range, in their order."""
        self.execute(cursor, MINE, above=above, upto=upto)
        return _rows(cursor)

    def all_rows(self, cursor: Any) -> list[Row]:
        """Return the rows of all owners."""
        self.execute(cursor, EVERYTHING)
        return _rows(cursor)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _take(self, cursor: Any, most: int, above: int) -> list[Row]:
        self.execute(cursor, CLAIM, most=most, above=above)
        return sorted(_rows(cursor), key=lambda row: row.number)

    def _put(self, cursor: Any, statement: str, rows: Sequence[Row]) -> dict[int, Key]:
        """Write rows, and return those that were not written."""
        if not rows:
            return {}
        text = orjson.dumps([dict(zip(COLUMNS, values_of(row), strict=True)) for row in rows]).decode()
        written = {number for (number,) in self.execute(cursor, statement, rows=text)}
        return {row.number: key_of(row.job) for row in rows if row.number not in written}

    def _delete(self, cursor: Any, numbers: Sequence[int], held: HeldRows) -> dict[int, Key]:
        """Delete rows, and return those of them that should have been there and were not."""
        if not numbers:
            return {}
        deleted = {number for (number,) in self.execute(cursor, DELETE, numbers=list(numbers))}
        return {number: held.keys[number] for number in numbers if number in held.keys and number not in deleted}

    def _lost(self, cursor: Any, missing: Mapping[int, Key], if_absent: str | None) -> Lost:
        """Return the errors of rows that others have taken; ``if_absent`` names who had those that are nowhere."""
        holders = self._holders(cursor, missing)
        found = {number: holders.get(key, (if_absent is None, if_absent or "")) for number, key in missing.items()}
        return {number: taken_over(missing[number], name) for number, (mine, name) in found.items() if not mine}

    def _refused(self, cursor: Any, missing: Mapping[int, Key]) -> Lost:
        """Return the errors of new rows whose jobs others are watching."""
        holders = self._holders(cursor, missing)
        if holders.keys() != set(missing.values()):
            raise _moved()
        found = {number: holders[key] for number, key in missing.items()}
        return {
            number: taken_over(missing[number], name, "is being watched by")
            for number, (mine, name) in found.items()
            if not mine
        }

    def _holders(self, cursor: Any, missing: Mapping[int, Key]) -> dict[Key, tuple[bool, str]]:
        """Return, for each job that has a row, whether the row is this owner's, and who has it."""
        if not missing:
            return {}
        kinds, keys = (list(part) for part in zip(*missing.values(), strict=True))
        found = self.execute(cursor, HOLDERS, kinds=kinds, keys=keys)
        return {(kind, key): (mine, name) for kind, key, mine, name in found}


def _rows(cursor: Any) -> list[Row]:
    return [row_of(values) for some in iter(lambda: cursor.fetchmany(ROWS_A_FETCH), []) for values in some]


def taken_over(key: Key, name: str, verb: str = "has been taken over by") -> StoreError:
    """Return the error of a row that is another client's."""
    error = StoreError(f"{':'.join(key)} {verb} {name}")
    error.taken_over_by = name
    return error


def _moved() -> StoreError:
    """Return the error of a write that met a row which went away under it: the next try finds it as it is."""
    error = StoreError("a row of another client was removed during the write")
    error.is_transient = True
    return error
