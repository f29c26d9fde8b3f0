"""The picture of ``watch`` fits any terminal, and shows what matters most in the smallest."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status import JobKind
from topaz_status.cli.commands.watch_figures import MOST_BARS, Bar
from topaz_status.cli.commands.watch_lines import bar
from topaz_status.cli.commands.watch_view import WatchPicture
from topaz_status.cli.failures import Failure
from topaz_status.cli.forecast import Forecast
from topaz_status.cli.progress_display import by_state, state_words
from topaz_status.coordination import Role

from .pictures import FEW, MANY, STATS, printed, shared, widest

COUNTS = st.dictionaries(
    st.tuples(st.sampled_from(list(JobKind)), st.sampled_from(state_words())), st.integers(0, 10**7), max_size=20
)
TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60)
SECONDS = st.floats(-1e5, 1e7)
BARS = st.lists(
    st.builds(Bar, TEXTS, TEXTS, st.none() | st.floats(-10.0, 500.0), st.none() | SECONDS), max_size=MOST_BARS
)
PICTURES = st.builds(
    WatchPicture,
    states=COUNTS,
    bars=BARS,
    forecast=st.builds(
        Forecast.of, st.lists(SECONDS, max_size=5).map(sorted), st.integers(0, 10**6), st.floats(0.0, 1e4)
    ),
    failures=st.lists(st.builds(Failure, TEXTS, st.integers(1, 10**6)), max_size=5),
    stats=st.sampled_from([STATS, attrs.evolve(STATS, lag=None, expected_lag=None)]),
    notes=st.lists(TEXTS, max_size=5),
    pace=st.floats(0.0, 1e4),
    limit=st.floats(0.0, 1e4),
    elapsed=st.floats(0.0, 1e7),
    reading=st.booleans(),
)


@given(PICTURES, st.integers(1, 240), st.integers(1, 80))
def test_a_picture_fits_its_terminal(picture: WatchPicture, width: int, height: int) -> None:
    """It has no more lines than there are, and no line is wider: characters of double width count twice."""
    lines = printed(picture, width, height)
    assert 1 <= len(lines) <= height
    assert widest(lines) <= width
    assert widest(lines[-1:]) <= max(1, width - 3), "what the terminal echoes would begin a new row"


@given(PICTURES.filter(lambda picture: picture.has_figures), st.integers(1, 60))
def test_the_counts_are_there_as_soon_as_there_is_room(picture: WatchPicture, height: int) -> None:
    """The table or one line has every number; the last line says how many have ended."""
    lines = printed(picture, 400, height)
    assert f"{picture.ended:,} of {picture.total:,}" in lines[-1]
    if height >= 9:
        text = "\n".join(lines)
        for word, number in by_state(picture.states).items():
            if number:
                assert word in text
                assert f"{number:,}" in text


def test_many_jobs_on_80_columns() -> None:
    """Counts by kind and state, the ends, the budget, the lag, failures by reason, the next ends, troubles, the whole."""
    assert printed(MANY, 79, 20) == [
        "           image  video  try-on    all",
        "new        1,200      0       0  1,200  ━━━━━━─────────────────────────────────",
        "running      310     20       0    330  ━━─────────────────────────────────────",
        "completed  5,000      0     900  5,900  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━────────",
        "failed         0     30       0     30  ───────────────────────────────────────",
        "ends       12.3/s · half in 0:20, 95 % in 5:40 · 1 any moment · 1,526 not pred…",
        "requests   9.8 of 10/s  ━━━━━━━━━━━━  7 answered 429 · 3 in flight · 12,007 se…",
        "lag        p50 1.2 s, p95 4.0 s, at most · 1.4 s expected",
        "failures   25 × failed: out of memory",
        "           5 × failed: too dark",
        "next       any moment   90 %  ━━━━━━━━━━━─  image:0000000000000000000000000000…",
        "           any moment   89 %  ━━━━━━━━━━━─  image:0000000000000000000000000000…",
        "             ETA 0:02   88 %  ━━━━━━━━━━━─  image:0000000000000000000000000000…",
        "             ETA 0:02   87 %  ━━━━━━━━━━──  image:0000000000000000000000000000…",
        "             ETA 0:04   86 %  ━━━━━━━━━━──  image:0000000000000000000000000000…",
        "             ETA 0:04   85 %  ━━━━━━━━━━──  image:0000000000000000000000000000…",
        "             ETA 0:06   84 %  ━━━━━━━━━━──  image:0000000000000000000000000000…",
        "             ETA 0:06   83 %  ━━━━━━━━━━──  image:0000000000000000000000000000…",
        "the video service has been down for 12.0 s",
        "2:05  5,930 of 7,460 ended  79 %  ━━━━━━━━━━━━━━━━━━━━─────  about 2:04 left",
    ]


def test_many_jobs_on_40_columns() -> None:
    """No bars; each line begins with what matters most."""
    lines = printed(MANY, 39, 20)
    assert lines[0].split() == ["image", "video", "try-on", "all"]
    assert [line.split()[0] for line in lines[1:5]] == ["new", "running", "completed", "failed"]
    assert any(line.startswith("requests   9.8 of 10/s  7 answered 429") for line in lines)
    assert "any moment   90 %  image:0000000000000…" in lines
    assert not any("━" in line for line in lines)
    assert lines[-1] == "2:05  5,930 of 7,460 ended  79 %"


@pytest.mark.parametrize(
    ("height", "begins"),
    [
        (1, ["2:05  "]),
        (2, ["the video service", "2:05  "]),
        (3, ["requests", "the video service", "2:05  "]),
        (4, ["1,200 new · 330 running", "requests", "the video service", "2:05  "]),
        (8, ["     ", "new", "running", "completed", "failed", "requests", "the video service", "2:05  "]),
    ],
)
def test_what_matters_most_stays_in_the_lowest_terminal(height: int, begins: list[str]) -> None:
    """The whole, what is wrong, the budget, the counts; then the rest."""
    lines = printed(MANY, 100, height)
    assert len(lines) == len(begins)
    assert all(line.startswith(begin) for line, begin in zip(lines, begins, strict=True)), lines


@pytest.mark.parametrize(
    ("role", "line"),
    [
        ("leader", "account    leader: this process polls for all · 2 members"),
        ("follower", "account    follower: another process polls · 2 members"),
        ("alone", "account    alone · 2 members"),
    ],
)
def test_a_shared_account_has_a_line(role: Role, line: str) -> None:
    """It says whether this process polls, so that nobody wonders at a budget that is not used."""
    stats = attrs.evolve(STATS, shared=attrs.evolve(shared(), role=role))
    assert line in printed(attrs.evolve(MANY, stats=stats), 80, 20)


def test_few_jobs_have_a_bar_each() -> None:
    """Figures of thousands would say nothing of them."""
    assert printed(FEW, 79, 20) == [
        "any moment   90 %  ━━━━━━━━━━━─  image:00000000000000000000000000000000",
        "any moment   89 %  ━━━━━━━━━━━─  image:00000000000000000000000000000001",
        "2:05  2 jobs: 2 running · 9.8 requests/s",
    ]


@given(st.floats(-1.0, 2.0), st.integers(0, 100))
def test_a_bar_has_its_width_and_is_full_at_the_end_alone(share: float, width: int) -> None:
    """It can be read without colors."""
    text = bar(share, width, "green").plain
    assert len(text) == width
    assert text == "━" * text.count("━") + "─" * text.count("─")
    assert ("─" not in text) is (round(min(max(share, 0.0), 1.0) * width) == width)


def test_no_text_of_a_service_is_markup_or_moves_the_terminal() -> None:
    """A job's id and a reason may have the form of the markup of rich."""
    odd = attrs.evolve(MANY, failures=[Failure("failed: [red]no[/red]", 1)], bars=[Bar("image:[b]x", "[i]", 1.0, 1.0)])
    text = "\n".join(printed(odd, 200, 40))
    assert "1 × failed: [red]no[/red]" in text
    assert "image:[b]x  [i]" in text


def test_colors_are_for_terminals_that_have_them() -> None:
    """Failures are red there; without colors the text is the same."""
    with_colors = printed(MANY, 79, 20, color_system="standard")
    assert "\x1b[31m" in "".join(with_colors)
    assert "\x1b" not in "".join(printed(MANY, 79, 20))


def test_the_summary_stays_when_the_picture_goes() -> None:
    """Ends by state, failures by reason, what it cost, and how late ends were known."""
    assert list(MANY.closing_lines()) == [
        "5,930 jobs ended in 2:05: 5,900 completed · 30 failed",
        "  25 × failed: out of memory",
        "  5 × failed: too dark",
        "  12,007 requests, 7 answered 429; lag p50 1.2 s, p95 4.0 s, at most",
    ]
