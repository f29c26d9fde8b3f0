"""Everything that can go wrong, in thousands of small worlds in virtual time: what must hold does.

``TOPAZ_FAULT_SEEDS=1000`` plays so many seeds of each world instead of a few.
"""

from __future__ import annotations

import os

import pytest
from faulty_worlds import HEAVY, SINGLE, WORLDS, play
from invariants import Tally

from topaz_status.testing.simulator.faults.rules import FAULTS

SEEDS = int(os.environ.get("TOPAZ_FAULT_SEEDS", "40"))


@pytest.mark.parametrize("name", WORLDS)
def test_every_watch_ends_truly(name: str) -> None:
    """Each watch ends once, as its job did, in time, within the budget; no fault that passes makes it give up."""
    total = Tally()
    for seed in range(max(1, SEEDS // 8) if name in HEAVY else SEEDS):
        tally = play(name, seed)
        assert tally.holds, f"seed {seed}: {tally.notes}"
        total += tally
    met = name in {"404 lag", "clocks apart", "progress backwards"} or total.requests
    assert met, "nothing went wrong: the world is not about what it should be"


def test_no_fault_is_left_out() -> None:
    """Every fault that the simulator knows is played alone and among all."""
    assert {name for name in FAULTS if name != "status"} == {name for name in SINGLE if not name.isdigit()}
