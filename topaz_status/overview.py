"""All jobs that a client watches, for readers without a handle of their own, such as a page for operators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    """One job at one moment, as it may be shown to operators: without any link to a result."""

    job: JobRef
    state: JobState | None
    """``None`` before the first poll is answered."""
    status: str | None
    """The service's own word for the state."""
    progress: float | None
    expected_end: float | None
    """Unix seconds at which the job is predicted to end; ``None`` without a prediction, and after the end."""
    error: TopazStatusError | None
    """Why there will be no result; ``None`` otherwise."""
    updated_at: float
    """Unix seconds at which this view was taken; after the end, those at which the end was detected."""
    ended: bool = False
    """True once the watch has ended, so that the view changes no more."""

    @classmethod
    def of_watch(cls, watch: Watch[Any]) -> Self:
        """Describe a handle that has not ended."""
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
        """Describe a handle that has ended, from its outcome."""
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
        """Describe a job by its poller.

        While the poller is at work, its status word and progress are enough: no status is decoded for the view.
        """
        ending = poller.ending
        final = None if ending is None else ending.status
        word = poller.word if final is None else final.status
        state = None if word is None else state_of(word, WORDS[poller.job.kind])
        return cls(
            job=poller.job,
            state=state if final is None else final.state,
            status=word,
            progress=poller.progress if final is None else final.progress,
            expected_end=None if ending is not None else _expected_end(engine, poller.job),
            error=ending.fresh(ending.error) if ending is not None and ending.error is not None else None,
            updated_at=engine.clock.wall() if ending is None else ending.detected_at,
            ended=ending is not None,
        )

    @property
    def news(self) -> tuple[object, ...]:
        """The fields whose change makes a view worth sending again."""
        return self.state, self.status, self.progress, str(self.error or ""), self.ended


def _expected_end(engine: Engine, job: JobRef) -> float | None:
    explanation = engine.schedule.explain(job, engine.clock.now(), rates=dict.fromkeys(JobKind, 1.0), tokens=0.0)
    left = None if explanation is None else explanation.predicted_end_in
    return None if left is None else engine.clock.wall() + left


@attrs.define(eq=False)
class Fleet:
    """The jobs that a client watches, and the changes among them since the last call of :meth:`changes`.

    A fleet has no handles, so no watch lasts longer because of it. It follows at most ``limit`` jobs at
    a time: those that have been watched for longest.
    """

    _engine: Engine
    limit: int
    _followed: dict[Poller, View] = attrs.field(factory=dict, init=False)

    def now(self) -> list[View]:
        """Return the views of all followed jobs, as of the last :meth:`changes`."""
        return list(self._followed.values())

    def changes(self, newcomers: int | None = None) -> list[View]:
        """Return the views of the jobs that changed, ended or became followed since the last call.

        Args:
            newcomers: jobs that become followed in this call at most, so that thousands block the event loop in short
                parts. ``None`` takes all.
        """
        changed = []
        for poller, view in list(self._followed.items()):
            ended = not poller.is_at_work
            if ended or (view.status, view.progress) != (poller.word, poller.progress):
                changed.append(self._refresh(poller))
            if ended:
                del self._followed[poller]
        return [*changed, *map(self._refresh, self._newcomers(newcomers))]

    def _refresh(self, poller: Poller) -> View:
        view = View.of_poller(self._engine, poller)
        self._followed[poller] = view
        return view

    def lags(self) -> Sequence[float]:
        """Return the detection lags, in seconds, of the last 10,000 ended jobs, as :class:`.Lag` sums them up."""
        return self._engine.telemetry.lags

    def _newcomers(self, most: int | None) -> list[Poller]:
        room = self.limit - len(self._followed)
        if most is not None:
            room = min(room, most)
        if room <= 0 or len(self._followed) >= len(watched := self._engine.registry.watched_here()):
            return []
        at_work: Iterable[Poller] = (poller for poller in watched if poller not in self._followed and poller.is_at_work)
        return list(islice(at_work, room))
