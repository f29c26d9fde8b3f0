"""Names and places of result files: no name, id, header or link leads a file out of its folder."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from harness import client_of, virtual
from hypothesis import example, given
from hypothesis import strategies as st

from topaz_status import ConfigurationError, JobKind, JobRef
from topaz_status.download.files import PartialFile, default_name, file_name
from topaz_status.testing import Simulator

NASTY = st.text(st.sampled_from("ab./\\:\0 \n~%\u2024\u2025\u202e\uff0f\uff0e\u2215\ud800ü💥"), max_size=12) | st.text(
    max_size=300
)


def stays(name: str) -> bool:
    """Whether a name is one plain entry of whatever folder, on any system, and fits there."""
    forms = {name, unicodedata.normalize("NFKC", name), unicodedata.normalize("NFD", name)}
    return len(name.encode()) <= 255 and all(
        form.isprintable() and not set(form) & set('/\\:*?"<>|') and form.strip(". ") and form[-1] not in ". "
        for form in forms
    )


@given(NASTY)
@example("con")
@example("a" * 256)
@example("ü" * 128)
def test_a_name_is_plain_or_refused(name: str) -> None:
    """A name passes as it is, when it means one file below the folder on every system, or not at all."""
    try:
        passed = file_name(name)
    except ConfigurationError:
        return
    assert passed == name
    assert stays(name)
    assert Path("/folder", name).parent == Path("/folder")


REFUSED = [
    "..", "../x", "x/..", "/etc/passwd", "a\\b", "C:x", "x:stream", "nul", "NUL.txt", "Com1", "aux.tar.gz", "COM¹",
    "LPT9 .x", "x ", "x.", " x", "...", "‥", "a／b", "a＼b", "℀", "x\u202egpj.exe", "x\u200by", "x\x7f", "x\x9b31m",
    "x\ud800", "a|b", "a*", "a?", '"', "x" * 256, "💥" * 64,
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_mean_more(name: str) -> None:
    """Paths, devices, streams, look-alikes, what cannot be seen, and what is too long."""
    with pytest.raises(ConfigurationError):
        file_name(name)


@pytest.mark.parametrize("name", ["a", ".hidden", "Übung 1.jpg", "写真.png", "con-1", "console.log", "x" * 255, "a..b"])
def test_names_that_are_plain(name: str) -> None:
    """All others are the caller's affair."""
    assert file_name(name) == name


@st.composite
def ids(draw: st.DrawFn) -> str:
    """Whatever passes for an id."""
    text = draw(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=256) | NASTY)
    try:
        return JobRef("image", text).id
    except ConfigurationError:
        return "x"


@given(ids(), st.text(max_size=40), st.none() | st.text(max_size=20))
@example("x" * 256, ".jpeg", None)
@example("../../etc/passwd", "/..", "text/html")
def test_the_name_by_default_stays(job_id: str, path: str, content_type: str | None) -> None:
    """Whatever the id, the link and the content type are, the name made of them is plain, and fits."""
    for kind in JobKind:
        url = "https://h/" + path.replace("[", "").replace("]", "")
        name = default_name(JobRef(kind, job_id), url, content_type)
        assert file_name(name) == name
        assert name.startswith(f"{kind.value}-")
        assert name.isascii()


@given(ids(), ids())
@example("a/b", "a_b")
@example("a" * 255, "a" * 256)
@example("a.", "a")
def test_no_two_jobs_share_a_name(one: str, other: str) -> None:
    """However alike their ids are."""
    names = {default_name(JobRef("video", job_id), "https://h/x.mp4", None) for job_id in (one, other)}
    assert len(names) == len({one, other})


def test_a_partial_file_is_nobody_elses(tmp_path: Path) -> None:
    """It is made where none was, for its owner alone to read, and is gone when it is given up."""
    before = os.umask(0)
    try:
        partial, other = PartialFile.make(tmp_path), PartialFile.make(tmp_path)
    finally:
        os.umask(before)
    assert partial.path != other.path
    assert partial.path.stat().st_mode & 0o777 == 0o600
    assert partial.path.parent == tmp_path
    for one in (partial, other):
        one.discard()
    assert not list(tmp_path.iterdir())


def test_what_lies_under_its_name_is_not_followed(tmp_path: Path) -> None:
    """A link put in the partial file's place, or in that of the file to be, leads nothing out of the folder."""
    private = tmp_path / "private"
    private.write_text("secret")
    private.chmod(0o600)
    folder = tmp_path / "folder"
    folder.mkdir()
    partial = PartialFile.make(folder)
    partial.path.unlink()
    partial.path.symlink_to(private)
    partial.write(b"evil")
    partial.finish(folder / "result")
    assert private.read_text() == "secret"
    assert private.stat().st_mode & 0o777 == 0o600


@virtual
async def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """A symbolic link of the file's name gives way to the file; what it led to stays as it was."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0)
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.write_text("precious")
    folder.mkdir()
    (folder / "mine.jpg").symlink_to(outside)
    async with client_of(simulator) as client:
        path = await client.save(job, folder, name="mine.jpg")
        assert not path.is_symlink()
        assert path.read_bytes() == simulator.result_bytes(job)
        assert outside.read_text() == "precious"
        (folder / "taken").mkdir()
        with pytest.raises(OSError, match="taken"):
            await client.save(job, folder, name="taken")
    assert {path.name for path in folder.iterdir()} == {"mine.jpg", "taken"}


@pytest.mark.parametrize("body", [{"filename": "../../evil"}, {"filename": "/etc/passwd\0"}])
@virtual
async def test_a_service_names_no_file(body: dict[str, Any], tmp_path: Path) -> None:
    """The name that a service gives for a file is not used for one."""
    simulator = Simulator()
    job = simulator.add_image(duration=0.0, body=body)
    async with client_of(simulator) as client:
        await client.watch(job)
        path = await client.save(job, tmp_path)
    assert path == tmp_path / f"image-{job.id}.jpg"
