"""The simulator over loopback: its control endpoints, its command line, its own process and thread."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from topaz_status import JobRef
from topaz_status.session.http.urls import is_loopback
from topaz_status.testing import Simulator, SimulatorProcess
from topaz_status.testing.simulate import add_arguments, plans_of, run, run_simulate
from topaz_status.testing.thread import serve_in_thread

KEY = {"X-API-Key": "sim"}


def arguments(*line: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(line)


async def test_control_endpoints_script_a_simulator(topaz_simulator: Simulator, topaz_simulator_url: str) -> None:
    """Jobs, faults, limits and keys are scripted, truth, log and counters shown; control requests are not counted."""
    async with aiohttp.ClientSession(topaz_simulator_url) as session:

        async def control(path: str, body: Any = None) -> Any:
            method = "GET" if body is None else "POST"
            async with session.request(
                method, f"/_sim/{path}", data=None if body is None else orjson.dumps(body)
            ) as got:
                return got.status, orjson.loads(await got.read())

        _, made = await control("jobs", {"jobs": [{"kind": "image", "count": 2, "duration": 9}, {"kind": "video"}]})
        refs = [JobRef.parse(name) for name in made["jobs"]]
        assert len(refs) == 3
        await control("faults", [{"name": "503", "count": 1}])
        await control("limits", {"rate": 0.001, "burst": 1, "retry_after": "soon"})
        for expected in (503, 200, 429):
            async with session.get(f"/image/v1/status/{refs[0].id}", headers=KEY) as response:
                assert response.status == expected
        await control("keys", {"revoke": ["sim"]})
        async with session.get(f"/image/v1/status/{refs[0].id}", headers=KEY) as response:
            assert response.status == 401
        _, stats = await control("stats")
        assert stats["by_status"] == {"503": 1, "200": 1, "429": 1, "401": 1}
        assert (stats["requests"], stats["rate_limited"], stats["keys"]) == (4, 1, 1)
        assert [each["status"] for each in (await control("log"))[1]["log"]] == [503, 200, 429, 401]
        _, truth = await control(f"truth?job={refs[0]}")
        (job,) = truth["jobs"]
        assert (job["state"], job["ended"], job["looks"]) == ("completed", False, 1)
        assert job["ends_unix"] - truth["unix_now"] == pytest.approx(9.0, abs=3.0)
        assert len((await control("truth"))[1]["jobs"]) == 3
        await control("reset", {})
        assert (await control("stats"))[1]["jobs"] == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("jobs", [{"kind": "fax"}]),
        ("jobs", "image"),
        ("jobs", [{"kind": "image", "id": "a b"}]),
        ("faults", [{"name": "flood"}]),
        ("limits", {"rate": 0}),
        ("limits", {"speed": 1}),
        ("keys", []),
    ],
)
async def test_useless_control_requests_are_400(topaz_simulator_url: str, path: str, body: Any) -> None:
    """A control request of no use is refused with a reason."""
    async with aiohttp.ClientSession(topaz_simulator_url) as session:
        async with session.post(f"/_sim/{path}", data=orjson.dumps(body)) as response:
            assert response.status == 400
            assert (await response.json())["message"]
        async with session.get("/_sim/nonsense") as response:
            assert response.status == 404


def test_a_process_of_its_own() -> None:
    """The child serves, is scripted, and is gone afterwards."""
    simulator = SimulatorProcess(seed=7, try_ons=2)
    with simulator as url:
        assert url.startswith("http://127.0.0.1:")
        (name,) = simulator.add_jobs([{"kind": "image", "duration": 5}])
        simulator.add_faults([{"name": "503"}])
        assert simulator.truths()[name]["state"] == "completed"
        assert simulator.stats()["jobs"] == 3
        with pytest.raises(ValueError, match="fax"):
            simulator.add_jobs([{"kind": "fax"}])
        assert url in repr(simulator)
        process = simulator._process
    assert process is not None
    assert process.returncode == 0
    assert simulator.url == ""


async def test_a_process_without_blocking_the_loop() -> None:
    """The same as an async context manager; a child that cannot start is an error."""
    async with SimulatorProcess() as url, aiohttp.ClientSession(url, headers=KEY) as session:
        response = await session.get("/image/v1/status")
        assert await response.json() == []
    with pytest.raises(RuntimeError, match="did not start"):
        SimulatorProcess(host="192.0.2.1").start()


@pytest.mark.skipif(sys.platform == "win32", reason="sends an interrupt")
def test_the_command_line_prints_what_a_shell_needs_and_leaves_on_an_interrupt(tmp_path: Path) -> None:
    """First the URL, then lines to export; jobs go to the file that was asked for; Ctrl-C exits with 130, silently."""
    listed = tmp_path / "jobs.txt"
    command = [sys.executable, "-m", "topaz_status.testing", "--jobs=10", f"--list-jobs={listed}", "--faults=503=0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline().decode().strip() for _ in range(5)]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == b""
    assert lines[0].startswith("http://127.0.0.1:")
    assert lines[1:] == [
        f"export TOPAZ_API_URL={lines[0]}",
        f"export PIXELCUT_API_URL={lines[0]}",
        "export TOPAZ_API_KEY=sim",
        "export PIXELCUT_API_KEY=sim",
    ]
    assert len([JobRef.parse(line) for line in listed.read_text().splitlines()]) == 10


def test_the_child_dies_with_its_parent() -> None:
    """When the holder of its standard input is gone, so is the child; with --json it prints one object."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "topaz_status.testing", "--until-eof", "--json", "--images=1"]
    with subprocess.Popen(command, stdin=reading, stdout=subprocess.PIPE) as process:  # noqa: S603
        os.close(reading)
        assert process.stdout is not None
        printed = orjson.loads(process.stdout.readline())
        os.close(writing)
        assert process.wait(20) == 0
    assert printed["env"]["TOPAZ_API_URL"] == printed["url"]
    assert printed["count"] == len(printed["jobs"]) == 1


@pytest.mark.parametrize(
    "line", [("--host=0.0.0.0",), ("--faults=flood",), ("--rate=0",), ("--median=-1", "--images=1")]
)
def test_bad_usage_is_exit_code_2(line: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """A host that is not loopback, an unknown fault and senseless figures are refused with a reason."""
    assert run(arguments(*line)) == 2
    assert capsys.readouterr().err.startswith("topaz-status simulate: ")
    assert run_simulate is run


def test_jobs_are_shared_out() -> None:
    """``--jobs`` adds 60 % images, 8 % videos and try-ons to what is asked for by kind."""
    plans = plans_of(arguments("--jobs=100", "--videos=2"))
    assert {plan.kind.value: plan.count for plan in plans} == {"image": 60, "video": 10, "try-on": 32}


def test_loopback_hosts() -> None:
    """Only addresses that no other machine reaches count as loopback."""
    assert all(is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "127.1.2.3"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "example.com", "192.0.2.1"))  # noqa: S104


def test_a_thread_serves_a_test_without_a_loop() -> None:
    """A simulator in a thread is scripted from outside of it, and the thread ends."""
    simulator = Simulator()
    client = SimulatorProcess()
    with serve_in_thread(simulator) as url:
        client.url = url
        job = simulator.add_image(duration=5.0)
        assert str(job) in client.truths()
        assert simulator.truth(job).ends_unix == pytest.approx(client.truths()[str(job)]["ends_unix"])
