"""Pydantic schemas of the models, for JSON and OpenAPI, so that handlers of a web framework can return the models.

The field names are Python's, times are seconds, an error is its text. Properties that are computed from the fields are
included (see :data:`WORKED_OUT`), and so are links to results. ``pydantic_core`` is imported only when pydantic itself
asks for a schema.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs

WORKED_OUT: Final = ("job", "state", "is_terminal", "progress", "result_url", "reason", "total_requests")
"""Properties that the JSON includes if the class has them; they mean the same for every kind of job."""


class PydanticSchema:
    """A frozen attrs class that pydantic can write as JSON, as one named component of an OpenAPI document.

    Pydantic writes it and never reads it: as input, only instances are valid.
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        from pydantic_core import PydanticSerializationUnexpectedValue, core_schema  # noqa: PLC0415  # no dependency

        hints = dict(_shown(cls))
        fields = {name: core_schema.typed_dict_field(handler.generate_schema(hint)) for name, hint in hints.items()}

        def written(model: Any) -> dict[str, Any]:
            if not isinstance(model, cls):  # in a union: pydantic then tries the next class
                raise PydanticSerializationUnexpectedValue(f"expected {cls.__name__}")
            return {name: _plain(getattr(model, name)) for name in hints}

        return core_schema.is_instance_schema(
            cls,
            ref=f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
            serialization=core_schema.plain_serializer_function_ser_schema(
                written, return_schema=core_schema.typed_dict_schema(fields)
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Mapping[str, Any], handler: Callable[[Any], Any]) -> dict[str, Any]:
        shape: dict[str, Any] = handler(schema["serialization"]["return_schema"])
        first, _, _ = (cls.__doc__ or "").partition("\n\n")
        return {**shape, "title": cls.__name__, "description": " ".join(first.split())}


def _shown(cls: type[Any]) -> Iterator[tuple[str, Any]]:
    """Give the names and types that the JSON of a class includes: the fields in its ``repr``, then the properties."""
    hints = typing.get_type_hints(cls)
    fields = [field.name for field in attrs.fields(cls) if field.repr and not field.name.startswith("_")]
    for name in fields:
        yield name, str | None if _holds_error(hints[name]) else hints[name]
    for name in WORKED_OUT:
        if name not in fields and isinstance(found := getattr(cls, name, None), property):
            yield name, typing.get_type_hints(found.fget)["return"]


def _holds_error(hint: Any) -> bool:
    return any(isinstance(one, type) and issubclass(one, Exception) for one in typing.get_args(hint))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Exception) else value
