"""What processes that share one account need of each other: a bus, and the values that go over it.

A *member* is one client. A :class:`Coordinator` is the setting that a client takes; it connects the member to the
:class:`Bus` of its account. The bus does little: it says who leads, grants tokens, and carries mail. All decisions are
made above it, so they run over any bus, also over :class:`topaz_status.testing.MemoryCoordinator` in virtual time.

Times that go over the bus are spans in seconds, because members do not share a clock. An *epoch* numbers the reign of
one leader. A later leader has a greater epoch, even if the server has lost all its data. 0 means that nobody has
led yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import attrs

from .errors_base import TopazStatusError
from .models.job import JobKind
from .models.pydantic_schema import PydanticSchema

CALL_TIMEOUT: Final = 1.0
"""Seconds within which each call of a bus returns or raises, apart from the wait that :meth:`Bus.read` is given."""
CONNECT_TIMEOUT: Final = 5.0
"""Seconds within which a coordinator has connected or raises."""
LONGEST_HORIZON: Final = 5.0
"""Most seconds by which a token is granted ahead of its time."""
MOST_HOLD: Final = 300.0
"""Most seconds for which :meth:`Bus.slow_down` lets nobody send."""
MOST_MESSAGES: Final = 2_000
"""Messages that a box holds, or a few more."""
MAIL_LIFETIME: Final = 60.0
"""Seconds after its last message for which a box lives."""
MOST_MAIL: Final = 1_000_000
"""Most bytes of one message."""

Lead: TypeAlias = Literal["auto", "prefer", "never"]
"""Whether a member stands for election; ``"prefer"`` takes over from a leader that is ``"auto"``."""
Wants: TypeAlias = Literal["stand", "follow", "leave"]
"""What a member asks for: to take or keep the lease; to go without it, so a leader gives it up; to be gone."""
Role: TypeAlias = Literal["leader", "follower", "alone"]

PRIORITIES: Final[Mapping[Lead, int]] = {"never": 0, "auto": 1, "prefer": 2}
"""The order in which members stand; a member with 0 never leads."""


class BusError(TopazStatusError):
    """A call of a bus did not succeed, or its answer did not come in time. Whether it took effect is unknown."""


@attrs.frozen(kw_only=True)
class Member:
    """What a member says of itself to the others. Every text is short and holds no secret."""

    id: str
    """A random name, drawn when the client opens."""
    priority: int = PRIORITIES["auto"]
    """0 for a member that never leads; see :data:`PRIORITIES`."""
    stands: bool = True
    """False while the member does not want to lead, for example because its key was refused."""
    kinds: frozenset[JobKind] = frozenset(JobKind)
    """The kinds of job whose API key it has."""
    settings: str = ""
    """A digest of the settings that should be equal in all members; a differing one is reported."""
    version: str = ""
    """The version of the library, for people."""
    mail: int = 1
    """The version of the mail that it writes and reads; members with another one cannot follow it."""
    loop_lag: float = 0.0
    """Seconds by which its event loop was late lately."""
    latency: float = 0.0
    """Seconds that its beats take, in the median."""

    def differs_from(self, other: Member) -> bool:
        """Return whether two members differ in settings that should be equal.

        Digests of different versions of the library do not say that, so members of two versions count as equal.
        """
        return self.version == other.version and self.settings != other.settings


@attrs.frozen(kw_only=True)
class Beat:
    """A sign of life, which renews the membership and, for the leader, the lease."""

    member: Member
    ttl: float
    """Seconds for which the lease is taken or kept; the membership lasts as long."""
    wants: Wants
    epoch: int = 0
    """The highest epoch that the member has seen; a later one is never lower, even if the server has lost its data."""


@attrs.frozen(kw_only=True)
class Pulse:
    """The answer to a beat."""

    now: float
    """Unix seconds by the server's clock. It may jump: use it for texts alone."""
    holder: str | None
    """The member that leads; ``None`` while nobody does."""
    epoch: int
    """The epoch of the holder; without one, the highest epoch so far. It is 0 after the server has lost its data."""
    lease_left: float
    """Seconds after which the lease ends if it is not renewed."""
    members: tuple[Member, ...]
    """All living members, this one included, in the order of their ids."""
    deposed: bool = False
    """True if this beat took the lease from a leader that was proved dead, or that gave way to a preferred member."""


@attrs.frozen(kw_only=True)
class Terms:
    """What the account may send. The leader's terms hold; others' count only until a leader has named its own."""

    rate: float
    """Requests per second of all kinds together."""
    burst: float
    """Most tokens that are saved up. A server without data, or one that lost them, starts with one."""
    kinds: Mapping[JobKind, float] = attrs.field(factory=dict)
    """Requests per second of the kinds with a limit of their own, set or learned; each has a burst of 1."""


@attrs.frozen(kw_only=True)
class Want:
    """A wish for tokens. Shared tokens serve any kind; a kind with a limit of its own needs one of its own as well."""

    terms: Terms
    shared: int
    """How many shared tokens."""
    kinds: Mapping[JobKind, int] = attrs.field(factory=dict)
    """How many tokens of the kinds with a limit of their own."""
    horizon: float = 0.0
    """Tokens are granted ahead of their time, by up to this many seconds, and by :data:`LONGEST_HORIZON` at most."""
    epoch: int | None = None
    """The leader's epoch, for polls; ``None`` for direct calls, which any member may make."""


@attrs.frozen(kw_only=True)
class Grants:
    """The tokens that were granted. A token may be used from its slot on, and only shortly after it.

    A slot is a span from the moment at which the server answered, 0 for now. Count it from the reply's arrival for "not
    before", and from the request's departure for "not after".
    """

    now: float
    """Unix seconds by the server's clock, for texts alone."""
    epoch_ok: bool = True
    """False if the want's epoch is no longer in force: nothing was granted."""
    shared: tuple[float, ...] = ()
    """The slots of the shared tokens, in seconds, ascending."""
    kinds: Mapping[JobKind, tuple[float, ...]] = attrs.field(factory=dict)
    """The slots of each kind's own tokens, in seconds, ascending."""
    next_in: float = 0.0
    """Seconds from the answer to the slot that the next shared token would have."""
    kinds_next_in: Mapping[JobKind, float] = attrs.field(factory=dict)
    """The same for each kind with a limit of its own."""
    rates: Mapping[JobKind, float] = attrs.field(factory=dict)
    """The rates of the kinds with a limit of their own that are in force, as the leader last named them."""
    held: Mapping[JobKind, float] = attrs.field(factory=dict)
    """Seconds for which no request of a kind may go; kinds without a hold are left out."""
    limited: Mapping[JobKind, int] = attrs.field(factory=dict)
    """How many 429s members have reported of a kind; the leader learns from each rise. It may restart at 0."""


@attrs.frozen(kw_only=True)
class Percentiles(PydanticSchema):
    """The median and the 95th percentile of some seconds."""

    p50: float
    p95: float


@attrs.frozen(kw_only=True)
class Shared(PydanticSchema):
    """What a client knows of the processes that share its account: ``client.stats().shared``. Times are seconds.

    Example:
        >>> isinstance(client.stats().shared, Shared)  # not without a coordinator
        False
    """

    role: Role
    member: str
    """This member's id."""
    leader: str | None
    """The leader's id; ``None`` while nobody leads, or nobody knows."""
    epoch: int
    members: int
    """Living members, as of the last beat."""
    jobs: int | None
    """Jobs that are watched in the whole account; only the leader knows."""
    latency: Percentiles | None
    """How long beats take."""
    news_lag: Percentiles | None
    """How long the leader's mail took to come here; ``None`` for the leader."""
    grants: int
    """Tokens granted to this member so far."""
    grants_expired: int
    """Tokens that were granted and not used in time."""
    alone_for: float
    """Seconds for which this member has gone alone; 0 while it does not."""
    outages: int
    """How often it has gone alone."""
    resyncs: int
    """How often leader and follower had to be brought to agree again on what is watched."""
    bad_mail: int
    """Messages, or items of them, that could not be read and were dropped."""
    differs: tuple[str, ...]
    """Members whose settings differ from this one's."""


class Bus(Protocol):
    """What members share: a lease, a bucket, mail, and small saved texts. It belongs to one member of one account.

    Each call returns or raises :class:`BusError` within :data:`CALL_TIMEOUT`. Calls may overlap. A call that is
    canceled may take effect, and disturbs no other call.
    """

    async def beat(self, beat: Beat) -> Pulse:
        """Give a sign of life, and take, keep or give up the lease. A member that gives none for its ttl is gone.

        A standing member gets a lease that is free, that a member with a lower priority holds, or whose holder is
        proved dead.
        """

    async def reserve(self, want: Want) -> Grants:
        """Get tokens of the account. A call that fails may have spent them; it is never repeated."""

    async def slow_down(self, kind: JobKind, *, limited: bool = False, hold: float = 0.0) -> None:
        """Report an answer: ``limited`` counts a 429 for the leader, ``hold`` lets nobody send for some seconds."""

    async def post(self, mail: Sequence[tuple[str, bytes]]) -> None:
        """Put messages into boxes. A box is a text of at most 64 ASCII characters; it is made when first used.

        A box holds its latest :data:`MOST_MESSAGES`, and is emptied :data:`MAIL_LIFETIME` seconds after the last one.
        """

    async def read(self, box: str, after: str | None, *, most: int, wait: float) -> list[tuple[str, bytes]]:
        """Return at most ``most`` messages of a box that came after the one with the id ``after``, oldest first.

        Each comes with its id. ``None`` starts with the oldest. Without any, wait up to ``wait`` seconds for one. Once
        a server has lost its data, ids may start anew; older messages are then not held back. A message may
        come twice.
        """

    async def save(self, name: str, body: bytes, epoch: int) -> bool:
        """Save up to 64 KB under a name, for seven days. Return False if the epoch is no longer in force."""

    async def load(self, name: str) -> bytes | None:
        """Return what was saved last under a name."""

    async def close(self) -> None:
        """Close every connection. Calls under way end with :class:`BusError`."""


class Coordinator(Protocol):
    """How a client joins the other processes of its account: a setting, which opens nothing by itself."""

    @property
    def account(self) -> str | None:
        """The name of what the members share; ``None`` takes a fingerprint of the API keys."""

    @property
    def lead(self) -> Lead:
        """Whether this member stands for election."""

    @property
    def lease(self) -> float:
        """Seconds within which a leader that is cut off is replaced."""

    @property
    def links(self) -> bool:
        """Whether statuses in mail keep their signed links."""

    async def connect(self, account: str, member: str) -> Bus:
        """Connect a member within :data:`CONNECT_TIMEOUT`.

        Raises:
            CoordinatorError: no bus can be reached, or it refuses this member.
        """


def desk(epoch: int) -> str:
    """Return the box of the leader of an epoch."""
    return f"desk:{epoch}"


def box_of(member: str) -> str:
    """Return the box of a member."""
    return f"to:{member}"
