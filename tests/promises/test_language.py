"""The language of the house: the field's words, one for each idea, in sentences that are understood at first sight."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median

import pytest

import topaz_status

ROOT = Path(topaz_status.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*") if path.suffix in {".py", ".md"})
PROJECT = ROOT.parent
SPOKEN = [
    path.relative_to(PROJECT).as_posix()
    for path in [
        PROJECT / "README.md",
        *FILES,
        *sorted(path for folder in ("tests", "benchmarks") for path in (PROJECT / folder).rglob("*.[pm][yd]")),
    ]
    if path != Path(__file__)
]
"""All files in which the project speaks, but this one, which must name the words."""
OURS_NO_LONGER = re.compile(
    r"(?<![^\W_])([Ww]hoever|[Ww]homever|[Bb]e it|(?<!there )is none|(?<!there )are none|of those whose|[Gg]limpses?"
    r"|[Ss]ight(?:s|ings?)?|[Aa]stray|[Ss]trays?|[Dd]rifting|[Rr]oster|[Rr]ungs?|[Ll]adder|[Cc]limbs?"
    r"|[Ll]ook(?:s|ed|ing)?|LOOKS?|[Ww]alk(?:s|ed|ing)?|[Mm]ailbox|[Ll]obby|[Tt]old|TOLD|[Tt]ell(?:s|ing)?|[Nn]ews|[Kk]eepers?)"
    r"(?![^\W_])"
)
"""Words of an older dialect, for which the field has others, and turns of phrase that ask to be read twice.

They are found in names, too, where an underscore parts them.
"""
PUBLIC = (
    r"\.looks\b|\blooks: |\blooks=|\"looks\"",  # ``Truth.looks`` of the simulator, and its key in JSON
    r"\blooked_ago\b",  # ``Explanation.looked_ago``
    r"\bdef news\b|\.news\b",  # ``View.news``
    r"\bnews_lag\b",  # ``Shared.news_lag``
    r"\bast\.walk\b",  # the standard library's
    r"look-alike",  # it is no poll
)
"""Names that are public and stay, and words that mean something else."""
OLD_NAMES = frozenset({"kept"})
"""Words of the older dialect that are plain English in a sentence, but name nothing."""
SAME_IDEA = {
    "watch": "the command that starts watches, and the handle that it waits for",
    "webhook": "the example of an app that receives webhooks, and the reader of their bodies",
    "download": "the command that downloads results, and the folder with all about downloads",
    "sharing": "processes that share an account: rules, the session's part, buses in memory, and the commands",
    "telemetry": "what a client counts and logs, and the metrics that are made of it",
    "durable": "durable watches: what callers use, and the session's part of them",
}
"""Names of modules and folders that are met twice, each with the one idea that it stands for on two floors."""
MOST_WORDS = 25
"""Words of a sentence that is understood at first sight."""
MOSTLY = 0.9


def lines(name: str) -> list[str]:
    """The lines of a file, without what is public."""
    return [re.sub("|".join(PUBLIC), "", line) for line in (PROJECT / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", SPOKEN)
def test_no_file_speaks_the_older_dialect(name: str) -> None:
    """A newcomer who knows asyncio and HTTP knows every word, in names, comments and sentences."""
    assert not [line for line in lines(name) if OURS_NO_LONGER.search(line)]


def test_nothing_has_an_old_name() -> None:
    """A name says what a thing is: stored, reserved, or still open."""
    modules = {name: (PROJECT / name).read_bytes() for name in SPOKEN if name.endswith(".py")}
    for name, text in modules.items():
        if any(word.encode() in text.lower() for word in OLD_NAMES):  # reading every module takes seconds
            names = {
                token.string for token in tokenize.tokenize(io.BytesIO(text).readline) if token.type == tokenize.NAME
            }
            assert not {one for one in names if OLD_NAMES & set(one.lower().split("_"))}, name


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


def test_no_module_name_stands_for_two_things() -> None:
    """A name is met again only where the idea is the same: in a folder's main module, or as the list says."""
    files = [path.relative_to(ROOT) for path in FILES if path.suffix == ".py"]
    homes = {file.with_suffix("") for file in files if not file.stem.startswith("__")} | {file.parent for file in files}
    names = Counter(home.name for home in homes if home.name != home.parent.name)
    assert {name for name, times in names.items() if times > 1} == set(SAME_IDEA)


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
