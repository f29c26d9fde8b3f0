"""Objects: one :class:`Structurer` per fact reads a body the fast way, and mends it first where that fails.

The fast way is what cattrs generates: the service's names, strict values, no fuss about paths. A body that drifted
is mended (near values made exact, unreadable ones and unknown fields set aside in ``extra``) and read the same way.
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
    """Name a key for what does not come from the body; no known field is called like this."""
    return f"<{name.removeprefix('_')}>"


@attrs.frozen
class Field:
    """How one field of a body is read."""

    unit: Unit
    strict: Callable[..., Any]
    required: bool

    def takes(self, raw: object) -> bool:
        """Tell whether ``raw`` is what the documents promise."""
        try:
            self.strict(raw)
        except UnreadableError:
            return False
        return True

    def mended(self, raw: object) -> tuple[object, bool]:
        """Give ``raw`` in the form that :attr:`strict` takes, and whether that is still what it says.

        Raises:
            UnreadableError: it is nothing near.
        """
        near = LENIENT.get(self.unit)
        told: Any = raw if near is None else near(raw)
        exact = min(max(told, 0), 100) if self.unit is Unit.PERCENT else told
        self.strict(exact)
        return exact, exact is told


@attrs.frozen
class Structurer(Generic[F]):
    """Reads bodies into facts of one class."""

    cls: type[F]
    fields: Mapping[str, Field]
    build: Callable[[Mapping[str, Any], type[F]], F]

    def read(self, body: object, **own: object) -> F:
        """Read a fact; ``own`` are fields that the body does not hold.

        Raises:
            MisshapenError: required fields are unusable (``.problems``: the service's names and what is wrong).
            UnreadableError: the body is no object.
        """
        if type(body) is not dict:
            raise UnreadableError
        try:
            return self.build(self._sorted(body, own), self.cls)
        except (UnreadableError, KeyError):
            return self.build(self._mended(body, own), self.cls)

    def _sorted(self, body: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        """Set unknown fields aside, and trust the others."""
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
    """Make the shape of a class, and of those it holds, from the metadata of its fields."""
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
    fact: ServiceObject = inner.read(raw)
    return fact


def _objects(inner: Structurer[Any], raw: object, _type: object = None) -> tuple[ServiceObject, ...]:
    if type(raw) is list and raw:
        return tuple(map(inner.read, raw))
    raise UnreadableError
