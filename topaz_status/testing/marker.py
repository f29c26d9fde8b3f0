"""The name of the pytest marker for virtual time.

It has a module of its own, so that a test run without the marker does not import asyncio.
"""

from __future__ import annotations

from typing import Final

MARKER: Final = "virtual_time"
