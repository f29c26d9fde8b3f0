"""Where errors live: one module to users, in tracebacks and in pickles, whichever module of ours defines them."""

from __future__ import annotations

import pickle

import pytest

from topaz_status import errors
from topaz_status.errors import ConfigurationError, NotFoundError


@pytest.mark.parametrize("name", errors.__all__)
def test_errors_live_in_one_module(name: str) -> None:
    """``topaz_status.errors`` is where each says that it is defined, and where it is found."""
    assert getattr(errors, name).__module__ == "topaz_status.errors"


def test_pickles_name_that_module() -> None:
    """An error pickled now is read by a version that knows no other module, and the other way round."""
    made = b"ctopaz_status.errors\n_rebuild\np0\n(ctopaz_status.errors\nConfigurationError\np1\n(Vno key\np2\ntp3\n(dp4\ntp5\nRp6\n."
    assert pickle.dumps(ConfigurationError("no key"), 0) == made
    assert isinstance(pickle.loads(made), ConfigurationError)  # noqa: S301  # our own bytes
    assert b"errors_base" not in pickle.dumps(NotFoundError(404, "gone"))
