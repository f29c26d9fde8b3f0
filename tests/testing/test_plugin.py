"""The pytest plugin serves tests that ask for it, and changes nothing for others."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

CONFIG = """
[pytest]
addopts = --strict-markers
filterwarnings = error
asyncio_default_fixture_loop_scope = function
"""

VIRTUAL = """
import asyncio
import pytest
from topaz_status.testing import VirtualLoop

@pytest.mark.virtual_time
async def test_virtual(topaz_simulator, topaz_simulator_url):
    job = topaz_simulator.add_image(duration=86_400.0)
    async with topaz_simulator.session(headers={"X-API-Key": "k"}) as session:
        await asyncio.sleep(86_400.0)
        async with session.get(f"{topaz_simulator_url}/image/v1/status/{job.id}") as response:
            assert (await response.json())["status"] == "Completed"
    assert isinstance(asyncio.get_running_loop(), VirtualLoop)

@pytest.mark.virtual_time
@pytest.mark.parametrize("number", [1, 2])
async def test_parametrized(number):
    await asyncio.sleep(3600.0 * number)
    assert asyncio.get_running_loop().time() == 3600.0 * number
"""

ORDINARY = """
import asyncio
import pytest

def test_plain():
    pass

@pytest.mark.asyncio
async def test_marked():
    assert type(asyncio.get_running_loop()).__module__.startswith("asyncio")

async def test_with_a_key(topaz_simulator_url):
    import aiohttp
    async with aiohttp.ClientSession(topaz_simulator_url) as session:
        async with session.get("/video/status") as response:
            assert response.status == 200
"""

SYNCHRONOUS = """
import http.client

def test_threaded(topaz_simulator, topaz_simulator_url):
    job = topaz_simulator.add_try_on(duration=0.0)
    connection = http.client.HTTPConnection(topaz_simulator_url.removeprefix("http://"))
    connection.request("GET", f"/v1/try-on/job/{job.id}", headers={"X-API-Key": "k"})
    assert b'"completed"' in connection.getresponse().read()
    connection.close()
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_virtual_time_with_pytest_asyncio(pytester: pytest.Pytester, mode: str) -> None:
    """Marked tests run once each, in virtual time; others on their usual loop; in either mode of pytest-asyncio."""
    pytester.makeini(CONFIG)
    pytester.makepyfile(test_virtual=VIRTUAL, test_ordinary=ORDINARY if mode == "auto" else "def test_plain(): pass")
    result = pytester.runpytest_subprocess(f"--asyncio-mode={mode}", "-v")
    result.assert_outcomes(passed=6 if mode == "auto" else 4)
    result.stdout.fnmatch_lines(["*test_virtual.py::test_virtual PASSED*", "*::test_parametrized?1? PASSED*"])


def test_without_pytest_asyncio(pytester: pytest.Pytester) -> None:
    """With pytest-asyncio switched off, marked tests still run, and the simulator is served by a thread."""
    pytester.makeini(CONFIG.replace("asyncio_default_fixture_loop_scope = function", ""))
    pytester.makepyfile(test_virtual=VIRTUAL, test_threaded=SYNCHRONOUS)
    pytester.runpytest_subprocess("-p", "no:asyncio").assert_outcomes(passed=4)


def test_it_changes_nothing_for_others(pytester: pytest.Pytester) -> None:
    """A suite that does not ask for it has the same test ids and outcomes with the plugin as without."""
    pytester.makeini(CONFIG)
    pytester.makepyfile(
        """
        import sys, asyncio, pytest

        @pytest.mark.asyncio
        @pytest.mark.parametrize("n", [1, 2])
        async def test_async(n):
            assert "Virtual" not in type(asyncio.get_running_loop()).__name__
            assert "topaz_status.testing.simulator.simulator" not in sys.modules
            assert "topaz_status.testing.loop.virtual" not in sys.modules

        @pytest.fixture
        async def resource():
            yield 7

        def test_plain():
            pass
        """
    )
    verdicts = []
    for extra in ((), ("-p", "no:topaz_status")):
        result = pytester.runpytest_subprocess("-v", *extra)
        result.assert_outcomes(passed=3)
        verdicts.append(sorted(line.split(" PASSED")[0] for line in result.outlines if " PASSED" in line))
    assert verdicts[0] == verdicts[1]


def test_a_users_own_loop_factories_stay_in_force(pytester: pytest.Pytester) -> None:
    """A suite with loop factories of its own keeps them for its tests; a marked test runs in virtual time once."""
    pytester.makeini(CONFIG)
    pytester.makeconftest(
        """
        import asyncio, pytest

        def pytest_asyncio_loop_factories(config, item):
            return {"one": asyncio.new_event_loop, "two": asyncio.new_event_loop}
        """
    )
    pytester.makepyfile(VIRTUAL + "\n@pytest.mark.asyncio\nasync def test_twice():\n    pass\n")
    result = pytester.runpytest_subprocess("-v")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["*::test_twice?one? PASSED*", "*::test_twice?two? PASSED*"])


def test_the_marker_is_registered(pytester: pytest.Pytester) -> None:
    """``pytest --markers`` explains it, so that --strict-markers accepts it."""
    result = pytester.runpytest_subprocess("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.virtual_time: run this async test on a virtual-time event loop"])
