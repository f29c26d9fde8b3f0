"""Whether notices can be relied on: what one said of a job, and whether a look has borne it out.

A notice is never believed; it brings a look. Where that look finds the very change that the notice told of, notices of
this job arrive and are true, so the next one is likely to arrive as well and fewer looks are needed in between. A
notice that tells what was known, or what the look does not find, shows nothing: anybody can send it. A change that a
look finds and no notice told of shows that they cannot be relied on, or no longer.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class WebhookClaim:
    """What a notice said of a job."""

    word: str
    """The service's, for the state of the job."""
    at: float
    """When it came, seconds."""

    def is_borne_out(self, word: str, sent_at: float) -> bool:
        """Tell whether a change that a look found, sent at ``sent_at``, is the one it told of."""
        return word == self.word and sent_at >= self.at
