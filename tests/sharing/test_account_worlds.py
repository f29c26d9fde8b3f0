"""Many processes and a shared server in trouble, in hundreds of small worlds: nobody misses an end, and all agree again.

``TOPAZ_ACCOUNT_SEEDS=1000`` plays so many seeds of each world instead of a few.
"""

from __future__ import annotations

import os

import pytest
from account_worlds import WORLDS, play

SEEDS = int(os.environ.get("TOPAZ_ACCOUNT_SEEDS", "5"))


@pytest.mark.parametrize("name", WORLDS)
def test_everybody_hears_every_end(name: str) -> None:
    """Each watch of each living process ends once, as its job did, and in time; in the end one member leads."""
    for seed in range(SEEDS):
        tally = play(name, seed)
        assert tally.holds, f"seed {seed}: {tally.notes}"
