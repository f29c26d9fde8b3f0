"""The table of instruments: every metric's name, unit and labels, for OpenTelemetry and for Prometheus alike.

``http.client.request.duration`` is that of OpenTelemetry's semantic conventions for HTTP clients, with their labels and
buckets. All other names begin with ``topaz_status.``. No label holds a text from a service or from a caller, so their
number is bounded, and no label holds a URL or a key.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Final, get_args

import attrs

from ..coordination import Role
from ..models.job import JobKind
from ..session.listener import Gauges

KIND: Final = "topaz_status.kind"
"""The kind of job: ``image``, ``video`` or ``try-on``."""
POLL_TYPE: Final = "topaz_status.poll.type"
"""``job`` or ``page``."""
ANSWER: Final = "topaz_status.answer"
"""The class of an answer, as in :data:`topaz_status.session.listener.AnswerClass`."""
OUTCOME: Final = "topaz_status.outcome"
"""The terminal state of the job, or the name of the class of the error that ended the watch."""
ROLE: Final = "topaz_status.role"
"""What a client is among the processes that share its account: ``leader``, ``follower`` or ``alone``."""
METHOD: Final = "http.request.method"
HOST: Final = "server.address"
PORT: Final = "server.port"
STATUS_CODE: Final = "http.response.status_code"
ERROR_TYPE: Final = "error.type"

ROLES: Final[tuple[Role, ...]] = get_args(Role)
_SUFFIXES: Final = {"s": "_seconds", "{request}/s": "_per_second"}
_REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_LAG_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_WATCH_BUCKETS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 604_800.0)


class Form(enum.Enum):
    """How an instrument counts."""

    COUNTER = enum.auto()
    HISTOGRAM = enum.auto()
    UP_DOWN = enum.auto()
    """A number that is read, and whose sum over processes means something."""
    GAUGE = enum.auto()
    """A number that is read."""


@attrs.frozen(eq=False)
class Instrument:
    """One metric."""

    name: str
    form: Form
    unit: str
    """In UCUM, as OpenTelemetry asks for."""
    text: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, in its unit."""

    @property
    def prometheus_name(self) -> str:
        """The name in Prometheus, by OpenTelemetry's rules of translation."""
        total = "_total" if self.form is Form.COUNTER else ""
        return prometheus_label(self.name) + _SUFFIXES.get(self.unit, "") + total


@attrs.frozen(eq=False)
class ReadInstrument(Instrument):
    """A metric whose value is read from the open clients when somebody collects it."""

    read: Callable[[Gauges], Mapping[JobKind, float] | Mapping[Role, float] | float] = attrs.field(kw_only=True)
    """Gives the values by the one label, or one value of the whole client."""
    merge: Callable[[Iterable[float]], float] = attrs.field(default=sum, kw_only=True)
    """Makes one value of the values of several clients."""


def prometheus_label(name: str) -> str:
    """Return a label's name in Prometheus."""
    return name.replace(".", "_")


def _by_role(role: Role | None) -> Mapping[Role, float]:
    """Return 1 for the role of a client and 0 for the others; nothing for a client that shares no account."""
    return {} if role is None else {each: float(each == role) for each in ROLES}


REQUEST_DURATION: Final = Instrument(
    "http.client.request.duration",
    Form.HISTOGRAM,
    "s",
    "Duration of HTTP requests to the services; downloads of results are not included.",
    (METHOD, HOST, PORT, STATUS_CODE, ERROR_TYPE, KIND),
    _REQUEST_BUCKETS,
)
POLLS: Final = Instrument(
    "topaz_status.polls", Form.COUNTER, "{poll}", "Polls, of jobs and of list pages.", (KIND, POLL_TYPE, ANSWER)
)
STATUSES: Final = Instrument(
    "topaz_status.statuses", Form.COUNTER, "{status}", "Statuses of watched jobs that polls brought.", (KIND, POLL_TYPE)
)
DETECTION_LAG: Final = Instrument(
    "topaz_status.lag",
    Form.HISTOGRAM,
    "s",
    "Detection lag: an upper bound, from the last poll before a job's end to the answer with the end.",
    (KIND,),
    _LAG_BUCKETS,
)
EXPECTED_LAG: Final = Instrument(
    "topaz_status.lag.expected",
    Form.HISTOGRAM,
    "s",
    "The mean detection lag that the client expected when a job's end was detected.",
    (KIND,),
    _LAG_BUCKETS,
)
WATCH_DURATION: Final = Instrument(
    "topaz_status.watch.duration",
    Form.HISTOGRAM,
    "s",
    "How long watches lasted; their number is the number of outcomes.",
    (KIND, OUTCOME),
    _WATCH_BUCKETS,
)
RECORDED: Final = (REQUEST_DURATION, POLLS, STATUSES, DETECTION_LAG, EXPECTED_LAG, WATCH_DURATION)
"""Metrics that events write."""

READ: Final = (
    ReadInstrument(
        "topaz_status.jobs.watched",
        Form.UP_DOWN,
        "{job}",
        "Jobs that are watched.",
        (KIND,),
        read=lambda gauges: gauges.watched_jobs,
    ),
    ReadInstrument(
        "topaz_status.requests.in_flight",
        Form.UP_DOWN,
        "{request}",
        "Requests on the wire.",
        (),
        read=lambda gauges: gauges.in_flight,
    ),
    ReadInstrument(
        "topaz_status.tokens",
        Form.GAUGE,
        "{token}",
        "Tokens in the shared bucket.",
        (),
        read=lambda gauges: gauges.tokens,
    ),
    ReadInstrument(
        "topaz_status.rate",
        Form.GAUGE,
        "{request}/s",
        "Requests per second that each kind may send: its ceiling, or the limit that 429s have taught.",
        (KIND,),
        read=lambda gauges: gauges.rates,
    ),
    ReadInstrument(
        "topaz_status.held",
        Form.GAUGE,
        "s",
        "Seconds for which a kind sends nothing, because its service asked for a pause.",
        (KIND,),
        read=lambda gauges: gauges.held,
        merge=max,
    ),
    ReadInstrument(
        "topaz_status.circuit.open",
        Form.GAUGE,
        "{circuit}",
        "1 while the circuit breaker of a service is open, 0 otherwise.",
        (KIND,),
        read=lambda gauges: gauges.down,
        merge=max,
    ),
    ReadInstrument(
        "topaz_status.store.backlog",
        Form.UP_DOWN,
        "{row}",
        "Rows that are not written to the store yet.",
        (),
        read=lambda gauges: gauges.store_backlog,
    ),
    ReadInstrument(
        "topaz_status.shared.role",
        Form.UP_DOWN,
        "{client}",
        "Clients that share an account, by role: leader, follower or alone.",
        (ROLE,),
        read=lambda gauges: _by_role(gauges.role),
    ),
)
"""Metrics that are read from the open clients."""
EVERY: Final = (*RECORDED, *READ)
