"""What to do about each error: the job's own end, the wait's end, and trouble with a service, a key or a file.

Watch out: only the errors in the first row say that the job is over. After any other, the job goes on at its service,
and costs what it costs. So never submit it again because a wait ended; watch the same job once more.
"""

from topaz_status import (
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    CoordinatorError,
    DecodeError,
    GatewayError,
    JobCanceledError,
    JobError,
    JobExpiredError,
    JobFailedError,
    JobLostError,
    JobRef,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ResultTooLargeError,
    ResultUnavailableError,
    ServerError,
    ServiceError,
    StatusClient,
    StoreError,
    TopazStatusError,
    TransportError,
    WatchCanceledError,
    WatchError,
    WatchTimeoutError,
)

WHAT_NEXT: list[tuple[tuple[type[TopazStatusError], ...], str]] = [
    ((JobFailedError, JobCanceledError, JobExpiredError), "submit it again, if the reason allows"),
    ((JobLostError, NotFoundError), "find out who deleted its record, or whether the id and the account are right"),
    ((ResultUnavailableError, ConflictError), "wait for the job's end, then ask for the result"),
    ((ResultTooLargeError,), "allow a larger file"),
    ((WatchTimeoutError, WatchCanceledError, ClientClosedError), "watch it again later: the job goes on"),
    ((AuthenticationError, PermissionDeniedError), "repair the key, or buy credits"),
    ((BadRequestError, ConfigurationError), "repair the id or the settings"),
    ((CertificateError, GatewayError), "repair the network between here and the service"),
    ((RateLimitedError, ServerError, TransportError, DecodeError), "watch it again later: the service is in trouble"),
    ((StoreError,), "repair the file or its folder, or the database"),
    ((CoordinatorError,), "repair the shared server, or the URL and rights to reach it"),
    ((JobError, WatchError, ServiceError, TopazStatusError), "ask the operator"),  # kinds that later versions may add
]


async def settle(client: StatusClient, job: JobRef | str) -> str:
    """Wait for a job, and say what comes next."""
    try:
        await client.watch(job, timeout=600)
    except TopazStatusError as error:  # every error of the library
        return f"{what_next(error)} ({error})"
    return "fetch the result"


def what_next(error: TopazStatusError) -> str:
    """Say what to do about an error."""
    return next(text for kinds, text in WHAT_NEXT if isinstance(error, kinds))
