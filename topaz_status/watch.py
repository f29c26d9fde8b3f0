"""The caller's handle on a job that is being watched."""

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

if TYPE_CHECKING:  # parts of an open client: they are loaded when a client is opened
    from .session.durable.stored_row import StoredRow
    from .session.engine import Engine
    from .session.polling.poller import Ending, Poller
    from .session.timing.timers import Timer

S = TypeVar("S", bound=JobStatus)


_FUTURE_ATTRIBUTES: Final = {"add_done_callback", "remove_done_callback", "exception", "cancelled", "get_loop"}
_NOT_A_COROUTINE: Final = ": it is an awaitable, not a coroutine; pass watch.result()"
_NOT_A_FUTURE: Final = ": it is an awaitable, not a future; pass asyncio.ensure_future(watch)"


@attrs.define(eq=False, repr=False)
class Watch(Generic[S]):
    """A handle on one job. Awaiting it returns the job's terminal status, or raises the reason why there is no result.

    :meth:`StatusClient.watch` makes it, and it starts at once. All handles on one job share one stream of polls.
    Cancelling an ``await`` cancels only that ``await``; :meth:`cancel` ends this handle. The remote job is never
    changed.

    Example:
        >>> async with client.image.watch(image.id) as watch:
        ...     isinstance(watch, Watch), watch.done(), (await watch).progress, watch.done()
        (True, False, 100.0, True)
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
    """The loop time at which the watch times out; ``None`` without a timeout."""
    _result_waiters: set[asyncio.Future[None]] | None = attrs.field(default=None, init=False)
    _update_waiters: set[asyncio.Future[None]] | None = attrs.field(default=None, init=False)
    _on_end: Callable[[Watch[S]], None] | None = attrs.field(default=None, init=False)

    def __repr__(self) -> str:
        if self._ending is not None:
            state = "ended" if self._ending.error is None else type(self._ending.error).__name__
        else:
            state = "new" if self._poller.word is None else shown(self._poller.word)
        return f"<Watch {self.job} {state}{_NOT_A_COROUTINE if _is_called_by_asyncio() else ''}>"

    if not TYPE_CHECKING:  # a type checker would then accept every attribute

        def __getattr__(self, name: str) -> Any:
            """Refuse unknown attributes; for those of a future, say what to pass to calls such as ``asyncio.wait``."""
            hint = _NOT_A_FUTURE if name in _FUTURE_ATTRIBUTES else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=self)

    # -- what is known ------------------------------------------------------------------------------------------------

    @property
    def status(self) -> S | None:
        """The last known status; ``None`` before the first poll is answered."""
        status = self._poller.status if self._ending is None else self._ending.status
        return cast("S | None", status)

    def done(self) -> bool:
        """Return true once the watch has ended: awaiting it then returns or raises at once."""
        return self._ending is not None

    def explain(self) -> Explanation:
        """Explain when the job is polled next, and why then.

        Example:
            >>> watch = client.image.watch(image.id)
            >>> explanation: Explanation = watch.explain()
            >>> explanation.job == image, explanation.looked_ago is None
            (True, True)
        """
        return explain_watch(self._engine, self._poller.job, ended=self._ending is not None)

    # -- waiting ------------------------------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, S]:
        return self.result().__await__()

    async def result(self) -> S:
        """Wait for the terminal status of a completed job.

        Raises:
            JobFailedError, JobCanceledError, JobExpiredError: the job ended without a result; ``.status`` is its last
                status.
            JobLostError: the service knew the job and no longer does.
            WatchTimeoutError: the watch's timeout ran out.
            WatchCanceledError: this handle was canceled.
            ClientClosedError: the client was closed.
            ServiceError, TransportError, DecodeError: the trouble with the service that ended the watch.
        """
        ending = await self._ended()
        if ending.error is not None:
            raise ending.fresh(ending.error)
        return cast("S", ending.status)

    async def outcome(self) -> Outcome:
        """Wait for the end of the watch and return its outcome. A job's failure is not raised."""
        await self._ended()
        return self._outcome()

    async def updates(self) -> AsyncIterator[S]:
        """Yield the last known status, then a status for each change of state, status word, progress or result URL.

        A slow reader skips to the newest status. The iteration ends after the terminal status.

        Raises:
            TopazStatusError: what ``await`` raises, if the watch ended without a terminal status.
        """
        self._check_loop()
        last: S | None = None
        while True:
            ending, status = self._ending, self.status
            if status is not None and (last is None or change_key(last) != change_key(status)):
                if status.is_terminal:  # with a store, it is handed out only once it is on disk
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
            self._update_waiters = self._update_waiters or set()
            await self._wait(self._update_waiters)

    async def _ended(self) -> Ending:
        self._check_loop()
        while self._ending is None:
            self._result_waiters = self._result_waiters or set()
            await self._wait(self._result_waiters)
        return self._ending

    def _check_loop(self) -> None:
        if problem := self._engine.clock.why_not_here():
            raise ConfigurationError(f"{self!r} {problem}")

    async def _wait(self, futures: set[asyncio.Future[None]]) -> None:
        future: asyncio.Future[None] = self._engine.clock.loop.create_future()
        futures.add(future)
        try:
            await future
        finally:
            futures.discard(future)

    # -- ending this handle -------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End this handle; the job is no longer polled once its last handle has ended. A later call does nothing.

        If this was the job's last handle, a store also deletes the job's row: ``resume()`` will not take it up.
        """
        self.drop()

    def drop(self) -> None:
        """End this handle as :meth:`cancel` does, but leave the job's row in a store, for ``resume()``."""
        if self._ending is None:
            self._leave(WatchCanceledError(f"the watch of {self.job} was canceled", job=self.job))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.drop()

    # -- called by the package ----------------------------------------------------------------------------------------

    def start(
        self,
        *,
        timeout: float | None,
        age: float,
        remaining: float | None,
        since: float = 0.0,
        stored_row: StoredRow | None = None,
    ) -> Self:
        """Join the job's poller.

        ``since`` is how many seconds ago a resumed watch began; it is 0 for a new one. A durable watch has a
        ``stored_row``.
        """
        now = self._engine.clock.now()
        self._started_at = now - since if since else now
        deadline = self._deadline = None if timeout is None else now + timeout
        self._poller = self._engine.registry.join(
            self.job, self, now=now, age=age, remaining=remaining, deadline=deadline, since=since, stored_row=stored_row
        )
        self._engine.gate.wake()
        self._polls_before = self._poller.polls
        if deadline is not None:
            self._timer = self._engine.timers.set(deadline, self)
        if (announcer := self._engine.telemetry.announcer) is not None:
            announcer.watch_started(self, self.job)
        return self

    def changed(self) -> None:
        """Wake the readers of :meth:`updates`, because the poller has a change for them."""
        if self._update_waiters:
            _wake(self._update_waiters)

    def settle(self, ending: Ending) -> None:
        """End the watch with the poller's ending, and wake everybody who waits for it."""
        if self._ending is not None:
            return
        self._ending = ending
        self._polls = self._poller.polls - self._polls_before
        if self._timer is not None:
            self._engine.timers.switch_off(self._timer)
        if (announcer := self._engine.telemetry.announcer) is not None:
            waited = ending.at - self._started_at
            announcer.watch_ended(self, self.job, ending.error, waited=waited, polls=self._polls)
        _wake(self._update_waiters)
        _wake(self._result_waiters)
        if self._on_end is not None:
            self._on_end(self)

    def on_timer(self) -> None:
        """End the watch because its timeout has run out, unless the job's last poll may still be answered."""
        if not self._waits_for_last_poll():
            self._time_out()

    def _waits_for_last_poll(self) -> bool:
        """Extend the timer if the job's last poll is on the wire or can be sent; return whether that is so."""
        until = self._engine.feed.waits_until(self._poller, cast("float", self._deadline))
        if until <= self._engine.clock.now():
            return False
        self._poller.after_poll(self.on_timer_soon)
        self._timer = self._engine.timers.set(until, self)
        return True

    def on_timer_soon(self) -> None:
        """Decide again whether to time out, once the callbacks that run now are done."""
        if self._ending is None and self._timer is not None:
            self._engine.timers.switch_off(self._timer)
            self._timer = self._engine.timers.after(0.0, self)

    def _time_out(self) -> None:
        waited = self._engine.clock.now() - self._started_at
        if self._poller.is_known:
            state = "listed as not ended" if self._poller.word is None else f"last seen {shown(self._poller.word)!r}"
            text = f"{self.job} had not ended after {waited:.0f} s ({state}); the job itself goes on"
            self._leave(WatchTimeoutError(text, job=self.job))
        else:
            trouble = self._poller.trouble or self._engine.circuits.trouble(self.job.kind)
            text = f"{self.job}: no poll was answered in {waited:.0f} s{_last_trouble(trouble)}"
            self._leave(WatchTimeoutError(text, job=self.job, last_error=trouble and about(trouble, self.job)))

    def _leave(self, error: TopazStatusError) -> None:
        """End this handle with ``error``, unless the job's own ending is known and only waits to be passed on."""
        ending = self._poller.ending
        if ending is None:
            ending = self._poller.ended(error, self._engine.clock)
            self._engine.registry.leave(self._poller, self, self._deadline)
            if self._poller.is_at_work:
                self._engine.gate.wake()  # the next deadline may now be another handle's
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
    """Describe the last trouble of the polls, which may have been answers that hold no status."""
    if trouble is None:
        return ""
    is_answer = isinstance(trouble, ServiceError | DecodeError)
    return f"{' with a status' if is_answer else ''}; last trouble: {about(trouble, None)}"


def _wake(futures: set[asyncio.Future[None]] | None) -> None:
    for future in futures or ():
        if not future.done():
            future.set_result(None)


def _is_called_by_asyncio() -> bool:
    """Return true if asyncio itself asks for the ``repr``, for the error of a function that takes only coroutines."""
    frame = inspect.currentframe()
    caller = frame.f_back.f_back if frame is not None and frame.f_back is not None else None
    return caller is not None and str(caller.f_globals.get("__name__")).startswith("asyncio.")


def change_key(status: JobStatus) -> tuple[object, ...]:
    """Return the fields whose change a reader is woken for: the status word, the progress and the result URL."""
    return status.status, status.progress, status.result_url
