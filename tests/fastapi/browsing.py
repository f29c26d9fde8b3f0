"""A real browser, and a stage whose stream of events a test directs."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import anyio
import attrs
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from harness import free_port
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from topaz_status.fastapi.live_page import add_page

REQUIRED: Final = "TOPAZ_STATUS_REQUIRE_CHROMIUM"
"""With this in the environment a missing browser is a failure: for a gate that is to have one."""
AXE: Final = "TOPAZ_STATUS_AXE"
"""The environment's name for the path of ``axe.min.js``, the checker of accessibility that npm has as axe-core."""
PATIENCE: Final = 60
"""Seconds until something that should show is taken not to."""


@contextlib.contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Run a headless Chromium; where there is none the test is skipped, or fails if one is required."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        reason = "needs Chromium and its driver (Debian: apt install chromium chromium-driver)"
        if os.environ.get(REQUIRED):
            pytest.fail(reason)
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.set_capability("unhandledPromptBehavior", "ignore")
    window = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield window
    finally:
        window.quit()


@attrs.define
class Page:
    """What a reader sees of the live page."""

    window: webdriver.Chrome

    def open(self, url: str) -> None:
        """Open it anew, in light colours."""
        self.window.get("about:blank")
        self._console()  # what earlier pages left
        self.window.get(url)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until something shows."""
        WebDriverWait(self.window, PATIENCE, poll_frequency=0.05).until(lambda _: condition())

    def text(self, selector: str) -> str:
        """The text of the first such element, empty where there is none."""
        return "".join(str(text) for text in self.texts(selector)[:1])

    def texts(self, selector: str) -> list[str]:
        """The texts of all such elements that show, read at one moment."""
        script = (
            "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).map(e => e.innerText)"
        )
        return list(self.window.execute_script(script, selector))

    def value(self, selector: str) -> float:
        """The value of a progress bar."""
        script = "return document.querySelector(arguments[0])?.value ?? -1"
        return float(self.window.execute_script(script, selector))

    def jobs(self) -> list[str]:
        """The rows' jobs, from the top."""
        return self.texts("#jobs .job")

    def click(self, selector: str) -> None:
        """Press something."""
        self.window.find_element(By.CSS_SELECTOR, selector).click()

    def type(self, selector: str, text: str) -> None:
        """Write into a field."""
        self.window.find_element(By.CSS_SELECTOR, selector).send_keys(text)

    @contextlib.contextmanager
    def seen(self, *, width: int, height: int, dark: bool, mobile: bool = False, ratio: float = 1) -> Iterator[None]:
        """Show the page on a screen of so many CSS pixels, in dark or light colours, without motion."""
        size = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": mobile}
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        try:
            self.window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            self.window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            yield
        finally:
            self.window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
            self.window.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def barriers(self) -> list[str]:
        """What axe-core finds that keeps people out, each with the elements concerned; skipped where there is no axe."""
        path = os.environ.get(AXE)
        if not path:
            pytest.skip(f"needs axe-core: npm pack axe-core, and {AXE} with the path of its axe.min.js")
        self.window.execute_script(Path(path).read_text(encoding="utf-8"))
        script = """
            const found = arguments[arguments.length - 1];
            axe.run(document).then(({violations}) => found(violations.map(({id, help, nodes}) =>
                id + ': ' + help + ' ' + nodes.slice(0, 5).map(node => node.html + ' ' + node.failureSummary).join(' | '))));
        """
        self.window.set_script_timeout(PATIENCE * 5)
        return list(self.window.execute_async_script(script))

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        for key in keys:
            self.window.switch_to.active_element.send_keys(key)

    def complaints(self) -> list[str]:
        """What the browser's console complains of: scripts that failed, and what the security policy refused."""
        return [entry["message"] for entry in self._console() if entry["source"] != "network"]

    def _console(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.window.get_log("browser")  # type: ignore[no-untyped-call]
        return entries


@attrs.define
class Stage:
    """A server with the live page whose events are the test's own; it may be stopped and come back on its port."""

    token: str | None = None
    port: int = attrs.field(factory=free_port)
    html: str | None = None
    """Another page in place of this version's."""
    greeting: str = ""
    """What each listener is sent first."""
    heard: list[str | None] = attrs.field(factory=list)
    """The ``Authorization`` of each request for events."""
    _streams: list[queue.SimpleQueue[str | None]] = attrs.field(factory=list)
    _servers: contextlib.ExitStack = attrs.field(factory=contextlib.ExitStack)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/status/"

    def start(self) -> None:
        """Serve, each time on the same port."""
        listening = socket.create_server(("127.0.0.1", self.port))
        server = uvicorn.Server(uvicorn.Config(self._app(), log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()

        def stop() -> None:
            server.should_exit = True
            self.hang_up()
            thread.join()
            listening.close()

        self._servers.callback(stop)

    def stop(self) -> None:
        """End every stream and the server."""
        self._servers.close()

    def hang_up(self) -> None:
        """End every stream."""
        for stream in self._streams:
            stream.put(None)
        self._streams.clear()

    def send_event(self, event: str, **data: Any) -> None:
        """Send an event to all listeners."""
        self.send(f"event: {event}\ndata: {json.dumps(data)}\n\n")

    def send(self, text: str) -> None:
        """Send anything to all listeners."""
        for stream in self._streams:
            stream.put(text)

    @property
    def listeners(self) -> int:
        """Streams that were opened and not ended by this side."""
        return len(self._streams)

    def _app(self) -> FastAPI:
        router = APIRouter(prefix="/status")
        if self.html is None:
            add_page(router)
        else:
            router.add_api_route("/", lambda: HTMLResponse(self.html))

        @router.get("/jobs/events")
        async def events(request: Request) -> StreamingResponse:
            given = request.headers.get("authorization")
            self.heard.append(given)
            if self.token is not None and given != f"Bearer {self.token}":
                raise HTTPException(401)
            stream: queue.SimpleQueue[str | None] = queue.SimpleQueue()
            self._streams.append(stream)
            return StreamingResponse(_parts(self.greeting, stream), media_type="text/event-stream")

        app = FastAPI()
        app.include_router(router)
        return app


async def _parts(greeting: str, stream: queue.SimpleQueue[str | None]) -> AsyncIterator[str]:
    yield ": hello\n\n" + greeting
    while (text := await anyio.to_thread.run_sync(stream.get)) is not None:
        yield text
