"""No key and no signed URL anywhere but where it is sent or asked for: whatever runs, fails, logs, prints or pickles."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

import attrs
import orjson
import pytest
from _pytest._io.saferepr import saferepr
from harness import (
    PIXELCUT_KEY,
    TOPAZ_KEY,
    Heard,
    RawServer,
    client_of,
    http,
    options,
    patient_session,
    real,
    settings_of,
    transport_of,
    virtual,
)
from hypothesis import given
from hypothesis import strategies as st
from proxying import Proxy

import topaz_status
from topaz_status import (
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    Download,
    JobKind,
    JobRef,
    Outcome,
    PollPolicy,
    ServiceError,
    SQLiteStore,
    StatusClient,
    TopazStatusError,
    TransportError,
    VideoStatus,
)
from topaz_status.core.wire.requests import STATUS_BYTES, get_status
from topaz_status.models.redact import MOST_READ, MOST_SHOWN, legible, scrubbed, shown, without_queries, without_urls
from topaz_status.session.polling.poll_results import PollResults
from topaz_status.session.secret import Secret
from topaz_status.testing import MEMORY_URL, JobPlan, Simulator
from topaz_status.testing.simulator.faults.rules import FAULTS

SIGNATURE = "5ecr3t51gnature"
SIGNED = f"https://storage.example/a/b.mp4?X-Amz-Signature={SIGNATURE}"
SECRETS = (TOPAZ_KEY, PIXELCUT_KEY, SIGNATURE, "X-Signature", "X-Expires")
PACKAGE = str(Path(topaz_status.__file__).parent)
CODES = ("400", "401", "402", "403", "404", "408", "409", "412", "425", "429", "500", "503")
FAULT_KINDS = [*sorted(FAULTS - {"status", "huge", "gzip_bomb"}), *CODES]


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and all it was made from."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            left += [one.__cause__, one.__context__]
            yield one


def frames(trace: TracebackType | None) -> Iterator[tuple[CodeType, dict[str, Any]]]:
    """The functions that an error passed, other than a test's own, with their variables."""
    while trace is not None:
        code = trace.tb_frame.f_code
        if "/tests/" not in code.co_filename:
            yield code, dict(trace.tb_frame.f_locals)
        trace = trace.tb_next


def texts(error: BaseException) -> Iterator[str]:
    """Whatever a tool that reports errors could show of one."""
    for one in chain(error):
        yield from (str(one), repr(one), repr(one.args), repr(one.__dict__), repr(getattr(one, "__notes__", ())))
        yield from traceback.format_exception(one)
        for code, variables in frames(one.__traceback__):
            for name, value in variables.items():
                yield f"{code.co_qualname}: {name} = {saferepr(value, maxsize=None)}"


def leaks(*shown: object) -> list[str]:
    """What of these holds a secret."""
    found = []
    for one in shown:
        reported = texts(one) if isinstance(one, BaseException) else (repr(one), str(one), f"{one}")
        found += [text for text in reported if any(secret in text for secret in SECRETS)]
    return found


def ours(error: BaseException) -> bool:
    """Whether nothing but functions of the library, and none of aiohttp's, is shown by an error's traceback."""
    return all(
        code.co_filename.startswith(PACKAGE) or "contextlib" in code.co_filename
        for one in chain(error)
        for code, _ in frames(one.__traceback__)
    )


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that any library logs, asyncio's and aiohttp's too."""
    caplog.set_level(logging.DEBUG)
    return caplog


async def error_of(call: Any) -> TopazStatusError | None:
    """What a call raises of ours."""
    try:
        await call
    except TopazStatusError as error:
        return error
    return None


@pytest.mark.parametrize("fault", FAULT_KINDS)
@virtual
async def test_whatever_goes_wrong(fault: str, log: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Each way to fail, met by calls, watches and downloads: the log, every error and all it carries hold no secret."""
    simulator = Simulator(seed=3)
    plans = [JobPlan(kind=kind, duration=5, body={"message": f"see {SIGNED}", "new": SIGNED}) for kind in JobKind]
    jobs = simulator.add_jobs(plans)
    simulator.add_fault(fault, seconds=20.0, location=SIGNED, since=3)
    policy = PollPolicy(give_up_after=30, not_found_grace=1)
    shown: list[object] = []
    async with client_of(simulator, policy=policy, request_timeout=5) as client:
        watches = [client.watch(job, timeout=60) for job in jobs]
        shown += [client, settings_of(client), transport_of(client), client.stats(), *watches]
        shown += [watch.explain() for watch in watches]
        for watch in watches:
            shown += [await error_of(watch.result()), await watch.outcome(), watch, watch.status]
        for job in jobs:
            shown += [await error_of(client.result(job)), await error_of(client.save(job, tmp_path))]
        shown += [await error_of(client.image.get(jobs[0])), await error_of(client.image.delete(jobs[0]))]
        shown += [await error_of(client.video.get(jobs[1])), await error_of(client.try_on.get(jobs[2]))]
        shown += [await error_of(client.image.page()), await error_of(client.image.list_all())]
        closing = client.watch("image:other")
    shown += [closing, await closing.outcome(), *vars(client).values()]
    assert not leaks(*shown)
    assert all(ours(one) for one in shown if isinstance(one, BaseException))
    assert not [secret for secret in SECRETS if secret in log.text]
    assert "poll of image:" in log.text


@virtual
async def test_calls_that_closing_ends() -> None:
    """A call that is ended on the wire takes nothing along of what sent it, not even as its context."""
    simulator = Simulator()
    simulator.add_fault("hang")
    async with client_of(simulator) as client:
        task = asyncio.create_task(error_of(client.image.get("a")))
        await asyncio.sleep(1)
    error = await task
    assert isinstance(error, ClientClosedError)
    assert error.__context__ is None
    assert ours(error)
    assert not leaks(error)


def talkative(body: dict[str, Any]) -> RawServer:
    """A service that says the same of every job."""
    return RawServer(lambda _: http(orjson.dumps(body)))


BODIES: list[dict[str, Any]] = [
    {"status": SIGNED},
    {"status": "failed", "message": SIGNED, "error": {"message": SIGNED}},
    {"status": "failed", "message": f"bucket/a.mp4?X-Amz-Signature={SIGNATURE}"},
    {"status": "failed", "message": SIGNED.replace("/", "\\/"), "error": SIGNED.replace("/", "\\/")},
    {"status": "processing", "message": TOPAZ_KEY, "urls": [SIGNED], "comparisonTool": SIGNED, "outputSize": SIGNED},
    {"status": "processing", "processingJobs": [{"status": SIGNED, "chunkId": SIGNED, "x": SIGNED}], SIGNED: 1},
    {"status": "complete", "download": {"url": SIGNED, "more": SIGNED}, "uploadId": SIGNED},
    {"status": "completed", "result_url": SIGNED, "error": {"error_code": SIGNED}, "process_id": "x"},
    {"status": f"{SIGNED}\nforged: line", "filename": SIGNED, "options_json": f'{{"url": "{SIGNED}"}}'},
    {"status": 7, "message": SIGNED, "download": {"url": SIGNED}, "result_url": SIGNED},
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("kind", JobKind)
@virtual
async def test_whatever_a_status_says(body: dict[str, Any], kind: JobKind, log: pytest.LogCaptureFixture) -> None:
    """Wherever a service writes a signed URL or the key: no ``repr``, error or log line shows it, nor a forged line."""
    async with client_of(talkative(body), policy=PollPolicy(give_up_after=5, sweep=False)) as client:
        job = JobRef(kind, "x")
        watch = client.watch(job, timeout=10)
        await asyncio.sleep(2)
        assert not leaks(watch, watch.status)
        shown: list[object] = [await watch.outcome(), watch, watch.status, watch.explain(), client.stats()]
        shown += [await error_of(watch.result()), await error_of(client.result(job))]
    assert not leaks(*shown)
    assert not [secret for secret in SECRETS if secret in log.text]
    assert not [record for record in log.records if "\n" in record.getMessage()]


def contents(folder: Path) -> list[bytes]:
    """All files of a folder."""
    return [path.read_bytes() for path in folder.iterdir()]


@pytest.mark.parametrize("body", BODIES)
@virtual
async def test_what_a_store_keeps(body: dict[str, Any], tmp_path: Path) -> None:
    """No file of a store holds a link or a key that a service wrote, at whatever moment it is read."""
    policy, store = PollPolicy(give_up_after=5, sweep=False), SQLiteStore(tmp_path / "watches.db")
    async with client_of(talkative(body), policy=policy, store=store, pixelcut_api_key=TOPAZ_KEY) as client:
        watches = [client.watch(JobRef(kind, "x"), timeout=10) for kind in JobKind]
        await asyncio.sleep(2)
        stored = contents(tmp_path)
        for watch in watches:
            await watch.outcome()
    stored += contents(tmp_path)
    assert any(b"image" in one for one in stored)
    assert not [secret for secret in SECRETS for one in stored if secret.encode() in one]


@pytest.mark.parametrize("status", ["200 OK", "400 Bad", "403 No", "404 Not Found", "302 Found", "500 Oops"])
@virtual
async def test_an_answer_that_quotes(status: str, log: pytest.LogCaptureFixture) -> None:
    """An error answer that quotes the key and a link is shown without them, in its details too."""
    said = f"{TOPAZ_KEY} may not read {SIGNED}"
    body = orjson.dumps({"message": said, "errorCode": said, "errors": [said, {said: [said]}, "deep"]})
    body = body.replace(b'"deep"', b"[" * 900 + orjson.dumps(said) + b"]" * 900)
    server = RawServer(lambda _: http(body, status, f"Location: {SIGNED}", f"Set-Cookie: k={TOPAZ_KEY}"))
    async with client_of(server) as client:
        error = await error_of(client.video.get("x"))
        assert isinstance(error, ServiceError | DecodeError)
        assert not leaks(error, copy.copy(error), pickle.loads(pickle.dumps(error)))  # noqa: S301  # our own
    assert not any(secret.encode() in pickle.dumps(error) for secret in SECRETS)
    assert not [secret for secret in SECRETS if secret in log.text]


def test_clients_hold_their_keys_back() -> None:
    """Neither a client nor its settings show a key, and neither can be written to disk with it."""
    client = StatusClient(**options())
    assert not leaks(client, settings_of(client), transport_of(client), vars(client), attrs.asdict(settings_of(client)))
    assert not leaks(copy.copy(client))
    for one in (client, settings_of(client), Secret("x")):
        with pytest.raises(TypeError, match=r"not pickled|cannot pickle"):
            pickle.dumps(one)


@pytest.mark.parametrize(
    "settings",
    [
        {"rate": -1},
        {"max_in_flight": "x"},
        {"policy": 7},
        {"service_rates": {"x": 1}},
        {"topaz_url": "http://example.com"},
        {"pixelcut_url": "nonsense"},
        {"topaz_api_key": f"{TOPAZ_KEY}\n{TOPAZ_KEY}"},
        {"topaz_api_key": f"{TOPAZ_KEY} ü"},
        {"topaz_api_key": TOPAZ_KEY.encode()},
    ],
)
@pytest.mark.parametrize("source", ["arguments", "environment"])
def test_a_client_that_is_refused(settings: dict[str, Any], source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error about any argument has no key in it, nor in a variable of the functions it passed."""
    given = {"topaz_api_key": TOPAZ_KEY, "pixelcut_api_key": PIXELCUT_KEY}
    if source == "environment":
        broken = settings.get("topaz_api_key", TOPAZ_KEY)
        monkeypatch.setenv("TOPAZ_API_KEY", broken if isinstance(broken, str) else "a b")
        monkeypatch.setenv("PIXELCUT_API_KEY", PIXELCUT_KEY)
        given, settings = {}, {name: value for name, value in settings.items() if name != "topaz_api_key"}
    with pytest.raises(ConfigurationError) as raised:
        StatusClient(**{**given, **settings})
    assert not leaks(raised.value)


PAYLOAD = {"process_id": "x", "download_url": SIGNED, "input_download_url": SIGNED}


@virtual
async def test_arguments_that_are_no_jobs() -> None:
    """A webhook's body, or a link, that is passed for a job is refused without being quoted with its signature."""
    async with client_of(Simulator()) as client:
        wrongs: tuple[Any, ...] = (PAYLOAD, SIGNED, f"x {SIGNED}", str(PAYLOAD), orjson.dumps(PAYLOAD), [SIGNED])
        for wrong in wrongs:
            calls = (
                client.watch,
                client.as_completed,
                lambda job: JobRef(job, "x"),
                lambda job: JobRef("image", f" {job}"),
            )
            for call in calls:
                with pytest.raises(ConfigurationError) as raised:
                    call(wrong)
                assert SIGNATURE not in str(raised.value) + repr(raised.value)

        async def feed() -> AsyncIterator[Any]:
            yield PAYLOAD

        async for outcome in client.as_completed(feed()):
            assert SIGNATURE not in str(outcome.error)


def test_values_show_no_link() -> None:
    """What is handed out shows a link by no ``repr``; who asks for it by name has it."""
    video = VideoStatus(id="x", status="failed", message=SIGNED, urls=(SIGNED,), extra={"a": SIGNED})
    outcome = Outcome(
        job=JobRef("video", "x"),
        state=None,
        status=video,
        error=TransportError("x"),
        polls=1,
        waited=0.0,
        detected_at=0.0,
    )
    assert not leaks(video, outcome, Download(SIGNED, SIGNED, 1.0), [video], {"a": Download(SIGNED)})
    assert Download(SIGNED).url == SIGNED
    assert video.to_dict()["urls"] == [SIGNED]


@virtual
async def test_a_key_in_what_is_no_answer_at_all() -> None:
    """A server that repeats what it was sent in place of a status line is quoted by the error without it."""
    server = RawServer(lambda heard: f"HTTQ {heard.headers['x-api-key']} 200\r\n\r\n".encode(), closing=True)
    async with client_of(server) as client:
        error = await error_of(client.image.delete("x"))
    assert isinstance(error, TransportError)
    assert "[key]" in str(error)
    assert not leaks(error)


@pytest.mark.parametrize("whole", [False, True])
@real
async def test_an_answer_that_is_too_large(whole: bool) -> None:
    """A caller who keeps the error that says so keeps nothing of the answer: neither what it quotes nor its megabytes."""
    server = RawServer(lambda _: http(f"{TOPAZ_KEY} {SIGNED}".encode().ljust(STATUS_BYTES + 1)))
    async with server.serve() as url, AsyncExitStack() as stack:
        session = await stack.enter_async_context(patient_session()) if whole else None
        client = await stack.enter_async_context(StatusClient(**options(topaz_url=url, session=session)))
        error = await error_of(client.image.delete("x"))
    assert "larger than" in str(error)
    assert not leaks(error)


@virtual
async def test_a_transport_that_is_not_open() -> None:
    """Nothing is put together for it that has the key."""
    client = StatusClient(**options())
    error = await error_of(transport_of(client).send(get_status(JobRef(JobKind.IMAGE, "x"))))
    assert isinstance(error, ConfigurationError)
    assert not leaks(error)


@virtual
async def test_a_session_that_was_closed() -> None:
    """A caller who learns this is not handed the key, however deep the search."""
    async with client_of(Simulator()) as client:
        await error_of(client.image.delete("x"))
        theirs = transport_of(client)._connections.theirs
        assert theirs is not None
        await theirs.close()
        error = await error_of(client.image.delete("x"))
    assert isinstance(error, ConfigurationError)
    assert not [name for code, variables in frames(error.__traceback__) for name in variables if name == "account"]


@pytest.mark.parametrize(
    "url", ["http:x", "http://h:99999/", "https://[::1/", "//h/x", "ftp://h/x", "http://h\\x", "x"]
)
@virtual
async def test_links_that_are_none(url: str, log: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """A link that nobody can follow is not shown by the error that says so."""
    body = {"job_id": "x", "status": "completed", "result_url": f"{url}?X-Amz-Signature={SIGNATURE}"}
    async with client_of(talkative(body)) as client:
        error = await error_of(client.save("try-on:x", tmp_path))
    assert isinstance(error, ConfigurationError if "99999" not in url and "\\" not in url else TopazStatusError)
    assert not leaks(error)
    assert SIGNATURE not in log.text


@pytest.mark.parametrize(
    "location",
    [
        SIGNED,
        f"ftp://h/x?sig={SIGNATURE}",
        f"http://[x?sig={SIGNATURE}",
        f"http:?sig={SIGNATURE}",
        f"odd:{SIGNATURE}",
        "loop",
    ],
)
@virtual
async def test_redirects_of_the_storage(location: str, log: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Where the storage's redirects lead nowhere, the error does not say where."""
    here = f"{MEMORY_URL}/file?X-Amz-Signature={SIGNATURE}"
    status = orjson.dumps({"job_id": "x", "status": "completed", "result_url": here})
    there = here if location == "loop" else location

    def reply(request: Heard) -> bytes:
        return http(status) if request.path.startswith("/v1") else http(b"", "302 Found", f"Location: {there}")

    async with client_of(RawServer(reply)) as client:
        error = await error_of(client.save("try-on:x", tmp_path))
    assert isinstance(error, TransportError)
    assert not leaks(error)
    assert ours(error)
    assert "url=" not in str(error)
    assert SIGNATURE not in log.text


@pytest.mark.parametrize(
    "fault", ["truncated", "reset_body", "reset", "hang", "long_length", "short_length", "403", "500"]
)
@virtual
async def test_downloads_that_fail(fault: str, log: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Each way in which a storage fails: the error that comes of it does not know the link, nor do those it passed."""
    simulator = Simulator()
    jobs = [simulator.add(kind, duration=0.0, size=5) for kind in JobKind]
    simulator.add_fault(fault, service="storage")
    async with client_of(simulator, request_timeout=5) as client:
        for job in jobs:
            error = await error_of(client.save(job, tmp_path))
            assert error is not None or fault == "short_length"
            assert not leaks(error)
            assert error is None or ours(error)
    assert not [secret for secret in SECRETS if secret in log.text]


@pytest.mark.parametrize(
    "proxy", [Proxy(credentials="other:one"), Proxy(refusal=http(b"", "502 Bad")), Proxy(refusal=b"")]
)
@real
async def test_the_password_of_a_proxy(proxy: Proxy, log: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """However a proxy fails, nothing shows its password, nor what was to pass it."""
    shown: list[object] = []
    async with proxy.serve() as url:
        settings = options(proxy=url.replace("://", f"://who:{SIGNATURE}@"), topaz_url="https://api.topaz.test")
        async with StatusClient(**settings, policy=PollPolicy(give_up_after=1e-6, sweep=False)) as client:
            outcome = await client.image.watch("a").outcome()
            error = await error_of(transport_of(client).stream(Download(SIGNED, None, None), {}).__aenter__())
            shown += [
                client,
                *vars(client).values(),
                transport_of(client)._connections.network,
                outcome,
                outcome.error,
                error,
            ]
    assert isinstance(outcome.error, TransportError)
    assert isinstance(error, TransportError)
    assert not leaks(*shown)
    assert ours(error)
    assert ours(outcome.error)
    assert not [secret for secret in SECRETS if secret in log.text]


@pytest.mark.parametrize("url", [f"socks5://who:{SIGNATURE}@h", f"http://who:{SIGNATURE}@", f"who:{SIGNATURE}@h:1"])
def test_the_password_of_a_bad_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is refused, as an argument or a variable, the error and the functions it passed do not hold it."""
    with pytest.raises(ConfigurationError) as raised:
        StatusClient(proxy=url)
    assert not leaks(raised.value)
    monkeypatch.setenv("ALL_PROXY", url.replace("@h:1", "@h:x"))
    with pytest.raises(ConfigurationError) as raised:
        StatusClient(trust_env=True)
    assert "ALL_PROXY" in str(raised.value)
    assert not leaks(raised.value)


@virtual
async def test_a_bug_is_reported_without_what_it_quotes(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traceback of what should never happen is logged, without the links that the exception quotes."""

    def broken(*_: object) -> None:
        raise KeyError(SIGNED)

    monkeypatch.setattr(PollResults, "saw", broken)
    async with client_of(talkative({"status": "x"}), policy=PollPolicy(give_up_after=1)) as client:
        outcome = await client.watch("image:x").outcome()
    assert "internal error: KeyError" in str(outcome.error)
    assert not leaks(outcome.error, outcome)
    assert "in a way that is a bug" in log.text
    assert "test_secrets.py" in log.text
    assert SIGNATURE not in log.text


LONG = 1 << 21


@pytest.mark.parametrize("text", ["a" * LONG, "a." * LONG, "?sig" * LONG, "&" * LONG, "//" + "a" * LONG, "a:" * LONG])
def test_long_texts_are_read_in_one_go(text: str) -> None:
    """However long a text is and however much it resembles a link, the search for one takes time in proportion."""
    assert len(without_urls(text)) <= len(text)
    assert len(without_queries(text[:MOST_READ])) <= MOST_READ
    assert len(VideoStatus(id="x", status="failed", message=text).reason or "") <= 500
    assert len(repr(VideoStatus(id="x", status="failed", message=text))) < 1000


@given(st.text(max_size=60), st.text("abc+.-", min_size=1, max_size=50), st.text(max_size=60))
def test_no_link_survives(before: str, scheme: str, after: str) -> None:
    """Whatever stands around a link, nothing of it is left."""
    text = f"{before} {scheme}://{SIGNATURE}/?sig={SIGNATURE} {after}"
    assert SIGNATURE not in without_urls(text)
    assert SIGNATURE not in shown(text)
    assert SIGNATURE not in without_urls(text.replace("/", "\\/")), "JSON may escape slashes"
    assert SIGNATURE not in str(scrubbed({text: [text, {"a": (text,)}]}))


@given(st.text(max_size=3000))
def test_what_is_shown_is_harmless(text: str) -> None:
    """A service's words are one bounded line of printable characters."""
    assert shown(text).isprintable()
    assert len(shown(text)) <= MOST_SHOWN + 1
    assert legible(text).isprintable()
    assert len(legible(text)) == len(text)
