"""The lobby of an app: its one client, and everybody who waits there for news of a job."""

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
    """Who waits at one app: open streams, long polls, handlers in :func:`.wait_or_disconnect`.

    Each of them leaves a way to be told that the server is going away, by which it ends at once.
    """

    client: StatusClient
    _ends: dict[object, Callable[[], None]] = attrs.field(factory=dict, init=False)
    boards: dict[int, OverviewBroadcaster] = attrs.field(factory=dict, init=False)
    """The whole fleet, by how much of it is shown."""
    operator: Operator = attrs.field(factory=Operator, init=False)
    closing: bool = attrs.field(default=False, init=False)
    """True once the server is going away."""

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._ends)

    @contextlib.contextmanager
    def wait(self, end: Callable[[], None], *, most: int | None = None) -> Iterator[None]:
        """Wait here, as one of at most ``most``; ``end`` is called when the server goes away, now if it does already.

        Raises:
            Problem: 503, there are so many already.
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
        """Tell everybody to end, and whoever comes later."""
        self.closing = True
        for end in list(self._ends.values()):
            end()
