"""Results of polls, and what follows from them for the schedule, the API keys and the pollers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from ...core.health.ending import GONE_TWICE_APART, KeyTrust, about, failure, never_heals, proves_key
from ...core.health.wave import MANY, Wave
from ...core.schedule.entry import JobPoll, PagePoll, Poll
from ...core.schedule.schedule import Schedule
from ...core.wire.decode import parse_json
from ...core.wire.lazy import LazyStatus, PageReader, Reading, read_answer
from ...core.wire.list_ages import sampled_ages
from ...core.wire.list_page import ListPage, decode_list_page
from ...core.wire.responses import Response, service_time
from ...errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    ServiceError,
    TopazStatusError,
)
from ...models.job import JobKind, JobRef
from ..settings import ACCOUNTS, Account, Settings
from ..telemetry import Telemetry
from ..timing.backoff_delays import Backoff
from ..timing.clock import Clock
from .circuit_breakers import CircuitBreakers
from .poller import Poller
from .registry import PollerRegistry

LONGEST_DOUBT: Final = 4.0
"""Most seconds until a 404 or 401 is checked again: it may be a passing one."""
LIST_PAUSE: Final = 15.0
"""Seconds until a list that the service refuses is asked for again; the delay doubles each time."""
LONGEST_LIST_PAUSE: Final = 300.0
"""That delay doubles up to this many seconds."""


@attrs.define(eq=False)
class PollResults:
    """Acts on each answer in one synchronous step."""

    _clock: Clock
    _settings: Settings
    _registry: PollerRegistry
    _schedule: Schedule
    _telemetry: Telemetry
    _jitter: Backoff
    _circuits: CircuitBreakers
    _trust: dict[Account, KeyTrust] = attrs.field(init=False)
    _list_failures: dict[JobKind, int] = attrs.field(init=False)
    _waves: dict[JobKind, Wave] = attrs.field(init=False)
    _refusals: Wave = attrs.field(factory=Wave, init=False)
    """Jobs that were seen before and are now refused, in what seem to be the service's own words."""

    def __attrs_post_init__(self) -> None:
        self._trust = {account: KeyTrust() for account in Account}
        self._list_failures = dict.fromkeys(JobKind, 0)
        over_all = Wave()
        self._waves = {kind: Wave(over_all) for kind in JobKind}

    # -- usable answers -----------------------------------------------------------------------------------------------

    def saw(self, poll: Poll, asked_by: Poller | None, response: Response, sent_at: float) -> None:
        """Act on a 200.

        Raises:
            DecodeError: the answer is not what was asked for.
        """
        if isinstance(poll, PagePoll):
            self._saw_page(poll, response, sent_at)
        elif self._registry.is_watched(asked_by):
            self._saw_job(poll, asked_by, response, sent_at)
        else:
            parse_json(response.body)
        kind, now = poll.kind, self._clock.now()
        self._trust[ACCOUNTS[kind]].accepted()
        self._circuits.used(kind, now)
        self._telemetry.took(kind, now - sent_at)

    def _saw_job(self, poll: JobPoll, poller: Poller, response: Response, sent_at: float) -> None:
        job, clock = poll.job, self._clock
        reading = read_answer(job, response.body, service_time(response.headers, wall=clock.wall()))
        seen, status = reading
        now = clock.now()
        self._telemetry.polled(job, status.word, now - sent_at)
        self._schedule.saw(poll, now, (seen,))
        if self._refusals.missing or self._waves[job.kind].listens:
            for wave in self._listening(job.kind):
                wave.answered()
                wave.saw(job, now)
        self._apply(poll, poller, reading, sent_at)

    def _saw_page(self, poll: PagePoll, response: Response, sent_at: float) -> None:
        """Give pollers what a page says of watched jobs. What the page does not say means nothing."""
        service_now = service_time(response.headers, wall=self._clock.wall())
        page = decode_list_page(poll.kind, parse_json(response.body))
        readings = self._watched_on(page, response.body, service_now, sent_at)
        now = self._clock.now()
        self._telemetry.swept(poll, len(page.items), len(readings), now - sent_at)
        self._list_failures[poll.kind] = 0
        self._schedule.saw(
            poll,
            now,
            [seen for seen, _ in readings.values()],
            next_cursor=page.next_cursor,
            ages=sampled_ages(page, service_now),
        )
        for wave in self._listening(poll.kind) if readings else ():
            self._shown(wave, readings, now)
        for poller, reading in readings.items():
            self._apply(poll, poller, reading, sent_at)

    def _listening(self, kind: JobKind) -> Iterable[Wave]:
        """Return the waves for which it matters that a job of this kind is shown: mostly none."""
        return [wave for wave in (self._waves[kind], self._refusals) if wave.listens]

    @staticmethod
    def _shown(wave: Wave, readings: dict[Poller, Reading], now: float) -> None:
        """Note which jobs a page shows; a video listed as ended counts only once a poll of the video shows it."""
        wave.answered()
        for poller, (seen, _) in readings.items():
            if not (seen.terminal and poller.job.kind is JobKind.VIDEO):
                wave.saw(poller.job, now)

    def _apply(self, poll: Poll, poller: Poller, reading: Reading, sent_at: float) -> None:
        """Give a poller what was observed of its job; the schedule knows it already, and drops a job that is over.

        A failure here is a bug of ours or of a log handler. It must not end the polling.
        """
        seen, status = reading
        if (announcer := self._telemetry.announcer) is not None:
            announcer.job_polled(poller.handles, poll, None if status is None else status.state, None)
        try:
            if status is None:
                poller.listed(sent_at, ended=seen.terminal)
            elif seen.terminal:
                self._end(poller, status, sent_at)
            else:
                last = poller.last
                if last is None or status.word != last.word or poller.claim is not None:
                    self._note_word(poller, status, sent_at)
                poller.take(status, sent_at)
        except Exception as error:  # noqa: BLE001  # a bug must not end the polling
            self._telemetry.bug(poll, error)
            if self._registry.is_watched(poller):
                self._schedule.add(poller.job, self._clock.now())

    def _watched_on(self, page: ListPage, body: bytes, service_now: float, sent_at: float) -> dict[Poller, Reading]:
        """Read what a page says of jobs that were watched when the page was asked for."""
        readings: dict[Poller, Reading] = {}
        reader = PageReader(page, body, service_now)
        read, find = reader.read, self._registry.listed_as(page.kind)
        for index, job_id, item in page:
            poller = find(job_id) or find(job_id.lower())
            if poller is None or poller in readings or poller.started_at > sent_at:
                continue
            try:
                readings[poller] = read(index, item, poller.job)
            except DecodeError:
                continue
        reader.unshare()
        return readings

    def _note_word(self, poller: Poller, status: LazyStatus, sent_at: float) -> None:
        """Note a change that a poll, sent at ``sent_at``, found in a job; a notice may have announced it before."""
        known, word, claim = poller.word, status.word, poller.claim
        if word != known:
            self._telemetry.state_changed(poller.job, known, word, status.state)
            if known is not None:
                noticed = claim is not None and claim.is_borne_out(word, sent_at)
                self._schedule.rely(poller.job, self._clock.now(), noticed=noticed)
        if claim is not None and sent_at >= claim.at:
            poller.claim = None

    def _end(self, poller: Poller, status: LazyStatus, sent_at: float) -> None:
        """End a watch with its job's terminal status."""
        self._note_word(poller, status, sent_at)
        lag = None if poller.polled_at is None else self._clock.now() - poller.polled_at
        poller.take(status, sent_at)
        error = failure(status.get())
        self._telemetry.ended(poller.job, error, lag)
        self._registry.end(poller, error)

    # -- no usable answers -------------------------------------------------------------------------------------------

    def missed(self, poll: Poll, asked_by: Poller | None, error: TopazStatusError, sent_at: float) -> None:
        """Act on a poll that got no usable answer."""
        now = self._clock.now()
        sent_at = max(sent_at, now - self._settings.request_timeout)  # if longer, this process stood still
        self._telemetry.polled(poll.job if isinstance(poll, JobPoll) else poll.kind, error, now - sent_at)
        self._circuits.missed(poll, error, sent_at=sent_at, now=now)
        if proves_key(error):
            self._trust[ACCOUNTS[poll.kind]].accepted()
        if isinstance(poll, PagePoll):
            self._missed_page(poll, error, now)
        elif self._registry.is_watched(asked_by):
            self._missed_job(poll, asked_by, error, sent_at, now)
        self._give_up_overdue(poll.kind, error)

    def _missed_job(self, poll: JobPoll, poller: Poller, error: TopazStatusError, sent_at: float, now: float) -> None:
        if (announcer := self._telemetry.announcer) is not None:
            announcer.job_polled(poller.handles, poll, None, error)
        if isinstance(error, AuthenticationError) and self._key_refused(poll.job, error, now):
            return
        if isinstance(error, ConfigurationError):
            self._give_up(poller, error)
            return
        policy = self._settings.policy
        due_at = poller.case.retry_at if poller.case.failures else self._schedule.was_due_at(poll.job)
        withheld = self._circuits.trouble_since(poll.kind, due_at)
        is_missing = isinstance(error, NotFoundError)
        wave = self._wave_of_404s(poller, now) if is_missing else self._wave_of_refusals(poller, error, now)
        in_company = poller.is_known and len(self._registry) >= MANY
        final_error = poller.fail(
            error, policy, sent_at=sent_at, now=now, withheld=withheld, wave=wave, in_company=in_company
        )
        if final_error is not None:
            self._give_up(poller, about(final_error, poller.job))
            return
        delay = min(self._jitter.poll_delay(poller.case.failures), max(poller.case.left(policy), policy.min_interval))
        if is_missing or isinstance(error, AuthenticationError):
            longest = LONGEST_DOUBT if wave is None or not wave.goes_on else math.inf
            delay = max(GONE_TWICE_APART, min(delay, longest))
        retry_at = max(now + delay, sent_at + policy.min_interval)
        poller.case.retry_at = retry_at
        self._schedule.missed(poll, now, retry_at)
        if wave is not None and is_missing and in_company and poller.case.misses:
            self._ask_others(poller, wave, now)

    def _wave_of_404s(self, poller: Poller, now: float) -> Wave:
        """Note a job's 404, and return the wave: what is known of other 404s of its kind, and of all kinds."""
        kind = poller.job.kind
        wave = self._waves[kind]
        wave.few = self._registry.count(kind) < MANY
        if poller.is_known and not poller.case.is_deleted and wave.missed(poller.job, now):
            self._telemetry.wave(kind if wave.extent == len(wave.missing) else None, wave.extent)
        return wave

    def _wave_of_refusals(self, poller: Poller, error: TopazStatusError, now: float) -> Wave | None:
        """Return the wave of refusals if a job that was seen before is refused for good; else ``None``.

        The first refused jobs end at once. From the third on, one common cause is likelier than many: something in
        front of the service that answers as the service does, such as a gateway.
        """
        if not (poller.is_known and never_heals(error)):
            return None
        if self._refusals.missed(poller.job, now):
            self._telemetry.warn_once(
                "refusals", f"{self._refusals.extent} jobs are refused at once ({error}): this is taken for an outage"
            )
        return self._refusals

    def _ask_others(self, missing: Poller, wave: Wave, now: float) -> None:
        """Poll at once as many other jobs as are needed to judge the next 404.

        The jobs are of the same kind or, if few jobs of it are watched, of any kind.
        """
        kind, absent = missing.job.kind, wave.witness.missing
        others = (one.job for one in self._registry if (wave.few or one.job.kind is kind) and one.job not in absent)
        for job in itertools.islice(others, wave.lacks(missing.case.misses + 1)):
            self._schedule.nudge(job, now)

    def deleted(self, job: JobRef | None) -> None:
        """Note that this client has deleted the record of an image job, or all (``None``): a 404 will follow."""
        for poller in self._registry if job is None else filter(None, (self._registry.find(job),)):
            if poller.job.kind is JobKind.IMAGE:
                poller.case.is_deleted = True

    def _give_up_overdue(self, kind: JobKind, error: TopazStatusError) -> None:
        """Give up watches whose due poll has been blocked for too long; the error of another poll stands for it."""
        since = self._circuits.given_up_due_by(kind)
        if since == -math.inf:
            return
        for poller in [poller for poller in self._registry if poller.job.kind is kind]:
            due_at = self._schedule.due_at(poller.job)
            if due_at <= since or (due_at < math.inf and self._has_waited_enough(poller, due_at)):
                self._give_up(poller, about(error, poller.job))

    def _has_waited_enough(self, poller: Poller, due_at: float) -> bool:
        """True once the job's outage, plus the service's trouble since the poll came due, reaches ``give_up_after``."""
        withheld = self._circuits.trouble_since(poller.job.kind, due_at) if poller.outage else 0.0
        return withheld > 0.0 and poller.outage + withheld >= self._settings.policy.give_up_after

    def _missed_page(self, poll: PagePoll, error: TopazStatusError, now: float) -> None:
        """Do without the list for a while; its jobs are polled one by one."""
        if isinstance(error, BadRequestError) and poll.cursor is not None:
            self._schedule.refused(poll, now)
            return
        self._list_failures[poll.kind] += 1
        delay = self._jitter.poll_delay(self._list_failures[poll.kind])
        if isinstance(error, ServiceError) and not error.is_transient:
            delay = min(LIST_PAUSE * 2.0 ** (min(self._list_failures[poll.kind], 6) - 1), LONGEST_LIST_PAUSE)
            self._telemetry.refused(poll.kind, error)
        self._schedule.missed(poll, now, now + delay)
        if isinstance(error, AuthenticationError):
            self._confirm_refusal(ACCOUNTS[poll.kind], None, now)

    def _key_refused(self, job: JobRef, error: AuthenticationError, now: float) -> bool:
        """Note a 401, and have another job of the key confirm it; return True if this 401 is the confirmation."""
        account = ACCOUNTS[job.kind]
        alone = not any(poller.job != job for poller in self._of(account))
        if not self._trust[account].refused(job, now, alone=alone):
            self._confirm_refusal(account, job, now)
            return False
        return self._end_refused(account, error)

    def _end_refused(self, account: Account, error: AuthenticationError) -> bool:
        """End all watches of a key that is refused for certain; return True, because this has settled the 401."""
        self._telemetry.warn_once(f"key {account}", f"the {account.value} API key is refused: {error.message}")
        for poller in list(self._of(account)):
            self._give_up(poller, about(error, poller.job))
        return True

    def _confirm_refusal(self, account: Account, job: JobRef | None, now: float) -> None:
        """Poll another job of a refused key at once."""
        other = next((poller.job for poller in self._of(account) if poller.job != job), None)
        if other is not None:
            self._schedule.nudge(other, now)

    def _of(self, account: Account) -> Iterator[Poller]:
        return (poller for poller in self._registry if ACCOUNTS[poller.job.kind] is account)

    def _give_up(self, poller: Poller, error: TopazStatusError) -> None:
        self._telemetry.ended(poller.job, error, None)
        self._registry.end(poller, error)
