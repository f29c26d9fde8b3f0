"""What went wrong with a server, in words that hold no password and no address of a frame that has one."""

from __future__ import annotations

from typing import Final

from ..models.redact import shown

READ_ONLY: Final = "the server is a read-only replica"


def reason_of(error: BaseException) -> str:
    """Return what an error says, as one sentence without a secret."""
    from redis import exceptions  # noqa: PLC0415  # loaded with the first coordinator

    if is_refusal(error):
        return f"the server refuses this client: {shown(str(error))}"
    known = (
        ((TimeoutError, exceptions.TimeoutError), "no answer came in time"),
        (exceptions.ReadOnlyError, READ_ONLY),
        (exceptions.BusyLoadingError, "the server is loading its data"),
        ((OSError, exceptions.ConnectionError), "the server cannot be reached"),
        (exceptions.ResponseError, f"the server answered: {shown(str(error))}"),
    )
    unknown = f"the client of the server failed: {type(error).__name__}"
    return next((text for types, text in known if isinstance(error, types)), unknown)


def is_refusal(error: BaseException) -> bool:
    """Return whether an error says that this client, or its password, may not do what it needs to."""
    from redis import exceptions  # noqa: PLC0415  # loaded with the first coordinator

    refusals = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)
    return isinstance(error, refusals)


def may_heal(error: BaseException) -> bool:
    """Return whether the server may answer a moment later: it is starting, or the network is."""
    from redis import exceptions  # noqa: PLC0415  # loaded with the first coordinator

    network = (OSError, TimeoutError, exceptions.ConnectionError, exceptions.TimeoutError)
    starting = (exceptions.BusyLoadingError, exceptions.ClusterDownError)
    passing = isinstance(error, (*network, *starting)) or str(error).startswith("CLUSTERDOWN")
    return passing and not is_refusal(error)
