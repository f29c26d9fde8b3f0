"""A token is used from its slot on, and only shortly after it, however slow the server's answer was."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.budget.stock import Stock

SECONDS = st.floats(0.0, 2.0)
RESIDUE = 1e-6


@given(
    delays=st.tuples(SECONDS, SECONDS),
    slot=SECONDS,
    lateness=SECONDS,
    least=st.floats(0.001, 2.0),
    wanted_in=st.floats(0.0, 10.0),
)
def test_a_token_is_used_between_its_slot_and_its_lateness(
    delays: tuple[float, float], slot: float, lateness: float, least: float, wanted_in: float
) -> None:
    """Its slot counts from the server's answer, which came at a moment that the member does not know."""
    stock, (there, back) = Stock(lateness, least), delays
    stock.add([slot], sent_at=1000.0, now=1000.0 + there + back)
    wanted_at, slot_at = 1000.0 + there + back + wanted_in, 1000.0 + there + slot
    at = stock.ready_at(wanted_at)
    if at < math.inf:
        assert slot_at - RESIDUE <= at <= slot_at + max(lateness, there + back + least) + RESIDUE
        stock.take(at)
        assert stock.ready_at(wanted_at) == math.inf
    else:
        with pytest.raises(ValueError, match="no token"):
            stock.take(wanted_at)


@given(there=SECONDS, back=SECONDS, slot=SECONDS, lateness=SECONDS, least=st.floats(0.001, 2.0))
def test_however_late_the_answer_a_token_is_good_for_a_while(
    there: float, back: float, slot: float, lateness: float, least: float
) -> None:
    """For ``least`` seconds after its slot, as the member sees it."""
    stock, now = Stock(lateness, least), 1000.0 + there + back
    stock.add([slot], sent_at=1000.0, now=now)
    for at in (now + slot, now + slot + 0.999 * least):
        assert stock.ready_at(at) == pytest.approx(at)
    stock.purge(now + slot + 0.999 * least)
    assert (len(stock), stock.expired) == (1, 0)
    stock.purge(now + slot + max(lateness, there + back + least) + RESIDUE)
    assert (len(stock), stock.expired) == (0, 1)
