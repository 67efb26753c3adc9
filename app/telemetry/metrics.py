"""Prometheus metrics in a registry of their own, every series bound before the first request.

Each worker process counts for itself. With several workers behind one port a scrape would meet any one of them, so
`main` points PROMETHEUS_MULTIPROC_DIR at an empty folder before the workers start (prometheus_client reads it when it
is imported); `render` then adds up all workers.
"""

import os
from collections import Counter as Counts
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
OUTCOMES: Final = (
    "completed", "pending_approval", "denied", "invalid", "unauthenticated", "failed", "cancelled", "other",
)  # fmt: skip
CACHES: Final = ("plan", "statement", "token", "decision")
_DURATIONS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_FLUSH_S = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
_FLUSH_ENTRIES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_GATHERED = 256

_AcrossWorkers = Literal["livesum", "livemin", "livemax"]


class Metrics:
    """Label values come from closed sets (operations, outcomes, configured names): a caller cannot make new series."""

    def __init__(
        self, *, operations: Iterable[str], connections: Iterable[str] = (), issuers: Iterable[str] = ()
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        known = (*operations, "other")
        requests = self._counter("requests", "Requests by operation and outcome.", "operation", "outcome")
        self._requests = {(op, outcome): requests.labels(op, outcome) for op in known for outcome in OUTCOMES}
        durations = self._histogram(
            "request_duration_seconds", "From the first byte in to the last byte out.", _DURATIONS_S, "operation"
        )
        self._durations = {op: durations.labels(op) for op in known}
        self._over: Counts[tuple[str, str]] = Counts()
        self._looked: Counts[tuple[str, bool]] = Counts()
        self._rows_out = self._bytes_out = self._begun = self._ended = 0
        self._rows = self._counter("released_rows", "Rows that left.")
        self._bytes = self._counter("released_bytes", "Bytes of answers that left.")
        lookups = self._counter("cache_lookups", "Cache look-ups by cache and result.", "cache", "result")
        self._lookups = {(c, hit): lookups.labels(c, "hit" if hit else "miss") for c in CACHES for hit in (True, False)}
        self._flush_s = self._histogram("audit_flush_seconds", "One durable write of the audit log.", _FLUSH_S)
        self._flush_entries = self._histogram(
            "audit_flush_entries", "Entries that shared one durable write.", _FLUSH_ENTRIES
        )
        self._trail_failures = self._counter("audit_failures", "Durable writes of the audit log that failed.")
        self._in_flight = self._gauge("requests_in_flight", "Requests being served.", "livesum")
        self._trail = self._gauge("audit_healthy", "1: the audit log can be written.", "livemin")
        self._policy_broken = self._gauge(
            "policy_broken", "1: the newest policy files did not load and an older policy decides.", "livemax"
        )
        self._policy_info = self._gauge(
            "policy_info", "1: the policy that decides (first 12 digits of its digest).", "livemax", "version"
        )
        self._policy_version: str | None = None
        up = self._gauge("connection_up", "1: the catalog of the connection was read.", "livemin", "connection")
        self._connections = {name: up.labels(name) for name in connections}
        busy = self._gauge("pool_in_use", "Pooled connections in use.", "livesum", "connection")
        self._pools = {name: busy.labels(name) for name in self._connections}
        ready = self._gauge("issuer_ready", "1: keys of the issuer are at hand.", "livemin", "issuer")
        self._issuers = {name: ready.labels(name) for name in issuers}

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace="douane", registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, namespace="douane", registry=self.registry, buckets=buckets)

    def _gauge(self, name: str, text: str, across_workers: _AcrossWorkers, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace="douane", registry=self.registry, multiprocess_mode=across_workers)

    def started(self) -> None:
        self._begun += 1

    def finished(self, operation: str, outcome: str, *, duration_s: float, rows: int = 0, size_bytes: int = 0) -> None:
        """One request is over, whatever the way out. Unknown words count as "other"."""
        if operation not in self._durations:
            operation = "other"
        self._durations[operation].observe(duration_s)
        self._over[operation, outcome if outcome in OUTCOMES else "other"] += 1
        self._rows_out += rows
        self._bytes_out += size_bytes
        self._ended += 1
        if self._ended >= _GATHERED:
            self._gather()

    def _gather(self) -> None:
        """Into the registry what was counted since: a lock per counter and request would cost more than counting."""
        for series, count in self._over.items():
            self._requests[series].inc(count)
        self._over.clear()
        for lookup, count in self._looked.items():
            self._lookups[lookup].inc(count)
        self._looked.clear()
        self._rows.inc(self._rows_out)
        self._bytes.inc(self._bytes_out)
        self._in_flight.inc(self._begun - self._ended)
        self._rows_out = self._bytes_out = self._begun = self._ended = 0

    def looked_up(self, cache: str, *, hit: bool) -> None:
        self._looked[cache, hit] += 1

    def flushed(self, entries: int, duration_s: float) -> None:
        self._flush_s.observe(duration_s)
        self._flush_entries.observe(entries)

    def flush_failed(self) -> None:
        self._trail_failures.inc()

    def state(
        self,
        *,
        policy_version: str,
        policy_broken: bool,
        trail_healthy: bool,
        connections: Mapping[str, bool] | None = None,
        pools: Mapping[str, int] | None = None,
        issuers: Mapping[str, bool] | None = None,
    ) -> None:
        """What is true now; called before each scrape. Names that were not given at construction are left out."""
        version = policy_version[:12]
        if version != self._policy_version:
            if self._policy_version is not None:
                self._policy_info.labels(self._policy_version).set(0)
            self._policy_info.labels(version).set(1)
            self._policy_version = version
        self._policy_broken.set(policy_broken)
        self._trail.set(trail_healthy)
        for gauges, values in (
            (self._connections, connections),
            (self._pools, pools),
            (self._issuers, issuers),
        ):
            for name, value in (values or {}).items():
                if name in gauges:
                    gauges[name].set(value)

    def render(self) -> bytes:
        """The text exposition, of all workers where there are several."""
        self._gather()
        if MULTIPROCESS_VARIABLE not in os.environ:
            return generate_latest(self.registry)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)
