"""Metrics count with closed label sets; trace ids follow the W3C recommendation."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.metrics import Metrics
from app.telemetry.trace import Trace, new_span_id, new_trace, parse_traceparent, trace_of

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"


def metrics() -> Metrics:
    return Metrics(operations=["query_sql"], connections=["shop"], issuers=["https://idp.example/"])


def values(found: Metrics) -> Mapping[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(found.render().decode())
        for sample in family.samples
    }


def test_a_request_is_counted_once_with_its_rows_and_bytes() -> None:
    found = metrics()
    found.started()
    assert values(found)["douane_requests_in_flight",] == 1
    found.finished("query_sql", "completed", duration_s=0.01, rows=3, size_bytes=40)
    seen = values(found)
    assert seen["douane_requests_total", "query_sql", "completed"] == 1
    assert seen["douane_requests_in_flight",] == 0
    assert (seen["douane_released_rows_total",], seen["douane_released_bytes_total",]) == (3, 40)
    assert seen["douane_request_duration_seconds_count", "query_sql"] == 1


@given(st.text(), st.text())
def test_no_caller_can_make_a_new_series(operation: str, outcome: str) -> None:
    found = metrics()
    before = set(values(found))
    found.started()
    found.finished(operation, outcome, duration_s=0.1)
    found.state(
        policy_version="",
        policy_broken=False,
        trail_healthy=True,
        connections={operation: True},
        issuers={outcome: True},
    )
    assert {name for name, *_ in set(values(found)) - before} <= {"douane_policy_info"}


def test_states_say_what_is_wrong_now() -> None:
    found = metrics()
    found.state(policy_version="a" * 64, policy_broken=True, trail_healthy=False, connections={"shop": False})
    seen = values(found)
    assert seen["douane_policy_broken",] == 1
    assert seen["douane_audit_healthy",] == 0
    assert seen["douane_connection_up", "shop"] == 0
    found.state(policy_version="b" * 64, policy_broken=False, trail_healthy=True, connections={"shop": True})
    seen = values(found)
    assert seen["douane_policy_info", "a" * 12] == 0
    assert seen["douane_policy_info", "b" * 12] == 1
    assert seen["douane_audit_healthy",] == 1


def test_caches_and_flushes_are_counted() -> None:
    found = metrics()
    found.looked_up("plan", hit=True)
    found.flushed(12, 0.002)
    found.flush_failed()
    seen = values(found)
    assert seen["douane_cache_lookups_total", "plan", "hit"] == 1
    assert seen["douane_audit_flush_entries_sum",] == 12
    assert seen["douane_audit_failures_total",] == 1


@pytest.mark.parametrize("kind", [str, str.encode])
def test_a_valid_traceparent_is_continued(kind: object) -> None:
    assert callable(kind)
    assert trace_of(kind(f"00-{TRACE_ID}-{SPAN_ID}-01")) == Trace(trace_id=TRACE_ID, parent_id=SPAN_ID, sampled=True)
    assert parse_traceparent(f"cc-{TRACE_ID}-{SPAN_ID}-00-what-the-future-sends") is not None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        TRACE_ID,
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-01-x",
        f"00-{TRACE_ID}-{SPAN_ID}-01\n",
        f" 00-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-0１",
        f"cc-{TRACE_ID}-{SPAN_ID}-01-" + "x" * 600,
        b"\xff" * 55,
    ],
)
def test_anything_else_starts_a_new_trace(header: str | bytes | None) -> None:
    assert parse_traceparent(header) is None
    assert trace_of(header).parent_id is None
    assert trace_of(header).trace_id not in ("", TRACE_ID)


@given(st.binary(max_size=80) | st.text(max_size=80))
def test_no_header_breaks_it_and_what_is_made_is_valid(header: str | bytes) -> None:
    trace = trace_of(header)
    assert parse_traceparent(trace.header(new_span_id())) is not None
    assert new_trace().trace_id != new_trace().trace_id
