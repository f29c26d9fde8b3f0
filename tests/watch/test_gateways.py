"""Answers of something in front of a service: pages of gateways, firewalls, proxies and captive portals."""

from __future__ import annotations

import json
import logging
from typing import Any

import attrs
import pytest
from harness import SINGLY, Heard, RawServer, client_of, now, virtual
from scripted import Topaz, image, video

from topaz_status import (
    AuthenticationError,
    DecodeError,
    GatewayError,
    JobRef,
    JobState,
    MemoryStore,
    NotFoundError,
    PermissionDeniedError,
    PollPolicy,
    ServerError,
    ServiceError,
    TopazStatusError,
    TransportError,
)
from topaz_status.testing import JobPlan, Simulator

IDS = [f"00000000-0000-4000-8000-{index:012}" for index in range(3)]
IMAGES = [f"image:{name}" for name in IDS]
VIDEOS = [f"video:{name}" for name in IDS]
HTML = b"<html><head><title>404 Not Found</title></head></html>"
JSON = "application/json"
POLICY = PollPolicy(not_found_grace=1.0, give_up_after=60.0, sweep=False)


@attrs.frozen
class Page:
    """What something in front of the service answers, and what that becomes."""

    status: int
    body: bytes = b""
    kind: str | None = None
    error: type[TopazStatusError] = GatewayError
    headers: str = ""

    def encoded(self) -> bytes:
        """The answer's bytes."""
        kind = "" if self.kind is None else f"Content-Type: {self.kind}\r\n"
        head = f"HTTP/1.1 {self.status} No\r\n{kind}{self.headers}Content-Length: {len(self.body)}\r\n\r\n"
        return head.encode() + self.body


def foreign(status: int, body: Any, kind: str = JSON, headers: str = "") -> Page:
    """JSON that is nobody's documented error."""
    return Page(status, json.dumps(body).encode(), kind, headers=headers)


PAGES = {
    "Traefik's 404 during a deployment": Page(404, b"404 page not found\n", "text/plain; charset=utf-8"),
    "nginx's 404": Page(404, HTML, "text/html"),
    "a firewall's empty 403": Page(403),
    "a firewall's 403 page": Page(403, HTML, "text/html"),
    "nginx's 400": Page(400, HTML, "text/html"),
    "a gateway's 402": Page(402, b"payment required", "text/plain"),
    "a gateway's 412": Page(412, HTML, "text/html"),
    "a gateway's 409": Page(409),
    "a proxy's 401": Page(401, HTML, "text/html", headers='WWW-Authenticate: Basic realm="x"\r\n'),
    "a proxy's 407": Page(407, HTML, "text/html", TransportError, 'Proxy-Authenticate: Basic realm="x"\r\n'),
    "a captive portal's 200": Page(200, b"<html>Welcome to our hotel</html>", "text/html", DecodeError),
    "a captive portal's redirect": Page(302, b"", None, ServiceError, "Location: http://login.example/\r\n"),
    "a captive portal's 511": Page(511, HTML, "text/html", ServerError),
    "a gateway's 502": Page(502, HTML, "text/html", ServerError),
    "Amazon's 403": foreign(403, {"message": "Forbidden"}, headers="x-amzn-ErrorType: ForbiddenException\r\n"),
    "Amazon's 400": foreign(400, {"message": "Bad Request"}, headers="X-Amzn-Errortype: BadRequestException\r\n"),
    "Amazon's unknown path": foreign(403, {"message": "Missing Authentication Token"}),
    "Kong's 401": foreign(401, {"message": "Unauthorized", "request_id": "a3f"}, headers="Server: kong/3.6\r\n"),
    "Kong's 404": foreign(404, {"message": "no Route matched with those values"}),
    "a load balancer's 403": foreign(403, {"message": "no"}, headers="Server: awselb/2.0\r\n"),
    "a JSON array": foreign(404, ["Not Found"]),
    "a JSON text": foreign(404, "Not Found"),
    "an empty JSON object": foreign(404, {}),
    "another service's error": foreign(404, {"error": "Not Found"}),
    "Spring's": foreign(404, {"timestamp": "…", "status": 404, "error": "Not Found", "message": "No", "path": "/x"}),
    "NestJS's": foreign(404, {"statusCode": 404, "message": "Cannot GET /x", "error": "Not Found"}),
    "Kubernetes'": foreign(404, {"kind": "Status", "status": "Failure", "message": "no route", "code": 404}),
    "RFC 9457's": foreign(404, {"title": "Not Found", "status": 404, "detail": "no"}, "application/problem+json"),
    "a message without words": foreign(404, {"message": " "}),
    "JSON that is declared as text": foreign(404, {"message": "Not Found"}, "text/plain"),
    "JSON that breaks off": Page(404, b'{"message": "Not', JSON),
}


def answered(topaz: Topaz, request: Heard) -> bytes:
    """What the service itself answers."""
    answer = topaz.server().reply(request)
    assert isinstance(answer, bytes)
    return answer


def served(page: Page, since: float, until: float, ends_at: float) -> RawServer:
    """Three images and three videos that end at ``ends_at``; from ``since`` to ``until`` there is nothing but a page."""
    began = now()

    def reply(request: Heard) -> bytes:
        age = now() - began
        if since <= age < until:
            return page.encoded()
        over = age >= ends_at
        images: dict[str, Any] = {name: image(name, "Completed" if over else "Processing") for name in IDS}
        videos: dict[str, Any] = {name: video(name, "complete" if over else "processing") for name in IDS}
        return answered(Topaz(images, videos), request)

    return RawServer(reply)


@pytest.mark.parametrize("name", PAGES)
@virtual
async def test_a_page_of_seconds_ends_nothing(name: str) -> None:
    """For five seconds all jobs are answered so: every watch goes on, and ends as its job does."""
    store = MemoryStore()
    async with client_of(served(PAGES[name], 20, 25, 60), policy=POLICY, store=store) as client:
        outcomes = await client.outcomes([*IMAGES, *VIDEOS], timeout=500)
    assert [outcome.state for outcome in outcomes] == [JobState.COMPLETED] * 6
    assert max(outcome.waited for outcome in outcomes) < 60 + 30


@pytest.mark.parametrize("name", PAGES)
@virtual
async def test_a_page_that_stays_ends_the_wait_alone(name: str) -> None:
    """After ``give_up_after`` the watch ends with what came; its row stays, and the job is taken up and seen to end."""
    page, store = PAGES[name], MemoryStore()
    async with client_of(served(page, 20, 1e9, 1e9), policy=POLICY, store=store) as client:
        outcomes = await client.outcomes([*IMAGES, *VIDEOS], timeout=5000)
    assert {type(outcome.error) for outcome in outcomes} == {page.error}
    assert {outcome.state for outcome in outcomes} == {None}
    assert min(outcome.waited for outcome in outcomes) >= 60
    async with client_of(served(page, 1e9, 1e9, 30), policy=POLICY, store=store) as client:
        again = [outcome async for outcome in client.resume()]
    assert sorted((str(outcome.job), outcome.state) for outcome in again) == sorted(
        (job, JobState.COMPLETED) for job in [*IMAGES, *VIDEOS]
    )


@pytest.mark.parametrize("status", [400, 402, 403, 412])
@virtual
async def test_refusals_that_nothing_distinguishes_from_the_services_own(status: int) -> None:
    """From the third seen job on that is refused within seconds, none ends by it: neither while it lasts nor after."""
    page, store = foreign(status, {"message": "Forbidden"}), MemoryStore()
    async with client_of(served(page, 20, 25, 60), policy=POLICY, store=store) as client:
        outcomes = await client.outcomes([*IMAGES, *VIDEOS], timeout=500)
    assert [outcome.state for outcome in outcomes].count(JobState.COMPLETED) >= 4


@virtual
async def test_refusals_that_stay() -> None:
    """They end the wait alone, and their rows stay."""
    page, store = foreign(403, {"message": "Forbidden"}), MemoryStore()
    async with client_of(served(page, 20, 1e9, 1e9), policy=POLICY, store=store) as client:
        outcomes = await client.outcomes([*IMAGES, *VIDEOS], timeout=5000)
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds.count(TransportError) >= 4
    async with client_of(served(page, 1e9, 1e9, 30), policy=POLICY, store=store) as client:
        again = [outcome async for outcome in client.resume()]
    completed = [outcome for outcome in again if outcome.state is JobState.COMPLETED]
    assert len(completed) == kinds.count(TransportError)


@virtual
async def test_one_refusal_ends_its_watch_at_once() -> None:
    """Beside jobs that are shown, one that was seen is refused with its first 403; so is one that was never seen."""
    topaz = Topaz({name: image(name) for name in IDS})

    def reply(request: Heard) -> bytes:
        topaz.images[IDS[0]] = 403 if now() > 10 else image(IDS[0])
        topaz.images[IDS[1]] = image(IDS[1], "Completed" if now() > 60 else "Processing")
        topaz.images[IDS[2]] = 403
        return answered(topaz, request)

    server = RawServer(reply)
    async with client_of(server, policy=POLICY) as client:
        outcomes = await client.outcomes(IMAGES)
    assert [type(outcome.error) for outcome in outcomes] == [PermissionDeniedError, type(None), PermissionDeniedError]
    assert outcomes[0].waited < 40
    assert outcomes[2].polls == 1


@virtual
async def test_a_gateways_404_and_one_of_the_service_are_not_two() -> None:
    """Only two of the service's own end a watch."""
    topaz = Topaz({IDS[0]: image(IDS[0])}, image_list=404)
    script = [b"", PAGES["nginx's 404"].encoded(), b"own", PAGES["nginx's 404"].encoded()]

    def reply(request: Heard) -> bytes:
        said = script.pop(0) if len(script) > 1 else script[0]
        topaz.images[IDS[0]] = 404 if said == b"own" else image(IDS[0])
        if said in {b"", b"own"}:
            return answered(topaz, request)
        return said

    async with client_of(RawServer(reply), policy=POLICY) as client:
        outcome = await client.watch(IMAGES[0]).outcome()
    assert type(outcome.error) is GatewayError
    assert outcome.waited >= 60


@virtual
async def test_a_proxys_401_confirms_no_other() -> None:
    """One 401 of the service and any number of a proxy's are no confirmed refusal of the key."""
    topaz = Topaz({name: image(name) for name in IDS})
    page = PAGES["a proxy's 401"].encoded()

    def reply(request: Heard) -> bytes:
        job = request.path.rsplit("/", 1)[1]
        topaz.images[job] = (
            401 if now() < 5 and job == IDS[0] else image(job, "Completed" if now() > 40 else "Processing")
        )
        return page if now() < 10 and job != IDS[0] else answered(topaz, request)

    async with client_of(RawServer(reply), policy=POLICY) as client:
        outcomes = await client.outcomes(IMAGES)
    assert [outcome.state for outcome in outcomes] == [JobState.COMPLETED] * 3


@pytest.mark.parametrize("status", [400, 403, 404])
@virtual
async def test_a_page_instead_of_a_list(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """In place of the list it is a trouble that passes: nobody learns of a refusal."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=100, duration=200))
    simulator.add_fault("text", status=status, endpoint="image.list", since=20, until=100)
    async with client_of(simulator, rate=10.0, burst=10.0) as client:
        await client.gather(jobs)
    assert simulator.stats().faults["text"] > 2
    assert "refused" not in caplog.text


@virtual
async def test_a_direct_call_tries_again() -> None:
    """A GET is sent again after a page, and an own refusal is reported at once."""
    asked: list[float] = []

    def reply(request: Heard) -> bytes:
        asked.append(now())
        if len(asked) < 3:
            return PAGES["nginx's 404"].encoded()
        return answered(Topaz({IDS[0]: image(IDS[0])}), request)

    async with client_of(RawServer(reply), policy=SINGLY) as client:
        assert (await client.image.get(IDS[0])).process_id == IDS[0]
        assert len(asked) == 3
        with pytest.raises(NotFoundError):
            await client.image.get(IDS[1])
        assert len(asked) == 4
        asked.clear()
        with pytest.raises(GatewayError):
            await client.image.delete(IDS[0])
        assert len(asked) == 1


@virtual
async def test_the_log_says_that_something_is_in_the_way(caplog: pytest.LogCaptureFixture) -> None:
    """Once, as a warning, with the code and what to check."""
    caplog.set_level(logging.WARNING)
    async with client_of(served(PAGES["nginx's 404"], 20, 60, 80), policy=POLICY) as client:
        await client.outcomes(IMAGES)
    (text,) = (record.getMessage() for record in caplog.records)
    said = "something in front of it answers 404: check any proxy, firewall or gateway on the way"
    assert text.startswith(f"the image service cannot be reached ({said})")


@virtual
async def test_an_own_401_ends_watches_as_ever() -> None:
    """What is the service's own still counts."""
    topaz = Topaz(dict.fromkeys(IDS, 401))
    async with client_of(topaz.server(), policy=POLICY) as client:
        outcomes = await client.outcomes([JobRef.parse(job) for job in IMAGES])
    assert {type(outcome.error) for outcome in outcomes} == {AuthenticationError}
    assert max(outcome.waited for outcome in outcomes) < 10
