"""What every request has in common, and direct calls: one direct call sends one request or more."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import attrs

from ...core.wire.requests import Request
from ...core.wire.responses import HTTP_OK, Response, check
from ...errors import ClientClosedError, RateLimitedError, ServiceError, TopazStatusError, TransportError
from ...models.job import JobKind
from ..polling.gate import Gate
from ..telemetry import Telemetry
from ..timing.backoff_delays import Backoff, pause
from ..timing.cancel_scope import CancelScope
from ..timing.clock import Clock
from .transport import Transport

T = TypeVar("T")


@attrs.define(eq=False)
class Calls:
    """Sends what the gate has admitted; tells the budget of good answers, 429s and requested pauses."""

    _clock: Clock
    _gate: Gate
    _transport: Transport
    _telemetry: Telemetry
    _jitter: Backoff
    _on_answer: Callable[[JobKind], None]
    """Called for each good answer to a direct call."""
    _calls: set[CancelScope] = attrs.field(factory=set, init=False)

    def send(self, request: Request) -> Coroutine[Any, Any, Response]:
        """Send one request, once awaited. It must have its slot and token. Pass the answer to :meth:`checked`.

        Raises:
            TransportError: no usable answer came.
            ConfigurationError: there is no key for this kind of job, or the caller's session is closed.
        """
        return self._transport.send(request)

    def checked(self, request: Request, response: Response, sent_at: float) -> Response:
        """Return a usable answer to a request that was sent at ``sent_at``.

        Raises:
            ServiceError: the service answered with an error.
            DecodeError: the service answered with a 2xx that says nothing.
        """
        if response.status == HTTP_OK:
            self._gate.budget.confirmed(request.kind, sent_at)
        else:
            self._check(request, response, sent_at)
        return response

    async def call(self, request: Request, read: Callable[[Response], T]) -> T:
        """Wait for admission, send, ``read`` the answer, and try again where that may help.

        A GET is sent again after a transient failure, such as an answer that ``read`` cannot decode. A DELETE is sent
        again only if the first one was certainly not sent.

        Raises:
            TopazStatusError: the error of the last attempt.
            ClientClosedError: the client was closed meanwhile.
            ConfigurationError: there is no key for this kind of job.
        """
        self._transport.check_key(request.kind)
        with CancelScope(_closed) as scope:
            self._calls.add(scope)
            try:
                return await self._persist(request, read)
            finally:
                self._calls.discard(scope)

    def close(self) -> None:
        """End every call, including calls that still wait."""
        for scope in tuple(self._calls):
            scope.end()

    async def _persist(self, request: Request, read: Callable[[Response], T]) -> T:
        """Try until the call succeeds, or until another try would not help."""
        for delay in self._jitter.call_delays():
            try:
                return await self._try(request, read)
            except TopazStatusError as error:
                if not _may_retry(request, error):
                    raise
                asked = getattr(error, "retry_after", None)
            await pause(delay if asked is None else max(delay, self._jitter.above(asked)))
        return await self._try(request, read)

    async def _try(self, request: Request, read: Callable[[Response], T]) -> T:
        async with self._gate.admit(request.kind):
            sent_at = self._clock.now()
            answer = read(self.checked(request, await self.send(request), sent_at))
            self._on_answer(request.kind)
            return answer

    def _check(self, request: Request, response: Response, sent_at: float) -> None:
        try:
            check(request, response, wall=self._clock.wall())
        except ServiceError as error:
            self._tell_budget(request, error, sent_at)
            raise

    def _tell_budget(self, request: Request, error: ServiceError, sent_at: float) -> None:
        now = self._clock.now()
        if not error.is_transient:
            self._gate.budget.confirmed(request.kind, sent_at)  # refused for what it asks, and not for the rate
        elif isinstance(error, RateLimitedError):
            self._gate.budget.limited(request.kind, sent_at=sent_at, now=now)
            self._telemetry.warn_once(
                f"429 {request.kind}",
                f"{request.kind.value} service answers 429 (too many requests): its rate is lowered, and raised slowly",
            )
        if error.retry_after:
            self._gate.budget.hold(request.kind, now, error.retry_after)


def _may_retry(request: Request, error: TopazStatusError) -> bool:
    if request.method == "GET":
        return error.is_transient
    return isinstance(error, TransportError) and error.is_transient and not error.maybe_sent


def _closed() -> ClientClosedError:
    return ClientClosedError("the client was closed while a call was under way")
