"""The language of the house: the field's words, one for each idea, in sentences that are understood at first sight."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from statistics import median

import pytest

import topaz_status

ROOT = Path(topaz_status.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*") if path.suffix in {".py", ".md"})
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]
OURS_NO_LONGER = re.compile(
    r"\b([Ww]hoever|[Ww]homever|[Bb]e it|(?<!there )is none|(?<!there )are none|of those whose|[Gg]limpses?|[Ss]ightings?|[Aa]stray|[Ss]trays?"
    r"|[Dd]rifting|[Rr]oster|[Rr]ungs?|[Ll]adder|[Cc]limbs?|[Ll]ook(?:s|ed|ing)?|[Ww]alk(?:s|ed|ing)?|[Mm]ailbox|[Ll]obby)\b"
)
"""Words of an older dialect, for which the field has others, and turns of phrase that ask to be read twice."""
PUBLIC = re.compile(r"\.looks\b|\blooks: |\blooks=|look-alike")
"""``Truth.looks`` of the simulator is public and stays; a look-alike is no poll."""
MOST_WORDS = 25
"""Words of a sentence that is understood at first sight."""
MOSTLY = 0.9


@pytest.mark.parametrize("name", NAMES)
def test_no_file_speaks_the_older_dialect(name: str) -> None:
    """A newcomer who knows asyncio and HTTP knows every word."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if OURS_NO_LONGER.search(PUBLIC.sub("", line))]


def sentences() -> list[str]:
    """The sentences of all docstrings."""
    found = []
    for path in FILES:
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    text = " ".join((ast.get_docstring(node) or "").split())
                    found += [one for one in re.split(r"(?<=[.;:])\s+", text) if one]
    return found


def test_most_sentences_are_short() -> None:
    """Nine in ten have 25 words at most, and half of them far fewer."""
    lengths = [len(sentence.split()) for sentence in sentences()]
    assert sum(length <= MOST_WORDS for length in lengths) >= MOSTLY * len(lengths)
    assert median(lengths) <= MOST_WORDS / 2


def test_no_class_name_stands_for_two_things() -> None:
    """Nor does a public constant: a name that is met again means the same."""
    homes: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        if path.suffix == ".py":
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                target = node.target if isinstance(node, ast.AnnAssign) else None
                if isinstance(node, ast.ClassDef):
                    homes[node.name].add(path.name)
                elif isinstance(target, ast.Name) and target.id.isupper() and target.id[0] != "_":
                    homes[target.id].add(path.relative_to(ROOT).as_posix())
    assert not {name: files for name, files in homes.items() if len(files) > 1}
