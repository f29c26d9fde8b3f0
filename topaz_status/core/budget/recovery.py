"""How a rate that was cut grows again: fast at first, slowly near the rate that was refused, then faster again.

The rate is a cubic of the good answers since the cut, as in CUBIC congestion control (RFC 9438). It starts 15 % below
the *plateau*, the rate that was refused. It is flat around the plateau, and far above it grows steeply: the service may
allow more by now. It counts requests and not seconds, so that a slow service gets as few 429s per request as a fast
one.
"""

from __future__ import annotations

from typing import Final, Self

import attrs

DEPTH: Final = 0.15
"""The share of a refused rate by which it is cut."""
SHORTEST_SPAN: Final = 25.0
"""The span is the number of good answers that bring the rate back to its plateau. It begins with this many."""
LONGEST_SPAN: Final = 100.0
"""The span doubles each time the service refuses nearly the same rate, up to this many good answers."""
LONGEST_TIME: Final = 15.0
"""At a high rate the span may be longer: up to the good answers of so many seconds on the plateau."""
NEAR: Final = 2.0
"""Two rates are nearly the same if they differ by less than this factor."""
LOWEST_RATE: Final = 0.05
"""Requests per second below which no rate is cut: a service gets a request at least every 20 s."""
REPEATED_CUT: Final = 0.5
"""The factor for each refusal in a row: the service may refuse everything for the rest of a minute."""
REPEATED_PLATEAU: Final = 0.9
"""The factor by which the plateau falls with each of them."""


@attrs.frozen
class Recovery:
    """One cut and the way back. Rates are requests per second."""

    plateau: float
    """The rate that was refused."""
    span: float = SHORTEST_SPAN
    """Good answers from the cut to the plateau."""
    progress: float = 0.0
    """Spans passed since the cut."""
    in_a_row: int = 0
    """Refusals since the cut without a good answer between them."""

    @property
    def rate(self) -> float:
        """Return the rate that is allowed now."""
        curve = self.plateau * (1.0 + DEPTH * (self.progress - 1.0) ** 3)
        return max(LOWEST_RATE, curve * REPEATED_CUT**self.in_a_row)

    def confirmed(self, spans: float) -> Self:
        """Return the recovery after a good answer, which moves it on by ``spans``."""
        return attrs.evolve(self, progress=self.progress + spans, in_a_row=0)

    def refused_again(self) -> Self:
        """Return the recovery after another refusal, with no good answer since the last one."""
        plateau = max(LOWEST_RATE, REPEATED_PLATEAU * self.plateau)
        return attrs.evolve(self, plateau=plateau, in_a_row=self.in_a_row + 1)

    def cut(self, refused: float) -> Self:
        """Return the recovery from the next cut, at the rate ``refused``."""
        near = self.plateau / NEAR < refused < self.plateau * NEAR
        longest = max(LONGEST_SPAN, LONGEST_TIME * refused)
        return type(self)(refused, min(2.0 * self.span, longest) if near else SHORTEST_SPAN)
