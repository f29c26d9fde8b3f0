"""Where a request goes: whatever the id, below its own path at its own host; whatever the URL, to the host it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from harness import settings_of
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from topaz_status import ConfigurationError, JobKind, JobRef, StatusClient
from topaz_status.core.wire import requests
from topaz_status.session.http.connections import AccountConnection
from topaz_status.session.secret import Secret

TRICKY = st.text(st.sampled_from("./\\%?#&;=:@ +\0\r\n\t2eEfFaü💥\u202e\uff0f\u2025\ud800"), max_size=20)
BASES = ("https://api.example", "http://127.0.0.1:8080", "https://[::1]:8443/a/prefix", "https://h.example/p%20q")


def connection_to(base: str) -> Any:
    """The way to a host, without a session."""
    return AccountConnection(session=None, base=URL(base, encoded=True), key=Secret(""), options={})  # type: ignore[arg-type]


REQUESTS: list[tuple[Callable[[JobRef], requests.Request], str, str, str]] = [
    (requests.get_status, "image", "/image/v1/status/", ""),
    (requests.get_status, "video", "/video/", "/status"),
    (requests.get_status, "try-on", "/v1/try-on/job/", ""),
    (requests.delete_image, "image", "/image/v1/status/", ""),
    (requests.image_download, "image", "/image/v1/download/", ""),
]


@given(TRICKY | st.text(max_size=300), st.sampled_from(BASES))
@example("..", "https://api.example")
@example("%2e%2e", "https://api.example")
@example("a/../../b", "https://api.example/x")
def test_an_id_stays_in_its_place(job_id: str, base: str) -> None:
    """An id is refused, or is exactly one segment of its own endpoint's path, at the host, without a query."""
    for request_of, kind, before, after in REQUESTS:
        try:
            job = JobRef(kind, job_id)
        except ConfigurationError:
            assert job_id in {"", ".", ".."} or len(job_id) > 256 or not job_id.isprintable() or " " in job_id
            continue
        request = request_of(job)
        url = connection_to(base).url(request.path)
        root = URL(base, encoded=True)
        assert (url.scheme, url.raw_authority) == (root.scheme, root.raw_authority)
        assert url.query_string == ""
        assert url.raw_fragment == ""
        path = url.raw_path
        assert path.isascii()
        start = root.raw_path.rstrip("/") + before
        assert path.startswith(start)
        assert path.endswith(after)
        segment = path[len(start) : len(path) - len(after)]
        assert "/" not in segment
        assert unquote(segment) == job_id
        assert segment not in {"", ".", ".."}
        assert str(URL(str(url))).startswith(base)


@given(TRICKY | st.text(max_size=300))
def test_a_cursor_stays_in_the_query(cursor: str) -> None:
    """Whatever a service names as the place where its list goes on."""
    if any("\ud800" <= one <= "\udfff" for one in cursor):
        return  # JSON as it is parsed here holds none
    for request, path in (
        (requests.image_page(cursor, 7), "/image/v1/status"),
        (requests.video_history(cursor), "/video/history"),
    ):
        url = connection_to("https://api.example").url(request.path)
        assert (url.host, url.raw_path, url.raw_fragment) == ("api.example", path, "")
        assert url.query["cursor"] == cursor


REFUSED = [
    "", "api.example", "//api.example", "https:///x", "https://", "ftp://api.example", "file:///etc", "javascript:1",
    "https://user@api.example", "https://user:pass@api.example", "https://@api.example", "https://:@api.example",
    "http://127.0.0.1@evil.example", "http://localhost\\@evil.example", "http://localhost#@evil.example",
    "http://localhost?@evil.example", "https://api.example?x=1", "https://api.example#x", "https://api.example?",
    "https://api.example/a/../b", "https://api.example/%2e%2e/b", "https://api.example/.%2E/b", "https://a b.example",
    "https://api.exa\nmple", "https://api.example/\r\nX: y", "https://api.exämple", "https://api.example\\x",
    "https://api.example/a\\..\\b", "https://api..example", "https://.example", "https://-/", "https://a,b",
    "https://a;b", "https://%61pi.example", "https://[::1", "https://[nonsense]", "https://api.example:99999",
    "https://api.example:x", "https://api.example:0", "https://" + "a" * 64 + ".example", "http://api.example",
    "http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://10.0.0.1", "http://[::2]", "http://0.0.0.0",
]  # fmt: skip


@pytest.mark.parametrize("url", [*REFUSED, 7, b"https://api.example", ["https://api.example"]])
def test_hosts_that_are_refused(url: Any) -> None:
    """What is no plain web address, or might mean another host than it seems to, or sends a key in plain text."""
    with pytest.raises(ConfigurationError) as raised:
        StatusClient(topaz_url=url or "x", topaz_api_key="k")
    assert "pass@" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://api.example", "https://api.example"),
        (" https://api.example/ ", "https://api.example"),
        ("https://api.example:8443/a/b/", "https://api.example:8443/a/b"),
        ("https://my_service", "https://my_service"),
        ("https://api.example.", "https://api.example."),
        ("https://xn--exmple-cua.example", "https://xn--exmple-cua.example"),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("https://[2001:db8::1]:444", "https://[2001:db8::1]:444"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:9", "http://[::1]:9"),
    ],
)
def test_hosts_that_are_taken(url: str, base: str) -> None:
    """Names, addresses, ports and prefixes; without TLS, this machine alone."""
    client = StatusClient(topaz_url=url, pixelcut_url=url, topaz_api_key="k")
    assert {settings_of(client).url(kind) for kind in JobKind} == {base}
