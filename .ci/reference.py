"""Build the API reference from these sources' docstrings, as web pages: ``python .ci/reference.py FOLDER``.

A warning of pdoc's, about a name or an annotation that it cannot resolve, is an error.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path

import pdoc

MODULES = (
    "topaz_status",
    "topaz_status.endpoints",
    "topaz_status.fastapi",
    "topaz_status.otel",
    "topaz_status.prometheus",
    "topaz_status.redis",
    "topaz_status.testing",
)
"""The packages with public names, and the endpoints, which a client has as attributes."""


def main(folder: str) -> None:
    """Write the pages."""
    sys.path.insert(0, str(Path(__file__).parents[1]))  # these sources, whatever is installed
    warnings.simplefilter("error")
    for module in map(import_module, MODULES):
        for name in getattr(module, "__all__", ()):  # some are imported when first used, and pdoc reads what is there
            setattr(module, name, getattr(module, name))
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "promises"))
    members = import_module("test_public_surface").INSIDE
    inside = {f"{of}.{'__init__' if name == of else name}" for of, names in members.items() for name in names}
    pdoc.render.configure(docformat="google", template_directory=Path(__file__).parent / "pdoc")
    pdoc.render.env.globals["inside"] = inside  # see the template: what only the library calls is left out
    pdoc.pdoc(*MODULES, output_directory=Path(folder))
    print(f"the reference is in {Path(folder) / 'index.html'}")


if __name__ == "__main__":
    main(sys.argv[1])
