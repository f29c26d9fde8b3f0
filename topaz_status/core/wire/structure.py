"""Objects: one :class:`Structurer` for each model reads a body the fast way, or mends the body first if that fails.

The fast way is code that cattrs generates: it takes the service's names and strict values, and records no paths. Other
bodies are mended and then read the same way. Mending makes near values exact, and moves unreadable values and unknown
fields to ``extra``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from ...models.fields import ServiceObject, Unit, Wire
from .coerce import LENIENT, STRICT, MisshapenError, UnreadableError, described

F = TypeVar("F", bound=ServiceObject)

_CONVERTER: Final = cattrs.Converter(detailed_validation=False)
_SEVERAL: Final = frozenset({Unit.URLS, Unit.NUMBERS, Unit.OBJECTS, Unit.MOMENTS})


def _own(name: str) -> str:
    """Return the key of a field that does not come from the body; no known field has such a name."""
    return f"<{name.removeprefix('_')}>"


@attrs.frozen
class Field:
    """How one field of a body is read."""

    unit: Unit
    strict: Callable[..., Any]
    required: bool

    def takes(self, raw: object) -> bool:
        """Return True if ``raw`` has the documented form."""
        try:
            self.strict(raw)
        except UnreadableError:
            return False
        return True

    def mended(self, raw: object) -> tuple[object, bool]:
        """Return ``raw`` in the form that :attr:`strict` takes, and False if its value had to be changed.

        Raises:
            UnreadableError: ``raw`` is not near the documented form.
        """
        near = LENIENT.get(self.unit)
        value: Any = raw if near is None else near(raw)
        exact = min(max(value, 0), 100) if self.unit is Unit.PERCENT else value
        self.strict(exact)
        return exact, exact is value


@attrs.frozen
class Structurer(Generic[F]):
    """Reads bodies into objects of one class."""

    cls: type[F]
    fields: Mapping[str, Field]
    build: Callable[[Mapping[str, Any], type[F]], F]

    def read(self, body: object, **own: object) -> F:
        """Read a body; ``own`` are fields that the body does not hold.

        Raises:
            MisshapenError: required fields are unusable (``.problems``: the service's names and what is wrong).
            UnreadableError: the body is no JSON object.
        """
        if type(body) is not dict:
            raise UnreadableError
        try:
            return self.build(self._sorted(body, own), self.cls)
        except (UnreadableError, KeyError):
            return self.build(self._mended(body, own), self.cls)

    def _sorted(self, body: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        """Move unknown fields to ``extra``, and leave the others as they are."""
        if body.keys() <= self.fields.keys():
            return body | _keyed(own) if own else body
        known = {key: raw for key, raw in body.items() if key in self.fields}
        extra = {key: raw for key, raw in body.items() if key not in self.fields}
        return known | _keyed({**own, "extra": extra})

    def _mended(self, body: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        clean: dict[str, Any] = {}
        as_sent: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for key, raw in body.items():
            field = self.fields.get(key)
            if field is None:
                extra[key] = raw
            elif raw is None or (field.unit in _SEVERAL and raw in ([], {})):
                as_sent[key] = raw
            else:
                _mend(key, field, raw, (clean, as_sent, extra))
        problems = [
            (key, described(body[key]) if key in body else "is missing")
            for key, field in self.fields.items()
            if field.required and key not in clean
        ]
        if problems:
            raise MisshapenError(problems)
        own = {**own, "extra": extra, "as_sent": as_sent | own.get("as_sent", {})}
        return clean | _keyed(own)


def _mend(key: str, field: Field, raw: object, into: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]) -> None:
    clean, as_sent, extra = into
    if field.takes(raw):
        clean[key] = raw
        return
    try:
        clean[key], faithful = field.mended(raw)
    except UnreadableError:
        extra[key] = raw
    else:
        (as_sent if faithful else extra)[key] = raw


def _keyed(own: Mapping[str, object]) -> dict[str, object]:
    return {_own(name): value for name, value in own.items()}


def shape_of(cls: type[F]) -> Structurer[F]:
    """Make the reader of a class, and of the classes it holds, from the metadata of its fields."""
    fields = {key: Field(wire.unit, _strict(wire), wire.required) for _, key, wire in cls.wires}
    sent = {name: override(rename=key, struct_hook=fields[key].strict) for name, key, _ in cls.wires}
    others = {field.name for field in attrs.fields(cls)} - sent.keys()
    own = {name: override(rename=_own(name), struct_hook=_as_is) for name in others}
    hooks: dict[str, Any] = {**sent, **own}
    build = make_dict_structure_fn(cls, _CONVERTER, _cattrs_detailed_validation=False, **hooks)
    return Structurer(cls, fields, build)


def _as_is(raw: Any, _type: object) -> Any:
    return raw


def _strict(wire: Wire) -> Callable[..., Any]:
    if wire.of is None:
        return STRICT[wire.unit]
    inner = shape_of(wire.of)
    return functools.partial(_objects if wire.unit is Unit.OBJECTS else _object, inner)


def _object(inner: Structurer[Any], raw: object, _type: object = None) -> ServiceObject:
    found: ServiceObject = inner.read(raw)
    return found


def _objects(inner: Structurer[Any], raw: object, _type: object = None) -> tuple[ServiceObject, ...]:
    if type(raw) is list and raw:
        return tuple(map(inner.read, raw))
    raise UnreadableError
