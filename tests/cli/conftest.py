from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from topaz_status.cli import main
from topaz_status.testing import SimulatorProcess

from .driver import Cli, Result

KEY = "key-of-the-tests"


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorProcess]:
    """Three services in a process of their own."""
    process = SimulatorProcess()
    with process:
        yield process


@pytest.fixture
def environment(simulator: SimulatorProcess) -> Iterator[dict[str, str]]:
    """The environment of a child that is to talk to the simulator, which has no jobs yet."""
    simulator.reset()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TOPAZ_", "PIXELCUT_"))}
    yield inherited | {
        "TOPAZ_API_URL": simulator.url,
        "PIXELCUT_API_URL": simulator.url,
        "TOPAZ_API_KEY": KEY,
        "PIXELCUT_API_KEY": KEY,
        "NO_COLOR": "1",
    }
    assert simulator.stats()["leaked_keys"] == 0


@pytest.fixture
def cli(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command in this process."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def call(*words: object) -> Result:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert KEY not in captured.out + captured.err
        assert "Traceback" not in captured.err
        return Result(code, captured.out, captured.err)

    return call
