"""What web clients are not told, for the operator: in the log, at ERROR, with the remedy, once per cause and app.

A web client hears "this server cannot do that" where a key is missing, the lifespan never ran, the store fails or a
service refuses the server's key: the cause is none of its business. Nor is the proxy, firewall or certificate that
keeps this server from a service. What passes by itself, such as a timeout, is logged at INFO.

Nothing of a request is logged: its path may hold a webhook's secret. Of what a service says of a key, nothing is logged
either.
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
"""What the app's state calls its lobby."""
_ALONE: Final = "topaz_status_operator"
"""What the app's state calls the operator of an app that has no lobby."""
_REFUSED: Final[Mapping[int, str]] = {
    401: "check {variable}",
    402: "check the account's credits",
    403: "check what the key in {variable} may do",
}
_PARTICULARS: Final = re.compile(r"'[^']*'|\"[^\"]*\"|<[^>]*>")
"""What differs from request to request in the text of one cause."""
_LONGEST_TRACE: Final = 20_000


@attrs.define(eq=False)
class Operator:
    """Who reads the log of one app."""

    _telemetry: Telemetry = attrs.field(factory=Telemetry, init=False)

    def hear(self, error: Exception) -> None:
        """Log an error if its detail is kept from web clients."""
        if isinstance(error, WatchTimeoutError) and error.last_error is not None:
            error = error.last_error
        if isinstance(error, TopazStatusError) and (text := _told(error)) is not None:
            level = logging.INFO if _passes(error) else logging.ERROR
            self._telemetry.warn_once(_PARTICULARS.sub("", text), text, level=level)

    def hear_bug(self, where: str, error: BaseException) -> None:
        """Log what should not have happened, with its traceback."""
        trace = without_urls("".join(traceback.format_exception(error))[-_LONGEST_TRACE:])
        logger.error("%s failed in a way that is a bug: %s\n%s", where, type(error).__name__, trace)


def _told(error: TopazStatusError) -> str | None:
    match error:
        case ConfigurationError():
            return f"this app answers 500, as it is set up wrongly: {shown(str(error))}"
        case StoreError():
            return f"the store of watches fails: {shown(str(error))}; check the disk, and who else has the store open"
        case ServiceError():
            return _told_of_answer(error)
        case TransportError(job=job):
            return f"this server got no answer from the {_service(job)}: {without_urls(shown(str(error.args[0])))}"
        case _:
            return None


def _told_of_answer(error: ServiceError) -> str | None:
    code, job = error.status_code, error.job
    if isinstance(error, GatewayError):
        remedy = f"check the proxy, the firewall and {_variable(URL_VARIABLES, job)}"
        return f"something in front of the {_service(job)} answers {code} instead of it: {remedy}"
    if code in _REFUSED:
        remedy = _REFUSED[code].format(variable=_variable(KEY_VARIABLES, job))
        return f"the {_service(job)} refuses this server: it answers {code}; {remedy}"
    return None


def _passes(error: TopazStatusError) -> bool:
    """Tell whether nobody need act: the error may pass by itself, as a timeout or a lost connection does."""
    if not isinstance(error, TransportError) or isinstance(error, CertificateError):
        return False
    return error.maybe_sent and not is_about_proxy(error)


def _service(job: JobRef | None) -> str:
    return "service" if job is None else f"{job.kind.value} service"


def _variable(variables: Mapping[Account, str], job: JobRef | None) -> str:
    """Name the variable for a job's account, or all of them where no job is known."""
    return " or ".join(variables.values()) if job is None else variables[ACCOUNTS[job.kind]]


def is_leaving(connection: HTTPConnection) -> bool:
    """True once the app that serves this is going away: that its client is closed is no fault then."""
    app_state = _app_state(connection)
    return app_state is not None and app_state.closing


def tell_operator(connection: HTTPConnection, error: Exception) -> None:
    """Log an error that a request met, if its detail is kept from web clients."""
    if not (isinstance(error, ConfigurationError) and is_leaving(connection)):
        _operator_of(connection).hear(error)


async def report(connection: HTTPConnection) -> AsyncIterator[None]:
    """See to it that what goes wrong with a client of the app is logged: a dependency of what hands it out.

    It sees what a handler, a WebSocket, a stream's body or a background task raises, handled later or not.
    """
    try:
        yield
    except TopazStatusError as error:
        tell_operator(connection, error)
        raise


def _app_state(connection: HTTPConnection) -> Any:
    states = (connection.app.state, connection.state)
    return next((app_state for state in states if (app_state := getattr(state, STATE, None)) is not None), None)


def _operator_of(connection: HTTPConnection) -> Operator:
    if (app_state := _app_state(connection)) is not None:
        operator: Operator = app_state.operator
        return operator
    app: FastAPI = connection.app
    if not isinstance(getattr(app.state, _ALONE, None), Operator):
        setattr(app.state, _ALONE, Operator())
    alone: Operator = getattr(app.state, _ALONE)
    return alone
