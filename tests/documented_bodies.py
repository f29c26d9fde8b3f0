"""Bodies as the vendors' documents show them, and strategies for all bodies that the documents allow."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from topaz_status.models import JobKind, JobRef

IMAGE_ID = "d7b3b3b3-7b3b-4b3b-8b3b-3b3b3b3b3b3b"
VIDEO_ID = "c1f96dc2-c448-00e6-82ed-14ecb6403c62"
TRY_ON_ID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
IMAGE_JOB = JobRef(JobKind.IMAGE, IMAGE_ID)
VIDEO_JOB = JobRef(JobKind.VIDEO, VIDEO_ID)
TRY_ON_JOB = JobRef(JobKind.TRY_ON, TRY_ON_ID)
SIGNED = "https://videocloud.r2.cloudflarestorage.com/enhanced.mp4?X-Amz-Signature=5ec2e7"

IMAGE: dict[str, Any] = {
    "process_id": IMAGE_ID,
    "source_id": "d7b3b3b3-7b3b-4b3b-8b3b-3b3b3b3b3b3c",
    "filename": "image.png",
    "input_format": "png",
    "input_height": 720,
    "input_width": 1280,
    "output_format": "jpeg",
    "output_height": 1080,
    "output_width": 1920,
    "category": "Enhance",
    "model_type": "GAN",
    "model": "Standard V2",
    "subject_detection": "All",
    "face_enhancement": True,
    "face_enhancement_creativity": 0,
    "face_enhancement_strength": 0.8,
    "crop_to_fill": False,
    "options_json": '{"creativity": 90}',
    "status": "Completed",
    "progress": 100,
    "eta": 1617220000,
    "creation_time": 1633024800,
    "modification_time": 1633038400,
    "credits": 2,
}

CHUNK_NEWER: dict[str, Any] = {
    "chunkId": VIDEO_ID,
    "chunkIndex": 0,
    "taskIndex": 0,
    "status": "processing",
    "progress": 90,
    "averageFps": 2.34,
    "averageGpuUtilization": 56,
    "averageGpuMemoryUtilization": 65,
}

CHUNK_OLDER: dict[str, Any] = {
    "chunkId": VIDEO_ID,
    "chunkIndex": 1,
    "taskIndex": 2,
    "status": "queued",
    "gpuUtilization": 51.5,
    "gpuMemoryUtilization": 22.5,
    "sampleCount": 10,
    "currentFrame": 120,
    "expectedOutputFrames": 4800,
    "latestLogTs": 1727213400123,
    "currentSize": 4096,
    "fps": 1.5,
    "progress": 2.5,
}

VIDEO: dict[str, Any] = {
    "status": "processing",
    "progress": 82.5,
    "estimates": {"cost": [10, 12], "time": [600, 700]},
    "outputSize": "10 GB",
    "averageFps": 1.23,
    "combinedFps": 12.34,
    "message": "Processing",
    "errorCode": "PROCESSING_FAILURE",
    "processingJobs": [CHUNK_NEWER, CHUNK_OLDER],
    "uploadId": "GDlWC7qIaE6okS41Xf/ktpuS5XzTRabg",
    "urls": [SIGNED + "&part=1", SIGNED + "&part=2"],
    "comparisonTool": SIGNED + "&compare",
    "download": {"url": SIGNED, "expiresIn": 604800000, "expiresAt": 1727213400000},
}

TRY_ON: dict[str, Any] = {
    "job_id": TRY_ON_ID,
    "status": "completed",
    "result_url": "https://assets.pixelcut.app/public/result/a16646be-91c8-4e3a-b359.jpg",
    "error": {"message": "Job processing failed", "error_code": "content_filter_error"},
}

RECORD: dict[str, Any] = {
    "id": VIDEO_ID,
    "userId": 42,
    "status": "failed",
    "ts": {"requested": 1727210000000, "accepted": 1727210001500, "failed": 1727213400000},
    "lastEventTs": 1727213400001,
    "adminId": 0,
    "version": "api",
    "processing": {"topserving": {"lastUpdated": 1727213300000}},
    "source": {"container": "mp4", "download": {"url": SIGNED, "expiresIn": 1000, "expiresAt": 1727213400000}},
    "destination": {"download": {"url": SIGNED}},
    "estimates": {"cost": [10, 12], "time": [600, 700]},
    "transactions": [{"operation": "reserve", "amount": 12}, {"operation": "rollback", "amount": 12.5}],
    "error": {"message": "It broke", "errorCode": "PROCESSING_FAILURE"},
}

_text = st.text(max_size=12)
_word = st.text(min_size=1, max_size=12).filter(str.strip)
_whole = st.integers(-(2**31), 2**53)
_number = st.one_of(_whole, st.floats(-1e9, 1e9))
_percent = st.one_of(st.integers(0, 100), st.floats(0, 100))
_unix = st.integers(0, 4_000_000_000)
_millis = st.integers(0, 4_000_000_000_000)
_url = _word.map(lambda path: f"https://host/{path}?sig=1")


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_download = _some(url=_url, expiresIn=_millis, expiresAt=_millis)
_bounds = _some(cost=st.lists(_number, max_size=3), time=st.lists(_number, max_size=3))
_texts = {"filename", "input_format", "output_format", "category", "model_type", "model", "options_json", "source_id"}
_wholes = {"input_height", "input_width", "output_height", "output_width", "credits"}

images: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"process_id": st.uuids().map(str), "status": _word},
    optional={
        **dict.fromkeys(sorted(_texts), _text),
        **dict.fromkeys(sorted(_wholes), _whole),
        "progress": _percent,
        "eta": _unix,
        "creation_time": _unix,
        "modification_time": _unix,
        "crop_to_fill": st.booleans(),
        "face_enhancement": st.booleans(),
        "face_enhancement_strength": _number,
    },
)
videos: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"status": _word},
    optional={
        "progress": _percent,
        "estimates": _bounds,
        "outputSize": _text,
        "averageFps": _number,
        "combinedFps": _number,
        "message": _text,
        "errorCode": _text,
        "processingJobs": st.lists(
            _some(chunkId=_text, chunkIndex=_whole, status=_text, progress=_percent, fps=_number, latestLogTs=_millis),
            max_size=3,
        ),
        "uploadId": _text,
        "urls": st.lists(_url, max_size=3),
        "comparisonTool": _url,
        "download": _download,
    },
)
try_ons: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"status": _word},
    optional={"job_id": st.just(TRY_ON_ID), "result_url": _url, "error": _some(message=_text, error_code=_text)},
)
records: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"id": st.uuids().map(str), "status": _word},
    optional={
        "userId": _whole,
        "adminId": _whole,
        "ts": st.dictionaries(_word, _millis, max_size=4),
        "lastEventTs": _millis,
        "version": _text,
        "source": _some(download=_download, container=_text),
        "destination": _some(download=_download),
        "estimates": _bounds,
        "transactions": st.lists(_some(operation=_text, amount=_number), max_size=3),
        "error": _some(message=_text, errorCode=_text),
        "processing": _some(topserving=_some(lastUpdated=_millis)),
    },
)

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["", " ", "12", "1e3", "true", "Completed", "processing", "failed", IMAGE_ID, SIGNED]),
)
anything: st.SearchStrategy[Any] = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)
"""Any value that a JSON parser may return, and some that no parser would."""


def drifted(*documented: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Make objects with the documented names and any values."""
    names = sorted({name for body in documented for name in body})
    return st.dictionaries(st.one_of(st.sampled_from(names), st.text(max_size=8)), anything, max_size=8)
