"""Exit codes, and the advice for each error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final

from ..errors import (
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ConfigurationError,
    ConflictError,
    JobError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ResultUnavailableError,
    ServerError,
    TopazStatusError,
    TransportError,
    WatchTimeoutError,
)
from ..models.job import JobKind, JobRef
from ..session.settings import ACCOUNTS, KEY_VARIABLES, URL_VARIABLES, Account

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNKNOWN: Final = 3
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
TERMINATED: Final = 143

_ARGUMENT: Final = re.compile(r"(?:with|into) ssl=… \(command line: (--[a-z-]+)\)")
_RANK: Final = (OK, FAILED, UNKNOWN, USAGE)
_ABOUT_THE_JOB: Final = (JobError, NotFoundError, BadRequestError, ConflictError)


class CommandError(Exception):
    """An error that ends a command: the user sees only its text."""

    def __init__(self, text: str, code: int) -> None:
        self.text = text
        self.code = code
        super().__init__(text)


def code_of(error: Exception | None) -> int:
    """Return one job's exit code: 0 without an error, 1 if the error is about the job, 3 if its end is not known."""
    if error is None:
        return OK
    return FAILED if isinstance(error, _ABOUT_THE_JOB) else UNKNOWN


def worst(codes: Iterable[int]) -> int:
    """Return the worst of some exit codes: bad usage, then "could not find out", then a failure."""
    return max(codes, key=_RANK.index, default=OK)


def missing_key(kind: JobKind) -> str | None:
    """Return the error text if the environment has no key for a kind of job, else ``None``."""
    variable = KEY_VARIABLES[ACCOUNTS[kind]]
    if os.environ.get(variable, "").strip():
        return None
    return f"no API key for {kind.value} jobs: set the environment variable {variable}"


def require_keys(jobs: Iterable[JobRef]) -> None:
    """Check that the environment has a key for each job.

    Raises:
        CommandError: there is no key for one of the jobs.
    """
    for kind in sorted({job.kind for job in jobs}):
        problem = missing_key(kind)
        if problem is not None:
            raise CommandError(problem, UNKNOWN)


def message(error: Exception, kind: JobKind | None = None) -> str:
    """Return an error as one line. For a missing key it names the variable, because no option sets a key."""
    if isinstance(error, ConfigurationError) and kind is not None and (problem := missing_key(kind)) is not None:
        return problem
    return in_options(" ".join(str(error).split())) or type(error).__name__


def in_options(text: str) -> str:
    """Return a text of the library in which the names of options replace those of Python arguments."""
    return _ARGUMENT.sub(r"with \1 FILE", text)


def explain(error: Exception, kind: JobKind | None = None, *, conflict: str | None = None) -> str:
    """Return an error as one line, with what to do next; ``conflict`` is the advice for a :class:`.ConflictError`."""
    text = message(error, kind)
    advice = conflict if conflict and isinstance(error, ConflictError) else _advice(error, kind)
    return f"{text.rstrip('.')}; {advice}" if advice else text


def reason(error: Exception, job: JobRef | None) -> str:
    """Return the explained error for a line that begins with the job, without the job's name."""
    if isinstance(error, JobError):
        return error.reason or ""
    text = explain(error, job.kind if job else None)
    return text if job is None else text.removeprefix(f"{job}: ").removeprefix(f"{job} ").replace(f" for {job}:", ":")


def _advice(error: Exception, kind: JobKind | None) -> str | None:
    account = ACCOUNTS.get(kind) if kind is not None else None
    if isinstance(error, AuthenticationError):
        return f"check {KEY_VARIABLES[account]}" if account else "check the API key"
    if isinstance(error, WatchTimeoutError) and error.last_error is not None:
        return _advice(error.last_error, kind) or _AGAIN
    if isinstance(error, TransportError):
        return _advice_on_network(error, account)
    if isinstance(error, ResultUnavailableError) and (error.status is None or error.status.is_terminal):
        return None  # waiting would not help: the job has ended
    return next((advice for kinds, advice in _ADVICE if isinstance(error, kinds)), None)


def _advice_on_network(error: TransportError, account: Account | None) -> str | None:
    if isinstance(error, CertificateError):
        return None  # the error's text says what to do
    if "proxy" in str(error.args[0]):
        return "check the proxy (--proxy, or HTTPS_PROXY in the environment)"
    return f"check the network and {URL_VARIABLES[account]}, if it is set" if account else "check the network"


_AGAIN: Final = "watch it again, or with a longer --timeout"
_ADVICE: Final[tuple[tuple[type[TopazStatusError], str], ...]] = (
    (PermissionDeniedError, "check what the key may do, and the account's credits"),
    (NotFoundError, "check the id; the services forget a job after 7 days"),
    (ResultUnavailableError, "'topaz-status watch JOB' waits for it"),
    (ConflictError, "'topaz-status get JOB' shows whether it failed"),
    (RateLimitedError, "try again later, or with a lower --rate"),
    (ServerError, "try again later"),
    (WatchTimeoutError, _AGAIN),
)
