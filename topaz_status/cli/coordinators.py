"""Arguments of commands that share an account with other processes."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Final

from ..coordination import Lead
from ..errors import ConfigurationError
from ..session.secret import Secret
from .exit_codes import USAGE, CommandError

if TYPE_CHECKING:
    from ..redis import RedisCoordinator

ENVIRONMENT: Final = "env"
"""In place of a URL: it stands in the environment, where no list of processes shows it."""
_VARIABLE: Final = "TOPAZ_STATUS_REDIS_URL"


def add_sharing(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Declare the arguments about the shared server."""
    add = parser.add_argument_group("many processes, one account").add_argument
    add(
        "--redis",
        type=Secret,
        required=required,
        metavar="URL",
        help=f"share the account over Redis or Valkey: rediss://host:6379/0, or 'env' for the URL in {_VARIABLE}",
    )
    add("--account", metavar="NAME", help="what the processes share (default: a fingerprint of the API keys)")


def coordinator_of(arguments: argparse.Namespace, lead: Lead) -> RedisCoordinator | None:
    """Return the coordinator that the arguments name; ``None`` without one.

    Raises:
        CommandError: it cannot be used.
    """
    if arguments.redis is None:
        return None
    from ..redis import RedisCoordinator  # noqa: PLC0415  # few commands share

    from_environment = arguments.redis.reveal() == ENVIRONMENT
    if from_environment and not os.environ.get(_VARIABLE):
        raise CommandError(f"--redis env needs a URL in the variable {_VARIABLE}", USAGE)
    try:
        return RedisCoordinator(
            None if from_environment else arguments.redis.reveal(), account=arguments.account, lead=lead
        )
    except ConfigurationError as error:
        raise CommandError(f"--redis: {error}", USAGE) from None
