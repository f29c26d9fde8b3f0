"""The HTTP front of a simulator: from an aiohttp request to a response, with faults, keys and limits on the way."""

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
from .bodies import Moment
from .durations import Durations
from .faults import bodies as mangling
from .faults import connections as wrecking
from .faults.rules import BODIES, CONNECTIONS, INSTEAD, SILENCES, FaultDeck, Verdict
from .http_values import KINDS, Answer, Call, read_call
from .job_life import Life
from .rate_limit import RateLimits
from .request_log import STORAGE, Exchange, Ledger
from .services import Services

KEY_HEADER: Final = "X-API-Key"
CONTROL: Final = "/_sim/"

_PUBLIC: Final = frozenset({"video.system"})
_TOO_MANY: Final = 429
_NO_QUERY: Final[Mapping[str, str]] = {}


@lru_cache(maxsize=8)
def http_date(unix: int) -> str:
    """A ``Date`` header."""
    return formatdate(unix, usegmt=True)


@attrs.define(kw_only=True)
class Front:
    """Receives requests and sends answers.

    Args:
        services: answer the calls.
        deck: says what goes wrong.
        limits: the server's own rate limits.
        ledger: counts.
        control: answers what is asked below ``/_sim/``, uncounted.
        keys: the API keys that are good; ``None`` for any.
        revoked: keys that are not, whatever ``keys`` says.
        delay: seconds that an answer takes; the state of the job is taken in the middle of it.
        dice: draw the delays.
        storage_url: where links to results lead; by default to the host that was asked.
    """

    services: Services
    deck: FaultDeck
    limits: RateLimits
    ledger: Ledger
    control: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    keys: frozenset[str] | None
    revoked: set[str] = attrs.field(factory=set)
    delay: Durations
    dice: random.Random
    storage_url: str | None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: what ``aiohttp.web.Server`` calls."""
        path, _, text = request.raw_path.partition("?")
        if path.startswith(CONTROL):
            return await self.control(request)
        call = read_call(request.method, path)
        now = self.services.account.clock.now()
        self.ledger.arrive(now, call.service, call.endpoint, request.headers.get(KEY_HEADER))
        verdict = self.deck.judge(call, now)
        status = 0
        try:
            answer = await self._answer(request, call, request.query if text else _NO_QUERY, verdict)
            status = 0 if answer is None else answer.status
            return await self._send(request, answer, verdict)
        finally:
            fault = verdict.fault.name if verdict.fault else "delay" if verdict.delay else None
            self.ledger.leave(Exchange(now, call.service, call.endpoint, call.job_id, status, fault))

    async def _answer(
        self, request: web.BaseRequest, call: Call, query: Mapping[str, str], verdict: Verdict
    ) -> Answer | None:
        """The answer, spoiled if need be, in its own time; ``None`` where there is to be none."""
        fault = verdict.fault
        pause = verdict.delay + self.delay.draw(self.dice)
        if pause > 0:
            await asyncio.sleep(pause / 2)
        if fault is None:
            answer: Answer | None = self._ask(request, call, query)
        elif fault.name in INSTEAD:
            answer = mangling.instead(fault, call)
        elif fault.name in SILENCES:
            answer = None
        else:
            answer = self._ask(request, call, query)
            answer = mangling.spoil(fault, answer, verdict.nth) if fault.name in BODIES else answer
        if pause > 0:
            await asyncio.sleep(pause / 2)
        return answer

    def _ask(self, request: web.BaseRequest, call: Call, query: Mapping[str, str]) -> Answer:
        """What the service says, if the key and the limits let the call pass."""
        if call.service == STORAGE:
            return self._file(request, call, query)
        clock = self.services.account.clock
        now = clock.now()
        if call.kind is not None and call.endpoint not in _PUBLIC:
            if not self._is_good(request.headers.get(KEY_HEADER)):
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
        self.ledger.rate_limited += 1
        clock = self.services.account.clock
        said = self.limits.header(delay, clock.unix(clock.now()))
        answer = self.services.problem(call, _TOO_MANY)
        return answer if said is None else attrs.evolve(answer, headers={"Retry-After": said})

    def _sign(self, base: str, life: Life, expires: float, method: str) -> str:
        return base + storage.signed_path(life.ref, expires, method)

    def _file(self, request: web.BaseRequest, call: Call, query: Mapping[str, str]) -> Answer:
        """A result file, unless the link is bad or somebody brought an API key along."""
        if KEY_HEADER in request.headers or "Authorization" in request.headers:
            self.ledger.leaked_keys += 1
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

    async def _send(self, request: web.BaseRequest, answer: Answer | None, verdict: Verdict) -> web.StreamResponse:
        fault = verdict.fault
        if fault is not None and (answer is None or fault.name in CONNECTIONS):
            return await wrecking.wreck(fault, answer or Answer(200), request.transport)
        return self.response(answer or Answer(500))

    def response(self, answer: Answer) -> web.Response:
        """An orderly response, dated by the server's clock."""
        clock = self.services.account.clock
        headers = answer.all_headers()
        headers["Date"] = http_date(int(clock.unix(clock.now())))
        return web.Response(body=answer.encoded() or None, status=answer.status, headers=headers)
