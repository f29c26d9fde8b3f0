"""Single values: readers for the documented form (strict and fast), and for near forms (lenient)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ...models.fields import Unit
from ...models.job import MAX_ID_LENGTH

Problem = tuple[str, str]
"""The service's name of a field, and what is wrong with it."""
LATEST: Final = 253_402_300_799.0
"""Unix seconds at the end of the year 9999; a larger number is a time in another unit."""
_EXACT: Final = 2**53
"""A float holds every whole number up to this one."""
_LARGEST: Final = 2**63
_NUMERAL: Final = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_FLAGS: Final[Mapping[object, bool]] = {"true": True, "false": False, 1: True, 0: False}


_SHORT: Final = 24


@functools.lru_cache(maxsize=1024)
def _shared(text: str) -> str:
    """Return one copy of a short text for all statuses: thousands of them have the same formats and models."""
    return text


class UnreadableError(Exception):
    """A value is not what its field holds. Internal: the reader of the body handles it."""


class MisshapenError(UnreadableError):
    """A body lacks a field that its class requires."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__(problems)


def _word(raw: Any, _type: object = None) -> str:
    if type(raw) is str and raw.strip():
        return raw if len(raw) > _SHORT else _shared(raw)
    raise UnreadableError


def _id(raw: Any, _type: object = None) -> str:
    if type(raw) is str and 0 < len(raw) <= MAX_ID_LENGTH and raw.isprintable() and " " not in raw:
        if raw in {".", ".."}:
            raise UnreadableError
        return raw
    raise UnreadableError


def _text(raw: Any, _type: object = None) -> str:
    if type(raw) is str:
        return raw if len(raw) > _SHORT else _shared(raw)
    raise UnreadableError


def _urls(raw: Any, _type: object = None) -> tuple[str, ...]:
    if type(raw) is list and raw:
        return tuple(map(_word, raw))
    raise UnreadableError


def _flag(raw: Any, _type: object = None) -> bool:
    if raw is True or raw is False:
        return raw
    raise UnreadableError


def _integer(raw: Any, _type: object = None) -> int:
    if type(raw) is int and -_LARGEST < raw < _LARGEST:
        return raw
    raise UnreadableError


def _number(raw: Any, _type: object = None) -> float:
    if (type(raw) is int or type(raw) is float) and -_EXACT <= raw <= _EXACT:
        return float(raw)
    raise UnreadableError


def _numbers(raw: Any, _type: object = None) -> tuple[float, ...]:
    if type(raw) is list and raw:
        return tuple(map(_number, raw))
    raise UnreadableError


def _percent(raw: Any, _type: object = None) -> float:
    if (type(raw) is int or type(raw) is float) and 0 <= raw <= 100:  # noqa: PLR2004  # per cent
        return float(raw)
    raise UnreadableError


def _seconds(raw: Any, _type: object = None) -> float:
    if (type(raw) is int or type(raw) is float) and -LATEST <= raw <= LATEST:
        return float(raw)
    raise UnreadableError


def _milliseconds(raw: Any, _type: object = None) -> float:
    if type(raw) is int and -_EXACT <= raw <= _EXACT:
        return _seconds(raw / 1000.0)
    raise UnreadableError


def _moments(raw: Any, _type: object = None) -> dict[str, float]:
    if type(raw) is dict and raw:
        return {_text(state): _milliseconds(at) for state, at in raw.items()}
    raise UnreadableError


STRICT: Final[Mapping[Unit, Callable[..., Any]]] = {
    Unit.WORD: _word,
    Unit.ID: _id,
    Unit.TEXT: _text,
    Unit.URL: _word,
    Unit.URLS: _urls,
    Unit.FLAG: _flag,
    Unit.INTEGER: _integer,
    Unit.NUMBER: _number,
    Unit.NUMBERS: _numbers,
    Unit.PERCENT: _percent,
    Unit.SECONDS: _seconds,
    Unit.MILLISECONDS: _milliseconds,
    Unit.MOMENTS: _moments,
}
"""Readers of a value in the documented form; each raises :class:`UnreadableError` for any other."""


def _near_number(raw: Any) -> float:
    """Read a number, or the decimal numeral that a string holds."""
    if type(raw) is str and _NUMERAL.fullmatch(numeral := raw.strip()):
        return float(numeral) if "." in numeral else int(numeral)
    _number(raw)
    return raw  # type: ignore[no-any-return]  # a number, or it has raised


def _near_integer(raw: Any) -> int:
    """Read a whole number in any of its forms; refuse a number with a fraction."""
    number = _near_number(raw)
    if number == int(number):
        return int(number)
    raise UnreadableError


def _near_milliseconds(raw: Any) -> int:
    """Read a number of milliseconds, rounded to a whole one."""
    return round(_near_number(raw))


def _near_flag(raw: Any) -> bool:
    """Read true or false; also as text in any case, or as 1 or 0."""
    if raw is True or raw is False:
        return raw
    if type(raw) is str:
        raw = raw.strip().lower()
    if type(raw) is str or type(raw) is int:
        flag = _FLAGS.get(raw)
        if flag is not None:
            return flag
    raise UnreadableError


def _near_numbers(raw: Any) -> list[float]:
    if type(raw) is list:
        return [_near_number(item) for item in raw]
    raise UnreadableError


def _near_moments(raw: Any) -> dict[str, float]:
    """Read the moments that are not null; a null is a state that the job has not reached."""
    if type(raw) is dict:
        return {state: _near_milliseconds(at) for state, at in raw.items() if at is not None}
    raise UnreadableError


LENIENT: Final[Mapping[Unit, Callable[[Any], Any]]] = {
    Unit.FLAG: _near_flag,
    Unit.INTEGER: _near_integer,
    Unit.NUMBER: _near_number,
    Unit.NUMBERS: _near_numbers,
    Unit.PERCENT: _near_number,
    Unit.SECONDS: _near_number,
    Unit.MILLISECONDS: _near_milliseconds,
    Unit.MOMENTS: _near_moments,
}
"""Converters of a near value into the documented form; each raises :class:`UnreadableError` for any other value.

Units that are missing here have no near forms.
"""


_KINDS: Final[Mapping[type, str]] = {
    type(None): "is null",
    bool: "is true or false",
    int: "is a number",
    float: "is a number",
    list: "is an array",
    dict: "is an object",
}


def described(raw: object) -> str:
    """Describe an unusable value for an error: by its kind, never the value itself."""
    if isinstance(raw, str):
        return "is unusable text" if raw.strip() else "is blank"
    return _KINDS.get(type(raw), "is no JSON value")
