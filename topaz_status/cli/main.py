"""Runs a command line and returns its exit code; each failure is explained in one line of text."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ..errors import CoordinatorError, StoreError
from .event_loop import run
from .exit_codes import INTERRUPTED, OK, UNKNOWN, CommandError
from .parsers import parse
from .screen import Screen, logged
from .screen_choice import open_screen
from .streams import guarded

Command = Callable[[argparse.Namespace, Screen], Coroutine[Any, Any, int]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        argv: the arguments; by default the arguments of the process.
    """
    return guarded(lambda: _main(sys.argv[1:] if argv is None else argv))


def _main(argv: Sequence[str]) -> int:
    try:
        return _dispatch(parse(argv))
    except CommandError as problem:
        Screen().err(problem.text)
        return problem.code
    except KeyboardInterrupt:
        Screen().err("interrupted")
        return INTERRUPTED
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else OK


def _dispatch(arguments: argparse.Namespace) -> int:
    """Load the code of one command only, and run it."""
    match arguments.command:
        case "simulate":
            from ..testing.simulate import run as simulate  # noqa: PLC0415

            return simulate(arguments)
        case "demo":
            from .demo.demo import demo  # noqa: PLC0415

            return _run(demo, arguments, moving=sys.stdout.isatty())
        case "watch" | "resume" | "lead" | "members" as name:
            return _run(_sharing_command(name), arguments, moving=name in {"watch", "resume"})
        case "pending":
            from .commands.pending import pending  # noqa: PLC0415

            return pending(arguments, Screen())
        case name:
            from .commands import download as downloading  # noqa: PLC0415
            from .commands import get_list_delete as calls  # noqa: PLC0415

            if name == "delete" and not calls.prepare_delete(arguments):
                Screen().err("nothing was deleted")
                return OK
            commands = {
                "get": calls.get,
                "list": calls.list_,
                "delete": calls.delete,
                "download": downloading.download,
            }
            return _run(commands[name], arguments, moving=name == "download")


def _sharing_command(name: str) -> Command:
    """Return a command that may share the account with other processes."""
    if name in {"lead", "members"}:
        from .commands import sharing  # noqa: PLC0415

        return sharing.lead if name == "lead" else sharing.members
    from .commands import watch as watching  # noqa: PLC0415

    return watching.watch if name == "watch" else watching.resume


def _run(command: Command, arguments: argparse.Namespace, *, moving: bool) -> int:
    screen = open_screen(moving=moving and not arguments.verbose)
    try:
        with logged(screen, arguments.verbose):
            return run(lambda: command(arguments, screen))
    except (CoordinatorError, StoreError) as error:
        raise CommandError(str(error), UNKNOWN) from None
    finally:
        screen.close()
