"""The setting with which processes share one account over a server that speaks the protocol of Redis."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
from typing import Any, Final, get_args

import attrs

from ..coordination import CALL_TIMEOUT, CONNECT_TIMEOUT, Lead
from ..core.policy import is_number
from ..errors import ConfigurationError, CoordinatorError
from ..models.redact import shown
from ..session.secret import Secret
from ..session.telemetry import logger
from ..session.timing.backoff_delays import pause
from .bus import RedisBus, channel, close_client
from .presence import Presence
from .redis_url import checked_redis_url, shown_url, tls_options
from .scripts import script
from .server_errors import may_heal, reason_of

URL_VARIABLE: Final = "TOPAZ_STATUS_REDIS_URL"
LEASES: Final = (1.0, 30.0)
"""Shortest and longest lease, in seconds."""
RECONNECTS_AFTER: Final = 0.3
"""Seconds between two attempts to connect."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@attrs.frozen(init=False, eq=False, repr=False)
class RedisCoordinator:
    """Joins the processes that poll for one account: one of them polls, and all hear of every status.

    It is a setting, and opens nothing by itself. ``rate``, ``burst`` and ``service_rates`` of the clients become those
    of the account.

    Args:
        url: ``rediss://host:port/0`` (TLS, with certificates checked), ``redis://``, ``valkeys://``, ``valkey://`` or
            ``unix://``. ``None`` takes the variable ``TOPAZ_STATUS_REDIS_URL``.
        client: a ``redis.asyncio.Redis`` or ``RedisCluster`` of the caller's own, in place of a URL. It is not closed,
            and must not decode responses. On a cluster a dead leader is noticed when its lease ends.
        account: the name of what the processes share. ``None`` takes a fingerprint of the API keys.
        prefix: the beginning of all keys on the server.
        lead: ``"auto"`` stands for election, ``"prefer"`` takes over from a leader that is ``"auto"``, and ``"never"``
            only follows, as web workers do beside ``topaz-status lead``.
        lease: seconds, from 1 to 30, within which a leader that is cut off is replaced.
        links: whether statuses keep their signed links in mail, which the server holds for seconds.
        allow_plain: whether a password may be sent without TLS to another machine.

    Raises:
        ConfigurationError: an argument is wrong, or the extra ``redis`` is not installed.
    """

    account: str | None
    lead: Lead
    lease: float
    links: bool
    prefix: str
    _url: Secret | None
    _client: Any

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Any = None,
        account: str | None = None,
        prefix: str = "topaz-status",
        lead: Lead = "auto",
        lease: float = 3.0,
        links: bool = True,
        allow_plain: bool = False,
    ) -> None:
        _require_redis()
        if lead not in get_args(Lead):
            raise ConfigurationError(f"lead is one of {', '.join(get_args(Lead))}, not {lead!r}")
        if not is_number(lease) or not LEASES[0] <= lease <= LEASES[1]:
            raise ConfigurationError(f"lease is from {LEASES[0]:g} to {LEASES[1]:g} seconds, not {lease!r}")
        self.__attrs_init__(
            account=None if account is None else _name("account", account),
            lead=lead,
            lease=float(lease),
            links=bool(links),
            prefix=_name("prefix", prefix),
            url=_url(url, client, allow_plain=allow_plain),
            client=None if client is None else _checked_client(client),
        )

    def __repr__(self) -> str:
        where = "client=…" if self._url is None else repr(shown_url(self._url.reveal()))
        account = "" if self.account is None else f", account={self.account!r}"
        return f"RedisCoordinator({where}{account}, lead={self.lead!r}, lease={self.lease:g}, links={self.links})"

    async def connect(self, account: str, member: str) -> RedisBus:
        """See :class:`topaz_status.coordination.Coordinator`."""
        keys = f"{self.prefix}:{{{account}}}:"
        client = self._client if self._url is None else _open(self._url)
        flags, probes, fault = await _check(client, keys, member)
        if fault is not None:
            if self._url is not None:
                await close_client(client)
            raise CoordinatorError(f"{self!r}: {fault}")
        await _warn_of_eviction(client)
        presence = Presence(client, channel(keys, member)) if probes and not _is_cluster(client) else None
        if presence is not None:
            presence.start()
        return RedisBus(client, keys, member, flags, presence, owned=self._url is not None)


def _require_redis() -> None:
    if importlib.util.find_spec("redis") is None:
        raise ConfigurationError('RedisCoordinator needs the extra "redis": pip install "topaz-status[redis]"')


def _name(argument: str, text: object) -> str:
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise ConfigurationError(f"{argument} is 1 to 64 letters, digits, dots, dashes or underscores")
    return text


def _url(given: str | None, client: object, *, allow_plain: bool) -> Secret | None:
    """Return the URL; ``None`` where the caller has a client."""
    if client is not None:
        if given is not None:
            raise ConfigurationError("pass either a URL or a client, not both")
        return None
    source = "url" if given is not None else URL_VARIABLE
    text = given if given is not None else os.environ.get(URL_VARIABLE)
    if text is None:
        raise ConfigurationError(f"no server to share the account over: pass a URL or set {URL_VARIABLE}")
    return Secret(checked_redis_url(source, text, allow_plain=allow_plain))


def _checked_client(client: Any) -> Any:
    from redis.asyncio import Redis, RedisCluster  # noqa: PLC0415  # loaded with the first coordinator

    if not isinstance(client, (Redis, RedisCluster)):
        raise ConfigurationError(f"client is a redis.asyncio.Redis or RedisCluster, not {type(client).__name__}")
    if client.get_encoder().decode_responses:
        raise ConfigurationError("client must be made with decode_responses=False: mail is bytes")
    return client


def _is_cluster(client: Any) -> bool:
    from redis.asyncio import RedisCluster  # noqa: PLC0415  # loaded with the first coordinator

    return isinstance(client, RedisCluster)


def _open(url: Secret) -> Any:
    """Make a client; it connects at its first command, and repeats no command."""
    from redis.asyncio import Redis  # noqa: PLC0415  # loaded with the first coordinator
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    return Redis.from_url(
        url.reveal(),
        protocol=2,
        socket_connect_timeout=CALL_TIMEOUT,
        socket_timeout=None,  # each call has a limit of its own
        retry=Retry(NoBackoff(), 0),
        **tls_options(url.reveal()),
    )


async def _check(client: Any, keys: str, member: str) -> tuple[bool, bool, str | None]:
    """Try what scripts need; return whether they may have flags, whether dead members are noticed, and a fault."""
    fault, loop = "no answer came in time", asyncio.get_running_loop()
    until = loop.time() + CONNECT_TIMEOUT
    while loop.time() < until:
        try:
            async with asyncio.timeout_at(until):
                return *await _try_scripts(client, keys, member), None
        except Exception as error:  # noqa: BLE001  # raised as a CoordinatorError, without a traceback that has a password
            fault, over = reason_of(error), not may_heal(error)
        if over:
            break
        await pause(RECONNECTS_AFTER)
    return False, False, fault


async def _warn_of_eviction(client: Any) -> None:
    """Warn of a server that may drop the account's keys to make room for others, if it says so."""
    try:
        async with asyncio.timeout(CALL_TIMEOUT):
            facts = await client.execute_command("INFO", "memory")
            policy, most = str(facts["maxmemory_policy"]), int(facts["maxmemory"])
    except Exception:  # noqa: BLE001  # not every server says so, and nothing depends on it
        return
    if most and policy != "noeviction":
        logger.warning(
            "the shared server evicts keys (maxmemory-policy %s): noeviction spares elections", shown(policy)
        )


async def _try_scripts(client: Any, keys: str, member: str) -> tuple[bool, bool]:
    from redis.exceptions import NoPermissionError, ReadOnlyError, ResponseError  # noqa: PLC0415

    arguments = [f"{keys}state"], [channel(keys, member)]
    try:
        return True, bool(await script("check", flags=True).run(client, *arguments))
    except (NoPermissionError, ReadOnlyError):
        raise
    except ResponseError:  # a server before Redis 7.0
        return False, bool(await script("check", flags=False).run(client, *arguments))
