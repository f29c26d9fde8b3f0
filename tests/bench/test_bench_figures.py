"""The README's tables are written from the figures."""

from __future__ import annotations

from pathlib import Path

import figures
import pytest
from checks import Row

README = figures.HERE / "README.md"


def row(policy: str, mean: float, used: float | None = None) -> Row:
    trace = "deep" if used is None else "unknown-limit"
    return Row(trace, policy, 10.0, mean, mean, mean, 1.5, 0, 0.015, used)


def test_a_line_per_trace_and_a_column_per_policy() -> None:
    """The library stands out, bounds have no requests, and a policy that was not played is a dash."""
    table = figures.lag_table(
        [row("fixed", 8.0), row("library", 1.25), row("bound-single", 0.5), row("bound-pages", 0.1)]
    )
    [line] = table.splitlines()[2:]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:] == ["10", "8.00 / 1.50", "–", "–", "–", "–", "**1.25 / 1.50**", "–", "0.10"]


def test_a_limit_is_reported_for_the_policies_that_had_to_learn_it() -> None:
    """The share of 429s and the share of the limit used."""
    table = figures.limit_table([row("library", 1.0, used=0.955), row("fixed", 8.0), row("bound-single", 0.5)])
    assert table.splitlines()[2:] == ["| topaz_status | 1.5% | 96% | 1.00 |"]


def test_a_table_takes_the_place_of_an_older_one() -> None:
    """All other text stays, and so does the place for the next table."""
    text = "before\n<!-- lag -->\nold\n<!-- end of lag -->\nafter"
    once = figures.replace(text, "lag", "new")
    assert once == "before\n<!-- lag -->\n\nnew\n\n<!-- end of lag -->\nafter"
    assert figures.replace(once, "lag", "new") == once
    with pytest.raises(ValueError, match="no place for the table 'worlds'"):
        figures.replace(text, "worlds", "new")


def test_the_readme_has_a_place_for_each_table() -> None:
    """Its tables come from figures.py, not from somebody's hand."""
    text = README.read_text(encoding="utf-8")
    for name in ("lag", "limit", "worlds"):
        assert "| new |" in figures.replace(text, name, "| new |")


def test_the_command_writes_table_and_plot(tmp_path: Path) -> None:
    """Of the worlds alone, if asked."""
    pytest.importorskip("matplotlib")
    (tmp_path / "README.md").write_text("<!-- worlds --><!-- end of worlds -->".replace("><", ">\n<"))
    assert figures.main(["--only=worlds", "--seeds=31", "--workers=1", f"--folder={tmp_path}"]) == 0
    assert "1 worlds" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "plots" / "worlds.svg").read_text().startswith("<?xml")
