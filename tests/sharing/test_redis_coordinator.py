"""The setting: which URLs it takes, what it never shows, and what opening says of a server that cannot be used."""

from __future__ import annotations

import asyncio
import pickle
import sys
import traceback
from pathlib import Path

import pytest
import redis.asyncio
import trustme
from bus_rules import TERMS, beat
from harness import PATIENCE, free_port
from real_servers import NEEDS_ONE, RealServer, executables, limit_calls, running

from topaz_status import ConfigurationError, CoordinatorError
from topaz_status.coordination import BusError, Want
from topaz_status.redis import RedisCoordinator
from topaz_status.redis.bus import RedisBus
from topaz_status.session.timing import backoff_delays

PASSWORD = "hunter2-of-the-cache"
REMOTE = "cache.example.com"


class TestUrls:
    """What a URL may be."""

    @pytest.mark.parametrize(
        "url",
        [
            f"rediss://{REMOTE}:6379/0",
            f"valkeys://user:{PASSWORD}@{REMOTE}/2",
            f"redis://{REMOTE}",
            f"valkey://{REMOTE}:7000",
            f"redis://:{PASSWORD}@127.0.0.1:6379",
            f"redis://:{PASSWORD}@[::1]:6379",
            f"redis://:{PASSWORD}@localhost",
            "unix:///run/redis.sock?db=3",
            f"rediss://{REMOTE}/0?ssl_ca_certs=/etc/ca.pem",
        ],
    )
    def test_these_are_taken(self, url: str) -> None:
        """Every scheme of Redis and Valkey; its text is shown without user, password and options."""
        shown = repr(RedisCoordinator(url))
        assert PASSWORD not in shown
        assert "user" not in shown
        assert "?" not in shown

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "cache:6379",
            f"http://{REMOTE}",
            "redis://",
            "unix://",
            f"redis://{REMOTE}:port",
            f"redis://{REMOTE}/0#part",
            f"rediss://{REMOTE}?ssl_cert_reqs=none",
            f"redis://{REMOTE}?password={PASSWORD}",
            f"redis://:{PASSWORD}@{REMOTE}",
            f"valkey://user:{PASSWORD}@10.0.0.7:6379",
            6379,
        ],
    )
    def test_these_are_refused(self, url: str) -> None:
        """Without a word of what they hold."""
        with pytest.raises(ConfigurationError) as caught:
            RedisCoordinator(url)
        assert PASSWORD not in str(caught.value)
        assert REMOTE not in str(caught.value)

    def test_a_password_in_plain_text_has_to_be_allowed(self) -> None:
        """Where the network is trusted."""
        RedisCoordinator(f"redis://:{PASSWORD}@{REMOTE}", allow_plain=True)

    def test_the_environment_may_name_the_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without it, and without an argument, making the setting says what is missing."""
        monkeypatch.setenv("TOPAZ_STATUS_REDIS_URL", "redis://127.0.0.1:7777/0")
        assert "127.0.0.1:7777" in repr(RedisCoordinator())
        monkeypatch.delenv("TOPAZ_STATUS_REDIS_URL")
        with pytest.raises(ConfigurationError, match="TOPAZ_STATUS_REDIS_URL"):
            RedisCoordinator()


class TestArguments:
    """The other arguments."""

    @pytest.mark.parametrize(
        "wrong",
        [
            {"lead": "always"},
            {"lease": 0.5},
            {"lease": 31},
            {"lease": float("nan")},
            {"lease": True},
            {"account": "a{b}"},
            {"account": ""},
            {"prefix": "a b"},
            {"client": object()},
        ],
    )
    def test_wrong_ones_are_refused(self, wrong: dict[str, object]) -> None:
        """By name."""
        url = {} if "client" in wrong else {"url": "redis://127.0.0.1"}
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            RedisCoordinator(**url, **wrong)  # type: ignore[arg-type]

    def test_a_client_replaces_the_url(self) -> None:
        """Both together are one too many, and one that decodes answers cannot carry mail."""
        client = redis.asyncio.Redis()
        RedisCoordinator(client=client)
        with pytest.raises(ConfigurationError, match="not both"):
            RedisCoordinator("redis://127.0.0.1", client=client)
        with pytest.raises(ConfigurationError, match="decode_responses"):
            RedisCoordinator(client=redis.asyncio.Redis(decode_responses=True))

    def test_without_the_extra_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The module itself is imported all the same."""
        monkeypatch.setitem(sys.modules, "redis", None)
        with pytest.raises(ConfigurationError, match=r"topaz-status\[redis\]"):
            RedisCoordinator("redis://127.0.0.1")

    def test_a_password_is_not_pickled(self) -> None:
        """Nor shown by anything that shows attributes."""
        coordinator = RedisCoordinator(f"redis://:{PASSWORD}@localhost")
        with pytest.raises(TypeError):
            pickle.dumps(coordinator)
        assert PASSWORD not in str({name: getattr(coordinator, name) for name in ("_url", "_client", "account")})


class TestUnusable:
    """Opening fails in time, and says why."""

    @pytest.fixture(autouse=True)
    def _quickly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("topaz_status.redis.coordinator.CONNECT_TIMEOUT", 0.5)

    async def test_nobody_listens(self) -> None:
        """The address is named, the password is not, not even in a frame of the traceback."""
        coordinator = RedisCoordinator(f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0")
        with pytest.raises(CoordinatorError, match=r"127\.0\.0\.1.*cannot be reached") as caught:
            await coordinator.connect("account", "a1")
        assert caught.value.__cause__ is caught.value.__context__ is None
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert PASSWORD not in "".join(shown.format())

    @NEEDS_ONE
    async def test_a_password_is_asked_for(self, executable: str) -> None:
        """A missing or wrong one ends opening at once; the right one opens."""
        with running(executable, "--requirepass", PASSWORD) as server:
            where = f"127.0.0.1:{server.port}/0"
            for url in (f"redis://{where}", f"redis://:wrong-one@{where}"):
                with pytest.raises(CoordinatorError, match="refuses this client") as caught:
                    await RedisCoordinator(url).connect("account", "a1")
                assert "wrong-one" not in str(caught.value)
            await _works(RedisCoordinator(f"redis://:{PASSWORD}@{where}"))

    @NEEDS_ONE
    async def test_a_replica_is_refused(self, executable: str) -> None:
        """It takes no writes."""
        options = ("--replicaof", "127.0.0.1", str(free_port()), "--replica-serve-stale-data", "yes")
        with running(executable, *options) as server, pytest.raises(CoordinatorError, match="replica"):
            await RedisCoordinator(server.url).connect("account", "a1")

    @NEEDS_ONE
    async def test_what_is_no_such_server_is_refused(self, executable: str) -> None:
        """For example one that forbids scripts."""
        with running(executable) as server:
            server.command("ACL", "SETUSER", "default", "-eval", "-evalsha")
            with pytest.raises(CoordinatorError, match="refuses this client"):
                await RedisCoordinator(server.url).connect("account", "a1")


@pytest.fixture(params=sorted(executables()))
def executable(request: pytest.FixtureRequest) -> str:
    """A server of each sort that is here."""
    return executables()[request.param]


@NEEDS_ONE
class TestServers:
    """Servers of many settings."""

    @pytest.fixture(autouse=True)
    def _calls_may_take_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        limit_calls(monkeypatch, PATIENCE)

    async def test_the_rights_that_the_documentation_names_are_enough(self, executable: str) -> None:
        """A user of an access control list needs these commands, keys and channels, and no others."""
        with running(executable) as server:
            server.command("ACL", "SETUSER", "topaz", "on", f">{PASSWORD}", *RIGHTS)
            await _works(RedisCoordinator(f"redis://topaz:{PASSWORD}@127.0.0.1:{server.port}/0"), heard=True)

    async def test_memory_may_be_full(self, executable: str) -> None:
        """Scripts run where plain writes are refused; servers before Redis 7.0 cannot do that."""
        with running(executable, "--maxmemory", "1", "--maxmemory-policy", "noeviction") as server:
            if server.command("INFO", "server")["redis_version"].startswith("6."):
                pytest.skip("scripts have no flags before Redis 7.0")
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                server.command("SET", "plain", "write")
            await _works(RedisCoordinator(server.url), heard=True)

    async def test_a_server_that_evicts_keys_is_warned_of(
        self, executable: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Once, when the client opens; a server that does not say is taken as it is."""
        options = ("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
        with running(executable, *options) as server:
            await _works(RedisCoordinator(server.url))
        assert [record.levelname for record in caplog.records if "allkeys-lru" in record.getMessage()] == ["WARNING"]

    async def test_scripts_are_sent_again_after_they_were_flushed(self, executable: str) -> None:
        """By an administrator, or by a restart."""
        with running(executable) as server:
            bus = await RedisCoordinator(server.url).connect("account", "a1")
            await bus.beat(beat("a1"))
            server.command("SCRIPT", "FLUSH")
            assert (await bus.beat(beat("a1"))).holder == "a1"
            await bus.close()

    async def test_an_idle_member_costs_nothing(self, executable: str) -> None:
        """Its open connection is silent: the server gets no command but those that are called for."""
        with running(executable) as server:
            bus = await RedisCoordinator(server.url).connect("account", "a1")
            await _until_heard(bus)
            before = server.command("INFO", "stats")["total_commands_processed"]
            await backoff_delays.pause(0.3)
            assert server.command("INFO", "stats")["total_commands_processed"] - before <= 5  # of the test's own client
            await bus.close()

    async def test_one_node_of_a_cluster(self, executable: str) -> None:
        """All keys of an account are in one slot, by a plain client and by one for clusters."""
        with running(executable, "--cluster-enabled", "yes") as server:
            server.command("CLUSTER", "ADDSLOTS", *map(str, range(16_384)))
            await _works(RedisCoordinator(server.url), heard=True)
            async with redis.asyncio.RedisCluster.from_url(server.url) as client:
                await _works(RedisCoordinator(client=client))

    async def test_a_callers_client_is_left_open(self, executable: str) -> None:
        """Of either version of the protocol."""
        with running(executable) as server:
            for protocol in (2, 3):
                async with redis.asyncio.Redis(port=server.port, protocol=protocol) as client:
                    await _works(RedisCoordinator(client=client), heard=True)
                    assert await client.ping()

    async def test_a_socket_in_the_file_system(self, executable: str, tmp_path: Path) -> None:
        """No network at all."""
        path = tmp_path / "s"
        with running(executable, "--unixsocket", str(path)):
            await _works(RedisCoordinator(f"unix://{path}"))

    async def test_certificates_are_checked(self, executable: str, tmp_path: Path) -> None:
        """One of a known authority for this host is taken; another host's, or an unknown authority's, is not."""
        authority, port = trustme.CA(), free_port()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        other = trustme.CA()
        other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
        for name, trusted, works in (
            ("127.0.0.1", "ca.pem", True),
            ("127.0.0.1", "other.pem", False),
            ("cache.example.com", "ca.pem", False),
        ):
            issued = authority.issue_cert(name)
            issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
            issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
            files = ("--tls-cert-file", str(tmp_path / "cert.pem"), "--tls-key-file", str(tmp_path / "key.pem"))
            options = ("--port", "0", "--tls-port", str(port), *files, "--tls-auth-clients", "no")
            try:
                server = RealServer(executable, (*options, "--tls-ca-cert-file", str(tmp_path / "ca.pem")), port=port)
                server.start()
            except AssertionError:
                server.close()
                pytest.skip("this server was built without TLS")
            try:
                coordinator = RedisCoordinator(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path / trusted}")
                if works:
                    await _works(coordinator)
                else:
                    with pytest.raises(CoordinatorError):
                        await coordinator.connect("account", "a1")
            finally:
                server.close()

    async def test_foreign_values_raise_nothing_else(self, executable: str) -> None:
        """Anybody who can write there can only make calls fail, or mail be dropped."""
        with running(executable) as server:
            bus = await RedisCoordinator(server.url).connect("account", "a1")
            keys = "topaz-status:{account}:"
            server.command("HSET", f"{keys}members", "evil", "99999999999999999:{", "worse", "no number")
            with pytest.raises(BusError):
                await bus.beat(beat("a1"))
            server.command("DEL", f"{keys}members")
            server.command("HSET", f"{keys}members", "evil", "99999999999999999:[1,2]")
            assert [member.id for member in (await bus.beat(beat("a1"))).members] == ["a1"]
            server.command("SET", f"{keys}box:to:a1", "no stream")
            with pytest.raises(BusError):
                await bus.read("to:a1", None, most=9, wait=0.0)
            server.command("DEL", f"{keys}box:to:a1")
            server.command("XADD", f"{keys}box:to:a1", "*", "other", "field")
            assert [body for _, body in await bus.read("to:a1", None, most=9, wait=0.0)] == [b""]
            server.command("SET", f"{keys}saved:x", "y" * 100_000)
            assert await bus.load("x") is None
            await bus.close()


RIGHTS = (
    "resetchannels",
    "~topaz-status:*",
    "&topaz-status:*",
    *(
        "+" + command
        for command in ["eval", "evalsha", "time", "hget", "hset", "hdel", "hmget", "hexists", "hincrby", "hgetall"]
    ),
    *(
        "+" + command
        for command in ["pexpire", "xadd", "xread", "xrevrange", "get", "set", "subscribe", "unsubscribe", "ping"]
    ),
    "+pubsub|numsub",
)
"""What a user of an access control list needs."""


async def _works(coordinator: RedisCoordinator, *, heard: bool = False) -> None:
    """Join, lead, get a token, send mail and read it."""
    bus = await coordinator.connect("account", "a1")
    try:
        epoch = (await bus.beat(beat("a1"))).epoch
        assert len((await bus.reserve(Want(terms=TERMS, shared=1, epoch=epoch, horizon=1.0))).shared) == 1
        await bus.post([("to:a1", b"update")])
        assert (await bus.read("to:a1", None, most=9, wait=0.2))[-1][1] == b"update"
        assert await bus.read("to:a1", "99999999999999-0", most=9, wait=0.01)
        assert await bus.save("lifetimes", b"x", epoch)
        assert await bus.load("lifetimes") == b"x"
        if heard:
            await _until_heard(bus)
    finally:
        await bus.close()


async def _until_heard(bus: RedisBus) -> None:
    """Beat until the server notices this member's open connection."""
    assert bus._presence is not None
    async with asyncio.timeout(10.0):
        while not bus._presence.is_heard:
            await backoff_delays.pause(0.01)
            await bus.beat(beat("a1"))
