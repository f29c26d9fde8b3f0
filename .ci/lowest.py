"""Print each dependency at the lowest version that pyproject.toml allows: requirements for ``pip install -r``.

    python .ci/lowest.py >lowest.txt && pip install . -r lowest.txt

All that users install is there, with every extra for users, and the tools that run the tests. It needs ``packaging``.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

FOR_CONTRIBUTORS = {"test", "bench", "lint", "audit", "docs", "release"}
"""Extras whose tools check the project; no user installs them."""
ONLY_HIGHER = {"schemathesis", "selenium"}
"""Tools of the tests that want newer versions of what users may have at its lowest: their tests are left out."""


def lowest(text: str) -> Requirement:
    """Return a requirement of its lowest version alone.

    Raises:
        SystemExit: the requirement has no lower bound.
    """
    requirement = Requirement(text)
    bounds = [each.version for each in requirement.specifier if each.operator in {">=", "==", "~="}]
    if not bounds:
        raise SystemExit(f"{text}: no lower bound, so no version of it can be the lowest one tested")
    requirement.specifier = SpecifierSet(f"=={bounds[0]}")
    return requirement


def requirements(project: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    """Yield the requirements of users and those of the tests, as pyproject.toml has them."""
    yield from project["dependencies"]
    extras = project["optional-dependencies"]
    for name, texts in extras.items():
        if name not in FOR_CONTRIBUTORS:
            yield from texts
    yield from (text for text in extras["test"] if Requirement(text).name not in ONLY_HIGHER)


def main() -> None:
    """Print the requirements, each once."""
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    sys.stdout.writelines(f"{each}\n" for each in dict.fromkeys(str(lowest(text)) for text in requirements(project)))


if __name__ == "__main__":
    main()
