"""The command line: ``topaz-status`` and ``python -m topaz_status``."""

from __future__ import annotations

from .entry import main

__all__ = ["main"]
