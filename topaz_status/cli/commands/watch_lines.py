"""The picture of ``watch`` as lines of text for rich. It fits any terminal: what matters most stays in the smallest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import attrs
from rich.console import Group
from rich.text import Text

from ...models.job import JobKind
from ..formatting import clock, percent, plural
from ..progress_display import END_STYLES, by_state, limited, state_words
from .watch_figures import Bar, WatchFigures, lag_text

_LABEL: Final = 11
_GAP: Final = 2
_STYLES: Final = END_STYLES | {"unknown": "magenta"}
_SHORT_BAR: Final = 12
_LONG_BAR: Final = 24
_WIDE: Final = 96
"""Columns from which on a job's row has the service's own word, and a long bar."""
_NARROW: Final = 60
"""Columns below which a job's row has neither a label nor a bar."""
_MOST_NOTES: Final = 3
_ECHO: Final = 3
"""Columns that the last line leaves free: the terminal writes ``^C`` there, and a new row would spoil the picture."""


@attrs.frozen
class Block:
    """Some lines of the picture, of which the first ``least`` are shown together or not at all."""

    lines: Sequence[Text]
    least: int = 1


def lines_of(picture: WatchFigures, width: int, height: int) -> Group:
    """Return at most ``height`` lines, none of them wider than ``width`` columns."""
    if picture.has_figures:
        lines = _with_figures(picture, width, height)
    else:
        lines = [*(_job(one, width) for one in picture.bars), *_notes(picture)]
        lines = [*lines[: height - 1], Text(picture.line(), style="dim")]
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
    lines[-1].truncate(max(1, width - _ECHO), overflow="ellipsis")
    return Group(*lines)


def _with_figures(picture: WatchFigures, width: int, height: int) -> list[Text]:
    """Return the lines for many jobs, in the order in which they are shown."""
    rows = list(_table(picture, width))
    table, counts = Block(rows, len(rows)), Block([_counts(picture)])
    ends, requests, lag = Block([_ends(picture)]), Block([_requests(picture, width)]), Block([_lag(picture)])
    notes, account = Block(list(_notes(picture))), Block(list(_account(picture)))
    failures, bars = Block(list(_failures(picture))), Block(list(_next(picture, width)))
    last = Block([_summary(picture, width - _ECHO)])
    room = _Room(height)
    if not (room.take(last, notes, requests) and room.take(table)):
        room.take(counts)
    room.take(ends, failures, lag, bars, account)
    room.fill(notes, failures, bars)
    shown = (table, counts, ends, requests, lag, account, failures, bars, notes, last)
    return [line for block in shown for line in room.lines(block)]


@attrs.define
class _Room:
    """The lines that are left, and how many of them each block has."""

    left: int
    _granted: dict[int, int] = attrs.field(factory=dict, init=False)

    def take(self, *blocks: Block) -> bool:
        """Give each block its least number of lines, if there is room; return whether all blocks have it."""
        fits = True
        for block in blocks:
            least = min(block.least, len(block.lines))
            if least <= self.left:
                self._granted[id(block)] = least
                self.left -= least
            else:
                fits = False
        return fits

    def fill(self, *blocks: Block) -> None:
        """Give the lines that are left to the blocks, one each in turn."""
        open_blocks = [block for block in blocks if id(block) in self._granted]
        while self.left > 0 and open_blocks:
            open_blocks = [block for block in open_blocks if len(block.lines) > self._granted[id(block)]]
            for block in open_blocks[: self.left]:
                self._granted[id(block)] += 1
            self.left -= min(self.left, len(open_blocks))

    def lines(self, block: Block) -> Sequence[Text]:
        return block.lines[: self._granted.get(id(block), 0)]


# -- the blocks -------------------------------------------------------------------------------------------------------


def _labeled(label: str, text: Text | str, *, style: str = "dim") -> Text:
    return Text.assemble((f"{label:<{_LABEL}}", style), text)


def bar(share: float, width: int, style: str) -> Text:
    """Return a bar of ``width`` columns, of which ``share``, from 0 to 1, is filled: clear without colors, too."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return Text.assemble(("━" * full, style), ("─" * (width - full), "dim"))


def _table(picture: WatchFigures, width: int) -> Iterator[Text]:
    """Yield the counts: a row for each state, a column for each kind, and bars of the sums where there is room."""
    counts, sums = picture.states, by_state(picture.states)
    kinds = [kind for kind in JobKind if any(count for (of, _), count in counts.items() if of is kind)]
    words = [word for word in state_words() if sums[word]]
    cells = {word: [*(f"{counts.get((kind, word), 0):,}" for kind in kinds), f"{sums[word]:,}"] for word in words}
    columns = [*(kind.value for kind in kinds), "all"]
    chosen = range(len(columns)) if len(kinds) > 1 else range(len(kinds))
    widths = [max(len(columns[at]), *(len(row[at]) for row in cells.values())) for at in chosen]
    if _LABEL + sum(widths) + _GAP * (len(widths) - 1) > width:
        chosen, widths = range(len(columns) - 1, len(columns)), widths[-1:]
    room = width - _LABEL - sum(widths) - _GAP * len(widths)
    bars = min(room, 2 * _LONG_BAR) if room >= _SHORT_BAR else 0
    yield _labeled("", Text(_row(columns, chosen, widths), "dim"))
    for word in words:
        style = _STYLES.get(word, "")
        numbers = Text(_row(cells[word], chosen, widths), style)
        yield _labeled(
            word,
            Text.assemble(numbers, " " * _GAP if bars else "", bar(sums[word] / picture.total, bars, style)),
            style=style,
        )


def _row(cells: Sequence[str], chosen: Sequence[int], widths: Sequence[int]) -> str:
    return (" " * _GAP).join(f"{cells[at]:>{width}}" for at, width in zip(chosen, widths, strict=True))


def _counts(picture: WatchFigures) -> Text:
    """Return the counts in one line, for a terminal without room for the table."""
    sums = by_state(picture.states)
    return Text(" · ".join(f"{sums[word]:,} {word}" for word in state_words() if sums[word]))


def _ends(picture: WatchFigures) -> Text:
    forecast = picture.forecast
    parts = [f"{forecast.per_second:.1f}/s"]
    if forecast.half is not None and forecast.most is not None:
        parts.append(f"half in {clock(forecast.half)}, 95 % in {clock(forecast.most)}")
    if forecast.due:
        parts.append(f"{forecast.due:,} any moment")
    if forecast.predicted < forecast.open:
        parts.append(f"{forecast.open - forecast.predicted:,} not predicted")
    return _labeled("ends", " · ".join(parts))


def _requests(picture: WatchFigures, width: int) -> Text:
    """Return the use of the budget: the pace of requests, and the rate that is allowed."""
    stats = picture.stats
    limit, limits = picture.limit, limited(stats)
    text = Text(f"{picture.pace:.1f} of {limit:g}/s  ")
    if width >= _NARROW:
        text.append_text(bar(picture.pace / limit if limit else 0.0, _SHORT_BAR, "cyan")).append("  ")
    text.append(f"{limits:,} answered 429", style="red" if limits else "")
    text.append(f" · {stats.in_flight} in flight · {stats.total_requests:,} sent")
    return _labeled("requests", text)


def _lag(picture: WatchFigures) -> Text:
    expected = picture.stats.expected_lag
    text = lag_text(picture.stats).removeprefix("lag ")
    return _labeled("lag", text if expected is None else f"{text} · {expected:.1f} s expected")


def _account(picture: WatchFigures) -> Iterator[Text]:
    if (shared := picture.stats.shared) is not None:
        leads = "this process polls for all" if shared.role == "leader" else "another process polls"
        text = "alone" if shared.role == "alone" else f"{shared.role}: {leads}"
        yield _labeled("account", f"{text} · {plural(shared.members, 'member')}")


def _notes(picture: WatchFigures) -> Iterator[Text]:
    for note in picture.notes[:_MOST_NOTES]:
        yield Text(note, style="yellow")


def _failures(picture: WatchFigures) -> Iterator[Text]:
    for place, failure in enumerate(picture.failures):
        yield _labeled("" if place else "failures", Text(f"{failure.count:,} × {failure.text}", "red"))


def _next(picture: WatchFigures, width: int) -> Iterator[Text]:
    for place, one in enumerate(picture.bars):
        row = _job(one, width)
        yield _labeled("" if place else "next", row) if width >= _NARROW else row


def _job(one: Bar, width: int) -> Text:
    """Return a job's row: when it ends, how far it is, and its name, in the columns that the terminal has."""
    text = Text(f"{_eta(one.left):>10}  {percent(one.progress):>5}  ")
    if width >= _NARROW:
        size = _LONG_BAR if width >= _WIDE else _SHORT_BAR
        known = Text(" " * size) if one.progress is None else bar(one.progress / 100.0, size, "cyan")
        text.append_text(known).append("  ")
    text.append(one.job)
    if width >= _WIDE and one.word:
        text.append(f"  {one.word}", style="dim")
    return text


def _eta(left: float | None) -> str:
    if left is None:
        return ""
    return f"ETA {clock(left)}" if left >= 1 else "any moment"


def _summary(picture: WatchFigures, width: int) -> Text:
    """Return the last line: how much is done, and when the rest should be."""
    share = picture.ended / picture.total if picture.total else 0.0
    more, left = "+" if picture.reading else "", picture.forecast.left
    head = f"{clock(picture.elapsed)}  {picture.ended:,} of {picture.total:,}{more} ended  {math.floor(100 * share)} %"
    rest = "" if left is None else f"  about {clock(left)} left"
    room = min(width - len(head) - len(rest) - _GAP, 2 * _LONG_BAR)
    drawn = Text.assemble(" " * _GAP, bar(share, room, "green")) if room >= _SHORT_BAR else ""
    return Text.assemble((head, "bold"), drawn, rest if len(head) + len(rest) <= width else "")
