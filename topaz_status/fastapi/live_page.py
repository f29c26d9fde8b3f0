"""The live page: one HTML file, without a build step and without resources from other servers.

The page holds no data. It reads ``jobs/events`` beside it with ``fetch``, because a browser's ``EventSource`` cannot
send an ``Authorization`` header. If that request gets a 401, the page asks for a token and stores it in the tab's
``sessionStorage``. If the user is signed in by a cookie, the browser sends the cookie and the page asks for nothing.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib import resources
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

_INLINE: Final = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


def add_page(router: APIRouter) -> None:
    """Serve the live page at ``/`` of ``router``, beside its ``jobs/events``.

    A browser opens a page without an ``Authorization`` header. So if such a header protects the events, add the page to
    a router without that protection. The page holds no data that needs protection.
    """
    html, headers = _page()

    @router.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def live_page() -> HTMLResponse:
        return HTMLResponse(html, headers=headers)


@functools.cache
def _page() -> tuple[str, dict[str, str]]:
    """Return the page and its headers. Their policy allows only the file's own script and style, by their hashes."""
    html = resources.files(__package__).joinpath("live_page.html").read_text(encoding="utf-8")
    hashes = {tag: _hash(content) for tag, content in _INLINE.findall(html)}
    policy = (
        "default-src 'none'",
        f"script-src {hashes['script']}",
        f"style-src {hashes['style']}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return html, {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
