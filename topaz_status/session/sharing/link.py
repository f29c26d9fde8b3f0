"""The kit of a client that shares an account, and its connection to the others."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import attrs

from ...coordination import PRIORITIES, Bus, Coordinator, Member
from ...core.budget.shared_budget import SharedBudget
from ...core.schedule.schedule import Schedule
from ...core.sharing.mail import MAIL_VERSION
from ...core.sharing.membership import Membership
from ...models.job import JobKind
from ..kit import Kit, Parts
from ..secret import Secret
from ..settings import ACCOUNTS, Account, Settings
from ..telemetry import Telemetry
from ..timing.backoff_delays import random_name
from ..timing.clock import Clock
from .shared_feed import SharedCircuits, SharedFeed
from .shared_gate import SharedGate
from .shared_registry import SharedRegistry
from .shared_results import SharedResults
from .sharing import Sharing

SHARED_KIT: Final = Kit(SharedBudget, SharedGate, SharedRegistry, SharedResults, SharedFeed, SharedCircuits)


def account_name(keys: Mapping[Account, Secret | None]) -> str:
    """Return the name of what processes with the same API keys share: a hash, from which no key can be found."""
    digest = blake2b(digest_size=8, person=b"topaz-status")
    for account in Account:
        key = keys[account]
        digest.update(b"\0" if key is None else f"{key.reveal()}\0".encode())
    return digest.hexdigest()


def settings_digest(settings: Settings) -> str:
    """Return a short hash of the settings that should be equal in all members of an account."""
    rates = sorted((kind.value, rate) for kind, rate in settings.service_rates.items())
    text = repr((settings.rate, settings.burst, rates, settings.policy, sorted(settings.urls.items())))
    return blake2b(text.encode(), digest_size=4).hexdigest()


def library_version() -> str:
    """Return the version of this library; empty where it runs without being installed."""
    try:
        return version("topaz-status")
    except PackageNotFoundError:
        return ""


@attrs.frozen(eq=False)
class Link:
    """A connection to the shared server, and this member's part in the election."""

    coordinator: Coordinator
    bus: Bus
    membership: Membership

    @classmethod
    async def connect(cls, coordinator: Coordinator, settings: Settings, now: float) -> Link:
        """Connect to the shared server.

        Raises:
            CoordinatorError: it cannot be reached, or refuses this client.
        """
        member = Member(
            id=random_name(),
            priority=PRIORITIES[coordinator.lead],
            stands=coordinator.lead != "never",
            kinds=frozenset(kind for kind in JobKind if settings.keys[ACCOUNTS[kind]] is not None),
            settings=settings_digest(settings),
            version=library_version(),
            mail=MAIL_VERSION,
        )
        bus = await coordinator.connect(coordinator.account or account_name(settings.keys), member.id)
        return cls(coordinator, bus, Membership(member, coordinator.lead, coordinator.lease, now))

    def share(self, clock: Clock, schedule: Schedule, telemetry: Telemetry, parts: Parts) -> Sharing:
        """Return the sharing of a client that was built of :data:`SHARED_KIT`; it is not open yet."""
        return Sharing(clock, self.coordinator, self.bus, self.membership, schedule, telemetry, parts)
