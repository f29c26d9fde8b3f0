"""The models of Topaz Image (Image API 1.2.0, ``StatusResponse``)."""

from __future__ import annotations

import attrs

from .fields import ServiceObject, Unit, required, sent
from .job import JobKind, JobRef, JobState
from .pydantic_schema import PydanticSchema
from .status_words import IMAGE_WORDS, state_of


@attrs.frozen(kw_only=True, repr=False)
class ImageStatus(ServiceObject):
    """The status of one image job.

    The documents promise most fields. Here only ``process_id`` and ``status`` are certain; any other is ``None`` if the
    service leaves it out. The status has neither a result URL, which has its own call, nor a reason of failure.

    Example:
        >>> status = await client.image.watch(image.id)
        >>> isinstance(status, ImageStatus), status.status, status.state.value
        (True, 'Completed', 'completed')
    """

    process_id: str = attrs.field(metadata=required(Unit.ID))
    status: str = attrs.field(metadata=required(Unit.WORD))
    """The service's own word, verbatim."""
    progress: float | None = sent(Unit.PERCENT)
    """0 to 100; may go backwards, or sit at 100 before the job has ended."""
    eta: float | None = sent(Unit.SECONDS)
    """Unix seconds at which the job should end; a hint, which may be past, zero or absurd."""
    creation_time: float | None = sent(Unit.SECONDS)
    """Unix seconds."""
    modification_time: float | None = sent(Unit.SECONDS)
    """Unix seconds."""
    credits: int | None = sent(Unit.INTEGER)
    """What the job costs once it is completed."""
    source_id: str | None = sent(Unit.TEXT)
    filename: str | None = sent(Unit.TEXT)
    input_format: str | None = sent(Unit.TEXT)
    input_height: int | None = sent(Unit.INTEGER)
    """Pixels."""
    input_width: int | None = sent(Unit.INTEGER)
    """Pixels."""
    output_format: str | None = sent(Unit.TEXT)
    output_height: int | None = sent(Unit.INTEGER)
    """Pixels."""
    output_width: int | None = sent(Unit.INTEGER)
    """Pixels."""
    category: str | None = sent(Unit.TEXT)
    model_type: str | None = sent(Unit.TEXT)
    model: str | None = sent(Unit.TEXT)
    subject_detection: str | None = sent(Unit.TEXT)
    face_enhancement: bool | None = sent(Unit.FLAG)
    face_enhancement_creativity: float | None = sent(Unit.NUMBER)
    face_enhancement_strength: float | None = sent(Unit.NUMBER)
    crop_to_fill: bool | None = sent(Unit.FLAG)
    options_json: str | None = sent(Unit.TEXT)
    """Further options, as JSON text."""

    @property
    def job(self) -> JobRef:
        """The job that this status is about."""
        return JobRef(JobKind.IMAGE, self.process_id)

    @property
    def state(self) -> JobState:
        """The neutral state for :attr:`status`."""
        return state_of(self.status, IMAGE_WORDS)

    @property
    def is_terminal(self) -> bool:
        """True when the job will never change again."""
        return self.state.is_terminal

    @property
    def result_url(self) -> str | None:
        """Always ``None``: the link to an image comes from its own endpoint."""
        return None

    @property
    def reason(self) -> str | None:
        """Always ``None``: the service gives no reason for a failure."""
        return None


@attrs.frozen(kw_only=True)
class ImagePage(PydanticSchema):
    """One page of the list of image jobs.

    Example:
        >>> page = await client.image.page(limit=50)
        >>> isinstance(page, ImagePage), [status.job == image for status in page.statuses], page.has_next_page
        (True, [True], False)
    """

    statuses: tuple[ImageStatus, ...] = ()
    next_cursor: str | None = None
    """The cursor of the next page; ``None`` if there is no next page."""
    has_next_page: bool = False
    """What the service says of a next page; even if True, the cursor may be missing or the same again."""
