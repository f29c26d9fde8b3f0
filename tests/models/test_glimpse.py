"""A glimpse of an answer agrees with the answer decoded in full, and is taken only of a job that goes on."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from documented_bodies import IMAGE
from hypothesis import given
from hypothesis import strategies as st

from topaz_status import JobKind, JobRef
from topaz_status.core.decode import decode_image, pack, parse_json
from topaz_status.core.glimpse import glimpse
from topaz_status.core.sight import sight
from topaz_status.core.sighting import Sighting

JOB = JobRef(JobKind.IMAGE, "d7b3e7a1-0000-4000-8000-00000000000a")
NOW = 1_740_000_000.0
PROMISED: dict[str, Any] = {
    "process_id": JOB.id,
    "status": "Processing",
    "progress": 40,
    "eta": NOW + 12,
    "creation_time": NOW - 30,
    "modification_time": NOW - 1,
}
FIELDS = [field.name for field in attrs.fields(Sighting)]
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),  # what a parser makes integers of; the others are floats
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(min_value=NOW - 1e6, max_value=NOW + 1e6),
    st.text(max_size=8),
    st.sampled_from([JOB.id, JOB.id.upper(), "Pending", "Processing", "processing ", "Completed", "40", []]),
)


@given(
    changes=st.dictionaries(st.sampled_from([*PROMISED, "credits", "filename", "surprise"]), values),
    without=st.sets(st.sampled_from([*PROMISED])),
)
def test_a_glimpse_is_what_decoding_would_have_told(changes: dict[str, Any], without: set[str]) -> None:
    """Whatever the body: where there is a glimpse, decoding succeeds and says the same."""
    body = {key: value for key, value in (PROMISED | changes).items() if key not in without}
    glimpsed = glimpse(body, JOB, NOW)
    if glimpsed is None:
        return
    status = decode_image(parse_json(pack(body)), JOB)
    assert (glimpsed.word, glimpsed.percent) == (status.status, status.progress)
    assert not status.is_terminal
    seen = sight(status, job=JOB, service_now=NOW)
    assert {name: getattr(glimpsed, name) for name in FIELDS} == {name: getattr(seen, name) for name in FIELDS}


@given(st.recursive(values, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=5))
def test_of_anything_else_there_is_none(data: object) -> None:
    assert glimpse(data, JOB, NOW) is None


def test_the_documented_body_is_glimpsed() -> None:
    """The answer that comes most often is one of those for which this is here."""
    assert glimpse(IMAGE | {"status": "Processing"}, JobRef(JobKind.IMAGE, IMAGE["process_id"]), NOW) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"status": "Completed"},
        {"status": "Failed"},
        {"status": "Cancelled"},
        {"status": "Sleeping"},
        {"status": None},
        {"process_id": None},
        {"process_id": JOB.id.upper()},
        {"progress": 101},
        {"progress": "40"},
        {"progress": True},
        {"eta": "soon"},
        {"eta": 1e300},
        {"creation_time": False},
    ],
    ids=str,
)
def test_what_is_not_as_promised_is_decoded_in_full(change: dict[str, Any]) -> None:
    assert glimpse(PROMISED, JOB, NOW) is not None
    assert glimpse(PROMISED | change, JOB, NOW) is None
