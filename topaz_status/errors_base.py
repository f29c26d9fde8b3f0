"""The root of the errors, and the error that the models raise themselves; :mod:`.errors` has the whole tree.

For users all errors belong to :mod:`.errors`: tracebacks and pickles name that module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_HOME: Final = "topaz_status.errors"


def _rebuild(cls: type[TopazStatusError], args: tuple[object, ...], facts: Mapping[str, Any]) -> TopazStatusError:
    """Make an error from its pickle."""
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(facts)
    return error


_rebuild.__module__ = _HOME


class TopazStatusError(Exception):
    """The root of all errors: ``except TopazStatusError`` catches everything that this library raises."""

    __module__ = _HOME

    is_transient: bool = False
    """True when the same request may well succeed a little later."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def bare(error: TopazStatusError) -> TopazStatusError:
    """Remove an error's traceback and causes: variables in their frames hold the answer, with its URLs."""
    error.__cause__ = error.__context__ = error.__traceback__ = None
    return error


class ConfigurationError(TopazStatusError, ValueError):
    """The call cannot work with these arguments or settings; the message says what to change."""

    __module__ = _HOME
