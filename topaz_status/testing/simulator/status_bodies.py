"""The JSON bodies in which each service reports a job at a moment, as documented. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from ...models.job import JobKind, JobState
from .job_life import Life, overlaid

IMAGE_BODY_WORDS: Final = {
    JobState.QUEUED: "Pending",
    JobState.RUNNING: "Processing",
    JobState.COMPLETED: "Completed",
    JobState.FAILED: "Failed",
    JobState.CANCELED: "Cancelled",
}
TRY_ON_BODY_WORDS: Final = {JobState.QUEUED: "pending", JobState.RUNNING: "running", JobState.COMPLETED: "completed"}
TRY_ON_CODES: Final = {
    JobState.CANCELED: ("job_cancelled", "The job was cancelled."),
    JobState.EXPIRED: ("job_expired", "The job has expired and is no longer available."),
    JobState.FAILED: ("unexpected_error", "An unexpected error occurred during processing."),
}
DAY_MS: Final = 86_400_000
CHUNKS: Final = 2


@attrs.frozen
class Moment:
    """The moment at which a body is rendered, and the form of the body.

    Args:
        now: seconds on the simulator's clock.
        unix: the Unix time of ``now``, in seconds.
        sign: makes the signed URL of a job's result, valid until a Unix time.
        newer_video: True for the newer form of the video bodies, False for the founding document's.
    """

    now: float
    unix: float
    sign: Callable[[Life, float, str], str]
    newer_video: bool = True

    def unix_of(self, when: float) -> float:
        """Return the Unix time of a moment on the simulator's clock."""
        return self.unix + (when - self.now)


def image_status(life: Life, at: Moment) -> dict[str, Any]:
    """Render the body of ``GET /image/v1/status/{id}``; the items of the list are the same."""
    now = at.now
    body: dict[str, Any] = {
        "process_id": life.ref.id,
        "filename": "image.png",
        "input_format": "png",
        "input_height": 720,
        "input_width": 1280,
        "output_format": "jpeg",
        "output_height": 1440,
        "output_width": 2560,
        "category": "Enhance",
        "model_type": "GAN",
        "model": "Standard V2",
        "subject_detection": "All",
        "face_enhancement": False,
        "crop_to_fill": False,
        "options_json": "{}",
        "status": IMAGE_BODY_WORDS[life.state(now)],
        "progress": int(life.percent(now)),
        "creation_time": int(at.unix_of(life.submitted_at)),
        "modification_time": int(at.unix_of(life.changed_at(now))),
        "credits": 2,
    }
    eta = life.eta(now, at.unix)
    if eta is not None:
        body["eta"] = int(eta)
    return overlaid(body, life.plan.body)


def image_download(life: Life, at: Moment) -> dict[str, Any]:
    """Render the body of ``GET /image/v1/download/{id}``: links that are valid for an hour."""
    expiry = int(at.unix) + 3600
    return {
        "download_url": at.sign(life, expiry, "GET"),
        "head_url": at.sign(life, expiry, "HEAD"),
        "expiry": expiry,
    }


def video_status(life: Life, at: Moment) -> dict[str, Any]:
    """Render the body of ``GET /video/{id}/status``, in the newer or the founding form. It does not contain the id."""
    word = life.video_word(at.now)
    body: dict[str, Any] = {"status": word, "progress": round(life.percent(at.now), 2)}
    if word == "requested":
        if at.newer_video:
            body |= {"uploadId": f"upload-{life.ref.id}", "urls": [at.sign(life, at.unix + 3600.0, "PUT")]}
        return overlaid(body, life.plan.body)
    body |= {"estimates": _estimates(life), "message": word.capitalize()}
    if word not in {"accepted", "initializing"}:
        body |= {"outputSize": _megabytes(life.plan.size), "averageFps": 1.23, "combinedFps": 2.46}
        body["processingJobs"] = [_chunk(life, at, word, index) for index in range(CHUNKS)]
    if word == "complete" and life.plan.result:
        body["download"] = _video_download(life, at)
    if word == "failed":
        body |= _video_failure(life, newer=at.newer_video)
    return overlaid(body, life.plan.body)


def _estimates(life: Life) -> dict[str, Any]:
    low, high = life.estimates()
    return {"cost": [10, 12], "time": [int(low), max(int(low), round(high))]}


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


def _video_failure(life: Life, *, newer: bool) -> dict[str, Any]:
    failure: dict[str, Any] = {"message": life.plan.message or "Processing failed"}
    return failure | {"errorCode": life.plan.error_code or "PROCESSING_FAILURE"} if newer else failure


def _video_download(life: Life, at: Moment) -> dict[str, Any]:
    """Render the download link.

    The newer document signs it once, for a week; the founding one signs it anew on each call, for a day.
    """
    lifetime = 7 * DAY_MS if at.newer_video else DAY_MS
    signed_at = at.unix_of(life.ends_at) if at.newer_video else at.unix
    expires_at = int(signed_at * 1000) + lifetime
    return {"url": at.sign(life, expires_at / 1000, "GET"), "expiresIn": lifetime, "expiresAt": expires_at}


def _chunk(life: Life, at: Moment, word: str, index: int) -> dict[str, Any]:
    """Render one chunk. The service works on the chunks in turn, and their status words differ from the job's."""
    share = life.fraction(at.now) * CHUNKS - index
    done = min(max(share, 0.0), 1.0)
    status = "complete" if done >= 1.0 else "processing" if done > 0.0 else "queued"
    if done < 1.0 and word in {"canceled", "failed"}:
        status = word
    chunk: dict[str, Any] = {
        "chunkId": f"{life.ref.id[:-4]}{index:04x}",
        "chunkIndex": index,
        "taskIndex": 0,
        "status": status,
        "progress": round(100.0 * done, 1),
    }
    if at.newer_video:
        return chunk | {"averageFps": 1.23, "averageGpuUtilization": 56.0, "averageGpuMemoryUtilization": 65.0}
    return chunk | {
        "gpuUtilization": 56,
        "gpuMemoryUtilization": 65,
        "sampleCount": 5,
        "currentFrame": int(1000 * done),
        "expectedOutputFrames": 1000,
        "latestLogTs": int(1000 * at.unix),
        "currentSize": int(life.plan.size * done / CHUNKS),
        "fps": 1.23,
    }


def video_record(life: Life, at: Moment) -> dict[str, Any]:
    """Render an item of ``GET /video/history``. Times are in milliseconds."""
    word = life.video_word(at.now)
    times = {name: since for name, since in life.word_times().items() if since <= min(at.now, life.ends_at)}
    if life.canceled_at is not None:
        times = {name: since for name, since in times.items() if since <= life.canceled_at}
        times["canceling"] = life.canceled_at
    if at.now >= life.ends_at:
        times[word] = life.ends_at
    stamps = {name: int(1000 * at.unix_of(since)) for name, since in times.items()}
    body: dict[str, Any] = {
        "id": life.ref.id,
        "status": word,
        "ts": stamps,
        "lastEventTs": max(stamps.values()),
        "estimates": _estimates(life),
        "transactions": [{"operation": "reserve", "amount": 12}],
    }
    if word == "failed":
        body["error"] = _video_failure(life, newer=True)
    return overlaid(body, life.plan.body)


def try_on_status(life: Life, at: Moment) -> dict[str, Any]:
    """Render the body of ``GET /v1/try-on/job/{id}``."""
    state = life.state(at.now)
    body: dict[str, Any] = {"job_id": life.ref.id, "status": TRY_ON_BODY_WORDS.get(state, "failed")}
    if state is JobState.COMPLETED:
        if life.plan.result:
            body["result_url"] = at.sign(life, int(at.unix) + 3600, "GET")
        if life.plan.error_too:
            body["error"] = {"message": "Job processing failed", "error_code": "content_filter_error"}
    elif state.is_terminal:
        body["error"] = _try_on_error(life, state)
    return overlaid(body, life.plan.body)


def _try_on_error(life: Life, state: JobState) -> dict[str, str]:
    code, message = TRY_ON_CODES[state]
    if state is JobState.FAILED:
        code, message = life.plan.error_code or code, life.plan.message or message
    return {"message": message, "error_code": code}


def status(life: Life, at: Moment) -> dict[str, Any]:
    """Render the status body that the job's own service answers."""
    return RENDER[life.ref.kind](life, at)


RENDER: Final[dict[JobKind, Callable[[Life, Moment], dict[str, Any]]]] = {
    JobKind.IMAGE: image_status,
    JobKind.VIDEO: video_status,
    JobKind.TRY_ON: try_on_status,
}
