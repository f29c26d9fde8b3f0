"""The arguments of all commands. Unusable ones are refused here, in one line that says what to write instead."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Final, NoReturn

from .argument_types import a_job, a_size, a_span, at_least_one, count, positive
from .coordinators import add_sharing
from .exit_codes import USAGE
from .job_arguments import STDIN
from .network_arguments import add_network
from .stores import add_store

_EXITS: Final = (
    "exit codes: 0 all completed; 1 a job failed, was canceled, expired or is lost; 2 usage;\n"
    "3 could not find out (key, network, timeout); 130 interrupted;\n"
    "141 standard output was closed; 143 terminated"
)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and that can declare its arguments at its first use."""

    fill: Callable[[argparse.ArgumentParser], None] | None = None
    """Declares the arguments of a command whose code is loaded only when the command is used."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line: print the message and exit with the code for bad usage."""
        self.exit(USAGE, f"topaz-status: {message} (see {self.prog} --help)\n")

    def parse_known_args(  # type: ignore[override]  # its overloads differ from version to version
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Declare the arguments at first use, then parse as :class:`argparse.ArgumentParser` does."""
        fill, self.fill = self.fill, None
        if fill is not None:
            fill(self)
        return super().parse_known_args(args, namespace)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        SystemExit: the command line is unusable, or asks for help or the version.
    """
    parser = make_parser()
    arguments, others = parser.parse_known_args(argv)
    for other in others:  # argparse accepts jobs in one place only, but people write them in several
        if (other.startswith("-") and other != STDIN) or not hasattr(arguments, "jobs"):
            parser.error(f"unrecognized argument: {other}")
        try:
            arguments.jobs = [*arguments.jobs, a_job(other)]
        except argparse.ArgumentTypeError as problem:
            parser.error(f"argument JOB: {problem}")
    return arguments


def make_parser() -> Parser:
    """Build the parser of all commands."""
    parser = Parser(
        prog="topaz-status",
        description="Wait for jobs at Topaz Image, Topaz Video and Pixelcut Try-On: thousands at once,\n"
        "under one request budget. Keys come from TOPAZ_API_KEY and PIXELCUT_API_KEY.",
        epilog=f"try it without a key:  topaz-status demo\n\n{_EXITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"topaz-status {version('topaz-status')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for add in (
        _add_demo,
        _add_watch,
        _add_resume,
        _add_pending,
        _add_lead,
        _add_members,
        _add_get,
        _add_list,
        _add_delete,
        _add_download,
        _add_simulate,
    ):
        add(commands)
    return parser


def _command(commands: Any, name: str, summary: str, example: str) -> Parser:
    parser: Parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example:\n{example}\n\n{_EXITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser


def _add_common(parser: Parser, *, client: bool = True) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, an object a line")
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="log changes of state to standard error; twice: every poll"
    )
    if client:
        add = parser.add_argument
        add("--rate", type=positive, metavar="N", help="requests/s for everything together (default: 10)")
        add("--burst", type=at_least_one, metavar="N", help="requests at once after a pause (default: 10)")
        add("--max-in-flight", type=count, metavar="N", help="requests on the wire at once (default: 32)")
        add_network(parser)
        parser.set_defaults(price=None, store=None, redis=None)


def _add_jobs(parser: Parser) -> None:
    parser.add_argument(
        "jobs",
        nargs="*",
        type=a_job,
        metavar="JOB",
        help="image:ID, video:ID or try-on:ID; '-' for jobs on standard input, one a line (also without any JOB)",
    )


def _add_urls(parser: Parser) -> None:
    parser.add_argument("--urls", action="store_true", help="show links to results: anyone who has a link has the file")


def _add_demo(commands: Any) -> None:
    parser = _command(
        commands,
        "demo",
        "watch simulated jobs over real sockets; no key, no network, about a minute",
        "  topaz-status demo\n  topaz-status demo --jobs 500 --rate 20 --seed 7 --json",
    )
    parser.add_argument("--jobs", dest="fleet", type=count, default=2000, metavar="N", help="jobs (default: 2000)")
    parser.add_argument("--rate", type=positive, default=80.0, metavar="N", help="requests/s (default: 80)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of all that is drawn (default: 1)")
    parser.add_argument(
        "--seconds", type=positive, default=60.0, metavar="S", help="how long the last jobs live (default: 60)"
    )
    parser.add_argument(
        "--processes",
        type=count,
        default=1,
        metavar="N",
        help='share the account among N processes, one of which is killed (pip install "topaz-status[demo]")',
    )
    _add_common(parser, client=False)


def _add_watch(commands: Any) -> None:
    parser = _command(
        commands,
        "watch",
        "wait for jobs and print a line for each as it ends",
        "  topaz-status watch image:d7b3c8a2-… try-on:job_9f2\n"
        "  submit-all | topaz-status watch --timeout 2h --json | tee outcomes.jsonl",
    )
    _add_jobs(parser)
    add = parser.add_argument
    add("--timeout", type=a_span, metavar="SPAN", help="wait this long for each job: 90, 10min, 2h (default: 7d)")
    add_store(parser, "keep what is not done there, for 'topaz-status resume'; made if missing", required=False)
    _add_price(parser)
    _add_common(parser)
    _add_urls(parser)
    add_sharing(parser)


def _add_price(parser: Parser) -> None:
    help_text = "seconds of waiting that a request is worth (default: 0.1)"
    parser.add_argument("--price", type=positive, metavar="S", help=help_text)


def _add_resume(commands: Any) -> None:
    parser = _command(
        commands,
        "resume",
        "wait for the jobs in a store that are not done, as watch does",
        "  topaz-status resume --store watches.db --json\n"
        "  topaz-status resume --store postgresql://db.internal/app --consumer orders --follow",
    )
    add_store(parser, "where 'watch --store', or a program, saved them", required=True)
    add = parser.add_argument
    add(
        "--follow", action="store_true", help="go on with what other processes leave in the database, until interrupted"
    )
    add("--timeout", type=a_span, metavar="SPAN", help="wait this long for each job (default: what its watch has left)")
    _add_price(parser)
    _add_common(parser)
    _add_urls(parser)
    add_sharing(parser)


def _add_lead(commands: Any) -> None:
    parser = _command(
        commands,
        "lead",
        "poll for all processes that share the account, until interrupted; they then only follow",
        "  topaz-status lead --redis rediss://cache.internal:6379/0\n  topaz-status lead --redis env --rate 20 --json",
    )
    _add_price(parser)
    _add_common(parser)
    add_sharing(parser, required=True)


def _add_members(commands: Any) -> None:
    parser = _command(
        commands,
        "members",
        "list the processes that share the account, and which one leads",
        "  topaz-status members --redis rediss://cache.internal:6379/0\n  topaz-status members --redis env --json",
    )
    _add_common(parser, client=False)
    add_sharing(parser, required=True)


def _add_pending(commands: Any) -> None:
    parser = _command(
        commands,
        "pending",
        "list the unfinished watches and unacknowledged outcomes in a store; no network",
        "  topaz-status pending --store watches.db --json\n"
        "  topaz-status pending --store postgresql://db.internal/app --consumer orders",
    )
    add_store(parser, "the store; a program may have it open", required=True)
    _add_common(parser, client=False)


def _add_get(commands: Any) -> None:
    parser = _command(
        commands,
        "get",
        "print what the service knows of a job now (a job on its way counts as success)",
        "  topaz-status get image:d7b3c8a2-…\n  topaz-status get video:6f1e… --json",
    )
    _add_jobs(parser)
    _add_common(parser)
    _add_urls(parser)


def _add_list(commands: Any) -> None:
    parser = _command(
        commands,
        "list",
        "print the account's image or video jobs of the last 7 days",
        "  topaz-status list --limit 20\n  topaz-status list video --json",
    )
    add = parser.add_argument
    add("kind", nargs="?", choices=("image", "video"), default="image", help="which service (default: image)")
    add("--limit", type=count, metavar="N", help="print so many at most (default: all)")
    _add_common(parser)
    _add_urls(parser)


def _add_delete(commands: Any) -> None:
    parser = _command(
        commands,
        "delete",
        "remove the records of image jobs that have ended; asks first",
        "  topaz-status delete image:d7b3c8a2-…\n  topaz-status delete --all --yes",
    )
    _add_jobs(parser)
    parser.add_argument("--all", action="store_true", help="all image jobs of the account")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    _add_common(parser)


def _add_download(commands: Any) -> None:
    parser = _command(
        commands,
        "download",
        "fetch the result files of finished jobs: streamed, resumed when cut, whole or not there",
        "  topaz-status download image:d7b3c8a2-… --folder results\n"
        "  topaz-status download video:6f1e… --name holiday.mp4",
    )
    _add_jobs(parser)
    add = parser.add_argument
    add("--folder", default=".", metavar="DIR", help="where to; made if missing (default: here)")
    add("--name", metavar="NAME", help="the file's name, for one job (default: its kind and id)")
    add("--max-downloads", type=count, default=8, metavar="N", help="files fetched at once (default: 8)")
    add("--max-size", type=a_size, metavar="SIZE", help="refuse a larger file: 500000, 20MB, 2GiB (default: no limit)")
    _add_common(parser)


def _add_simulate(commands: Any) -> None:
    parser = _command(
        commands,
        "simulate",
        "serve a simulator of all three services until interrupted",
        "  topaz-status simulate --jobs 100 --rate 10 --port 8080",
    )

    def fill(parser: argparse.ArgumentParser) -> None:
        from ..testing.simulate import add_arguments  # noqa: PLC0415  # loads a server, which no other command needs

        add_arguments(parser)

    parser.fill = fill
