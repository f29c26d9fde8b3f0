"""How old the items of a list are, in the order of the list: they show in which order a service lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...models.job import JobKind
from .list_page import ListPage
from .observe import since

AGES_SAMPLED: Final = 12
"""How many items of a page are sampled, at most."""
_MILLISECONDS: Final = 1_000.0


def sampled_ages(page: ListPage, service_now: float) -> list[float]:
    """Return the ages of a sample of a page's items, the first and the last included, in the order of the list.

    An age is in seconds, as of ``service_now`` (Unix seconds, the service's clock). An item without a usable time of
    creation is left out.
    """
    items = page.items
    last, steps = len(items) - 1, AGES_SAMPLED - 1
    if last > steps:
        items = [items[place * last // steps] for place in range(AGES_SAMPLED)]
    made_at = _image_made_at if page.kind is JobKind.IMAGE else _video_made_at
    times = [made_at(item) for item in items if type(item) is dict]
    ages = [since(at, service_now) for at in times if type(at) is int or type(at) is float]
    return [age for age in ages if age is not None]


def _image_made_at(item: Mapping[str, Any]) -> Any:
    return item.get("creation_time")


def _video_made_at(item: Mapping[str, Any]) -> Any:
    times = item.get("ts")
    if type(times) is not dict:
        return None
    made_at = times.get("requested", times.get("accepted"))
    return made_at / _MILLISECONDS if isinstance(made_at, int | float) else None
