"""What looks find, and what follows from it: for the schedule, for the API keys, for the pollers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, Final

import attrs

from ..core.decode import decode_image, decode_record, decode_status, parse_json
from ..core.entry import JobLook, Look, PageLook
from ..core.glimpse import Glimpse, glimpse
from ..core.list_page import SweptPage, read_sweep
from ..core.schedule import Schedule
from ..core.sight import sight, sight_record
from ..core.sighting import Sighting
from ..core.unread import UnreadPage, packed
from ..core.verdict import GONE_TWICE_APART, KeyTrust, about, failure, proves_key
from ..core.wave import MANY, Wave
from ..core.wire import Response, service_time
from ..errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    ServiceError,
    TopazStatusError,
)
from ..models import JobStatus
from ..models.state import JobKind, JobRef, JobState
from .circuits import Circuits
from .clock import Clock
from .journal import Journal
from .poller import Poller
from .retry import Jitter
from .roster import Roster
from .settings import ACCOUNTS, Account, Settings

_IMAGE: Final = JobKind.IMAGE
"""At hand: up to Python 3.11 a member of an enumeration costs as much as a call."""
LONGEST_DOUBT: Final = 4.0
"""Seconds until a 404 or 401 is looked into again, at most: it may be a passing one."""
MOST_SHARED: Final = 1_024
"""Bytes for each watched job that goes on up to which a page is kept in one piece: a status has about 600."""
LIST_PAUSE: Final = 15.0
"""Seconds until a list that the service refuses to show is asked for again; it doubles each time."""
LONGEST_LIST_PAUSE: Final = 300.0
"""Seconds to which it doubles."""


@attrs.define(eq=False)
class Findings:
    """Acts on each answer in one synchronous step."""

    _clock: Clock
    _settings: Settings
    _roster: Roster
    _schedule: Schedule
    _journal: Journal
    _jitter: Jitter
    _circuits: Circuits
    _trust: dict[Account, KeyTrust] = attrs.field(init=False)
    _list_failures: dict[JobKind, int] = attrs.field(init=False)
    _waves: dict[JobKind, Wave] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._trust = {account: KeyTrust() for account in Account}
        self._list_failures = dict.fromkeys(JobKind, 0)
        self._waves = {kind: Wave() for kind in JobKind}

    # -- answers of use -----------------------------------------------------------------------------------------------

    def saw(self, look: Look, asked_by: Poller | None, response: Response, sent_at: float) -> None:
        """Take in a 200.

        Raises:
            DecodeError: it is not what was asked for.
        """
        if isinstance(look, PageLook):
            self._saw_page(look, response, sent_at)
        elif self._roster.is_watched(asked_by):
            self._saw_job(look, asked_by, response, sent_at)
        else:
            parse_json(response.body)
        kind, now = look.kind, self._clock.now()
        self._trust[ACCOUNTS[kind]].accepted()
        self._circuits.used(kind, now)
        self._journal.took(kind, now - sent_at)

    def _saw_job(self, look: JobLook, poller: Poller, response: Response, sent_at: float) -> None:
        job, clock = look.job, self._clock
        service_now = service_time(response.headers, wall=clock.wall())
        data = parse_json(response.body)
        status: JobStatus | None = None
        seen: Sighting
        if job.kind is _IMAGE and (glimpsed := glimpse(data, job, service_now)) is not None:
            seen, word = glimpsed, glimpsed.word
            glimpsed.told = response.body
        else:
            status = decode_status(job, data)
            seen, word = sight(status, job=job, service_now=service_now), status.status
        now = clock.now()
        self._journal.looked(job, word, now - sent_at)
        self._schedule.saw(look, now, (seen,))
        if (wave := self._waves[job.kind]).missing:
            wave.answered()
            wave.saw(job, now)
        self._deal(look, poller, seen, status, sent_at)

    def _saw_page(self, look: PageLook, response: Response, sent_at: float) -> None:
        """Deal out what a page says of watched jobs. What it does not say means nothing."""
        service_now = service_time(response.headers, wall=self._clock.wall())
        page = read_sweep(look.kind, parse_json(response.body))
        seen, statuses = self._watched_on(page, response.body, service_now, sent_at)
        now = self._clock.now()
        self._journal.swept(look, len(page.items), len(seen), now - sent_at)
        self._list_failures[look.kind] = 0
        self._schedule.saw(look, now, seen.values(), next_cursor=page.next_cursor)
        if seen and (wave := self._waves[look.kind]).missing:
            self._shown(wave, seen, now)
        for poller, sighting in seen.items():
            self._deal(look, poller, sighting, statuses.get(poller), sent_at)

    @staticmethod
    def _shown(wave: Wave, seen: dict[Poller, Sighting], now: float) -> None:
        """Note which jobs a page shows; a video that it says has ended is not shown before it is asked for itself."""
        wave.answered()
        for poller, sighting in seen.items():
            if not (sighting.terminal and poller.job.kind is JobKind.VIDEO):
                wave.saw(poller.job, now)

    def _deal(self, look: Look, poller: Poller, seen: Sighting, status: JobStatus | None, sent_at: float) -> None:
        """Tell a poller what was seen of its job, which the schedule knows already and may have dropped as over.

        Where that fails, which is a bug of ours or of a handler of the log, it must not be the end of looking.
        """
        try:
            if type(seen) is Glimpse:
                if seen.word != poller.word or poller.claim is not None:
                    self._note_word(poller, seen.word, seen.state, sent_at)
                poller.take(seen.told, seen.word, seen.percent, sent_at)
            elif status is not None:
                self._tell(poller, status, sent_at)
            else:
                poller.listed(sent_at, ended=seen.terminal)
        except Exception as error:  # noqa: BLE001  # as it says
            self._journal.bug(look, error)
            if self._roster.is_watched(poller):
                self._schedule.add(poller.job, self._clock.now())

    def _watched_on(
        self, page: SweptPage, body: bytes, service_now: float, sent_at: float
    ) -> tuple[dict[Poller, Sighting], dict[Poller, JobStatus]]:
        """Read what a page says of jobs that were watched when it was asked for, and the statuses read in full."""
        seen: dict[Poller, Sighting] = {}
        statuses: dict[Poller, JobStatus] = {}
        shared = UnreadPage(body)
        find, images = self._roster.listed_as(page.kind), page.kind is JobKind.IMAGE
        for index, job_id, item in page:
            poller = find(job_id) or find(job_id.lower())
            if poller is None or poller in seen or poller.started_at > sent_at:
                continue
            if images and (glimpsed := glimpse(item, poller.job, service_now)) is not None:
                glimpsed.told = shared, index
                seen[poller] = glimpsed
                continue
            try:
                seen[poller], status = _read_item(poller.job, item, service_now)
            except DecodeError:
                continue
            if status is not None:
                statuses[poller] = status
        _unshare([sighting for sighting in seen.values() if type(sighting) is Glimpse], page, len(body))
        return seen, statuses

    def _note_word(self, poller: Poller, word: str, state: JobState, sent_at: float) -> None:
        """Note what a look, sent at ``sent_at``, told of a job; if it is new, a notice may have said so before."""
        known, claim = poller.word, poller.claim
        self._journal.told(poller.job, known, word, state)
        if known is not None and word != known:
            noticed = claim is not None and claim.is_borne_out(word, sent_at)
            self._schedule.rely(poller.job, self._clock.now(), noticed=noticed)
        if claim is not None and sent_at >= claim.at:
            poller.claim = None

    def _tell(self, poller: Poller, status: JobStatus, sent_at: float) -> None:
        state = status.state
        self._note_word(poller, status.status, state, sent_at)
        lag = None if poller.looked_at is None else self._clock.now() - poller.looked_at
        poller.tell(status, sent_at)
        if state.is_terminal:
            error = failure(status)
            self._journal.ended(poller.job, error, lag)
            self._roster.end(poller, error)

    # -- answers of none ----------------------------------------------------------------------------------------------

    def missed(self, look: Look, asked_by: Poller | None, error: TopazStatusError, sent_at: float) -> None:
        """Take in that no usable answer came."""
        now = self._clock.now()
        sent_at = max(sent_at, now - self._settings.request_timeout)  # where it seems longer, it is we who stood still
        self._journal.looked(look.job if isinstance(look, JobLook) else look.kind, error, now - sent_at)
        self._circuits.missed(look, error, sent_at=sent_at, now=now)
        if proves_key(error):
            self._trust[ACCOUNTS[look.kind]].accepted()
        if isinstance(look, PageLook):
            self._missed_page(look, error, now)
        elif self._roster.is_watched(asked_by):
            self._missed_job(look, asked_by, error, sent_at, now)
        self._end_the_hopeless(look.kind, error)

    def _missed_job(self, look: JobLook, poller: Poller, error: TopazStatusError, sent_at: float, now: float) -> None:
        if isinstance(error, AuthenticationError) and self._key_refused(look.job, error, now):
            return
        if isinstance(error, ConfigurationError):
            self._give_up(poller, error)
            return
        policy = self._settings.policy
        due_at = poller.case.retry_at if poller.case.failures else self._schedule.was_due_at(look.job)
        withheld = self._circuits.trouble_since(look.kind, due_at)
        wave = self._missing(poller, now) if isinstance(error, NotFoundError) else None
        in_company = poller.is_known and self._roster.count(look.kind) >= MANY
        verdict = poller.fail(
            error, policy, sent_at=sent_at, now=now, withheld=withheld, wave=wave, in_company=in_company
        )
        if verdict is not None:
            self._give_up(poller, about(verdict, poller.job))
            return
        delay = min(self._jitter.look_delay(poller.case.failures), max(poller.case.left(policy), policy.min_interval))
        if isinstance(error, NotFoundError | AuthenticationError):
            longest = LONGEST_DOUBT if wave is None or not wave.goes_on else math.inf
            delay = max(GONE_TWICE_APART, min(delay, longest))
        retry_at = max(now + delay, sent_at + policy.min_interval)
        poller.case.retry_at = retry_at
        self._schedule.missed(look, now, retry_at)
        if wave is not None and in_company and poller.case.misses:
            self._ask_others(poller, wave, now)

    def _missing(self, poller: Poller, now: float) -> Wave:
        """A job is answered 404: give what is known of the others of its kind that are."""
        wave = self._waves[poller.job.kind]
        if poller.is_known and not poller.case.is_deleted and wave.missed(poller.job, now):
            self._journal.wave(poller.job.kind, len(wave.missing))
        return wave

    def _ask_others(self, missing: Poller, wave: Wave, now: float) -> None:
        """Poll as many other jobs of the kind at once as it takes to know whether the next 404 is to be believed."""
        kind = missing.job.kind
        others = (one.job for one in self._roster if one.job.kind is kind and one.job not in wave.missing)
        for job in itertools.islice(others, wave.lacks(missing.case.misses + 1)):
            self._schedule.nudge(job, now)

    def deleted(self, job: JobRef | None) -> None:
        """The record of an image job, or of all (``None``), was deleted through this client: it will be missing."""
        for poller in self._roster if job is None else filter(None, (self._roster.find(job),)):
            if poller.job.kind is JobKind.IMAGE:
                poller.case.is_deleted = True

    def _end_the_hopeless(self, kind: JobKind, error: TopazStatusError) -> None:
        """Give up those that waited too long for a look which stood no chance: what other looks met is their answer."""
        since = self._circuits.hopeless_at(kind)
        if since == -math.inf:
            return
        for poller in [poller for poller in self._roster if poller.job.kind is kind]:
            due_at = self._schedule.due_at(poller.job)
            if due_at <= since or (due_at < math.inf and self._has_waited_enough(poller, due_at)):
                self._give_up(poller, about(error, poller.job))

    def _has_waited_enough(self, poller: Poller, due_at: float) -> bool:
        """True where its own failed looks, and what others met since the next one was due, make up the patience."""
        withheld = self._circuits.trouble_since(poller.job.kind, due_at) if poller.outage else 0.0
        return withheld > 0.0 and poller.outage + withheld >= self._settings.policy.give_up_after

    def _missed_page(self, look: PageLook, error: TopazStatusError, now: float) -> None:
        """Do without the list for a while; its jobs are looked at by themselves."""
        if isinstance(error, BadRequestError) and look.cursor is not None:
            self._schedule.refused(look, now)
            return
        self._list_failures[look.kind] += 1
        delay = self._jitter.look_delay(self._list_failures[look.kind])
        if isinstance(error, ServiceError) and not error.is_transient:
            delay = min(LIST_PAUSE * 2.0 ** (min(self._list_failures[look.kind], 6) - 1), LONGEST_LIST_PAUSE)
            self._journal.refused(look.kind, error)
        self._schedule.missed(look, now, now + delay)
        if isinstance(error, AuthenticationError):
            self._doubt(ACCOUNTS[look.kind], None, now)

    def _key_refused(self, job: JobRef, error: AuthenticationError, now: float) -> bool:
        """A 401 came: have another job of that key confirm it; True when this was the confirmation."""
        account = ACCOUNTS[job.kind]
        alone = not any(poller.job != job for poller in self._of(account))
        if not self._trust[account].refused(job, now, alone=alone):
            self._doubt(account, job, now)
            return False
        self._journal.warn_once(f"key {account}", f"the {account.value} API key is refused: {error.message}")
        for poller in list(self._of(account)):
            self._give_up(poller, about(error, poller.job))
        return True

    def _doubt(self, account: Account, job: JobRef | None, now: float) -> None:
        """Look at another job of a key that was refused, at once."""
        other = next((poller.job for poller in self._of(account) if poller.job != job), None)
        if other is not None:
            self._schedule.nudge(other, now)

    def _of(self, account: Account) -> Iterator[Poller]:
        return (poller for poller in self._roster if ACCOUNTS[poller.job.kind] is account)

    def _give_up(self, poller: Poller, error: TopazStatusError) -> None:
        self._journal.ended(poller.job, error, None)
        self._roster.end(poller, error)


def _unshare(glimpses: list[Glimpse], page: SweptPage, size: int) -> None:
    """Where so few jobs go on that a page of ``size`` bytes is too much to keep, keep their items alone."""
    if size <= MOST_SHARED * len(glimpses):
        return
    for seen in glimpses:
        if isinstance(seen.told, tuple):
            item = page.items[seen.told[1]]
            seen.told = packed(item) or decode_image(item, seen.job)


def _read_item(job: JobRef, item: dict[str, Any], service_now: float) -> tuple[Sighting, JobStatus | None]:
    """What a list says of a job; of a video, no more than that it goes on, or has ended."""
    if job.kind is JobKind.VIDEO:
        return sight_record(decode_record(item), job=job, service_now=service_now), None
    status = decode_status(job, item)
    return sight(status, job=job, service_now=service_now), status
