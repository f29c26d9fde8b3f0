"""From a finished job to its file: found, fetched whole, resumed when cut, never outside its folder."""

# ruff: noqa: ASYNC240  # a small file on the local disk is read

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path
from typing import Any

import orjson
import pytest
from harness import Heard, RawServer, client_of, http, now, virtual

from topaz_status import (
    ConfigurationError,
    ConflictError,
    JobCanceledError,
    JobExpiredError,
    JobFailedError,
    JobKind,
    NotFoundError,
    PermissionDeniedError,
    ResultUnavailableError,
    StatusClient,
    TopazStatusError,
)
from topaz_status.testing import EPOCH, MEMORY_URL, Simulator


@virtual
async def test_download_link() -> None:
    """An image's link gives both URLs and when they die; a new call makes a new link; a job at work is a conflict."""
    simulator = Simulator()
    job, slow = simulator.add_image(duration=1), simulator.add_image(duration=100)
    async with client_of(simulator) as client:
        with pytest.raises(ConflictError):
            await client.image.download_link(slow)
        await client.watch(job)
        link = await client.image.download_link(job)
        assert link.expires_at == pytest.approx(EPOCH + now() + 3600, abs=1.0)
        assert link.url.startswith(MEMORY_URL)
        assert link.head_url is not None
        assert link.url not in repr(link)
        await asyncio.sleep(10)
        assert (await client.image.download_link(job.id)).url != link.url
        with pytest.raises(NotFoundError):
            await client.image.download_link("00000000-0000-4000-8000-000000000000")


@pytest.mark.parametrize("kind", JobKind)
@virtual
async def test_result(kind: JobKind) -> None:
    """``result`` finds where the file of a finished job of any kind lies, by whatever way its service has."""
    simulator = Simulator()
    job = simulator.add(kind, duration=5)
    async with client_of(simulator) as client:
        with pytest.raises((ConflictError, ResultUnavailableError)):
            await client.result(job)
        await client.watch(job)
        link = await client.result(str(job))
        assert link.url.startswith(MEMORY_URL)
        assert (link.expires_at is None) == (kind is JobKind.TRY_ON)


@pytest.mark.parametrize(
    ("kind", "plan", "error"),
    [
        (JobKind.VIDEO, {"outcome": "failed"}, JobFailedError),
        (JobKind.VIDEO, {"outcome": "canceled"}, JobCanceledError),
        (JobKind.VIDEO, {"result": False}, ResultUnavailableError),
        (JobKind.TRY_ON, {"outcome": "expired"}, JobExpiredError),
        (JobKind.TRY_ON, {"outcome": "failed"}, JobFailedError),
        (JobKind.TRY_ON, {"result": False}, ResultUnavailableError),
        (JobKind.TRY_ON, {"stuck": True}, ResultUnavailableError),
        (JobKind.IMAGE, {"outcome": "failed"}, ConflictError),
        (JobKind.IMAGE, {"forbidden": True}, PermissionDeniedError),
    ],
)
@virtual
async def test_no_result(kind: JobKind, plan: dict[str, Any], error: type[TopazStatusError], tmp_path: Path) -> None:
    """A job without a result says why, and leaves no file."""
    simulator = Simulator()
    job = simulator.add(kind, duration=0.0, **plan)
    async with client_of(simulator) as client:
        with pytest.raises(error):
            await client.result(job)
        with pytest.raises(error):
            await client.save(job, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "suffix"), [(JobKind.IMAGE, ".jpg"), (JobKind.VIDEO, ".mp4"), (JobKind.TRY_ON, ".jpg")]
)
@virtual
async def test_save(kind: JobKind, suffix: str, tmp_path: Path) -> None:
    """The file is the service's, byte for byte, under the job's own name with the right suffix, in a folder that is made."""
    simulator = Simulator()
    job = simulator.add(kind, duration=0.0, size=2_500_000)
    async with client_of(simulator) as client:
        path = await client.save(job, tmp_path / "made" / "here")
        assert path == tmp_path / "made" / "here" / f"{kind.value}-{job.id}{suffix}"
        assert path.read_bytes() == simulator.result_bytes(job)
        again = await client.save(str(job), str(tmp_path / "made" / "here"))
        assert again == path
        named = await client.save(job, tmp_path, name="mine.bin")
        assert named.read_bytes() == simulator.result_bytes(job)
    assert list((tmp_path / "made" / "here").iterdir()) == [path]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


@virtual
async def test_empty_file(tmp_path: Path) -> None:
    """A result of no bytes is a file of no bytes."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0, size=0)
    async with client_of(simulator) as client:
        assert (await client.save(job, tmp_path)).read_bytes() == b""


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "a\\b", "..", ".", "", "C:x", "x\0y", "x\ny", 7, b"x"])
@virtual
async def test_names_that_lead_out(name: Any, tmp_path: Path) -> None:
    """A name that could lead out of the folder, or is no name, is refused before anything is asked for."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0)
    async with client_of(simulator) as client:
        with pytest.raises(ConfigurationError):
            await client.save(job, tmp_path / "folder", name=name)
    assert not list(tmp_path.iterdir())
    assert not simulator.log


WHOLE = b"0123456789"
STRONG = 'ETag: "one"'


def storage(*answers: bytes, url: str = f"{MEMORY_URL}/file.bin?signature=secret", job_id: str = "x") -> RawServer:
    """A try-on service whose file is answered for with these, one after the other, and well in the end."""
    status = orjson.dumps({"job_id": job_id, "status": "completed", "result_url": url})
    left = list(answers)

    def reply(request: Heard) -> bytes:
        if request.path.startswith("/v1"):
            return http(status)
        return left.pop(0) if left else http(WHOLE, "200 OK", STRONG)

    return RawServer(reply, closing=True)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/a/b/picture.PNG?x=1", "try-on-x.png"),
        ("/a/b/..%2f..%2fevil", "try-on-x.json"),
        ("/a/b/file.not-a-suffix-at-all", "try-on-x.json"),
        ("/", "try-on-x.json"),
    ],
)
@virtual
async def test_default_names(url: str, name: str, tmp_path: Path) -> None:
    """Without a name the file has its job's, with the suffix of the URL or else of the content; no URL leads it away."""
    async with client_of(storage(url=MEMORY_URL + url)) as client:
        assert await client.save("try-on:x", tmp_path) == tmp_path / name


@virtual
async def test_ids_that_lead_out(tmp_path: Path) -> None:
    """Not even an id can lead the file out of its folder."""
    job_id = "../../etc/passwd"
    async with client_of(storage(job_id=job_id)) as client:
        path = await client.save(f"try-on:{job_id}", tmp_path)
    assert path.parent == tmp_path
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@virtual
async def test_folders_that_cannot_be_written_to(tmp_path: Path) -> None:
    """A folder that is no folder is an ``OSError``, as anywhere else."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0)
    (tmp_path / "file").write_text("x")
    async with client_of(simulator) as client:
        with pytest.raises(OSError, match="file"):
            await client.save(job, tmp_path / "file")


@pytest.mark.parametrize(("size", "room"), [(3_000_000, 1_500_000), (5_000, 1_000)])
@virtual
async def test_a_full_disk(size: int, room: int, tmp_path: Path) -> None:
    """A disk that is full is an ``OSError``, and nothing of the file stays behind."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0, size=size)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with client_of(simulator) as client:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            with pytest.raises(OSError, match="too large"):
                await client.save(job, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


async def test_before_opening(tmp_path: Path) -> None:
    """Results can be asked for only from an open client."""
    client = StatusClient(topaz_api_key="x")
    with pytest.raises(ConfigurationError):
        await client.save("image:1", tmp_path)
    with pytest.raises(ConfigurationError):
        await client.result("image:1")
