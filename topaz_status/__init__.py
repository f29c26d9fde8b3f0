"""Await Topaz image and video jobs and Pixelcut try-ons: thousands at once, under one request budget."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .client import StatusClient
    from .collect import Completions
    from .core.looks import Explanation
    from .core.policy import PollPolicy
    from .errors import (
        AuthenticationError,
        BadRequestError,
        CertificateError,
        ClientClosedError,
        ConfigurationError,
        ConflictError,
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
    from .session.statistics import Lag, Stats
    from .store.base import WatchStore
    from .store.memory import MemoryStore
    from .store.sqlite import SQLiteStore
    from .watch import Outcome, Watch

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "CertificateError",
    "ClientClosedError",
    "Completions",
    "ConfigurationError",
    "ConflictError",
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
    "RateLimitedError",
    "ResultTooLargeError",
    "ResultUnavailableError",
    "SQLiteStore",
    "ServerError",
    "ServiceError",
    "Stats",
    "StatusClient",
    "StoreError",
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

_HOMES: Final = (
    "errors",
    "models",
    "core.policy",
    "core.looks",
    "session.statistics",
    "watch",
    "collect",
    "client",
    "store.base",
    "store.memory",
    "store.sqlite",
)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the pytest plugin is loaded in every test run of every user."""
    if name in __all__:
        for home in _HOMES:
            module = import_module(f".{home}", __name__)
            if name in module.__dict__:
                return module.__dict__[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
