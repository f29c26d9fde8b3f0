"""The examples that are programs run as they stand, against the simulator."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
from harness import client_of, now, until

from topaz_status import JobRef
from topaz_status.examples import bulk_folder, chat_bot, lambda_handler, script
from topaz_status.testing import Simulator


async def test_script(services: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The result of the job is in the folder, and its name is printed before the wait."""
    assert await script.main(str(tmp_path)) == 0
    [job] = services.truths()
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"submitted image:{job.id}"
    assert os.path.isfile(second.removeprefix("saved "))  # noqa: ASYNC240, PTH113  # the script has ended


def context(seconds: float) -> SimpleNamespace:
    """What a platform hands to a handler that has so many seconds left."""
    return SimpleNamespace(get_remaining_time_in_millis=lambda: int(seconds * 1000))


async def test_lambda_handler(services: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run says what ended in its time; the next one takes up the rest, without being given it again."""
    monkeypatch.setenv("WATCHES", str(tmp_path / "watches.db"))
    quick, slow = services.add_image(duration=0.2), services.add_image(duration=3600.0)
    first = await asyncio.to_thread(lambda_handler.handler, {"jobs": [str(quick), str(slow)]}, context(3.5))
    assert first == {"ended": {str(quick): "completed"}, "more": True}
    second = await asyncio.to_thread(lambda_handler.handler, {}, context(3.0))
    assert second == {"ended": {}, "more": True}
    services.cancel(slow)
    third = await asyncio.to_thread(lambda_handler.handler, {}, context(10.0))
    assert third == {"ended": {str(slow): "canceled"}, "more": False}


@attrs.define
class Chat:
    """A message that notes when it was edited; the first edit fails."""

    edits: list[tuple[float, str]] = attrs.field(factory=list)

    async def edit(self, *, content: str) -> None:
        self.edits.append((now(), content))
        if len(self.edits) == 1:
            raise OSError("the chat is down")


@pytest.mark.virtual_time
@pytest.mark.parametrize(("outcome", "last"), [("completed", "Done."), ("failed", "No result: ")])
async def test_chat_bot(outcome: str, last: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Progress is edited in at most every two seconds, an edit that fails ends nothing, and the end comes last."""
    simulator, chat = Simulator(seed=1), Chat()
    job = simulator.add_image(duration=60.0, outcome=outcome)
    async with client_of(simulator) as client:
        await chat_bot.show_progress(client, job, chat)
    times, texts = zip(*chat.edits, strict=True)
    assert min(after - before for before, after in itertools.pairwise(times)) >= chat_bot.PAUSE
    assert len({text for text in texts if text.endswith("%")}) > 5
    assert texts[-1].startswith(last)
    assert capsys.readouterr().out == "could not edit the message: the chat is down\n"


@pytest.mark.parametrize(("percent", "drawn"), [(None, "waiting"), (0, "□" * 10 + " 0 %"), (100, "■" * 10 + " 100 %")])
def test_a_bar_has_ten_squares(percent: float | None, drawn: str) -> None:
    """It is full at the end only, and no progress is no bar."""
    assert chat_bot.bar(percent) == drawn


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with three images, and one for their results that is not there yet."""
    (source := tmp_path / "from").mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (source / name).write_bytes(b"")
    return source, tmp_path / "to"


async def test_bulk_folder(services: Simulator, folders: tuple[Path, Path]) -> None:
    """Each image is submitted once, its result has its name, and a second run does nothing more."""
    source, target = folders
    await bulk_folder.main(source, target)
    assert {path.name for path in target.iterdir()} == {"a.jpg", "b.jpg", "c.jpg", "submitted.txt"}
    assert len(services.truths()) == 3
    await bulk_folder.main(source, target)
    assert len(services.truths()) == 3


async def test_bulk_folder_is_resumed(services: Simulator, folders: tuple[Path, Path]) -> None:
    """What a run that was ended had submitted is only waited for; the other files are submitted now."""
    source, target = folders
    (extra := source / "c.jpg").rename(source.parent / "c.jpg")
    task = asyncio.create_task(bulk_folder.main(source, target))
    book = target / "submitted.txt"
    await until(lambda: task.done() or (book.exists() and book.read_text(encoding="utf-8").count("\n") == 2))
    assert task.cancel(), "it had not ended"
    with contextlib.suppress(asyncio.CancelledError):
        await task
    (source.parent / "c.jpg").rename(extra)
    await bulk_folder.main(source, target)
    assert {path.name for path in target.iterdir()} == {"a.jpg", "b.jpg", "c.jpg", "submitted.txt"}
    assert len(services.truths()) == 3


async def test_a_failed_job_is_named(
    services: Simulator, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are saved all the same."""
    source, target = folders
    failed: JobRef = services.add_image(outcome="failed", duration=0.1)
    target.mkdir()
    bulk_folder.write_down(target, failed, "b.jpg")
    await bulk_folder.main(source, target)
    assert {path.name for path in target.iterdir()} == {"a.jpg", "c.jpg", "submitted.txt"}
    assert f"b.jpg: {failed} failed" in capsys.readouterr().out
