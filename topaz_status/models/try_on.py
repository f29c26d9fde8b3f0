"""The models of Pixelcut Try-On (Try On Job Status, beta)."""

from __future__ import annotations

import attrs

from .fields import ServiceObject, Unit, failure_reason, holding, required, sent
from .job import JobKind, JobRef, JobState
from .status_words import TRY_ON_FAILURES, TRY_ON_WORDS, state_of


@attrs.frozen(kw_only=True, repr=False)
class TryOnError(ServiceObject):
    """Why a try-on failed.

    Example:
        >>> error = TryOnError(message="No person was found.", error_code="invalid_parameter")
        >>> TryOnStatus(job_id="a", status="failed", error=error).reason
        'No person was found. [invalid_parameter]'
    """

    message: str | None = sent(Unit.TEXT)
    error_code: str | None = sent(Unit.TEXT)
    """Such as ``content_filter_error``; the list is open."""


@attrs.frozen(kw_only=True, repr=False)
class TryOnStatus(ServiceObject):
    """The status of one try-on.

    A ``completed`` job is completed even if it has an :attr:`error`, as in the documents' own example.

    Example:
        >>> status = await client.try_on.watch(try_on.id)
        >>> isinstance(status, TryOnStatus), status.state.value, status.result_url is not None
        (True, 'completed', True)
    """

    job_id: str = attrs.field(metadata=required(Unit.ID))
    """The id in the body, or the requested one if the body has no id."""
    status: str = attrs.field(metadata=required(Unit.WORD))
    """The service's own word, verbatim."""
    result_url: str | None = sent(Unit.URL)
    """The link to the image, commonly valid for an hour. Only a completed job has one, and not always."""
    error: TryOnError | None = attrs.field(default=None, metadata=holding(TryOnError))

    @property
    def job(self) -> JobRef:
        """The job that this status is about."""
        return JobRef(JobKind.TRY_ON, self.job_id)

    @property
    def state(self) -> JobState:
        """The neutral state for :attr:`status`, read together with the error code of a failed job."""
        state = state_of(self.status, TRY_ON_WORDS)
        if state is not JobState.FAILED or self.error is None:
            return state
        coded = state_of(self.error.error_code or "", TRY_ON_FAILURES)
        return state if coded is JobState.UNKNOWN else coded

    @property
    def is_terminal(self) -> bool:
        """True when the job will never change again."""
        return self.state.is_terminal

    @property
    def progress(self) -> float | None:
        """Always ``None``: the service reports no progress."""
        return None

    @property
    def reason(self) -> str | None:
        """The service's message and code for a failure, without URLs, or ``None``."""
        if self.error is None or not self.is_terminal or self.state is JobState.COMPLETED:
            return None
        return failure_reason(self.error.message, self.error.error_code)
