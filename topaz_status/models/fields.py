"""The base of all models: the names and units of fields on the wire, and what ``repr`` may show.

Each field of a model has a :class:`Wire` in its metadata. The decoder uses it to read a body, and
:meth:`ServiceObject.to_dict` to write the body back. ``repr`` uses it to hide what could be a signed URL, because such
a URL is as good as a key.

Annotations here are types, not texts: attrs copies them into the ``__init__`` of each model, in other modules,
where tools that read the hints could not resolve a text.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import attrs

from .pydantic_schema import PydanticSchema
from .redact import MOST_READ, MOST_SHOWN, shortened, shown, without_urls

WIRE: Final = "topaz_status.wire"
ABSENT: Final = ...
"""Stands for a field that was not sent, where the values are stored as sent. Unpickled, it is the same object."""


class Unit(enum.Enum):
    """What a field holds on the wire; this decides how the field is read, written and shown."""

    WORD = "a status word: text that is not blank"
    ID = "a job's id"
    TEXT = "text"
    URL = "a URL, perhaps signed"
    URLS = "a list of URLs, perhaps signed"
    FLAG = "true or false"
    INTEGER = "a whole number"
    NUMBER = "a number"
    NUMBERS = "a list of numbers"
    PERCENT = "a number from 0 to 100"
    SECONDS = "Unix time or a span, in seconds"
    MILLISECONDS = "Unix time or a span, in milliseconds; seconds on our side"
    MOMENTS = "an object of Unix times in milliseconds; seconds on our side"
    OBJECT = "an object"
    OBJECTS = "a list of objects"


@attrs.frozen
class Wire:
    """The service's name for a field, and what the service sends in it."""

    unit: Unit
    name: str | None = None
    """The service's name; ``None`` if it is the Python name."""
    of: "type[ServiceObject] | None" = None
    """The class of ``OBJECT`` and ``OBJECTS``."""
    required: bool = False


_EMPTY: Final[Mapping[Unit, object]] = {
    Unit.URLS: (),
    Unit.NUMBERS: (),
    Unit.OBJECTS: (),
    Unit.MOMENTS: attrs.Factory(dict),
}


def sent(unit: Unit, name: str | None = None, *, of: "type[ServiceObject] | None" = None) -> Any:
    """Declare an optional field: if the service does not send it, it is ``None``, or empty if it holds several."""
    return attrs.field(default=_EMPTY.get(unit), metadata={WIRE: Wire(unit, name, of)}, hash=unit is not Unit.MOMENTS)


def holding(cls: "type[ServiceObject]") -> dict[str, Wire]:
    """Make the metadata of an optional field that holds one object."""
    return {WIRE: Wire(Unit.OBJECT, of=cls)}


def required(unit: Unit) -> dict[str, Wire]:
    """Make the metadata of a required field: a body without it cannot be decoded."""
    return {WIRE: Wire(unit, required=True)}


def failure_reason(message: str | None, code: str | None) -> str | None:
    """Join a service's message on a failure and its code, fit for a log: one line, at most 500 characters, no URL."""
    words, code = shown(message or ""), shown(code or "")
    text = f"{words} [{code}]" if words and code else words or code
    return text[:MOST_SHOWN] or None


@attrs.frozen(kw_only=True, repr=False)
class ServiceObject(PydanticSchema):
    """One object as a service sent it."""

    wires: ClassVar[tuple[tuple[str, str, Wire], ...]] = ()
    """The fields that a service sends: the Python name, the service's name, how to read and write the field."""

    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    """Undocumented fields, and the raw value of each field that could not be read, by the service's names. An
    unreadable field is ``None``, or empty if it holds several; a progress outside 0 to 100 is moved into that range."""
    _as_sent: Mapping[str, Any] | None = attrs.field(default=None, eq=False)
    """Raw values of fields that were read from an undocumented form: a null, an empty list, a number in a string. Only
    :meth:`to_dict` uses them."""

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        found = [(field.name, field.metadata.get(WIRE)) for field in attrs.fields(cls)]
        cls.wires = tuple((name, wire.name or name, wire) for name, wire in found if wire is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return the body as it came: the service's names and units, without the fields it did not send."""
        body: dict[str, Any] = {}
        for name, key, wire in self.wires:
            value = getattr(self, name)
            if value is not None and value not in ((), {}):
                body[key] = _WRITERS.get(wire.unit, _as_is)(value)
        body |= self._as_sent or {}
        body |= self.extra
        return {key: value for key, value in body.items() if value is not ABSENT}

    def __repr__(self) -> str:
        parts = [part for field in attrs.fields(type(self)) if (part := _shown(field, getattr(self, field.name)))]
        return f"{type(self).__name__}({', '.join(parts)})"


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value


def _milliseconds(value: float) -> int:
    return round(value * 1000.0)


def _as_is(value: Any) -> Any:
    return value


_WRITERS: Final[Mapping[Unit, Callable[[Any], Any]]] = {
    Unit.NUMBER: _plain,
    Unit.PERCENT: _plain,
    Unit.SECONDS: _plain,
    Unit.MILLISECONDS: _milliseconds,
    Unit.NUMBERS: lambda items: [_plain(item) for item in items],
    Unit.MOMENTS: lambda moments: {state: _milliseconds(at) for state, at in moments.items()},
    Unit.OBJECT: lambda held: held.to_dict(),
    Unit.OBJECTS: lambda items: [item.to_dict() for item in items],
    Unit.URLS: list,
}


def _shown(field: "attrs.Attribute[Any]", value: Any) -> str | None:
    """Return a field as ``repr`` shows it: no URL, and of ``extra`` only the names; ``None`` if it is not set."""
    wire: Wire | None = field.metadata.get(WIRE)
    if field.name == "_as_sent" or value is None or value in ((), {}):
        return None
    if field.name == "extra":
        names = ", ".join(key if isinstance(key, str) and key.isidentifier() else "?" for key in value)
        return f"extra=<{names}>"
    if wire is not None and wire.unit is Unit.URL:
        return f"{field.name}=<url>"
    if wire is not None and wire.unit is Unit.URLS:
        return f"{field.name}=<{len(value)} urls>"
    return (
        f"{field.name}={shortened(without_urls(value[:MOST_READ]))!r}"
        if isinstance(value, str)
        else f"{field.name}={value!r}"
    )
