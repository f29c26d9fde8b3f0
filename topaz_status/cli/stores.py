"""Where durable watches are stored: a file, or a PostgreSQL database that other processes use, too."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigurationError
from .exit_codes import USAGE, CommandError

if TYPE_CHECKING:
    from ..store.postgres import PostgresStore
    from ..store.sqlite import SQLiteStore

_DATABASE: Final = ("postgresql:", "postgres:", "postgresql/", "postgres/")
"""How a URL of a database begins, and a mistyped one: an error about a file would quote its password."""


def add_store(parser: argparse.ArgumentParser, help_text: str, *, required: bool) -> None:
    """Declare the options that name a store."""
    add = parser.add_argument
    add("--store", metavar="STORE", required=required, help=f"{help_text}: a file, or postgresql://HOST/DATABASE")
    add("--consumer", metavar="NAME", help="in a database: the name of the work that processes share")
    add("--schema", metavar="NAME", help="in a database: the schema with the tables (default: topaz_status)")


def store_of(arguments: argparse.Namespace) -> SQLiteStore | PostgresStore | None:
    """Return the store that the options name; ``None`` without one.

    Raises:
        CommandError: the options name no store.
    """
    options = {name: getattr(arguments, name, None) for name in ("consumer", "schema")}
    settings: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    is_database = _is_database(arguments)
    if settings and not is_database:
        raise CommandError("--consumer and --schema go with --store postgresql://…", USAGE)
    if arguments.store is None:
        return None
    try:
        if is_database:
            from ..store.postgres import PostgresStore  # noqa: PLC0415  # most commands need no store

            return PostgresStore(arguments.store, **settings)
        from ..store.sqlite import SQLiteStore  # noqa: PLC0415  # as above

        return SQLiteStore(arguments.store)
    except ConfigurationError as error:
        raise CommandError(str(error), USAGE) from None


def require_store(arguments: argparse.Namespace) -> None:
    """Check that the file of a store exists before a resume; whether a database exists is found out on connecting.

    Raises:
        CommandError: there is no such file.
    """
    if not _is_database(arguments) and not Path(arguments.store).exists():
        raise CommandError(f"there is no store {arguments.store}: 'topaz-status watch --store FILE' makes one", USAGE)


def _is_database(arguments: argparse.Namespace) -> bool:
    return str(arguments.store).startswith(_DATABASE)
