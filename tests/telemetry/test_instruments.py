"""The table of instruments: names by the conventions, and documents that list them all."""

from __future__ import annotations

import re
from pathlib import Path

import topaz_status
from topaz_status.telemetry.instruments import EVERY, REQUEST_DURATION, Form

TEXT = (Path(topaz_status.__file__).parent / "telemetry" / "README.md").read_text(encoding="utf-8")
FORMS = {
    Form.COUNTER: "counter",
    Form.HISTOGRAM: "histogram",
    Form.UP_DOWN: "up-down counter",
    Form.GAUGE: "gauge",
}


def test_the_table_in_the_documents_is_the_table_in_the_code() -> None:
    """Every metric is there with its form and as many labels as it has, and no other is."""
    rows = re.findall(r"^\| `([\w.]+)` \| ([\w-]+(?: counter)?)(?:, [^|]*)? \| ([^|]*)\|", TEXT, flags=re.MULTILINE)
    found = {(name, form, len([one for one in labels.split(",") if one.strip()])) for name, form, labels in rows}
    assert found == {(each.name.removeprefix("topaz_status"), FORMS[each.form], len(each.labels)) for each in EVERY}


def test_names_follow_the_conventions() -> None:
    """One metric is OpenTelemetry's own; all others are in the project's name space, and none needs a second unit."""
    assert [each for each in EVERY if not each.name.startswith("topaz_status.")] == [REQUEST_DURATION]
    assert len({each.prometheus_name for each in EVERY}) == len(EVERY)
    for each in EVERY:
        assert re.fullmatch(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+", each.name)
        assert each.unit == "s" or each.unit.startswith("{")
        assert list(each.buckets) == sorted(each.buckets)
        assert bool(each.buckets) is (each.form is Form.HISTOGRAM)


def test_the_standard_metric_has_the_standard_buckets_and_labels() -> None:
    """Those of OpenTelemetry's semantic conventions for HTTP clients, with the kind of job besides."""
    assert REQUEST_DURATION.buckets == (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
    assert set(REQUEST_DURATION.labels) == {
        "http.request.method",
        "server.address",
        "server.port",
        "http.response.status_code",
        "error.type",
        "topaz_status.kind",
    }
