"""Consoles and pipes: no character, no reader that has gone and no stream that is closed ends a command in a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest

from topaz_status.cli import main
from topaz_status.cli.decoding import LineDecoder
from topaz_status.cli.formatting import json_line
from topaz_status.cli.job_arguments import BadLine, parse_line
from topaz_status.testing import SimulatorProcess

from .driver import PATIENCE, Result, command, terminal

Environment = dict[str, str]
COMMANDS = ("demo", "watch", "resume", "pending", "get", "list", "delete", "download", "simulate")
NARROW = ("ascii:strict", "cp437", "cp1252", "latin-1", "cp850", "shift_jis", "utf-8:strict")
PAST = {"after": -60.0, "duration": 1.0}
A_JOB = "image:3fa85f64-5717-4562-b3fc-2c963f66afa6"
ODD = "d\udcffj\N{LATIN SMALL LETTER A WITH GRAVE} \N{SNOWMAN}\N{GRINNING FACE}"
"""A folder's name with a byte that is no text, and characters that few encodings have."""


def bytes_of(words: Sequence[object], environment: Mapping[str, str], feed: bytes = b"") -> tuple[int, bytes, bytes]:
    """Run a child to its end; its output as it was written."""
    done = subprocess.run(  # noqa: S603  # our own command
        command(*words), input=feed, capture_output=True, timeout=PATIENCE, env=environment, check=False
    )
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def in_encoding(environment: Environment, encoding: str) -> Environment:
    """The environment of a console that knows this encoding alone."""
    return environment | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}


def shell(line: str, environment: Environment) -> Result:
    """Run a line of a shell in which ``$T`` is the command line."""
    call = f'T="{sys.executable} -m topaz_status"; {line}'
    done = subprocess.run(  # noqa: S603  # our own command
        ["/bin/bash", "-c", call],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment | {"PYTHONUNBUFFERED": ""},
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


# -- what an encoding lacks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", NARROW)
def test_help_reads_well_in_every_encoding(
    encoding: str, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project's own signs have look-alikes in ASCII: no escape is seen."""
    for name in COMMANDS:
        with open(1, "w", encoding=encoding.partition(":")[0], closefd=False) as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            assert main([name, "--help"]) == 0
            assert stdout.errors == "strict"  # as it was
        out = capfdbinary.readouterr().out.decode(encoding.partition(":")[0])
        assert f"topaz-status {name}" in out
        assert "\\" not in out


@pytest.mark.parametrize("encoding", ["ascii:strict", "cp1252"])
def test_tables_and_errors_keep_to_the_encoding(environment: Environment, encoding: str) -> None:
    """The demo's rules are there in ASCII, and an error that quotes anything at all is one line."""
    narrow = in_encoding(environment, encoding)
    code, out, err = bytes_of(["demo", "--jobs=6", "--seconds=1"], narrow)
    assert (code, err) == (0, b"")
    assert "------  ----" in out.decode(encoding.partition(":")[0])
    code, _, err = bytes_of(["get", "b\N{SNOWMAN}d:1"], narrow)
    assert (code, err.count(b"\n")) == (2, 1)
    assert b"\\u2603" in err


@pytest.mark.parametrize("encoding", ["ascii:strict", "cp437", "shift_jis", "utf-8:strict"])
def test_json_stays_json_and_says_the_same(
    environment: Environment, simulator: SimulatorProcess, encoding: str, tmp_path: str
) -> None:
    """A file whose name the encoding lacks, or no text has, is shown exactly."""
    (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
    folder = os.path.join(tmp_path, ODD)  # noqa: PTH118  # a name that is no text
    narrow = in_encoding(environment, encoding)
    code, out, err = bytes_of(["download", job, "--json", "--folder", folder], narrow)
    assert (code, err) == (0, b"")
    path = json.loads(out.decode(encoding.partition(":")[0]))["path"]
    assert os.path.dirname(path) == folder  # noqa: PTH120
    code, out, err = bytes_of(["download", job, "--folder", folder], narrow)
    assert (code, err) == (0, b"")
    assert out.startswith(job.encode())


def test_json_is_escaped_as_far_as_the_stream_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters that standard output can show stay as they are."""
    with open(os.devnull, "w", encoding="latin-1") as stdout:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", stdout)
        line = json_line({"é": "…é\N{GRINNING FACE}\udcff"})
    assert line == '{"é":"\\u2026é\\ud83d\\ude00\\udcff"}'


def test_a_service_that_says_anything_is_passed_on(environment: Environment, simulator: SimulatorProcess) -> None:
    """In ASCII, as people and programs read it."""
    (job,) = simulator.add_jobs(
        [{"kind": "try-on", "outcome": "failed", "error_code": "zu dunkel – \N{SNOWMAN}", **PAST}]
    )
    narrow = in_encoding(environment, "ascii")
    code, out, _ = bytes_of(["watch", job], narrow)
    assert code == 1
    assert rb"zu dunkel - \u2603" in out
    _, out, _ = bytes_of(["watch", job, "--json"], narrow)
    assert "zu dunkel – \N{SNOWMAN}" in json.loads(out)["error"]["message"]


def test_a_terminal_that_lacks_characters_has_a_line_instead_of_bars(
    environment: Environment, simulator: SimulatorProcess
) -> None:
    """A character that takes more room than rich thinks would tear its picture."""
    (job,) = simulator.add_jobs([{"kind": "image", "duration": 0.7}])
    with terminal(["watch", job], in_encoding(environment, "ascii")) as screen:
        assert screen.end() == 0
    assert "1 new | 0.0 requests/s" in screen.shown
    assert "\x1b[?25l" not in screen.shown


# -- colors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "colored"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
    ],
)
def test_color_is_forced_or_forbidden_by_the_environment(
    environment: Environment, simulator: SimulatorProcess, variables: Environment, *, colored: bool
) -> None:
    """Each variable counts when it is not empty; NO_COLOR wins; JSON is never colored."""
    (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
    del environment["NO_COLOR"]
    _, out, _ = bytes_of(["watch", job], environment | variables)
    assert (b"\x1b[32m" in out) is colored
    _, out, _ = bytes_of(["watch", job, "--json"], environment | variables)
    assert b"\x1b" not in out


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("NO_COLOR", ""), ("FORCE_COLOR", "")])
def test_a_terminal_heeds_them_too(
    environment: Environment, simulator: SimulatorProcess, name: str, value: str, *, rich: bool
) -> None:
    """With rich and without; what moves goes on moving, and an empty variable counts as unset."""
    (job,) = simulator.add_jobs([{"kind": "image", "duration": 0.7}])
    del environment["NO_COLOR"]
    with terminal(["watch", job], environment | {name: value}, rich=rich) as screen:
        assert screen.end() == 0
    assert bool(re.search("\x1b\\[(3[0-7]|[0-9;]*;3[0-7])m", screen.shown)) is not bool(value)
    assert "requests/s" in screen.shown


def test_on_a_dumb_terminal_nothing_moves(environment: Environment, simulator: SimulatorProcess) -> None:
    """It shows plain lines."""
    (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
    del environment["NO_COLOR"]
    with terminal(["watch", job], environment, term="dumb") as screen:
        assert screen.end() == 0
    assert "\x1b" not in screen.shown
    assert re.search(rf"{job} +completed", screen.shown)


# -- readers that go, streams that are closed -------------------------------------------------------------------------


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["watch --help", "list", "list --json", "simulate --jobs 20", "nonsense"])
def test_a_reader_that_has_gone_ends_it_quietly(
    environment: Environment, simulator: SimulatorProcess, words: str, unbuffered: str
) -> None:
    """Not a word, and the exit code that a shell gives to whatever SIGPIPE ended, once something is to be written."""
    simulator.add_jobs([{"kind": "image", "count": 3, **PAST}])
    ours, theirs = os.pipe()
    os.close(ours)
    stream = "stderr" if words == "nonsense" else "stdout"
    streams: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: theirs}
    call = command(*words.split())
    with subprocess.Popen(call, env=environment | {"PYTHONUNBUFFERED": unbuffered}, **streams) as process:  # type: ignore[call-overload]  # noqa: S603  # our own command
        os.close(theirs)
        out, err = process.communicate(timeout=PATIENCE)
    assert not out
    assert not err
    hidden = unbuffered and words in {"watch --help", "nonsense"}  # argparse ignores the failed write
    assert process.returncode == 141 or (hidden and process.returncode in {0, 2})


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("words", "code"), [("--help", 0), ("watch -", 0), ("delete image:a", 2), ("nonsense", 2), ("simulate --help", 0)]
)
def test_a_stream_that_is_closed_is_no_traceback(environment: Environment, closed: str, words: str, code: int) -> None:
    """What would be written there is lost, and nothing of it is found on another stream."""
    result = shell(f"$T {words} {closed}", environment)
    unreadable = words == "watch -" and "<&-" in closed
    assert result.code == (2 if unreadable else code)
    assert "topaz-status: " not in result.out
    assert "usage" not in result.err
    if unreadable and closed == "<&-":
        assert "no standard input to read jobs from: it is closed" in result.err


def test_a_full_disk_is_reported(environment: Environment, simulator: SimulatorProcess) -> None:
    """In one line, with the exit code for what could not be done."""
    (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
    for words in ("--help", f"get {job}", f"watch {job} --json"):
        result = shell(f"$T {words} > /dev/full", environment)
        assert (result.code, result.err) == (
            3,
            "topaz-status: cannot write to standard output: No space left on device\n",
        )


def test_the_simulator_by_its_own_name_is_as_careful(environment: Environment) -> None:
    """``python -m topaz_status.testing`` is the same command."""
    result = shell("$T.testing --help > /dev/full", environment)
    assert (result.code, result.err.count("\n")) == (3, 1)
    done = shell("$T.testing --help", in_encoding(environment, "ascii:strict"))
    assert (done.code, "NAME=PROB,..." in done.out) == (0, True)


# -- lists from anywhere ----------------------------------------------------------------------------------------------


def encoded(text: str) -> dict[str, bytes]:
    """A list as programs write it."""
    marks = {
        "utf-16-le": b"\xff\xfe",
        "utf-16-be": b"\xfe\xff",
        "utf-32-le": b"\xff\xfe\0\0",
        "utf-32-be": b"\0\0\xfe\xff",
    }
    return {
        "utf-8": text.encode(),
        "utf-8-sig": text.encode("utf-8-sig"),
        **{name: mark + text.encode(name) for name, mark in marks.items()},
    }


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("encoding", encoded(""))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_come_whatever_wrote_them(encoding: str, size: int, end: str) -> None:
    """In pieces of any size, with every end of line and every byte order mark."""
    data, decoder = encoded(f"one{end}# zwei Ä{end}{end}drei")[encoding], LineDecoder()
    lines = [line for at in range(0, len(data), size) for line in decoder.feed(data[at : at + size])]
    assert [*lines, *decoder.feed(b"")] == ["one", "# zwei Ä", "", "drei"]


def test_a_line_is_there_with_its_end() -> None:
    """Nothing is held back for a mark that can no longer come."""
    decoder = LineDecoder()
    assert decoder.feed(b"image:a\n") == ["image:a"]
    marked = LineDecoder()
    assert marked.feed(b"\xff\xfe") == []
    assert marked.feed("image:a\n".encode("utf-16-le")) == ["image:a"]


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_a_list_may_be_no_more_than_a_mark(size: int) -> None:
    """Or than a part of one, or nothing."""
    decoder = LineDecoder()
    lines = [*decoder.feed(b"\xef\xbb\xbf"[:size]), *decoder.feed(b"")]
    assert [isinstance(parse_line(1, line), BadLine) for line in lines if line] == [True] * (size in {1, 2})


@pytest.mark.parametrize("line", ["\0i\0m", "image:\N{REPLACEMENT CHARACTER}"])
def test_what_is_no_text_is_said_to_be_none(line: str) -> None:
    """With what to do about it; in a comment it does not matter."""
    assert "save the list as UTF-8, or as UTF-16 with a byte order mark" in str(parse_line(1, line))
    assert parse_line(1, f"# {line}") is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("words", [["watch", "-"], ["get"]])
def test_every_command_reads_every_list(
    environment: Environment, simulator: SimulatorProcess, words: list[str], encoding: str
) -> None:
    """Also lists that were joined, whose marks are within."""
    first, second = simulator.add_jobs([{"kind": "image", "count": 2, **PAST}])
    data = encoded(f"{first}\r\n")[encoding] + encoded(f"{second}\r\n")[encoding]
    code, out, err = bytes_of([*words, "--json"], environment, data)
    assert (code, err) == (0, b"")
    assert sorted(json.loads(line)["job"] for line in out.splitlines()) == sorted([first, second])


def test_a_list_that_is_no_text_is_refused(environment: Environment) -> None:
    """UTF-16 without its mark, and anything else."""
    for data in (f"{A_JOB}\n".encode("utf-16-le"), b"\x89PNG\r\n\x1a\n\0\0"):
        code, out, err = bytes_of(["get"], environment, data)
        assert (code, out) == (2, b"")
        assert b"line 1: this is no text in UTF-8" in err


def test_a_store_of_any_name_is_named(environment: Environment, tmp_path: str) -> None:
    """In an error, too."""
    code, _, err = bytes_of(["pending", "--store", os.path.join(tmp_path, ODD)], in_encoding(environment, "ascii"))  # noqa: PTH118
    assert (code, b"there is no such file" in err) == (3, True)
