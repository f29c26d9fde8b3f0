"""The Grafana dashboard: it asks for metrics and labels that there are, and shows each of them."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from itertools import combinations
from typing import Any, Final

import pytest

from topaz_status.telemetry.instruments import EVERY, Form, Instrument, prometheus_label

DASHBOARD: Final = json.loads(files("topaz_status.telemetry").joinpath("dashboard.json").read_text(encoding="utf-8"))
PANELS: Final[list[dict[str, Any]]] = DASHBOARD["panels"]
EXPRESSIONS: Final = [target["expr"] for panel in PANELS for target in panel["targets"]]
METRIC: Final = re.compile(r"\b(?:http_client|topaz_status)_\w+(?=\{)")
OF_SCRAPING: Final = {"job", "le"}
"""Labels that Prometheus adds."""


def series(instrument: Instrument) -> set[str]:
    """The names under which Prometheus stores a metric."""
    name = instrument.prometheus_name
    return {f"{name}_{part}" for part in ("bucket", "sum", "count")} if instrument.form is Form.HISTOGRAM else {name}


NAMES: Final = {name: each for each in EVERY for name in series(each)}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_panel_asks_for_metrics_and_labels_that_there_are(expression: str) -> None:
    """A panel over a name that no client has would stay empty, and nobody would know why."""
    metrics = METRIC.findall(expression)
    assert metrics
    assert set(metrics) <= set(NAMES)
    labels = {prometheus_label(label) for name in metrics for label in NAMES[name].labels} | OF_SCRAPING
    grouped = {one.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for one in group.split(",")}
    matched = set(re.findall(r"(\w+)(?:=~|!=|=)\"", expression))
    assert grouped | matched <= labels
    assert expression.count("(") == expression.count(")")


def test_the_variables_ask_for_a_metric_that_is_always_there() -> None:
    """The list of scrape jobs comes from a metric that every open client has, without labels."""
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["query"]["query"] == variable["definition"]
            [name] = re.findall(r"label_values\((\w+), job\)", variable["definition"])
            assert NAMES[name].labels == ()


def test_counters_are_shown_as_rates_and_gauges_as_they_are() -> None:
    """The rate of a gauge means nothing, and neither does the height of a counter."""
    for expression in EXPRESSIONS:
        for name in METRIC.findall(expression):
            is_rate = re.search(rf"rate\({name}\{{[^}}]*\}}\[\$__rate_interval\]", expression) is not None
            assert is_rate is (NAMES[name].form in {Form.COUNTER, Form.HISTOGRAM})


def test_every_metric_is_on_the_dashboard() -> None:
    """What is measured can be seen."""
    shown = {NAMES[name] for expression in EXPRESSIONS for name in METRIC.findall(expression)}
    assert {each.name for each in EVERY} == {each.name for each in shown}


def test_legends_name_labels_that_the_expression_keeps() -> None:
    """A legend of a label that was summed away would be empty."""
    for panel in PANELS:
        for target in panel["targets"]:
            grouped = {
                one.strip() for group in re.findall(r"by \(([^)]*)\)", target["expr"]) for one in group.split(",")
            }
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped


def test_panels_have_their_own_place() -> None:
    """They neither overlap nor leave the grid of 24 columns, and any data source can be chosen."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    cells = []
    for panel in PANELS:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells.append({(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])})
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert not [1 for one, other in combinations(cells, 2) if one & other]
