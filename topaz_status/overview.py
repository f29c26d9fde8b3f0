"""All that a client watches, as seen by one who holds no handle on any of it: a board, a page for the operators."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

import attrs

from .errors import TopazStatusError
from .models.job import JobKind, JobRef, JobState
from .models.status_words import WORDS, state_of
from .outcome import Outcome
from .watch import Watch

if TYPE_CHECKING:
    from .session.engine import Engine
    from .session.polling.poller import Poller


@attrs.frozen(kw_only=True)
class View:
    """One job at one moment: what may be shown on a board, and so no link to a result."""

    job: JobRef
    state: JobState | None
    """``None`` before the first look."""
    status: str | None
    """The service's own word."""
    progress: float | None
    expected_end: float | None
    """Unix seconds at which the job should end, by what is known; ``None`` when nothing is, and after the end."""
    error: TopazStatusError | None
    """Why there will be no result."""
    updated_at: float
    """Unix seconds."""
    ended: bool = False
    """True when nothing more will come of this watch."""

    @classmethod
    def of_watch(cls, watch: Watch[Any]) -> Self:
        """Look at a handle that has not ended."""
        engine, status = watch._engine, watch.status  # noqa: SLF001  # the same package
        return cls(
            job=watch.job,
            state=None if status is None else status.state,
            status=None if status is None else status.status,
            progress=None if status is None else status.progress,
            expected_end=_expected_end(engine, watch.job),
            error=None,
            updated_at=engine.clock.wall(),
        )

    @classmethod
    def of_outcome(cls, job: JobRef, outcome: Outcome) -> Self:
        """Look at what became of a handle."""
        status = outcome.status
        return cls(
            job=job,
            state=None if status is None else status.state,
            status=None if status is None else status.status,
            progress=None if status is None else status.progress,
            expected_end=None,
            error=outcome.error,
            updated_at=outcome.detected_at,
            ended=True,
        )

    @classmethod
    def of_poller(cls, engine: Engine, poller: Poller) -> Self:
        """Look at a job's poller: while it is at work at its word and progress, without decoding a status for it."""
        ending = poller.ending
        seen = None if ending is None else ending.status
        word = poller.word if seen is None else seen.status
        known = None if word is None else state_of(word, WORDS[poller.job.kind])
        return cls(
            job=poller.job,
            state=known if seen is None else seen.state,
            status=word,
            progress=poller.progress if seen is None else seen.progress,
            expected_end=None if ending is not None else _expected_end(engine, poller.job),
            error=ending.fresh(ending.error) if ending is not None and ending.error is not None else None,
            updated_at=engine.clock.wall() if ending is None else ending.detected_at,
            ended=ending is not None,
        )

    @property
    def news(self) -> tuple[object, ...]:
        """What makes a view worth telling."""
        return self.state, self.status, self.progress, str(self.error or ""), self.ended


def _expected_end(engine: Engine, job: JobRef) -> float | None:
    known = engine.schedule.explain(job, engine.clock.now(), rates=dict.fromkeys(JobKind, 1.0), tokens=0.0)
    left = None if known is None else known.predicted_end_in
    return None if left is None else engine.clock.wall() + left


@attrs.define(eq=False)
class Fleet:
    """The jobs that a client watches, and what changes among them from one :meth:`changes` to the next.

    It keeps no watch alive. At most ``limit`` jobs are followed at a time: those that have been watched for longest.
    """

    _engine: Engine
    limit: int
    _followed: dict[Poller, View] = attrs.field(factory=dict, init=False)

    def now(self) -> list[View]:
        """All that is followed, as it was told last."""
        return list(self._followed.values())

    def changes(self) -> list[View]:
        """What is new since the last call: jobs that changed, ended, or came into view."""
        changed = []
        for poller, view in list(self._followed.items()):
            ended = not poller.is_at_work
            if ended or (view.status, view.progress) != (poller.word, poller.progress):
                changed.append(self._look(poller))
            if ended:
                del self._followed[poller]
        return [*changed, *map(self._look, self._newcomers())]

    def _look(self, poller: Poller) -> View:
        view = View.of_poller(self._engine, poller)
        self._followed[poller] = view
        return view

    def _newcomers(self) -> list[Poller]:
        room = self.limit - len(self._followed)
        if room <= 0 or len(self._followed) >= len(self._engine.registry):
            return []
        at_work: Iterable[Poller] = (
            one for one in self._engine.registry if one not in self._followed and one.is_at_work
        )
        return list(islice(at_work, room))
