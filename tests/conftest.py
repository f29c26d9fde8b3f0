"""Fixtures and mends that all tests share. Being here, it also makes ``harness`` importable from every folder."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from aioresponses import aioresponses
from databases import PostgresServer, serving
from harness import MendedResponse
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("brief", settings.get_profile("patient"), max_examples=25)
settings.load_profile("patient")  # no test has a limit of time


class _Answers(aioresponses):
    """Gives answers of the mended kind."""

    def add(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("response_class", MendedResponse)
        super().add(*args, **kwargs)


@pytest.fixture
def answers() -> Iterator[aioresponses]:
    """Answers by URL, given to whatever aiohttp session asks."""
    with _Answers() as mocked:
        yield mocked


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; a test that stops it starts it again."""
    with serving() as server:
        yield server


@pytest.fixture(autouse=True, scope="session")
def _children_heed_interrupts() -> None:
    """Shells have what runs in the background ignore Ctrl-C, and children inherit that; those of the tests do not."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _log_stays_as_loud() -> Iterator[None]:
    """A benchmark's main, which silences the log of its process, does not silence it for later tests."""
    log = logging.getLogger("topaz_status")
    level = log.level
    yield
    log.setLevel(level)


@pytest.fixture(autouse=True)
def _no_keys_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests are independent of what the developer's shell holds."""
    proxies = [f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")]
    for name in ("TOPAZ_API_KEY", "PIXELCUT_API_KEY", "TOPAZ_API_URL", "PIXELCUT_API_URL", *proxies):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
