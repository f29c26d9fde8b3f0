"""``python -m topaz_status.testing``: run the simulator, like ``topaz-status simulate``."""

from __future__ import annotations

import argparse
import sys

from ..cli.streams import guarded
from .simulate import add_arguments, run


def main() -> int:
    """Read the command line and serve; return the exit code."""
    return guarded(_main)


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m topaz_status.testing", description="Simulate the three services.")
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
