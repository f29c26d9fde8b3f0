"""The public names, their fields and their signatures are those of ``tests/data/public_surface.txt``.

What changes there changes for users. After a change that is meant, write the file anew and review its diff::

    python tests/promises/test_public_surface.py --regenerate
"""

from __future__ import annotations

import enum
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import attrs

from topaz_status import StatusClient
from topaz_status.session.listener import Listener
from topaz_status.telemetry.metrics import MetricsListener

SURFACE: Final = Path(__file__).parents[1] / "data" / "public_surface.txt"
MODULES: Final = (
    "topaz_status",
    "topaz_status.testing",
    "topaz_status.fastapi",
    "topaz_status.redis",
    "topaz_status.otel",
    "topaz_status.prometheus",
)
OURS: Final = "topaz_status"
SPECIAL: Final = ("__await__", "__aenter__", "__aiter__", "__anext__", "__enter__", "__iter__", "__len__", "__call__")
"""Special methods that are part of how an object is used."""
HEARS: Final = frozenset(vars(MetricsListener)) | frozenset(vars(Listener))
"""What a client calls on its listeners."""
INSIDE: Final = {
    "Completions": {"Completions"},
    "Explanation": {"of_none"},
    "Lag": {"of"},
    "OpenTelemetry": HEARS,
    "PrometheusMetrics": HEARS,
    "VirtualLoop": {"idle"},
    "Watch": {"Watch", "changed", "on_timer", "on_timer_soon", "settle", "start"},
    "WatchStore": {"WatchStore"},
}
"""Members without an underscore that only the library calls, by class; a class's own name stands for calling it."""
INSIDE_EVERYWHERE: Final = frozenset({"wires"})
ENDPOINTS: Final = ("image", "video", "try_on")
"""Attributes of a client whose classes have no public name."""


class Text(str):
    """An annotation or a default that :class:`inspect.Signature` prints without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def annotation(of: Any) -> Text:
    """An annotation as it stands in the source: the same text on every Python."""
    if of is None or of is type(None):
        return Text("None")
    if isinstance(of, typing.ForwardRef):
        return Text(of.__forward_arg__)
    if isinstance(of, type) and not typing.get_args(of):
        return Text(of.__name__)
    return Text(of if isinstance(of, str) else unqualified(repr(of)))


def unqualified(text: str) -> str:
    """Names without the modules they come from: where a class lives is not part of what it is."""
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", text)


def default(of: Any) -> Any:
    """A default's ``repr``; dots for what is made anew for each call and for what prints an address."""
    if of is inspect.Parameter.empty:
        return of
    if inspect.isclass(of):
        return Text(of.__name__)
    if isinstance(of, enum.Enum) and of is not attrs.NOTHING:
        return Text(f"{type(of).__name__}.{of.name}")
    return Text("...") if of is attrs.NOTHING or " at 0x" in repr(of) else Text(repr(of))


def signature(of: Callable[..., Any]) -> str:
    """The parameters and what is returned, on one line."""
    empty = inspect.Signature.empty
    found = inspect.signature(of)
    parameters = [
        each.replace(
            annotation=each.annotation if each.annotation is empty else annotation(each.annotation),
            default=default(each.default),
        )
        for each in found.parameters.values()
        if each.name != "self"
    ]
    returned = found.return_annotation
    return str(
        found.replace(parameters=parameters, return_annotation=returned if returned is empty else annotation(returned))
    )


def own_classes(of: type) -> list[type]:
    """The class and its bases, as far as they are the project's."""
    return [each for each in of.__mro__ if each.__module__.split(".")[0] == OURS]


NAMES: Final = frozenset(name for module in MODULES for name in import_module(module).__all__)


def public(name: str) -> bool:
    return name not in INSIDE_EVERYWHERE and (not name.startswith("_") or name in SPECIAL)


def members(of: type) -> dict[str, tuple[type, Any]]:
    """Public members by name, each with the class that defines it."""
    found: dict[str, tuple[type, Any]] = {}
    for owner in reversed(own_classes(of)):
        found |= {name: (owner, value) for name, value in vars(owner).items() if public(name)}
        for name in filter(public, inspect.get_annotations(owner)):
            found.setdefault(name, (owner, None))
    return found


def member_line(owner: type, name: str, value: Any) -> str:
    """One member: a method with its signature, a property or a field with its type."""
    if isinstance(value, (classmethod, staticmethod)):
        return f"{type(value).__name__} {name}{signature(getattr(owner, name))}"
    if isinstance(value, property):
        assert value.fget is not None
        return f"property {name}: {annotation(inspect.signature(value.fget).return_annotation)}"
    if name in (written := inspect.get_annotations(owner)):
        return f"field {name}: {annotation(written[name])}"
    if inspect.isfunction(value):
        kind = "async def" if inspect.iscoroutinefunction(value) else "def"
        return f"{kind} {name}{signature(value)}"
    return f"{name} = {value!r}"


def lines_of_class(prefix: str, of: type) -> Iterator[str]:
    """The public bases, how it is called, an enumeration's values, and each public member: a line each."""
    inside = INSIDE.get(prefix, ())
    bases = [
        base.__name__
        for base in of.__bases__
        if base is not object and not base.__name__.startswith("_")
        if base.__name__ in NAMES or base not in own_classes(of)
    ]
    yield f"class {prefix}" + (f"({', '.join(bases)})" if bases else "")
    if issubclass(of, enum.Enum):
        yield from (f"{prefix}.{each.name} = {each.value!r}" for each in of)
    elif prefix in NAMES and prefix not in inside and any("__init__" in vars(owner) for owner in own_classes(of)):
        yield f"{prefix}{signature(of)}"
    for name, (owner, value) in sorted(members(of).items()):
        if name not in inside and name not in getattr(of, "__members__", ()):
            yield f"{prefix}: {member_line(owner, name, value)}"


def lines_of(prefix: str, of: Any) -> Iterator[str]:
    """All lines about one public object."""
    if inspect.isclass(of):
        yield from lines_of_class(prefix, of)
    elif typing.get_origin(of) is typing.Annotated:
        yield f"{prefix}: Annotated[{annotation(typing.get_args(of)[0])}, ...]"
    elif inspect.isfunction(of):
        yield f"{'async def' if inspect.iscoroutinefunction(of) else 'def'} {prefix}{signature(of)}"
    elif isinstance(of, (str, int, float, tuple)):
        yield f"{prefix} = {of!r}"
    else:
        yield f"{prefix}: {annotation(of)}"


def surface() -> str:
    """The whole of it, as the file has it."""
    lines = []
    for module in MODULES:
        home = import_module(module)
        lines += ["", f"# {module}", f"__all__ = {', '.join(home.__all__)}"]
        for name in home.__all__:
            lines += lines_of(name, getattr(home, name))
    client = StatusClient(topaz_api_key="test", pixelcut_api_key="test")
    lines += ["", "# the endpoints of a client"]
    for name in ENDPOINTS:
        lines += lines_of_class(f"StatusClient.{name}", type(getattr(client, name)))
    return "\n".join(lines[1:]) + "\n"


def test_the_public_names_fields_and_signatures_are_those_written_down() -> None:
    """A change of any of them is a change for users, and is made on purpose."""
    assert surface().splitlines() == SURFACE.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    if sys.argv[1:] != ["--regenerate"]:
        raise SystemExit(__doc__)
    SURFACE.write_text(surface(), encoding="utf-8")
