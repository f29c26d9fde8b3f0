"""The live page, in a real browser: what it shows, what it does not let in, and how it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from browsing import Page, Stage, chromium
from fastapi import APIRouter, FastAPI, HTTPException
from selenium.webdriver.common.keys import Keys
from serving import world

from topaz_status import JobRef
from topaz_status.fastapi import add_page, status_router

EVIL = "<img/src=x/onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One browser for all tests; each opens the page anew."""
    with chromium() as window:
        yield Page(window)


@contextlib.contextmanager
def stage(page: Page, token: str | None = None) -> Iterator[Stage]:
    """Serve the page, open it, and check the console at last: neither errors nor refusals."""
    scene = Stage(token)
    scene.start()
    try:
        page.open(scene.url)
        if token is None:
            page.until(lambda: scene.listeners)
        yield scene
        assert page.complaints() == []
    finally:
        scene.stop()


def change(number: int, **fields: Any) -> dict[str, Any]:
    """A running job's event."""
    job = f"image:{number:04d}"
    plain = {"status": "Processing", "progress": 10, "expected_end": None, "error": None, "updated_at": time.time()}
    return {"job": job, "kind": "image", "id": f"{number:04d}", "state": "running", **plain, **fields}


def numbers(**fields: Any) -> dict[str, Any]:
    """The statistics of a client that is well."""
    kinds = {"image": 0, "video": 0, "try-on": 0}
    return {
        "watches": {"image": 1200, "video": 30, "try-on": 0}, "in_flight": 3, "requests": {"image": {"200": 40, "429": 2}, "video": {}, "try-on": {}},
        "tokens": 7.5, "rates": {"image": 10.0, "video": 10.0, "try-on": 5.0}, "held": kinds, "down": kinds,
        "lag": {"count": 9, "mean": 1.0, "p50": 0.5, "p95": 2.5, "p99": 3.0, "max": 3.0}, "expected_lag": 1.2,
        "lag_histogram": {"bounds": [0.5, 1.0, 2.5], "counts": [5, 1, 2, 1]},
        "overdue": 0.0, **fields,
    }  # fmt: skip


def encode(data: object) -> str:
    """As it goes over the wire."""
    return json.dumps(data)


def test_jobs_appear_move_and_turn(page: Page) -> None:
    """A job's row appears with its first event, moves with its progress, and turns with its end."""
    with stage(page) as scene:
        page.until(lambda: page.text("#line") == "live")
        assert page.texts("#none") == ["No jobs yet."]
        scene.send_event("status", **change(7, expected_end=time.time() + 90))
        page.until(lambda: page.jobs() == ["image 0007"])
        assert page.value("#jobs progress") == 10
        assert page.text("#jobs .when").startswith("in 1 min")
        scene.send_event("status", **change(7, progress=55.5))
        page.until(lambda: page.value("#jobs progress") == 55.5)
        assert page.text("#jobs .share") == "55 %"
        scene.send_event("status", **change(7, state="completed", progress=100))
        page.until(lambda: page.texts("#jobs .state") == ["completed"])
        assert page.text(".tile.completed b") == "1"
        assert page.text(".tile.running b") == "0"


def test_what_went_wrong_is_on_top(page: Page) -> None:
    """Failures come first with their reasons, then what should end first, then what waits, then what is done."""
    with stage(page) as scene:
        scene.send_event("status", **change(1, state="completed"))
        scene.send_event("status", **change(2, state="queued"))
        scene.send_event("status", **change(3, expected_end=time.time() + 500))
        scene.send_event("status", **change(4, expected_end=time.time() + 50))
        scene.send_event("status", **change(5, state="failed", error="the model ran out of memory"))
        scene.send_event(
            "status", **change(6, state=None, error={"title": "Lost", "detail": "no record of it any more"})
        )
        page.until(lambda: len(page.jobs()) == 6)
        assert [job[-1] for job in page.jobs()] == ["6", "5", "4", "3", "2", "1"]
        assert page.texts("#jobs .error") == ["no record of it any more", "the model ran out of memory"]
        assert page.window.title == "1 failed, 2 running"


def test_an_error_does_not_repeat_the_row(page: Page) -> None:
    """What the row says already is left out of an error's text."""
    with stage(page) as scene:
        scene.send_event("status", **change(1, state="failed", error="image:0001 failed: no memory", updated_at=1))
        scene.send_event("status", **change(2, state="running", error="404 for image:0002: no such job", updated_at=2))
        scene.send_event("status", **change(3, state="running", error="image:0003: connection reset", updated_at=3))
        scene.send_event("status", **change(4, state="failed", error="image:0004 failed", updated_at=4))
        page.until(lambda: len(page.jobs()) == 4)
        assert page.texts("#jobs .error") == ["connection reset", "404: no such job", "no memory"]


def test_the_beginning_and_the_end_of_a_watch(page: Page) -> None:
    """A job nobody has polled yet says so; one whose watch was given up is one that went wrong, or is gone."""
    with stage(page) as scene:
        scene.send_event("status", **change(1, state=None, status=None, progress=None, ended=False))
        page.until(lambda: page.texts("#jobs .state") == ["not seen yet"])
        scene.send_event("status", **change(2, state="unheard-of", status="Unheard-Of"))
        page.until(lambda: page.texts("#jobs .state") == ["unknown", "not seen yet"])
        scene.send_event("status", **change(2, error="image:0002 took longer than 5 s"))
        page.until(lambda: page.texts("#jobs .state") == ["given up", "not seen yet"])
        scene.send_event("status", **change(1, ended=True))
        page.until(lambda: page.texts("#jobs .state") == ["given up"])


def test_text_stays_text(page: Page) -> None:
    """Markup in a job's id, in the service's word or in an error's text is shown as it is, and nothing of it runs."""
    with stage(page) as scene:
        evil = {"job": "try-on:" + EVIL, "kind": EVIL, "id": EVIL, "status": EVIL, "error": EVIL}
        scene.send_event("status", **change(1, **evil, state="failed"))
        scene.send_event("stats", **numbers(down={EVIL: 5.0}))
        page.until(lambda: page.texts("#jobs .error") == [EVIL])
        assert page.jobs() == [f"{EVIL} {EVIL}"]
        page.until(lambda: EVIL in page.text("#notes"))
        assert page.window.execute_script("return document.querySelectorAll('img').length") == 0
        assert page.window.title.startswith("1 failed"), "an alert is open"


def test_nothing_is_let_in(page: Page) -> None:
    """The policy stops markup and scripts that were not in the file, no matter who puts them there, and other hosts."""
    with stage(page) as scene:
        script = """
            const refused = [], attempts = {markup: () => { document.body.innerHTML = '<img src=x>'; },
                script: () => {
                    const script = document.createElement('script');
                    script.text = 'window.ran = 1';
                    document.body.append(script);
                },
                handler: () => { document.body.setAttribute('onclick', 'window.ran = 1'); document.body.click(); },
                host: () => fetch('http://localhost:9/'),
            };
            for (const [name, act] of Object.entries(attempts))
                try { await act(); } catch { refused.push(name); }
            return [refused.join(), 'ran' in window];
        """
        wrapped = f"const go = arguments[0]; (async () => {{{script}}})().then(go)"
        refused, ran = page.window.execute_async_script(wrapped)
        assert refused == "markup,script,handler,host"
        assert not ran
        assert page.complaints() != []
        assert scene.listeners == 1


def test_the_budget_and_the_lag(page: Page) -> None:
    """The figures are the client's: requests and rate, tokens, lag, and a note where a service is down or held."""
    with stage(page) as scene:
        scene.send_event("stats", **numbers())
        page.until(lambda: page.text("#requests") == "42\n3 in flight, 7 tokens left")
        assert page.text("#lag") == "0.5 s\nmedian, 2.5 s p95"
        assert page.text("#expected") == "1.2 s"
        assert page.text("#watched") == "1,230\n1,200 image, 30 video"
        assert page.texts("#notes li") == []
        assert page.texts("#notes") == []
        scene.send_event("stats", **numbers(requests={"image": {"200": 45}}, down={"video": 65.0}, overdue=30.0))
        page.until(lambda: "of 10 requests/s" in page.text("#used"))
        assert page.texts("#notes li") == [
            "The video service has been down for 1 min 5 s.",
            "The budget is too small for these jobs: polls are late by 30 s.",
        ]


def test_a_401_asks_for_the_token(page: Page) -> None:
    """Only a 401 asks for a token; a wrong one asks again; the right one is kept in the tab and nowhere else."""
    with stage(page, token="open-sesame") as scene:
        page.until(lambda: "asks who you are" in page.text("#login"))
        assert scene.heard == [None]
        page.type("#token", "wrong\n")
        page.until(lambda: "was refused" in page.text("#login"))
        assert page.window.execute_script("return sessionStorage.length") == 0
        page.type("#token", "open-sesame\n")
        page.until(lambda: page.text("#line") == "live")
        assert scene.heard == [None, "Bearer wrong", "Bearer open-sesame"]
        assert page.texts("#login") == []
        page.window.refresh()
        page.until(lambda: page.text("#line") == "live")
        assert scene.heard[3:] == ["Bearer open-sesame"]
        stored = "return [localStorage.length, document.cookie, sessionStorage.length, location.href]"
        assert page.window.execute_script(stored) == [0, "", 1, scene.url]


def test_it_comes_back(page: Page) -> None:
    """When the server goes away the page says so, comes back with it, and goes on from what it is sent then."""
    with stage(page) as scene:
        scene.send_event("status", **change(1))
        scene.send_event("status", **change(2))
        page.until(lambda: len(page.jobs()) == 2)
        scene.stop()
        page.until(lambda: "trying again" in page.text("#line"))
        assert len(page.jobs()) == 2
        scene.start()
        page.until(lambda: page.text("#line") == "live")
        page.until(lambda: page.texts("#jobs .stale .job") == ["image 0001", "image 0002"])
        scene.send_event("status", **change(2, state="completed"))
        page.until(lambda: page.texts("#jobs .state") == ["running", "completed"])
        page.until(lambda: page.jobs() == ["image 0002"])


def fill(scene: Stage, count: int, **fields: Any) -> None:
    """Send so many jobs, as the server packs them; every third is a video, one in a hundred has failed."""
    jobs = [
        change(
            n,
            job=f"{'video' if n % 3 == 0 else 'image'}:{n:04d}",
            kind="video" if n % 3 == 0 else "image",
            progress=n % 100,
            **({"state": "failed", "error": "the model ran out of memory"} if n % 100 == 99 else {}),
            **fields,
        )
        for n in range(count)
    ]
    for start in range(0, count, 500):
        scene.send(f"event: statuses\ndata: {encode(jobs[start : start + 500])}\n\n")


def row_indexes(page: Page) -> list[int]:
    """The places in the whole list of the rows that are elements."""
    script = "return [...document.querySelectorAll('#rows [role=row]')].map(e => +e.getAttribute('aria-rowindex'))"
    return list(page.window.execute_script(script))


def test_ten_thousand_rows(page: Page) -> None:
    """Only rows near the screen are elements; all can be reached by scrolling, and the list says how many there are."""
    with stage(page) as scene:
        fill(scene, 10_000)
        page.until(lambda: page.text("#shown") == "10,000")
        assert page.window.find_element("id", "jobs").get_attribute("aria-rowcount") == "10001"
        assert len(row_indexes(page)) < 100
        assert row_indexes(page)[0] == 2
        page.window.execute_script("scrollTo(0, document.documentElement.scrollHeight)")
        page.until(lambda: row_indexes(page)[-1:] == [10_001])
        assert len(row_indexes(page)) < 100
        assert page.window.execute_script("return document.querySelectorAll('*').length") < 1200
        page.window.execute_script("scrollTo(0, document.documentElement.scrollHeight / 2)")
        page.until(lambda: 2000 < row_indexes(page)[0] < 8000)
        rows = row_indexes(page)
        assert rows == list(range(rows[0], rows[0] + len(rows)))
        bounds = "const r = document.querySelector('#rows'); return [r.firstChild, r.lastChild].map(e => e.getBoundingClientRect().top)"
        above, below = page.window.execute_script(bounds)
        assert (above < 0, below > 800) == (True, True), "a part of the screen is empty"


def test_filters(page: Page) -> None:
    """State, kind and text together; each shows its count; the address holds them, and opens the page with them."""
    with stage(page) as scene:
        fill(scene, 600)
        page.until(lambda: page.text(".tile.failed b") == "6")
        assert page.texts("#kinds button") == ["400 image", "200 video", "0 try-on"]
        page.click(".tile.failed")
        page.until(lambda: set(page.texts("#jobs .state")) == {"failed"})
        assert page.texts("#kinds button") == ["4 image", "2 video", "0 try-on"]
        page.click("#kinds button:nth-child(2)")
        page.until(lambda: page.jobs() == ["video 0399", "video 0099"] or page.jobs() == ["video 0099", "video 0399"])
        assert page.text(".tile.running b") == "198"
        page.type("#find", "03")
        page.until(lambda: page.jobs() == ["video 0399"])
        assert page.text("#shown") == "1 of 2"
        assert page.window.current_url.endswith("#state=failed&kind=video&find=03")
        page.window.refresh()
        page.until(lambda: page.text("#line") == "live")
        fill(scene, 600)
        page.until(lambda: page.jobs() == ["video 0399"])
        page.window.execute_script("location.hash = '#state=nonsense&kind=<b>&find=0001'")
        page.until(lambda: page.jobs() == ["image 0001"])


def test_the_keyboard_reaches_every_job(page: Page) -> None:
    """The list is one stop of Tab; arrows, End and Home choose a row, which is on the page and on the screen then."""
    active = """
        const grid = document.getElementById('jobs'), row = document.getElementById(grid.getAttribute('aria-activedescendant'));
        if (document.activeElement !== grid || !row) return null;
        const {top, bottom} = row.getBoundingClientRect(), index = +row.getAttribute('aria-rowindex');
        return top >= 0 && bottom <= innerHeight ? index : -index;
    """
    with stage(page) as scene:
        fill(scene, 3000)
        page.until(lambda: page.text("#shown") == "3,000")
        page.click("#find")
        page.press(Keys.TAB)
        page.until(lambda: page.window.execute_script(active) == 2)
        page.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
        page.until(lambda: page.window.execute_script(active) == 4)
        page.press(Keys.END)
        page.until(lambda: page.window.execute_script(active) == 3001)
        page.press(Keys.ARROW_UP)
        page.until(lambda: page.window.execute_script(active) == 3000)
        page.press(Keys.HOME)
        page.until(lambda: page.window.execute_script(active) == 2)


def test_screen_readers_hear_of_trouble_seldom(page: Page) -> None:
    """What goes wrong is said at once, then once in half a minute, with all that went wrong meanwhile."""
    with stage(page) as scene:
        page.window.execute_script("window.fixed = performance.now(); performance.now = () => window.fixed")
        scene.send_event("status", **change(5001, state="failed"))
        page.until(lambda: page.text("#speech") == "1 job went wrong.")
        fill(scene, 300)
        page.until(lambda: page.text(".tile.failed b") == "4")
        assert page.text("#speech") == "1 job went wrong."
        page.window.execute_script("window.fixed += 31000")
        scene.send_event("status", **change(5002))
        page.until(lambda: page.text("#speech") == "3 more jobs went wrong.")
        page.click(".tile.failed")
        page.until(lambda: page.text("#speech") == "4 jobs")


def test_the_charts(page: Page) -> None:
    """Both charts have their figures as a sentence, and as a table for those who open it."""
    with stage(page) as scene:
        scene.send_event("stats", **numbers())
        page.until(lambda: len(page.window.find_elements("css selector", "#lag-chart .bar")) == 4)
        assert page.text("#lag-text") == "9 jobs by seconds, up to each bound; half within 0.5 s, at most 3 s."
        for details in page.window.find_elements("tag name", "summary"):
            details.click()
        page.until(lambda: len(page.texts("#lag-table tr")) == 4)
        assert page.texts("#lag-table tr")[::3] == ["up to 0.5\t5", "over 2.5\t1"]
        assert page.texts("#rate-table tr")[1:] == [f"{n}–{n + 1}\t–\t–\t–\t–" for n in range(1, 5)]
        scene.send_event("stats", **numbers(requests={"image": {"200": 45}}))
        page.until(lambda: page.text("#rate-text").endswith("limit 10."))
        page.until(lambda: "7.5 or more" in page.text("#rate-table tr"))
        assert len(page.window.find_elements("css selector", "#rate-chart .curve")) == 1


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("count", [0, 30, 10_000])
def test_no_barrier(page: Page, count: int, *, dark: bool) -> None:
    """axe-core finds no violation: names, roles, order, contrast; empty, with few jobs and with ten thousand."""
    with page.seen(width=1280, height=900, dark=dark), stage(page) as scene:
        if count:
            for number, state in enumerate(("queued", "completed", "canceled", "expired", "unknown", "new", "failed")):
                scene.send_event(
                    "status", **change(20_000 + number, state=state, error="gone" if state == "failed" else None)
                )
            fill(scene, count)
            scene.send_event("stats", **numbers(down={"video": 65.0}, overdue=30.0))
            page.until(lambda: page.text("#lag-text").startswith("9 jobs"))
        page.until(lambda: page.text("#shown") == f"{count + 7 if count else 0:,}")
        assert page.barriers() == []
        if count:
            page.click("#find")
            page.press(Keys.TAB)
            page.click(".tile.failed")
            page.until(lambda: set(page.texts("#jobs .state")) == {"failed"})
            assert page.barriers() == []


def test_no_barrier_in_what_is_rare(page: Page) -> None:
    """axe-core finds no violation in the question for a token, and while the connection is lost, on a phone."""
    for dark in (False, True):
        with page.seen(width=375, height=740, dark=dark, mobile=True), stage(page, token="open-sesame") as scene:
            page.until(lambda: "asks who you are" in page.text("#login"))
            assert page.barriers() == []
            page.type("#token", "open-sesame\n")
            page.until(lambda: page.text("#line") == "live")
            fill(scene, 30)
            page.until(lambda: page.text("#shown") == "30")
            scene.stop()
            page.until(lambda: "trying again" in page.text("#line"))
            assert page.barriers() == []
            page.window.execute_script("sessionStorage.clear()")


def test_any_cut_of_the_stream(page: Page) -> None:
    """Events arrive whole wherever the stream is cut, with any end of line; what is no event does no harm."""
    with stage(page) as scene:
        scene.send("data: {\n\nevent: status\ndata: [1]\n\nevent: status\ndata: null\n\nevent: other\ndata: 1\n\n")
        scene.send('event: status\ndata: {"job": 5}\n\nevent: stats\ndata: {"requests": {"image": {"200": "x"}}}\n\n')
        scene.send(f"event: status\r\ndata: {encode(change(1))}\r\n\r\n")
        page.until(lambda: page.jobs() == ["image 0001"])
        ends = "\n", "\r", "\r\n"
        text = "".join(f"event: status{end}data: {encode(change(2 + n))}{end}{end}" for n, end in enumerate(ends))
        page.window.execute_script("const read = reader(); for (const letter of arguments[0]) read(letter)", text)
        page.until(lambda: sorted(page.jobs()) == [f"image {n:04d}" for n in (1, 2, 3, 4)])


def test_on_a_phone(page: Page) -> None:
    """On a narrow screen nothing needs to be scrolled sideways, and an error can be read to its end."""
    for width in (360, 375):
        with page.seen(width=width, height=740, dark=False, mobile=True, ratio=2), stage(page) as scene:
            scene.send_event("status", **change(1, id="f" * 200, state="failed", error="m" * 300))
            scene.send_event("stats", **numbers(down={"video": 65.0}))
            page.until(lambda: len(page.jobs()) == 1)
            for details in page.window.find_elements("tag name", "summary"):
                details.click()
            page.until(lambda: len(page.texts("#lag-table tr")) == 4)
            assert page.window.execute_script("return document.documentElement.scrollWidth") == width
            error = "const e = document.querySelector('.error'); return e.scrollWidth <= e.clientWidth && e.clientHeight > 40"
            assert page.window.execute_script(error), "its text is cut off"


async def test_before_the_routes_of_an_app() -> None:
    """Fed by an app's own routes: what is watched appears, moves and turns; what nobody watches any more goes."""
    async with world() as served:
        jobs = [served.simulator.add_image(duration=8.0), served.simulator.add_image(duration=4.0, outcome="failed")]
        handles = [served.client.watch(job) for job in jobs]
        given_up = served.client.watch(served.simulator.add_video(duration=3600.0))
        loop, url = asyncio.get_running_loop(), str(served.http._base_url)
        give_up = functools.partial(loop.call_soon_threadsafe, given_up.cancel)
        await asyncio.to_thread(see_them_end, url, jobs, given_up.job, give_up)
        assert all(handle.done() for handle in handles)


def see_them_end(url: str, jobs: list[JobRef], going: JobRef, give_up: Callable[[], object]) -> None:
    with chromium() as window:
        page = Page(window)
        page.open(url)
        page.until(lambda: set(page.jobs()) == {f"{job.kind} {job.id}" for job in (*jobs, going)})
        give_up()
        page.until(lambda: set(page.jobs()) == {f"{job.kind} {job.id}" for job in jobs})
        page.until(lambda: page.value("#jobs progress") > 0)
        page.until(lambda: page.texts("#jobs .state") == ["failed", "completed"])
        assert page.text("#requests")[0] in "123456789"
        assert page.complaints() == []


async def test_it_is_part_of_the_routes() -> None:
    """The status routes have the page unless it is switched off; it is open where its events are not, for it holds no data."""

    async def nobody() -> None:
        raise HTTPException(401)

    app = FastAPI()
    app.include_router(status_router(authorize=nobody), prefix="/with")
    app.include_router(status_router(authorize=nobody, page=False), prefix="/without")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        paths = "/with/", "/with/jobs/events", "/without/", "/without/jobs/events"
        assert [(await client.get(path)).status_code for path in paths] == [200, 401, 404, 401]


async def test_its_headers() -> None:
    """Nothing but what is in the file may run or paint, nobody may frame it, and nothing from elsewhere is named."""
    router = APIRouter()
    add_page(router)
    app = FastAPI()
    app.include_router(router, prefix="/status")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/status/")
        assert "/status/" not in (await client.get("/openapi.json")).text
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["script-src"].startswith("'sha256-")
    assert policy["style-src"].startswith("'sha256-")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "https://" not in answer.text
