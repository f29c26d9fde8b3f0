"""The live page with thousands of jobs, in a real browser: first paint, updates, elements and memory.

A server on loopback sends the same bytes to each page. Of each page a fresh tab measures:

- first:    ms from opening the page until the rows of all jobs are drawn;
- updates:  ms of the main thread (tasks, as the browser counts them) for one batch of changes of different jobs;
- settled:  ms until the last of these changes is drawn;
- elements: nodes of the document, with text;
- heap:     MiB of JavaScript's heap after a collection.

Figures are medians over the rounds, in which the pages take turns. ``--before FILE`` compares with another page, such
as an earlier one: ``git show REVISION:topaz_status/fastapi/live_page.html >FILE``. Both read one job an event.

``--screens FOLDER`` measures nothing. It writes ``live_page_light.png`` and ``live_page_dark.png``: the page at 1,440,
768 and 375 pixels.

Example::

    python benchmarks/live_page.py --jobs 10000 --updates 1000
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from common import median, progress, run_main, table

sys.path.append(str(Path(__file__).parents[1] / "tests" / "fastapi"))
from browsing import Page, Stage, chromium

MEBIBYTE: Final = 2**20
WIDTHS: Final = {1440: 900, 768: 1024, 375: 812}
"""Widths of screens, and their heights, in CSS pixels."""
BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
DRAWN: Final = "return [...document.querySelectorAll('.tile')].some(tile => tile.innerText.startsWith(arguments[0]))"
FIRST: Final = """
    const done = arguments[arguments.length - 1], want = arguments[0];
    const drawn = () => [...document.querySelectorAll('.tile b')].some(tile => tile.textContent === want);
    const check = () => drawn() ? requestAnimationFrame(() => done(performance.now())) : requestAnimationFrame(check);
    check();
"""


@attrs.frozen
class Cost:
    """What one page took in one round."""

    first: float
    updates: float
    settled: float
    elements: float
    heap: float


def job(number: int, **fields: Any) -> dict[str, Any]:
    """One job's view, as the server sends it; the same number gives the same job."""
    dice = random.Random(number)
    kind = dice.choices(("image", "video", "try-on"), (7, 2, 1))[0]
    name = f"{dice.getrandbits(32):08x}-{dice.getrandbits(16):04x}-4{dice.getrandbits(12):03x}-{number:012x}"
    plain = {"state": "running", "status": "Processing", "progress": dice.randrange(100), "error": None, "ended": False}
    times = {"expected_end": time.time() + 5 + dice.expovariate(1 / 300), "updated_at": time.time()}
    return {"job": f"{kind}:{name}", "kind": kind, "id": name, **plain, **times, **fields}


def events(jobs: list[dict[str, Any]]) -> str:
    """Encode jobs one an event, which pages of all versions read."""
    return "".join(f"event: status\ndata: {json.dumps(each)}\n\n" for each in jobs)


@contextlib.contextmanager
def opened(page: Page, html: str | None) -> Iterator[Stage]:
    """Serve a page, this version's or another, and open it."""
    scene = Stage(html=html)
    scene.start()
    try:
        yield scene
    finally:
        page.window.get("about:blank")
        scene.stop()


def measure(page: Page, html: str | None, jobs: int, updates: int) -> Cost:
    """Open one page, give it jobs, change some, and read what the browser counts."""
    window = page.window
    with opened(page, html) as scene:
        scene.greeting = events([job(number) for number in range(jobs)])
        page.open(scene.url)
        first = float(window.execute_async_script(FIRST, f"{jobs:,}"))
        heap = _heap(page)
        elements = float(window.execute_script("return document.getElementsByTagName('*').length"))
        dice = random.Random(1)
        before, began = _busy(page), time.perf_counter()
        scene.send(events([job(number, state="completed") for number in dice.sample(range(jobs), updates)]))
        window.execute_async_script(FIRST, f"{updates:,}")
        settled = time.perf_counter() - began
        return Cost(first, 1000 * (_busy(page) - before), 1000 * settled, elements, heap)


def _busy(page: Page) -> float:
    """Seconds of the page's tasks so far."""
    return _metric(page, "TaskDuration")


def _heap(page: Page) -> float:
    page.window.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    return _metric(page, "JSHeapUsedSize") / MEBIBYTE


def _metric(page: Page, name: str) -> float:
    found = page.window.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return float(next(metric["value"] for metric in found if metric["name"] == name))


def compare(pages: dict[str, str | None], jobs: int, updates: int, rounds: int) -> str:
    """Measure all pages in turns; return a table."""
    costs: dict[str, list[Cost]] = {name: [] for name in pages}
    with chromium() as window, progress() as say:
        window.set_script_timeout(600)
        window.execute_cdp_cmd("Performance.enable", {})
        for number in range(rounds):
            for name, html in pages.items():
                say(f"round {number + 1} of {rounds}, {name}")
                costs[name].append(measure(Page(window), html, jobs, updates))
    rows = []
    for name, taken in costs.items():
        figures = [median([getattr(cost, field.name) for cost in taken]) for field in attrs.fields(Cost)]
        rows.append([name, *(f"{figure:,.0f}" for figure in figures[:-1]), f"{figures[-1]:.1f}"])
    title = [f"{jobs:,} jobs", "first, ms", f"{updates:,} updates, ms", "settled, ms", "elements", "heap, MiB"]
    return table(title, rows)


# -- screens ----------------------------------------------------------------------------------------------------------


def statistics(requests: int) -> dict[str, Any]:
    """A client with 2,000 jobs, as its statistics come after so many requests."""
    counts = [212, 340, 488, 301, 260, 122, 61, 9, 2, 0, 0, 0]
    return {
        "watches": {"image": 1400, "video": 400, "try-on": 200}, "in_flight": 4, "tokens": 3.2,
        "requests": {"image": {"200": requests}}, "rates": {"image": 10.0, "video": 10.0, "try-on": 5.0},
        "held": {}, "down": {"video": 42.0}, "overdue": 0.0, "expected_lag": 1.3,
        "lag": {"count": sum(counts), "mean": 1.4, "p50": 0.5, "p95": 5.0, "p99": 10.0, "max": 71.0},
        "lag_histogram": {"bounds": list(BOUNDS), "counts": counts},
    }  # fmt: skip


def fleet() -> list[dict[str, Any]]:
    """2,000 jobs in all states."""
    ends = {"state": "completed", "progress": 100, "ended": True, "expected_end": None}
    reasons = "the input is larger than 100 megapixels", "the model ran out of memory"
    jobs = [job(number) for number in range(1200)]
    jobs += [job(number, state="queued", progress=None, expected_end=None) for number in range(1200, 1700)]
    jobs += [job(number, **ends, updated_at=time.time() - number / 9) for number in range(1700, 1996)]
    for number in range(4):
        jobs.append(job(2000 + number, **{**ends, "state": "failed", "error": reasons[number % 2], "progress": 40}))
    return jobs


def take_screens(folder: Path) -> Iterator[Path]:
    """Write a picture for light and one for dark, each with all widths beside each other."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as window:
        page = Page(window)
        for name, dark in (("light", False), ("dark", True)):
            shots = [_shoot(page, width, height, dark=dark) for width, height in WIDTHS.items()]
            path = folder / f"live_page_{name}.png"
            _compose(shots, path)
            yield path


def _shoot(page: Page, width: int, height: int, *, dark: bool) -> bytes:
    # A clock that the script moves gives the chart its five minutes at once.
    script = "{ const now = performance.now.bind(performance); performance.now = () => now() + (window.ahead ?? 0); }"
    added = page.window.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    with page.seen(width=width, height=height, dark=dark), opened(page, None) as scene:
        page.open(scene.url)
        page.until(lambda: page.text("#line") == "live")
        scene.send(events(fleet()))
        page.until(lambda: page.window.execute_script(DRAWN, "1,200"))
        dice, requests = random.Random(2), 0
        for step in range(150):
            requests += round(20 * min(1.0, max(0.3, dice.gauss(0.75 if step % 60 < 40 else 0.95, 0.12))))
            script = "window.ahead = arguments[0]; measure(arguments[1])"
            page.window.execute_script(script, 2000 * step, statistics(requests))
        page.until(lambda: page.text("#requests").startswith(f"{requests:,}"))
        page.window.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
        shot = bytes(page.window.get_screenshot_as_png())
    page.window.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    return shot


def _compose(shots: list[bytes], path: Path) -> None:
    """Put pictures beside each other, and write them with few colours."""
    from PIL import Image  # noqa: PLC0415  # matplotlib brings it

    opened_shots = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    wide = sum(shot.width for shot in opened_shots) + 24 * (len(shots) - 1)
    sheet = Image.new("RGB", (wide, max(shot.height for shot in opened_shots)), (128, 128, 128))
    left = 0
    for shot in opened_shots:
        sheet.paste(shot, (left, 0))
        left += shot.width + 24
    sheet.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Measure, or take pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--updates", type=int, default=1000, help="jobs that change in one batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", type=Path, help="another version of the page, to compare with")
    parser.add_argument("--screens", type=Path, metavar="FOLDER", help="only write pictures of the page")
    given = parser.parse_args()
    if given.screens is not None:
        for path in take_screens(given.screens):
            print(path, f"{path.stat().st_size / 1000:.0f} KB")
        return
    pages: dict[str, str | None] = {}
    if given.before is not None:
        pages["before"] = given.before.read_text(encoding="utf-8")
    print(compare({**pages, "now": None}, given.jobs, given.updates, given.rounds))


if __name__ == "__main__":
    sys.exit(run_main(main))
