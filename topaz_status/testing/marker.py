"""The pytest marker of tests in virtual time; by itself, so that a run that has none loads no asyncio for its name."""

from __future__ import annotations

from typing import Final

MARKER: Final = "virtual_time"
