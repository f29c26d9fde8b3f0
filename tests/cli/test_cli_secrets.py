"""What each command prints, to people and to programs: no key, no signed link unless asked for, nothing that bites."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from topaz_status.testing import SimulatorProcess

from .conftest import KEY
from .driver import EAGER, Cli, terminal

PAST = {"after": -60.0, "duration": 1.0}
SIGNATURE = "5ecr3t51gnature"
SIGNED = f"https://storage.example/a?X-Amz-Signature={SIGNATURE}"
HOSTILE = f"\x1b]0;owned\x07\x9b31m[/bold][link=x] \u202e\r{SIGNED}"
SECRETS = (KEY, SIGNATURE, "X-Signature", "X-Expires", "://127.0.0.1")
Environment = dict[str, str]


def _jobs(simulator: SimulatorProcess) -> list[str]:
    """Jobs of every kind, whose service writes what it should not wherever it can."""
    body = {
        "filename": HOSTILE,
        "message": HOSTILE,
        "new": [HOSTILE, {HOSTILE: KEY}],
        "outputSize": HOSTILE,
        "error": HOSTILE,
    }
    ends = ({"outcome": "completed"}, {"outcome": "failed"})
    return simulator.add_jobs(
        [{"kind": kind, **PAST, **end, "body": body} for kind in ("image", "video", "try-on") for end in ends]
    )


@pytest.mark.parametrize("verbose", [(), ("-vv",)])
@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize(
    "command",
    [
        ("get",),
        ("watch", *EAGER),
        ("list",),
        ("list", "video"),
        ("delete", "--yes"),
        ("download", "--folder"),
    ],
    ids=" ".join,
)
def test_no_command_prints_a_secret(  # noqa: PLR0917
    cli: Cli,
    simulator: SimulatorProcess,
    command: Sequence[str],
    as_json: Sequence[str],
    verbose: Sequence[str],
    tmp_path: Path,
) -> None:
    """Whatever a service says: no key, no link, no character that a terminal obeys; the same with the log shown."""
    jobs = _jobs(simulator)
    if command[0] == "delete":
        jobs = jobs[:2]
    words = [*command, *([tmp_path] if command[0] == "download" else []), *([] if command[0] == "list" else jobs)]
    result = cli(*words, *as_json, *verbose, "--rate=200", "--burst=50")
    text = result.out + result.err
    assert result.out
    assert not [secret for secret in SECRETS if secret in text]
    assert all(line.isprintable() for line in text.split("\n"))
    if as_json:
        assert all("job" in one for one in result.objects)


@pytest.mark.parametrize("fault", ["401", "403", "500", "redirect", "malformed", "html", "reset", "unknown_word"])
def test_no_trouble_prints_a_secret(cli: Cli, simulator: SimulatorProcess, fault: str, tmp_path: Path) -> None:
    """Nor does any trouble that a command meets, with the service or with the storage."""
    jobs = _jobs(simulator)
    simulator.add_faults(
        [{"name": fault, "location": SIGNED, "count": 2}, {"name": "403", "service": "storage", "count": 1}]
    )
    text = ""
    for words in (("get", *jobs), ("download", *jobs, "--folder", tmp_path), ("watch", *jobs, "--timeout=2", *EAGER)):
        for more in ((), ("--json", "-vv")):
            result = cli(*words, *more)
            text += result.out + result.err
    assert not [secret for secret in SECRETS if secret in text]
    assert all(line.isprintable() for line in text.split("\n"))


def test_links_are_shown_to_who_asks(cli: Cli, simulator: SimulatorProcess) -> None:
    """``--urls`` gives the links, and still no key and nothing that a terminal obeys."""
    jobs = [job for job in _jobs(simulator) if not job.startswith("image:")]
    result = cli("get", *jobs, "--urls")
    assert "http://127.0.0.1" in result.out
    assert SIGNATURE in result.out
    assert KEY not in result.out
    assert all(line.isprintable() for line in result.out.split("\n"))


def test_a_word_is_no_markup(environment: Environment, simulator: SimulatorProcess) -> None:
    """A status word that a terminal, or the library that draws on it, might obey is shown as it is."""
    (job,) = simulator.add_jobs(
        [{"kind": "image", "stuck": True, "after": -60.0, "body": {"status": "[/b]\x1b[31mHm"}}]
    )
    with terminal(["watch", job], environment) as screen:
        screen.until("99 %")
        screen.until("[/b]")
        screen.interrupt()
        assert screen.end() == 130
    assert "Traceback" not in screen.shown
    assert "\x1b[31mHm" not in screen.shown


@pytest.mark.parametrize("size", ["299999", "299kB", "0.2MB", "200 KiB"])
def test_a_file_that_is_too_large(cli: Cli, simulator: SimulatorProcess, size: str, tmp_path: Path) -> None:
    """``--max-size``: one line that names both sizes, exit code 1, and no file; the others are fetched."""
    large, small = simulator.add_jobs(
        [{"kind": "image", "size": 300_000, **PAST}, {"kind": "image", "size": 9, **PAST}]
    )
    result = cli("download", large, small, "--folder", tmp_path, "--max-size", size)
    assert (result.code, len(result.lines)) == (1, 1)
    assert re.search(
        rf"{large} has a result that is too large: 300,000 bytes where [\d,]+ bytes are allowed", result.err
    )
    assert [path.name for path in tmp_path.iterdir()] == [f"image-{small.removeprefix('image:')}.jpg"]


def test_a_file_that_just_fits(cli: Cli, simulator: SimulatorProcess, tmp_path: Path) -> None:
    """A bound is no less than it says."""
    (job,) = simulator.add_jobs([{"kind": "image", "size": 300_000, **PAST}])
    assert cli("download", job, "--folder", tmp_path, "--max-size", "300kB").code == 0


@pytest.mark.parametrize("size", ["", "much", "-1", "1XB", "1e3", "iB", "5i", "9" * 400])
def test_a_size_that_is_none(cli: Cli, size: str) -> None:
    """Refused with what to write instead."""
    result = cli("download", "image:a", f"--max-size={size}")
    assert result.code == 2
    assert "is no size: write 500000, 20MB or 2GiB" in result.err


@pytest.mark.parametrize("rich", [True, False])
def test_a_bar_for_each_file(
    environment: Environment, simulator: SimulatorProcess, tmp_path: Path, *, rich: bool
) -> None:
    """On a terminal: how much of each file is there, and how many are done; what is printed stays."""
    (job,) = simulator.add_jobs([{"kind": "video", "size": 3_000_000, **PAST}])
    simulator.add_faults([{"name": "slow", "service": "storage", "seconds": 1.5}])
    with terminal(["download", job, "--folder", tmp_path], environment, rich=rich) as screen:
        screen.until("MB of 3.0 MB")
        screen.until("0 of 1 file")
        assert screen.end() == 0
    assert "3,000,000 bytes" in screen.shown
    assert "X-Signature" not in screen.shown
