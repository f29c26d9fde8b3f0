"""Await Topaz image and video jobs and Pixelcut try-ons: thousands at once, under one request budget."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .client import StatusClient
    from .completions import Completions
    from .coordination import Shared
    from .core.policy import PollPolicy
    from .core.schedule.explanation import Explanation
    from .errors import (
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
        NotFoundError,
        PermissionDeniedError,
        RateLimitedError,
        ResultTooLargeError,
        ResultUnavailableError,
        ServerError,
        ServiceError,
        StoreError,
        TopazStatusError,
        TransportError,
        WatchCanceledError,
        WatchError,
        WatchTimeoutError,
    )
    from .models import (
        Download,
        ImagePage,
        ImageStatus,
        JobKind,
        JobRef,
        JobState,
        JobStatus,
        TryOnError,
        TryOnStatus,
        VideoChunk,
        VideoDownload,
        VideoEstimates,
        VideoRecord,
        VideoStatus,
    )
    from .outcome import Outcome
    from .session.statistics import Lag, Stats, StoreStats
    from .store.base import WatchStore
    from .store.memory import MemoryStore
    from .store.postgres import PostgresStore
    from .store.sqlite import SQLiteStore
    from .watch import Watch

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "CertificateError",
    "ClientClosedError",
    "Completions",
    "ConfigurationError",
    "ConflictError",
    "CoordinatorError",
    "DecodeError",
    "Download",
    "Explanation",
    "GatewayError",
    "ImagePage",
    "ImageStatus",
    "JobCanceledError",
    "JobError",
    "JobExpiredError",
    "JobFailedError",
    "JobKind",
    "JobLostError",
    "JobRef",
    "JobState",
    "JobStatus",
    "Lag",
    "MemoryStore",
    "NotFoundError",
    "Outcome",
    "PermissionDeniedError",
    "PollPolicy",
    "PostgresStore",
    "RateLimitedError",
    "ResultTooLargeError",
    "ResultUnavailableError",
    "SQLiteStore",
    "ServerError",
    "ServiceError",
    "Shared",
    "Stats",
    "StatusClient",
    "StoreError",
    "StoreStats",
    "TopazStatusError",
    "TransportError",
    "TryOnError",
    "TryOnStatus",
    "VideoChunk",
    "VideoDownload",
    "VideoEstimates",
    "VideoRecord",
    "VideoStatus",
    "Watch",
    "WatchCanceledError",
    "WatchError",
    "WatchStore",
    "WatchTimeoutError",
]

_HOMES: Final = {
    "client": {"StatusClient"},
    "completions": {"Completions"},
    "coordination": {"Shared"},
    "core.schedule.explanation": {"Explanation"},
    "core.policy": {"PollPolicy"},
    "models": {
        "Download", "ImagePage", "ImageStatus", "JobKind", "JobRef", "JobState", "JobStatus", "TryOnError",
        "TryOnStatus", "VideoChunk", "VideoDownload", "VideoEstimates", "VideoRecord", "VideoStatus",
    },
    "outcome": {"Outcome"},
    "session.statistics": {"Lag", "Stats", "StoreStats"},
    "store.base": {"WatchStore"},
    "store.memory": {"MemoryStore"},
    "store.postgres": {"PostgresStore"},
    "store.sqlite": {"SQLiteStore"},
    "watch": {"Watch"},
}  # fmt: skip
"""The module of each public name; every name that is not listed here is in :mod:`.errors`."""


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, because the pytest plugin loads this package in every user's test run."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = next((path for path, names in _HOMES.items() if name in names), "errors")
    value = globals()[name] = getattr(import_module(f".{module}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
