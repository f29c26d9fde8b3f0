"""The state of one app: its client, and the requests that wait there for a change of a job."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import attrs

from ..client import StatusClient
from .broadcaster import OverviewBroadcaster
from .operators import Operator
from .problems import RETRY_AFTER, Problem


@attrs.define(eq=False)
class AppState:
    """The client of one app and its waiting requests: streams, long polls, handlers in :func:`.wait_or_disconnect`.

    Each waiting request registers a callback. The callback ends the request at once when the server is going away.
    """

    client: StatusClient
    _ends: dict[object, Callable[[], None]] = attrs.field(factory=dict, init=False)
    broadcasters: dict[int, OverviewBroadcaster] = attrs.field(factory=dict, init=False)
    """Broadcasters of the overview; the key is the most jobs that each one shows."""
    operator: Operator = attrs.field(factory=Operator, init=False)
    closing: bool = attrs.field(default=False, init=False)
    """True once the server is going away."""

    @property
    def waiting(self) -> int:
        """The number of requests that wait."""
        return len(self._ends)

    @contextlib.contextmanager
    def wait(self, end: Callable[[], None], *, most: int | None = None) -> Iterator[None]:
        """Count one more waiting request while inside; at most ``most`` may wait.

        ``end`` is called when the server goes away, or at once if it is going away already.

        Raises:
            Problem: 503, ``most`` requests wait already.
        """
        if most is not None and self.waiting >= most:
            text = f"{self.waiting} requests wait here already, and no more than {most} may"
            raise Problem(503, "too-many-waiting", text, retry_after=RETRY_AFTER)
        key = object()
        self._ends[key] = end
        if self.closing:
            end()
        try:
            yield
        finally:
            del self._ends[key]

    def close(self) -> None:
        """End every waiting request, and every later one at once."""
        self.closing = True
        for end in list(self._ends.values()):
            end()
