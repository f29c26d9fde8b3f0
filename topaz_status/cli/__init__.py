"""The command line: ``topaz-status`` and ``python -m topaz_status``."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
