"""``python -m topaz_status.testing``: the simulator, as ``topaz-status simulate``."""

from __future__ import annotations

import argparse
import sys

from .simulate import add_arguments, run


def main() -> int:
    """Read the command line and serve; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m topaz_status.testing", description="Simulate the three services.")
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
