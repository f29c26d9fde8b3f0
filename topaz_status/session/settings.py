"""The settings of a client: keys, hosts, budget. They are checked when the client is made."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from typing import Final

import attrs

from ..core.policy import PollPolicy, is_number, seconds
from ..errors import ConfigurationError
from ..models.job import JobKind
from .http.urls import checked_url
from .secret import Secret, secret


class Account(enum.StrEnum):
    """The company whose API key and host a kind of job uses."""

    TOPAZ = "topaz"
    PIXELCUT = "pixelcut"


ACCOUNTS: Final[Mapping[JobKind, Account]] = {
    JobKind.IMAGE: Account.TOPAZ,
    JobKind.VIDEO: Account.TOPAZ,
    JobKind.TRY_ON: Account.PIXELCUT,
}
KEY_VARIABLES: Final = {Account.TOPAZ: "TOPAZ_API_KEY", Account.PIXELCUT: "PIXELCUT_API_KEY"}
URL_VARIABLES: Final = {Account.TOPAZ: "TOPAZ_API_URL", Account.PIXELCUT: "PIXELCUT_API_URL"}
PUBLIC_URLS: Final = {
    Account.TOPAZ: "https://api.topazlabs.com",
    Account.PIXELCUT: "https://api.developer.pixelcut.ai",
}
DEFAULT_SERVICE_RATES: Final[Mapping[JobKind, float | None]] = {JobKind.TRY_ON: 5.0}
"""Requests/s per kind: Pixelcut's documents say "commonly 5 requests/second per account"."""


@attrs.frozen(kw_only=True)
class Settings:
    """All settings of a client."""

    keys: Mapping[Account, Secret | None]
    urls: Mapping[Account, str]
    rate: float
    burst: float
    service_rates: Mapping[JobKind, float | None]
    max_in_flight: int
    max_downloads: int
    request_timeout: float
    policy: PollPolicy

    def key(self, kind: JobKind) -> Secret:
        """Return the API key for a kind of job.

        Raises:
            ConfigurationError: there is no key for it.
        """
        account = ACCOUNTS[kind]
        key = self.keys[account]
        if key is None:
            raise ConfigurationError(
                f"no API key for {kind.value} jobs: pass {account.value}_api_key=… or set {KEY_VARIABLES[account]}"
            )
        return key

    def url(self, kind: JobKind) -> str:
        """Return the base URL for a kind of job, without a slash at its end."""
        return self.urls[ACCOUNTS[kind]]


def make_settings(
    *,
    keys: Mapping[Account, Secret | None],
    urls: Mapping[Account, str | None],
    allow_plain_http: bool,
    rate: float,
    burst: float,
    service_rates: Mapping[JobKind | str, float | None] | None,
    max_in_flight: int,
    max_downloads: int,
    request_timeout: float,
    policy: PollPolicy,
) -> Settings:
    """Check every argument; the environment supplies what is missing.

    Raises:
        ConfigurationError: an argument is wrong; the message names it and the fault.
    """
    if not isinstance(policy, PollPolicy):
        raise ConfigurationError(f"policy is a PollPolicy, not {type(policy).__name__}")
    return Settings(
        keys={account: _key(account, keys[account]) for account in Account},
        urls={account: _url(account, urls[account], allow_plain_http=allow_plain_http) for account in Account},
        rate=_number("rate", rate, least=0.0),
        burst=_number("burst", burst, least=1.0),
        service_rates=_service_rates(service_rates or {}),
        max_in_flight=_slots("max_in_flight", max_in_flight),
        max_downloads=_slots("max_downloads", max_downloads),
        request_timeout=seconds("request_timeout", request_timeout),
        policy=policy,
    )


def keys_of_environment() -> dict[Account, Secret | None]:
    """Return the API keys in the environment.

    Raises:
        ConfigurationError: one of them cannot be a key.
    """
    return {account: _key(account, None) for account in Account}


def _key(account: Account, given: Secret | None) -> Secret | None:
    """Return a key from the argument or the environment, without blanks around it; an empty one means no key."""
    source = f"{account.value}_api_key" if given is not None else KEY_VARIABLES[account]
    key = given if given is not None else secret(os.environ.get(KEY_VARIABLES[account]))
    if key is None:
        return None
    complaint = _complaint(key.reveal())  # not inline: an error holds the variables of each function it leaves
    if complaint is not None:
        raise ConfigurationError(f"{source} {complaint}")
    return secret(key.reveal().strip() or None)


def _complaint(key: object) -> str | None:
    """Return what is wrong with a key."""
    if not isinstance(key, str):
        return f"is a string, not {type(key).__name__}"
    if not all("!" <= character <= "~" for character in key.strip()):
        return "holds characters that no HTTP header may carry"
    return None


def _url(account: Account, given: str | None, *, allow_plain_http: bool) -> str:
    source = f"{account.value}_url" if given is not None else URL_VARIABLES[account]
    text = given if given is not None else os.environ.get(URL_VARIABLES[account]) or PUBLIC_URLS[account]
    return checked_url(source, text, allow_plain_http=allow_plain_http)


def _number(name: str, value: object, *, least: float) -> float:
    if not is_number(value):
        raise ConfigurationError(f"{name} is a finite number, not {value!r}")
    if value < least or value <= 0:
        raise ConfigurationError(f"{name} must be {'above 0' if least == 0 else f'at least {least:g}'}, not {value!r}")
    return float(value)


def _service_rates(given: Mapping[JobKind | str, float | None]) -> dict[JobKind, float | None]:
    rates = dict(DEFAULT_SERVICE_RATES)
    for name, rate in given.items():
        try:
            kind = JobKind(name)
        except ValueError:
            raise ConfigurationError(f"service_rates: unknown kind of job {name!r}") from None
        rates[kind] = None if rate is None else _number(f"service_rates[{kind.value!r}]", rate, least=0.0)
    return rates


def _slots(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} is a whole number of at least 1, not {value!r}")
    return value
