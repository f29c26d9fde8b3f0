"""Failures counted by their reason: of thousands, a person wants to see the few causes."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import attrs

from ..models.redact import shown

MOST_REASONS: Final = 200
"""Reasons that are counted apart; later ones are counted together."""
OTHER_REASONS: Final = "other reasons"
_PARTICULAR: Final = re.compile(r"\b(?=[\w-]*\d)[\w-]{6,}\b|\d+(?:\.\d+)?")
"""What differs from job to job in texts that mean the same: ids and numbers."""


@attrs.frozen
class Failure:
    """Failures that have one reason."""

    text: str
    """The reason; where the texts differ, ids and numbers in it are replaced by an ellipsis."""
    count: int


@attrs.define(eq=False)
class FailureCounts:
    """Counts failures by reason, in bounded memory."""

    _counts: Counter[str] = attrs.field(factory=Counter, init=False)
    _texts: dict[str, str] = attrs.field(factory=dict, init=False)

    def add(self, text: str) -> None:
        """Count one failure; its text may be a service's own."""
        text = shown(text)
        reason = _PARTICULAR.sub("…", text)
        if reason not in self._counts and len(self._counts) >= MOST_REASONS:
            reason = text = OTHER_REASONS
        self._counts[reason] += 1
        if self._texts.setdefault(reason, text) != text:
            self._texts[reason] = reason

    def top(self, most: int) -> list[Failure]:
        """Return the most frequent reasons, at most ``most``."""
        return [Failure(self._texts[reason], count) for reason, count in self._counts.most_common(most)]
