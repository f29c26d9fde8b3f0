"""What a caller holds while a job is on its way."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, cast

import attrs

from .core.health.ending import about
from .core.schedule.explanation import Explanation
from .errors import (
    ConfigurationError,
    DecodeError,
    ServiceError,
    StoreError,
    TopazStatusError,
    WatchCanceledError,
    WatchTimeoutError,
)
from .models import JobStatus
from .models.job import JobRef
from .models.redact import shown
from .outcome import Outcome
from .session.statistics import explain_watch

if TYPE_CHECKING:  # the parts of an open client: they are loaded when one is opened
    from .session.durable.store_writer import StoredRow
    from .session.engine import Engine
    from .session.polling.poller import Ending, Poller
    from .session.timing.timers import Timer

S = TypeVar("S", bound=JobStatus)


_OF_FUTURES: Final = {"add_done_callback", "remove_done_callback", "exception", "cancelled", "get_loop"}
_NO_COROUTINE: Final = ": it is an awaitable, not a coroutine; pass watch.result()"
_NO_FUTURE: Final = ": it is an awaitable, not a future; pass asyncio.ensure_future(watch)"


@attrs.define(eq=False, repr=False)
class Watch(Generic[S]):
    """A handle on one job. Awaiting it gives the job's terminal status, or raises what became of it.

    Made by :meth:`StatusClient.watch`; it starts at once. Many handles on one job share one stream of polls. Cancelling
    an ``await`` cancels that await alone; :meth:`cancel` ends this handle. The remote job is never touched.
    """

    _engine: Engine
    job: JobRef
    tag: Any
    _poller: Poller = attrs.field(init=False)
    _started_at: float = attrs.field(init=False)
    _polls_before: int = attrs.field(init=False)
    _polls: int = attrs.field(default=0, init=False)
    _ending: Ending | None = attrs.field(default=None, init=False)
    _timer: Timer | None = attrs.field(default=None, init=False)
    _deadline: float | None = attrs.field(default=None, init=False)
    """When it times out, by the loop's clock."""
    _waiting: set[asyncio.Future[None]] | None = attrs.field(default=None, init=False)
    _reading: set[asyncio.Future[None]] | None = attrs.field(default=None, init=False)
    _on_end: Callable[[Watch[S]], None] | None = attrs.field(default=None, init=False)

    def __repr__(self) -> str:
        if self._ending is not None:
            state = "ended" if self._ending.error is None else type(self._ending.error).__name__
        else:
            state = "new" if self._poller.word is None else shown(self._poller.word)
        return f"<Watch {self.job} {state}{_NO_COROUTINE if _is_asked_by_asyncio() else ''}>"

    if not TYPE_CHECKING:  # a type checker would take it for leave to ask for anything

        def __getattr__(self, name: str) -> Any:
            """Say what to pass where a future is wanted, as ``asyncio.wait`` does."""
            hint = _NO_FUTURE if name in _OF_FUTURES else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=self)

    # -- what is known ------------------------------------------------------------------------------------------------

    @property
    def status(self) -> S | None:
        """The last known status, ``None`` before the first look."""
        status = self._poller.status if self._ending is None else self._ending.status
        return cast("S | None", status)

    def done(self) -> bool:
        """True once awaiting gives its result, or raises, at once."""
        return self._ending is not None

    def explain(self) -> Explanation:
        """Why, and when, the job is looked at next."""
        return explain_watch(self._engine, self._poller.job, ended=self._ending is not None)

    # -- waiting ------------------------------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, S]:
        return self.result().__await__()

    async def result(self) -> S:
        """Wait for the terminal status of a completed job.

        Raises:
            JobFailedError, JobCanceledError, JobExpiredError: the job ended otherwise; ``.status`` is its last status.
            JobLostError: the service knew the job and no longer does.
            WatchTimeoutError: the watch's timeout ran out.
            WatchCanceledError: this handle was canceled.
            ClientClosedError: the client was closed.
            ServiceError, TransportError, DecodeError: what the service answered that ended the watch.
        """
        ending = await self._ended()
        if ending.error is not None:
            raise ending.fresh(ending.error)
        return cast("S", ending.status)

    async def outcome(self) -> Outcome:
        """Wait for the end and describe it. Never raises for the job."""
        await self._ended()
        return self._outcome()

    async def updates(self) -> AsyncIterator[S]:
        """Every change of state, word, progress or result URL, the last known status first.

        A slow reader is given the newest. Ends after the terminal status.

        Raises:
            TopazStatusError: what ``await`` raises, where no terminal status came.
        """
        last: S | None = None
        while True:
            ending, status = self._ending, self.status
            if status is not None and (last is None or news(last) != news(status)):
                if status.is_terminal:  # where outcomes are kept it is handed out once it is on disk
                    ending = await self._ended()
                    if isinstance(ending.error, StoreError):
                        raise ending.fresh(ending.error)
                last = status
                yield status
                continue
            if ending is not None:
                if ending.error is not None and (last is None or not last.is_terminal):
                    raise ending.fresh(ending.error)
                return
            self._reading = self._reading or set()
            await self._wait(self._reading)

    async def _ended(self) -> Ending:
        if not self._engine.clock.is_running_here():
            raise ConfigurationError(f"{self!r} belongs to another event loop")
        while self._ending is None:
            self._waiting = self._waiting or set()
            await self._wait(self._waiting)
        return self._ending

    async def _wait(self, crowd: set[asyncio.Future[None]]) -> None:
        turn: asyncio.Future[None] = self._engine.clock.loop.create_future()
        crowd.add(turn)
        try:
            await turn
        finally:
            crowd.discard(turn)

    # -- leaving ------------------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Give this handle up; the last one to go ends the polling. After the end it does nothing.

        The last one to go also has a store forget the job: ``resume()`` will not take it up.
        """
        self.drop()

    def drop(self) -> None:
        """Give this handle up as :meth:`cancel` does, but have a store keep the job for ``resume()``."""
        if self._ending is None:
            self._leave(WatchCanceledError(f"the watch of {self.job} was canceled", job=self.job))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.drop()

    # -- the other side -----------------------------------------------------------------------------------------------

    def start(
        self,
        *,
        timeout: float | None,
        age: float,
        remaining: float | None,
        since: float = 0.0,
        kept: StoredRow | None = None,
    ) -> Self:
        """Join the job's poller; a watch that is taken up again began ``since`` seconds ago."""
        now = self._engine.clock.now()
        self._started_at = now - since if since else now
        deadline = self._deadline = None if timeout is None else now + timeout
        self._poller = self._engine.registry.join(
            self.job, self, now=now, age=age, remaining=remaining, deadline=deadline, since=since, kept=kept
        )
        self._engine.gate.wake()
        self._polls_before = self._poller.polls
        if deadline is not None:
            self._timer = self._engine.timers.set(deadline, self)
        return self

    def changed(self) -> None:
        """The poller has news: wake the readers."""
        if self._reading:
            _wake(self._reading)

    def settle(self, ending: Ending) -> None:
        """The poller has ended: wake everybody."""
        if self._ending is not None:
            return
        self._ending = ending
        self._polls = self._poller.polls - self._polls_before
        if self._timer is not None:
            self._engine.timers.switch_off(self._timer)
        _wake(self._reading)
        _wake(self._waiting)
        if self._on_end is not None:
            self._on_end(self)

    def ring(self) -> None:
        """The timeout has run out, unless the answer to the last poll is awaited."""
        if not self._awaits_poll():
            self._time_out()

    def _awaits_poll(self) -> bool:
        """Wait on for the job's last poll, if it is on the wire or can be sent."""
        until = self._engine.feed.waits_until(self._poller, cast("float", self._deadline))
        if until <= self._engine.clock.now():
            return False
        self._poller.after_poll(self.ring_soon)
        self._timer = self._engine.timers.set(until, self)
        return True

    def ring_soon(self) -> None:
        """Ask again whether to time out, as soon as what happens now has happened."""
        if self._ending is None and self._timer is not None:
            self._engine.timers.switch_off(self._timer)
            self._timer = self._engine.timers.after(0.0, self)

    def _time_out(self) -> None:
        waited = self._engine.clock.now() - self._started_at
        if self._poller.is_known:
            last = "listed as not ended" if self._poller.word is None else f"last seen {shown(self._poller.word)!r}"
            text = f"{self.job} had not ended after {waited:.0f} s ({last}); the job itself goes on"
            self._leave(WatchTimeoutError(text, job=self.job))
        else:
            trouble = self._poller.trouble or self._engine.circuits.trouble(self.job.kind)
            text = f"{self.job}: no poll was answered in {waited:.0f} s{_last_trouble(trouble)}"
            self._leave(WatchTimeoutError(text, job=self.job, last_error=trouble and about(trouble, self.job)))

    def _leave(self, error: TopazStatusError) -> None:
        """Go with ``error``, unless the job's own ending is known and only waits to be passed on."""
        ending = self._poller.ending
        if ending is None:
            ending = self._poller.ended(error, self._engine.clock)
            self._engine.registry.leave(self._poller, self, self._deadline)
            if self._poller.is_at_work:
                self._engine.gate.wake()  # the next deadline may be another's
        self.settle(ending)

    def _outcome(self) -> Outcome:
        ending = cast("Ending", self._ending)
        terminal = ending.status is not None and ending.status.is_terminal
        return Outcome(
            job=self.job,
            tag=self.tag,
            state=ending.status.state if ending.status is not None and terminal else None,
            status=ending.status,
            error=None if ending.error is None else ending.fresh(ending.error),
            polls=self._polls,
            waited=ending.at - self._started_at,
            detected_at=ending.detected_at,
        )


def _last_trouble(trouble: TopazStatusError | None) -> str:
    """What the polls met, which may have been answers that tell no status."""
    if trouble is None:
        return ""
    is_answer = isinstance(trouble, ServiceError | DecodeError)
    return f"{' with a status' if is_answer else ''}; last trouble: {about(trouble, None)}"


def _wake(crowd: set[asyncio.Future[None]] | None) -> None:
    for turn in crowd or ():
        if not turn.done():
            turn.set_result(None)


def _is_asked_by_asyncio() -> bool:
    """True while asyncio itself asks for a ``repr``: for the error of what takes coroutines alone."""
    here = inspect.currentframe()
    asker = here.f_back.f_back if here is not None and here.f_back is not None else None
    return asker is not None and str(asker.f_globals.get("__name__")).startswith("asyncio.")


def news(status: JobStatus) -> tuple[object, ...]:
    """What makes a status worth telling: the word (and so the state), the progress, the result's URL."""
    return status.status, status.progress, status.result_url
