"""A registration of another member, as a handle of the job's poller at the leader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast

import attrs

from ...models.job import JobRef
from ..polling.poller import Ending, Handle, Poller

if TYPE_CHECKING:
    import asyncio


class Subscription(Protocol):
    """What a registration belongs to: the member, as the leader sees it."""

    @property
    def id(self) -> str:
        """The member's id."""

    def ended(self, remote: Remote, ending: Ending) -> None:
        """Note that the job's watches have ended."""


@attrs.define(eq=False, weakref_slot=False)
class Remote:
    """A handle for somebody else. It is small: a leader has one for each job of each other member."""

    job: JobRef
    registration: int
    subscription: Subscription
    deadline: float | None
    """When the first of the member's own handles times out, by this loop's clock."""
    word: str | None = None
    """The status word that the member heard last."""
    reported_at: float = 0.0
    """When the member heard last."""

    def changed(self) -> None:
        """See :class:`~..polling.poller.Handle`. The leader's desk reports to the member after each answer."""

    def settle(self, ending: Ending) -> None:
        """See :class:`~..polling.poller.Handle`."""
        self.subscription.ended(self, ending)


@attrs.frozen(eq=False)
class Over:
    """What a poller for others has in place of a future: nobody awaits it."""

    _ending: Ending | None = None

    def done(self) -> bool:
        """Return whether the ending is known."""
        return self._ending is not None

    def cancelled(self) -> bool:
        """Return False: nobody can cancel it."""
        return False

    def result(self) -> Ending:
        """Return the ending.

        Raises:
            RuntimeError: it is not known yet.
        """
        if self._ending is None:
            raise RuntimeError("the ending is not known yet")
        return self._ending


PENDING: Final = Over()
"""One object for all pollers of which the ending is not known: a leader may have a hundred thousand of them."""


@attrs.define(eq=False, weakref_slot=False)
class RemotePoller(Poller):
    """A poller that began for other members. It has no coroutine, which would take half of its memory."""

    over: asyncio.Future[Ending] = cast("asyncio.Future[Ending]", PENDING)  # noqa: RUF009  # it never changes

    def end(self, ending: Ending) -> None:
        """See :meth:`Poller.end`."""
        if not self.over.done():
            self.over = cast("asyncio.Future[Ending]", Over(ending))


def is_own(handle: Handle) -> bool:
    """Return True for a handle of this process."""
    return type(handle) is not Remote


def has_own(poller: Poller) -> bool:
    """Return True if a handle of this process waits for the job."""
    return any(is_own(handle) for handle in poller.handles)
