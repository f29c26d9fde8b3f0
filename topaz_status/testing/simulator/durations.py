"""Seeded distributions of durations in seconds."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self, TypeAlias

import attrs

_LAWS: Final = frozenset({"constant", "exponential", "lognormal"})


def _not_negative(_instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{attribute.name} must be 0 or more seconds, not {value!r}")


@attrs.frozen
class Durations:
    """A distribution of durations in seconds; the caller brings the random generator. Its class methods make one.

    Args:
        law: ``"constant"``, ``"exponential"``, ``"lognormal"`` or ``"explicit"``.
        middle: the constant, the exponential's mean, or the lognormal's median.
        sigma: the standard deviation of the lognormal's logarithm.
        values: the explicit durations, used in turn and then again from the first.
        low: the least duration drawn.
        high: the greatest duration drawn.
    """

    law: str
    middle: float = attrs.field(default=0.0, validator=_not_negative)
    sigma: float = attrs.field(default=0.0, validator=_not_negative)
    values: tuple[float, ...] = attrs.field(default=(), validator=attrs.validators.deep_iterable(_not_negative))
    low: float = attrs.field(default=0.0, validator=_not_negative)
    high: float = attrs.field(default=math.inf, validator=_not_negative)

    @classmethod
    def constant(cls, seconds: float) -> Self:
        """Make a law that always draws ``seconds``."""
        return cls("constant", seconds)

    @classmethod
    def exponential(cls, mean: float, *, low: float = 0.0, high: float = math.inf) -> Self:
        """Make a memoryless law with this mean."""
        return cls("exponential", mean, low=low, high=high)

    @classmethod
    def lognormal(cls, median: float, sigma: float = 0.6, *, low: float = 0.0, high: float = math.inf) -> Self:
        """Make a skewed law, like that of processing times: half of the draws are below ``median``."""
        return cls("lognormal", median, sigma, low=low, high=high)

    @classmethod
    def explicit(cls, values: Sequence[float]) -> Self:
        """Make a law that draws these durations one after the other."""
        if not values:
            raise ValueError("explicit durations need at least one value")
        return cls("explicit", values=tuple(values))

    @classmethod
    def of(cls, value: DurationLike) -> Durations:
        """Read a number of seconds, a list of them, or a mapping such as ``{"lognormal": [30, 0.6]}``.

        Raises:
            ValueError: the law is unknown, or a figure is negative or missing.
        """
        if isinstance(value, Durations):
            return value
        if isinstance(value, int | float):
            return cls.constant(value)
        if isinstance(value, Mapping):
            return cls._from_mapping(value)
        return cls.explicit(value)

    @classmethod
    def _from_mapping(cls, value: Mapping[str, Any]) -> Self:
        figures = dict(value)
        bounds: dict[str, Any] = {name: float(figures.pop(name)) for name in ("low", "high") if name in figures}
        if len(figures) != 1 or not figures.keys() <= _LAWS:
            raise ValueError(f"unknown law of durations {value!r}: expected one of {', '.join(sorted(_LAWS))}")
        ((law, numbers),) = figures.items()
        made: Self = getattr(cls, law)(*(numbers if isinstance(numbers, list | tuple) else [numbers]))
        return attrs.evolve(made, **bounds)

    def draw(self, dice: random.Random, index: int = 0) -> float:
        """Draw one duration in seconds; ``index`` chooses among explicit ones."""
        return min(max(self._raw(dice, index), self.low), self.high)

    def _raw(self, dice: random.Random, index: int) -> float:
        if self.law == "exponential":
            return dice.expovariate(1.0) * self.middle
        if self.law == "lognormal":
            return self.middle * math.exp(dice.gauss(0.0, self.sigma))
        if self.law == "explicit":
            return self.values[index % len(self.values)]
        return self.middle


DurationLike: TypeAlias = Durations | float | Sequence[float] | Mapping[str, Any]
"""A law, a number of seconds, a list of seconds used in turn, or the JSON form of a law."""
