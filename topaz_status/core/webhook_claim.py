"""Reliance on webhook notices: what a notice claimed of a job, and whether a poll confirmed it.

A notice is never believed by itself; it only causes a poll. If that poll finds the very change that the notice claimed,
this job's notices arrive and are true. The next notice is then likely to arrive too, so fewer polls are needed in
between.

A notice shows nothing if it claims what was known already, or what the poll does not find: anybody can send one. If a
poll finds a change that no notice announced, this job's notices are no longer relied on.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class WebhookClaim:
    """What a notice claimed of a job."""

    word: str
    """The service's status word for the state of the job."""
    at: float
    """When the notice came, in seconds of the loop's clock."""

    def is_borne_out(self, word: str, sent_at: float) -> bool:
        """Return whether a poll that was sent at ``sent_at`` and found ``word`` confirms the notice."""
        return word == self.word and sent_at >= self.at
