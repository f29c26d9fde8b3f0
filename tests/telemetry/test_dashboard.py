"""The Grafana dashboard: its queries are Prometheus's language, over metrics and labels that there are."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from itertools import combinations
from typing import Any, Final, Self

import attrs
import promql_parser as promql
import pytest

from topaz_status.telemetry.instruments import EVERY, Form, Instrument, prometheus_label

DASHBOARD: Final = json.loads(files("topaz_status.telemetry").joinpath("dashboard.json").read_text(encoding="utf-8"))
PANELS: Final[list[dict[str, Any]]] = DASHBOARD["panels"]
VARIABLES: Final = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
FILLED_IN: Final = {"$__rate_interval": "5m", "$job": ".*"}
"""What Grafana puts in place of its variables, in an expression."""
OF_SCRAPING: Final = {"job", "le"}
"""Labels that Prometheus adds."""
RATES: Final = {"ops", "reqps"}


def series(instrument: Instrument) -> set[str]:
    """The names under which Prometheus stores a metric."""
    name = instrument.prometheus_name
    return {f"{name}_{part}" for part in ("bucket", "sum", "count")} if instrument.form is Form.HISTOGRAM else {name}


NAMES: Final = {name: each for each in EVERY for name in series(each)}


@attrs.frozen
class Query:
    """One expression of a panel, parsed as Prometheus parses it."""

    panel: dict[str, Any]
    target: dict[str, Any]
    nodes: list[Any]
    """The expression and all of its parts, the outer ones first."""

    @classmethod
    def of(cls, panel: dict[str, Any], target: dict[str, Any]) -> Self:
        """Parse a panel's target; an error of syntax or of types is raised."""
        text = target["expr"]
        for variable, value in FILLED_IN.items():
            text = text.replace(variable, value)
        nodes: list[Any] = []
        promql.transform(promql.parse(text), nodes.append)  # visits each node; it replaces none, as this returns None
        return cls(panel, target, nodes)

    def all(self, kind: type) -> list[Any]:
        """The parts of one kind."""
        return [node for node in self.nodes if isinstance(node, kind)]

    @property
    def metrics(self) -> list[str]:
        """The names of the series, in the order of the expression."""
        return [str(node.name) for node in self.all(promql.VectorSelector)]

    @property
    def groups(self) -> list[set[str]]:
        """The labels of each sum."""
        return [set(node.modifier.labels) if node.modifier else set() for node in self.all(promql.AggregateExpr)]


QUERIES: Final = [Query.of(panel, target) for panel in PANELS for target in panel["targets"]]
EACH_QUERY: Final = pytest.mark.parametrize("query", QUERIES, ids=[query.target["expr"] for query in QUERIES])
EACH_PANEL: Final = pytest.mark.parametrize("panel", PANELS, ids=[str(panel["title"]) for panel in PANELS])


@EACH_QUERY
def test_every_panel_asks_for_metrics_and_labels_that_there_are(query: Query) -> None:
    """A panel over a name that no client has would stay empty, and nobody would know why."""
    assert query.metrics
    assert set(query.metrics) <= set(NAMES)
    labels = {prometheus_label(label) for name in query.metrics for label in NAMES[name].labels} | OF_SCRAPING
    matched = {one.name for node in query.all(promql.VectorSelector) for one in node.matchers.matchers}
    assert matched <= labels
    assert set().union(*query.groups) <= labels


@EACH_QUERY
def test_every_query_is_of_the_scrape_jobs_that_are_chosen(query: Query) -> None:
    """Each metric is asked for by the variable of the dashboard; no other variable is used."""
    for node in query.all(promql.VectorSelector):
        assert [one.value for one in node.matchers.matchers if one.name == "job"] == [FILLED_IN["$job"]]
    assert set(re.findall(r"\$\w+", query.target["expr"])) <= set(FILLED_IN)
    assert "job" in VARIABLES


@EACH_QUERY
def test_counters_are_shown_as_rates_and_gauges_as_they_are(query: Query) -> None:
    """The rate of a gauge means nothing, and neither does the height of a counter."""
    rated = {str(call.args[0].vector_selector.name) for call in query.all(promql.Call) if call.func.name == "rate"}
    for name in query.metrics:
        assert (name in rated) is (NAMES[name].form in {Form.COUNTER, Form.HISTOGRAM})


@EACH_QUERY
def test_quantiles_are_of_buckets_with_their_bounds(query: Query) -> None:
    """Without the label of the bounds, a quantile is not a number."""
    asks_for_quantiles = any(call.func.name == "histogram_quantile" for call in query.all(promql.Call))
    assert asks_for_quantiles is any(name.endswith("_bucket") for name in query.metrics)
    assert asks_for_quantiles is any("le" in group for group in query.groups)


@EACH_QUERY
def test_both_sides_of_a_quotient_have_the_same_labels(query: Query) -> None:
    """Otherwise Prometheus would find no pairs, and the panel would be empty."""
    if query.all(promql.BinaryExpr):
        first, second = query.groups
        assert first == second


@EACH_QUERY
def test_legends_name_labels_of_the_expression(query: Query) -> None:
    """A legend of a label that was summed away would be empty, and two lines would have one name."""
    remaining = set().union(*query.groups) - {"le"}
    assert set(re.findall(r"\{\{(\w+)\}\}", query.target["legendFormat"])) == remaining


def test_every_metric_is_on_the_dashboard() -> None:
    """What is measured can be seen."""
    assert {NAMES[name].name for query in QUERIES for name in query.metrics} == {each.name for each in EVERY}


@EACH_PANEL
def test_a_panel_is_complete(panel: dict[str, Any]) -> None:
    """It has a title, a sentence on what it shows, and the data source that is chosen; its queries have own names."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == SOURCE
    assert [target["datasource"] for target in panel["targets"]] == [SOURCE] * len(panel["targets"])
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert len({target["legendFormat"] for target in panel["targets"]}) == len(panel["targets"])


@EACH_PANEL
def test_a_panel_has_the_unit_of_its_metrics(panel: dict[str, Any]) -> None:
    """Seconds, events a second, or a plain number."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    for query in QUERIES:
        if query.panel is panel:
            assert unit in _units(query)


def _units(query: Query) -> set[str]:
    """The units that the value of a query may be shown in."""
    name = query.metrics[0]
    if NAMES[name].unit == "s" and not name.endswith("_count"):
        return {"s"}
    if NAMES[name].unit.endswith("/s"):
        return RATES
    is_rate = any(call.func.name == "rate" for call in query.all(promql.Call))
    return RATES if is_rate and not query.all(promql.BinaryExpr) else {"short"}


def test_panels_have_their_own_place() -> None:
    """They neither overlap nor leave the grid of 24 columns."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    cells = []
    for panel in PANELS:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells.append({(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])})
    assert not [1 for one, other in combinations(cells, 2) if one & other]


def test_the_variables_ask_for_a_metric_that_is_always_there() -> None:
    """The list of scrape jobs comes from a metric that every open client has, without labels."""
    assert VARIABLES["datasource"]["query"] == SOURCE["type"]
    for variable in VARIABLES.values():
        if variable["type"] == "query":
            assert variable["datasource"] == SOURCE
            assert variable["query"]["query"] == variable["definition"]
            [name] = re.findall(r"label_values\((\w+), job\)", variable["definition"])
            assert NAMES[name].labels == ()


@pytest.mark.parametrize(
    "expression", ["sum by (", "rate(topaz_status_tokens)", "topaz_status_polls_total{job=~$job}", "histogram(up)"]
)
def test_what_prometheus_refuses_is_refused_here(expression: str) -> None:
    """The parser knows the syntax, the types and the functions, so a query that it takes can be evaluated."""
    with pytest.raises(ValueError, match=r"."):
        Query.of({}, {"expr": expression})
