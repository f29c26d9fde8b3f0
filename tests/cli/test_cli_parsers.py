"""What the command line takes, and how it refuses the rest."""

from __future__ import annotations

import inspect
import re

import pytest

from topaz_status import StatusClient
from topaz_status.cli import main
from topaz_status.cli.parsers import parse

from .driver import run

COMMANDS = ("demo", "watch", "resume", "pending", "get", "list", "delete", "download", "simulate")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["watch", "picture:1"], "argument JOB: unknown kind of job 'picture'"),
        (["watch", "image:a", "--json", "b"], "argument JOB: 'b' names no job: expected one of 'image:ID'"),
        (["get", "image:"], "a job id must not be empty"),
        (["watch", "image:a", "--timeout", "soon"], "argument --timeout: 'soon' is no span of time: write 90, 10min"),
        (["watch", "image:a", "--timeout", "0"], "'0' is no span of time"),
        (["watch", "image:a", "--rate", "0"], "argument --rate: 0 is not above 0"),
        (["watch", "image:a", "--rate", "nan"], "argument --rate: 'nan' is no number"),
        (["watch", "image:a", "--burst", "0.5"], "argument --burst: 0.5 is less than 1"),
        (["watch", "image:a", "--max-in-flight", "1.5"], "'1.5' is no whole number of 1 or more"),
        (["watch", "image:a", "--tiemout", "3"], "unrecognized argument: --tiemout"),
        (["list", "try-on"], "invalid choice: 'try-on'"),
        (["list", "image", "video"], "unrecognized argument: video"),
        (["demo", "--jobs", "0"], "argument --jobs"),
        (["dance"], "invalid choice: 'dance'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the argument, says what to write, and where help is."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("topaz-status: ")
    assert problem in said.err
    assert "--help)" in said.err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It can be copied, and fits 100 columns."""
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"example:\n  topaz-status {name}" in said
    assert "--json" in said
    assert all(re.search(rf"\b{code} [a-z]", said) for code in (0, 1, 2, 3, 130, 141, 143)), "each exit code"
    assert ("--proxy" in said) is ("loopback is always" in " ".join(said.split()))
    assert max(map(len, said.splitlines())) <= 100


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """And the variables that hold the keys."""
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"    {name}" in said for name in COMMANDS)
    assert "TOPAZ_API_KEY and PIXELCUT_API_KEY" in said


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("10min", 600), ("10m", 600), ("2h", 7200), ("7d", 604_800)]
)
def test_a_span_may_have_a_unit(text: str, seconds: float) -> None:
    """Plain numbers are seconds."""
    assert parse(["watch", "image:a", "--timeout", text]).timeout == seconds


def test_downloads_at_once_are_as_many_as_the_librarys() -> None:
    """One default, shown in the help, wherever files are fetched from."""
    default = inspect.signature(StatusClient).parameters["max_downloads"].default
    assert parse(["download", "image:a"]).max_downloads == default


def test_jobs_and_options_come_in_any_order() -> None:
    """Nobody has to know in which order a parser wants them."""
    arguments = parse(["watch", "--json", "image:a", "--rate", "3", "-", "video:b"])
    assert [str(job) for job in arguments.jobs] == ["image:a", "-", "video:b"]
    assert (arguments.json, arguments.rate) == (True, 3.0)


def test_python_m_runs_the_same(environment: dict[str, str]) -> None:
    """``python -m topaz_status`` is ``topaz-status``."""
    assert run(["--version"], environment).out.startswith("topaz-status 0.")
