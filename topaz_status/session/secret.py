"""A key, kept where nothing shows it: no ``repr``, no log, no pickle, no debugger that prints a frame's variables."""

from __future__ import annotations

from typing import Any, NoReturn


class Secret:
    """Holds what only :meth:`reveal` gives out; functions pass it on like this, and reveal it where it is sent.

    No attrs class: ``attrs.asdict`` of whatever holds it would open it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """The value itself: to be used at once, and bound to no name."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is not pickled: make the client where it is used")


def secret(value: Any) -> Secret | None:
    """Hide a value; ``None`` is nothing to hide."""
    return None if value is None else Secret(value)
