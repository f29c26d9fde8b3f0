"""A key that nothing shows: no ``repr``, no log, no pickle, no debugger that prints a frame's variables."""

from __future__ import annotations

from typing import Any, NoReturn


class Secret:
    """Holds a value that only :meth:`reveal` returns. Functions pass the secret on, and reveal it where it is sent.

    This is not an attrs class, because ``attrs.asdict`` of an object that holds it would reveal the value.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """Return the value itself; use it at once, and bind it to no name."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is not pickled: make the client where it is used")


def secret(value: Any) -> Secret | None:
    """Hide a value; ``None`` stays ``None``."""
    return None if value is None else Secret(value)
