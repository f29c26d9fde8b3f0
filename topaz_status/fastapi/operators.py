"""Logs for the operator the details that web clients do not get: at ERROR, with the remedy, once per cause and app.

Web clients get only a general text such as "this server cannot do that". Examples are a missing key, a lifespan that
never ran, a failing store, and a service that refuses the server's key. The same holds for a proxy, firewall or
certificate that blocks the way to a service. Errors that pass by themselves, such as a timeout, are logged at INFO.

Nothing of a request is logged, because its path may hold a webhook's secret. The text with which a service refuses a
key is not logged either.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import attrs
from fastapi import FastAPI
from fastapi.requests import HTTPConnection

from ..errors import (
    CertificateError,
    ConfigurationError,
    GatewayError,
    ServiceError,
    StoreError,
    TopazStatusError,
    TransportError,
    WatchTimeoutError,
    is_about_proxy,
)
from ..models.job import JobRef
from ..models.redact import shown, without_urls
from ..session.settings import ACCOUNTS, KEY_VARIABLES, URL_VARIABLES, Account
from ..session.telemetry import Telemetry, logger

STATE: Final = "topaz_status"
"""The attribute of the app's state that holds its :class:`.AppState`."""
_OPERATOR: Final = "topaz_status_operator"
"""The attribute that holds the operator of an app without an :class:`.AppState`."""
_REFUSED: Final[Mapping[int, str]] = {
    401: "check {variable}",
    402: "check the account's credits",
    403: "check what the key in {variable} may do",
}
_PARTICULARS: Final = re.compile(r"'[^']*'|\"[^\"]*\"|<[^>]*>")
"""The parts of a cause's text that differ from request to request."""
_LONGEST_TRACE: Final = 20_000
"""Characters of a traceback that are logged, at most."""


@attrs.define(eq=False)
class Operator:
    """Writes the log for the operator of one app."""

    _telemetry: Telemetry = attrs.field(factory=Telemetry, init=False)

    def log_error(self, error: Exception) -> None:
        """Log an error if web clients do not get its detail."""
        if isinstance(error, WatchTimeoutError) and error.last_error is not None:
            error = error.last_error
        if isinstance(error, TopazStatusError) and (text := _log_text(error)) is not None:
            level = logging.INFO if _passes(error) else logging.ERROR
            self._telemetry.warn_once(_PARTICULARS.sub("", text), text, level=level)

    def log_bug(self, where: str, error: BaseException) -> None:
        """Log an error that should not happen, with its traceback."""
        trace = without_urls("".join(traceback.format_exception(error))[-_LONGEST_TRACE:])
        fields = {"topaz_event": "bug", "topaz_error": type(error).__name__}
        logger.error("%s failed in a way that is a bug: %s\n%s", where, type(error).__name__, trace, extra=fields)


def _log_text(error: TopazStatusError) -> str | None:
    match error:
        case ConfigurationError():
            return f"this app answers 500, as it is set up wrongly: {shown(str(error))}"
        case StoreError(taken_over_by=str()):
            return f"a watch is another client's: {shown(str(error))}"
        case StoreError():
            remedy = "check the disk or the database, and who else has the store open"
            return f"the store of watches fails: {shown(str(error))}; {remedy}"
        case ServiceError():
            return _log_text_of_answer(error)
        case TransportError(job=job):
            return f"this server got no answer from the {_service(job)}: {without_urls(shown(str(error.args[0])))}"
        case _:
            return None


def _log_text_of_answer(error: ServiceError) -> str | None:
    code, job = error.status_code, error.job
    if isinstance(error, GatewayError):
        remedy = f"check the proxy, the firewall and {_variable(URL_VARIABLES, job)}"
        return f"something in front of the {_service(job)} answers {code} instead of it: {remedy}"
    if code in _REFUSED:
        remedy = _REFUSED[code].format(variable=_variable(KEY_VARIABLES, job))
        return f"the {_service(job)} refuses this server: it answers {code}; {remedy}"
    return None


def _passes(error: TopazStatusError) -> bool:
    """Return whether the error may pass by itself, as a timeout or a lost connection does: nobody needs to act."""
    if isinstance(error, StoreError):
        return error.taken_over_by is not None
    if not isinstance(error, TransportError) or isinstance(error, CertificateError):
        return False
    return error.maybe_sent and not is_about_proxy(error)


def _service(job: JobRef | None) -> str:
    return "service" if job is None else f"{job.kind.value} service"


def _variable(variables: Mapping[Account, str], job: JobRef | None) -> str:
    """Return the name of the variable for a job's account, or all names if no job is known."""
    return " or ".join(variables.values()) if job is None else variables[ACCOUNTS[job.kind]]


def is_leaving(connection: HTTPConnection) -> bool:
    """Return whether the app that serves this is going away: a closed client is then no error."""
    app_state = _app_state(connection)
    return app_state is not None and app_state.closing


def log_for_operator(connection: HTTPConnection, error: Exception) -> None:
    """Log an error of a request, if web clients do not get its detail."""
    if not (isinstance(error, ConfigurationError) and is_leaving(connection)):
        _operator_of(connection).log_error(error)


async def report(connection: HTTPConnection) -> AsyncIterator[None]:
    """Log the errors of requests that use the app's client: a dependency of the dependencies that return the client.

    It sees errors that a handler, a WebSocket, a stream's body or a background task raises, even if handled later.
    """
    try:
        yield
    except TopazStatusError as error:
        log_for_operator(connection, error)
        raise


def _app_state(connection: HTTPConnection) -> Any:
    states = (connection.app.state, connection.state)
    return next((app_state for state in states if (app_state := getattr(state, STATE, None)) is not None), None)


def _operator_of(connection: HTTPConnection) -> Operator:
    """Return the operator of the app's state; an app without that state gets an operator of its own."""
    if (app_state := _app_state(connection)) is not None:
        operator: Operator = app_state.operator
        return operator
    app: FastAPI = connection.app
    if not isinstance(getattr(app.state, _OPERATOR, None), Operator):
        setattr(app.state, _OPERATOR, Operator())
    own: Operator = getattr(app.state, _OPERATOR)
    return own
