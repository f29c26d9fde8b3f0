"""``topaz-status watch`` with jobs on standard input, and its ways out."""

from __future__ import annotations

import signal

import pytest

from topaz_status.testing import SimulatorProcess

from .driver import Cli, child, ended, line_of, run

PAST = {"after": -60.0, "duration": 1.0}
Environment = dict[str, str]


def test_jobs_come_one_a_line(environment: Environment, simulator: SimulatorProcess) -> None:
    """Blank lines and comments say nothing, and the last line needs no end."""
    first, second = simulator.add_jobs([{"kind": "image", "count": 2, **PAST}])
    result = run(["watch"], environment, feed=f"# mine\n\n  {first}  \r\n{second}")
    assert (result.code, result.err) == (0, "")
    assert sorted(line.split()[0] for line in result.lines) == sorted([first, second])


def test_a_dash_adds_standard_input_to_the_jobs_named(environment: Environment, simulator: SimulatorProcess) -> None:
    """Both are watched."""
    first, second = simulator.add_jobs([{"kind": "image", "count": 2, **PAST}])
    result = run(["watch", first, "-"], environment, feed=second)
    assert (result.code, len(result.lines)) == (0, 2)


def test_a_bad_line_is_named_and_the_others_are_watched(environment: Environment, simulator: SimulatorProcess) -> None:
    """The exit code is 2 all the same."""
    (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
    result = run(["watch"], environment, feed=f"{job}\npicture:7\n{job}\n")
    assert (result.code, len(result.lines)) == (2, 1)
    assert result.err.startswith("topaz-status: standard input, line 2: unknown kind of job 'picture'")


def test_a_line_without_end_is_refused_not_buffered(environment: Environment) -> None:
    """Whatever is piped in, memory stays bounded and the exit code is 2."""
    result = run(["watch"], environment, feed="image:" + "x" * 200_000)
    assert (result.code, result.out) == (2, "")
    assert "at most 256 characters" in result.err


def test_no_jobs_on_standard_input_is_nothing_to_do(environment: Environment) -> None:
    """An empty pipe is a success: all of no jobs are completed."""
    assert run(["watch"], environment) == run(["get"], environment)
    assert run(["watch"], environment).code == 0


def test_results_come_before_standard_input_ends(environment: Environment, simulator: SimulatorProcess) -> None:
    """A pipe that stays open holds nothing back."""
    first, second = simulator.add_jobs([{"kind": "image", "count": 2, **PAST}])
    with child(["watch", "--json"], environment) as process:
        assert process.stdin is not None
        for job in (first, second):
            process.stdin.write(f"{job}\n")
            assert job in line_of(process.stdout)
        assert ended(process).code == 0


def test_ctrl_c_says_what_was_still_open(environment: Environment, simulator: SimulatorProcess) -> None:
    """Up to ten open jobs with their last state, no traceback, exit code 130, even with standard input open."""
    (done,) = simulator.add_jobs([{"kind": "image", **PAST}])
    stuck = simulator.add_jobs([{"kind": "image", "count": 12, "stuck": True, "after": -60.0}])
    with child(["watch", "--rate=100", "--burst=100"], environment) as process:
        assert process.stdin is not None
        process.stdin.write("".join(f"{job}\n" for job in [*stuck, done]))
        assert done in line_of(process.stdout)
        process.send_signal(signal.SIGINT)
        process.wait(30)
        result = ended(process)
    assert result.code == 130
    lines = result.err.splitlines()
    assert lines[0] == "topaz-status: stopped: 12 jobs still open, 1 ended; the jobs themselves go on"
    assert [line.split()[0] for line in lines[1:11]] == stuck[:10]
    assert lines[1].split()[1:] == ["running", "99", "%"]
    assert lines[11:] == ["  … and 2 more"]


def test_sigterm_ends_in_the_same_way(environment: Environment, simulator: SimulatorProcess) -> None:
    """Its exit code is 143."""
    stuck, done = simulator.add_jobs([{"kind": "image", "stuck": True}, {"kind": "image", **PAST}])
    with child(["watch", stuck, done], environment) as process:
        line_of(process.stdout)
        process.terminate()
        result = ended(process)
    assert (result.code, result.err.splitlines()[0].split(";")[0]) == (
        143,
        "topaz-status: stopped: 1 job still open, 1 ended",
    )


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_reader_that_leaves_ends_it_quietly(
    environment: Environment, simulator: SimulatorProcess, as_json: list[str]
) -> None:
    """As with ``| head``: not a word on standard error."""
    first, second = simulator.add_jobs([{"kind": "image", "count": 2, **PAST}])
    with child(["watch", *as_json], environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(f"{first}\n")
        line_of(process.stdout)
        process.stdout.close()
        process.stdin.write(f"{second}\n")
        assert process.wait(30) == 141
        assert process.stderr.read() == ""


def test_other_commands_read_standard_input_too(environment: Environment, simulator: SimulatorProcess) -> None:
    """They do nothing at all where a line names no job."""
    first, second = simulator.add_jobs([{"kind": "image", "count": 2, **PAST}])
    printed = run(["get", "--json"], environment, feed=f"{first}\n{second}\n")
    assert [status["job"] for status in printed.objects] == [first, second]
    refused = run(["delete", "-", "--yes"], environment, feed=f"{first}\nnonsense\n")
    assert (refused.code, refused.out) == (2, "")
    assert "line 2" in refused.err
    assert simulator.stats()["by_endpoint"] == {"image.status": 2}


def test_a_missing_key_of_a_job_that_comes_late_is_its_outcome(
    environment: Environment, simulator: SimulatorProcess
) -> None:
    """The others go on."""
    (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
    del environment["PIXELCUT_API_KEY"]
    result = run(["watch"], environment, feed=f"try-on:t1\n{job}\n")
    assert result.code == 3
    lines = sorted(result.lines)
    assert "completed" in lines[0]
    assert lines[1].endswith("set the environment variable PIXELCUT_API_KEY")


def test_without_rich_everything_works(environment: Environment, simulator: SimulatorProcess) -> None:
    """The extra changes the appearance alone."""
    (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
    assert run(["watch", job], environment, rich=False).code == 0
    demo = run(["demo", "--jobs=12", "--seconds=1"], environment, rich=False)
    assert (demo.code, demo.err) == (0, "")
    assert "12 of 12" in demo.out


def test_main_takes_no_arguments_of_others(cli: Cli) -> None:
    """Called with a list, the command line of the process does not matter."""
    assert cli("--version").out.startswith("topaz-status ")
