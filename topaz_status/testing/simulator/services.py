"""The endpoints of the three services: each turns a call into an answer, without a connection."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from ...models.job import JobKind
from . import status_bodies
from .account import SimulatedAccount
from .error_bodies import problem
from .http_values import Answer, Call
from .job_life import Life
from .list_pages import CursorError
from .status_bodies import Moment

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MAX_LIMIT: Final = 100

Query = Mapping[str, str]


@attrs.frozen
class Services:
    """Answers calls about the jobs of one account.

    Args:
        account: the jobs.
        newer_video: True for video bodies in the newer form, False for the founding document's.
        history_paged: True for a video history in pages; the older document has no paging.
        history_page: records on a page of the video history.
    """

    account: SimulatedAccount
    newer_video: bool = True
    history_paged: bool = True
    history_page: int = 50

    def answer(self, call: Call, query: Query, at: Moment) -> Answer:
        """Return the service's answer to a call."""
        endpoint = _ENDPOINTS.get(call.endpoint)
        if endpoint is None:
            return self.problem(call, 405 if call.endpoint.endswith("wrong_method") else 404)
        if call.kind is JobKind.IMAGE and call.job_id is not None and not _UUID.fullmatch(call.job_id):
            return self.problem(call, 400)
        return endpoint(self, call, query, at)

    def problem(self, call: Call, code: int, message: str | None = None) -> Answer:
        """Return an error in the shape of the call's service."""
        return Answer(code, problem(call.kind, code, message, newer_video=self.newer_video))

    def _life(self, call: Call) -> Life | Answer:
        """Return the job that a call is about, or the error answer: 404 or 403."""
        kind, job_id = call.kind, call.job_id or ""
        life = None if kind is None else self.account.find(kind, job_id) or self.account.find(kind, job_id.lower())
        if life is None:
            return self.problem(call, 404)
        return self.problem(call, 403) if life.plan.forbidden else life

    def status(self, call: Call, _query: Query, at: Moment) -> Answer:
        """Answer with one job's status."""
        life = self._life(call)
        if isinstance(life, Answer):
            return life
        life.looks += 1
        return Answer(200, status_bodies.status(life, at))

    def image_list(self, call: Call, query: Query, at: Moment) -> Answer:
        """Answer with all images, as an array or in pages."""
        listing = self.account.listing(JobKind.IMAGE)
        paginated = query.get("paginated", "false").lower()
        if paginated not in {"true", "1"}:
            return Answer(200, _rendered(listing, status_bodies.image_status, at))
        limit = query.get("limit", "50")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= _MAX_LIMIT):
            return self.problem(call, 400, "limit must be between 1 and 100.")
        try:
            page = listing.page(query.get("cursor"), int(limit))
        except CursorError as error:
            return self.problem(call, 400, str(error))
        pagination: dict[str, Any] = {"has_next_page": page.next_cursor is not None}
        if page.next_cursor is not None:
            pagination["next_cursor"] = page.next_cursor
        return Answer(200, {"data": _rendered(page.lives, status_bodies.image_status, at), "pagination": pagination})

    def image_delete(self, call: Call, _query: Query, at: Moment) -> Answer:
        """Remove the record of an image that has ended: 409 before its end."""
        life = self._life(call)
        if isinstance(life, Answer):
            return life
        if at.now < life.ends_at:
            return self.problem(call, 409, "The process is still in progress.")
        self.account.remove(life)
        return Answer(204)

    def image_delete_all(self, _call: Call, _query: Query, _at: Moment) -> Answer:
        """Remove the records of all images."""
        return Answer(200, {"deleted_count": self.account.remove_images()})

    def image_download(self, call: Call, _query: Query, at: Moment) -> Answer:
        """Answer with links to an image's result: 409 while there is no result."""
        life = self._life(call)
        if isinstance(life, Answer):
            return life
        if life.state(at.now) != "completed" or not life.plan.result:
            return self.problem(call, 409, "The image is not ready for download.")
        return Answer(200, status_bodies.image_download(life, at))

    def cancel(self, call: Call, _query: Query, at: Moment) -> Answer:
        """Cancel an image or a try-on: 409 once it has ended."""
        life = self._life(call)
        if isinstance(life, Answer):
            return life
        if not life.cancel(at.now):
            return self.problem(call, 409)
        return Answer(204) if call.kind is JobKind.IMAGE else Answer(200, {"message": "Job cancelled"})

    def video_cancel(self, call: Call, _query: Query, at: Moment) -> Answer:
        """Cancel a video: 200 at first, 204 once it is being canceled, 400 once it has ended otherwise."""
        life = self._life(call)
        if isinstance(life, Answer):
            return life
        if life.canceled_at is not None:
            return Answer(204)
        if not life.cancel(at.now):
            return self.problem(call, 400, "The request has already ended")
        return Answer(200, {"message": "Canceling the request"})

    def video_history(self, call: Call, query: Query, at: Moment) -> Answer:
        """Answer with the videos that have been accepted, in the order of the list."""
        listing = self.account.listing(JobKind.VIDEO)
        if not self.history_paged:
            return Answer(200, {"result": _rendered(listing, status_bodies.video_record, at)})
        try:
            page = listing.page(query.get("cursor") or None, self.history_page)
        except CursorError:
            return self.problem(call, 400)
        return Answer(
            200, {"result": _rendered(page.lives, status_bodies.video_record, at), "nextCursor": page.next_cursor}
        )

    def video_system(self, _call: Call, _query: Query, _at: Moment) -> Answer:
        """Answer with the state of the video service as a whole, not of a job."""
        return Answer(200, {"isAvailable": True, "supportedModels": ["apo-8", "prob-4", "sl-1"]})


def _rendered(lives: Any, render: Callable[[Life, Moment], dict[str, Any]], at: Moment) -> list[dict[str, Any]]:
    bodies = []
    for life in lives:
        life.looks += 1
        bodies.append(render(life, at))
    return bodies


_ENDPOINTS: Final[dict[str, Callable[[Services, Call, Query, Moment], Answer]]] = {
    "image.status": Services.status,
    "image.list": Services.image_list,
    "image.delete": Services.image_delete,
    "image.delete_all": Services.image_delete_all,
    "image.download": Services.image_download,
    "image.cancel": Services.cancel,
    "video.status": Services.status,
    "video.history": Services.video_history,
    "video.cancel": Services.video_cancel,
    "video.system": Services.video_system,
    "try-on.status": Services.status,
    "try-on.cancel": Services.cancel,
}
