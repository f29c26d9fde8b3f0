"""A Topaz whose every answer a test writes down: what the jobs themselves say, and what the lists say of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
from harness import Heard, RawServer, http, now


def image(job_id: str, word: str = "Processing", **fields: Any) -> dict[str, Any]:
    """An item of the image list, or the status of the image itself."""
    return {"process_id": job_id, "status": word, "progress": 100 if word == "Completed" else 10, **fields}


def video(job_id: str, word: str = "processing", **fields: Any) -> dict[str, Any]:
    """A record of the video history."""
    return {"id": job_id, "status": word, **fields}


@attrs.define(eq=False)
class Topaz:
    """Jobs by id, each with a body or an HTTP status; lists as items, or an HTTP status."""

    images: dict[str, dict[str, Any] | int] = attrs.field(factory=dict)
    videos: dict[str, dict[str, Any] | int] = attrs.field(factory=dict)
    image_list: list[Any] | int = attrs.field(factory=list)
    history: list[Any] | int = attrs.field(factory=list)
    page_size: int = 100
    array: bool = False
    """Give the image list as a bare array."""
    cursors_refused: bool = False
    """Answer 400 to any cursor of the image list."""
    asked: list[tuple[float, str]] = attrs.field(factory=list)
    """When, and for what: ``"image.list"``, ``"image.list?"`` with a cursor, ``"video.history"``, or an id."""

    def server(self) -> RawServer:
        """Make a server that gives these answers."""
        return RawServer(self._reply)

    def times(self, what: str | Iterable[str]) -> list[float]:
        """When it was asked for something."""
        names = {what} if isinstance(what, str) else set(what)
        return [at for at, name in self.asked if name in names]

    def _reply(self, request: Heard) -> bytes:
        url = urlsplit(request.path)
        if url.path == "/image/v1/status":
            query = parse_qs(url.query)
            assert query["paginated"] == ["true"], "the whole list was asked for"
            return self._page(query.get("cursor", [""])[0])
        if url.path == "/video/history":
            return self._answer("video.history", _wrapped("result", self.history))
        parts = url.path.split("/")
        jobs, job_id = (self.images, parts[-1]) if parts[1] == "image" else (self.videos, parts[2])
        return self._answer(job_id, jobs.get(job_id, 404))

    def _page(self, cursor: str) -> bytes:
        name = "image.list?" if cursor else "image.list"
        if cursor and self.cursors_refused:
            return self._answer(name, 400)
        if isinstance(self.image_list, int):
            return self._answer(name, self.image_list)
        if self.array:
            return self._answer(name, self.image_list)
        start = int(cursor or 0)
        end = start + self.page_size
        more = {"next_cursor": str(end), "has_next_page": True} if end < len(self.image_list) else {}
        return self._answer(name, {"data": self.image_list[start:end], "pagination": {"has_next_page": False, **more}})

    def _answer(self, name: str, answer: Any) -> bytes:
        self.asked.append((now(), name))
        if isinstance(answer, int):
            return http(b'{"message": "no"}', f"{answer} No")
        return http(json.dumps(answer).encode())


def _wrapped(key: str, items: list[Any] | int) -> Any:
    return items if isinstance(items, int) else {key: items}
