"""An outcome as a value that is kept and handed on."""

from __future__ import annotations

import pickle

from topaz_status import JobRef, Outcome


def test_an_outcome_is_pickled() -> None:
    """It comes back equal, without its receipt."""
    outcome = Outcome(
        job=JobRef("image", "1"), tag=7, state=None, status=None, error=None, polls=3, waited=1.0, detected_at=2.0
    )
    assert pickle.loads(pickle.dumps(outcome)) == outcome  # noqa: S301  # our own


def test_pickles_of_earlier_versions_name_another_module() -> None:
    """The class is still found under that name."""
    assert pickle.loads(b"ctopaz_status.watch\nOutcome\n.") is Outcome  # noqa: S301  # our own
