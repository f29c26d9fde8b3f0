"""The HTTP front of a simulator: turns an aiohttp request into a response, after faults, API keys and rate limits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from functools import lru_cache, partial
from typing import Final

import attrs
from aiohttp import web

from ...models.job import JobRef
from . import storage
from .durations import Durations
from .faults import bodies, broken_connections
from .faults.rules import BODIES, CONNECTIONS, INSTEAD, SILENCES, DrawnFault, FaultDeck
from .http_values import KINDS, Answer, Call, read_call
from .job_life import Life
from .rate_limit import RateLimits
from .request_log import STORAGE, Exchange, RequestLog
from .services import Services
from .status_bodies import Moment

API_KEY_HEADER: Final = "X-API-Key"
CONTROL: Final = "/_sim/"

_PUBLIC: Final = frozenset({"video.system"})
_TOO_MANY: Final = 429
_NO_QUERY: Final[Mapping[str, str]] = {}


@lru_cache(maxsize=8)
def http_date(unix: int) -> str:
    """Format a ``Date`` header."""
    return formatdate(unix, usegmt=True)


@attrs.define(kw_only=True)
class Front:
    """Receives requests and sends answers.

    Args:
        services: answer the calls.
        deck: draws the faults.
        limits: the server's own rate limits.
        request_log: counts the requests.
        control: answers control requests below ``/_sim/``, which are not counted.
        keys: the API keys that are valid; ``None`` for any.
        revoked: keys that are not valid, even if ``keys`` has them.
        delay: seconds that an answer takes; the answer shows the job's state in the middle of them.
        dice: the random generator of the delays.
        storage_url: the base URL of links to results; by default the host of the request.
    """

    services: Services
    deck: FaultDeck
    limits: RateLimits
    request_log: RequestLog
    control: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    keys: frozenset[str] | None
    revoked: set[str] = attrs.field(factory=set)
    delay: Durations
    dice: random.Random
    storage_url: str | None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; ``aiohttp.web.Server`` calls this."""
        path, _, text = request.raw_path.partition("?")
        if path.startswith(CONTROL):
            return await self.control(request)
        call = read_call(request.method, path)
        now = self.services.account.clock.now()
        self.request_log.arrive(now, call.service, call.endpoint, request.headers.get(API_KEY_HEADER))
        drawn = self.deck.judge(call, now)
        status = 0
        try:
            answer = await self._answer(request, call, request.query if text else _NO_QUERY, drawn)
            status = 0 if answer is None else answer.status
            return await self._send(request, answer, drawn)
        finally:
            fault = drawn.fault.name if drawn.fault else "delay" if drawn.delay else None
            self.request_log.leave(Exchange(now, call.service, call.endpoint, call.job_id, status, fault))

    async def _answer(
        self, request: web.BaseRequest, call: Call, query: Mapping[str, str], drawn: DrawnFault
    ) -> Answer | None:
        """Return the answer after its delay, spoiled by the drawn fault if any; ``None`` for a fault without answer."""
        fault = drawn.fault
        pause = drawn.delay + self.delay.draw(self.dice)
        if pause > 0:
            await asyncio.sleep(pause / 2)
        if fault is None:
            answer: Answer | None = self._ask(request, call, query)
        elif fault.name in INSTEAD:
            answer = bodies.instead(fault, call)
        elif fault.name in SILENCES:
            answer = None
        else:
            answer = self._ask(request, call, query)
            answer = bodies.spoil(fault, answer, drawn.nth) if fault.name in BODIES else answer
        if pause > 0:
            await asyncio.sleep(pause / 2)
        return answer

    def _ask(self, request: web.BaseRequest, call: Call, query: Mapping[str, str]) -> Answer:
        """Return the service's answer, if the key and the rate limits let the call pass."""
        if call.service == STORAGE:
            return self._file(request, call, query)
        clock = self.services.account.clock
        now = clock.now()
        if call.kind is not None and call.endpoint not in _PUBLIC:
            if not self._is_good(request.headers.get(API_KEY_HEADER)):
                return self.services.problem(call, 401)
            delay = self.limits.admit(call.service, now)
            if delay is not None:
                return self._too_many(call, delay)
        sign = partial(self._sign, self.storage_url or f"http://{request.host}")
        at = Moment(now, clock.unix(now), sign, self.services.newer_video)
        return self.services.answer(call, query, at)

    def _is_good(self, key: str | None) -> bool:
        return bool(key) and key not in self.revoked and (self.keys is None or key in self.keys)

    def _too_many(self, call: Call, delay: float) -> Answer:
        self.request_log.rate_limited += 1
        clock = self.services.account.clock
        retry_after = self.limits.header(delay, clock.unix(clock.now()))
        answer = self.services.problem(call, _TOO_MANY)
        return answer if retry_after is None else attrs.evolve(answer, headers={"Retry-After": retry_after})

    def _sign(self, base: str, life: Life, expires: float, method: str) -> str:
        return base + storage.signed_path(life.ref, expires, method)

    def _file(self, request: web.BaseRequest, call: Call, query: Mapping[str, str]) -> Answer:
        """Return a result file; refuse an invalid link and a request that carries an API key."""
        if API_KEY_HEADER in request.headers or "Authorization" in request.headers:
            self.request_log.leaked_keys += 1
            return storage.refusal(400, "InvalidArgument", "Only one auth mechanism allowed")
        account = self.services.account
        segments = call.path.split("/")
        kind = KINDS.get(segments[2]) if call.job_id else None
        life = None if kind is None else account.lives[kind].get(call.job_id or "")
        if life is None:
            return storage.refusal(404, "NoSuchKey", "The specified key does not exist.")
        ref: JobRef = life.ref
        now = account.clock.now()
        bad = storage.check_link(ref, request.method, query, account.clock.unix(now))
        ended = http_date(int(account.clock.unix(min(life.ends_at, now))))
        return bad or storage.serve_file(ref, life.plan.size, request.method, request.headers, modified=ended)

    async def _send(self, request: web.BaseRequest, answer: Answer | None, drawn: DrawnFault) -> web.StreamResponse:
        fault = drawn.fault
        if fault is not None and (answer is None or fault.name in CONNECTIONS):
            return await broken_connections.wreck(fault, answer or Answer(200), request.transport)
        return self.response(answer or Answer(500))

    def response(self, answer: Answer) -> web.Response:
        """Make a complete response, dated by the server's clock."""
        clock = self.services.account.clock
        headers = answer.all_headers()
        headers["Date"] = http_date(int(clock.unix(clock.now())))
        return web.Response(body=answer.encoded() or None, status=answer.status, headers=headers)
