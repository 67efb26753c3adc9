"""What every connector of a family must do, as suites that a third party can import and run against its own."""

from connectors.conformance.harness import SqlHarness
from connectors.conformance.message_harness import MessageHarness
from connectors.conformance.messages import MessageConformance
from connectors.conformance.object_harness import ObjectHarness
from connectors.conformance.objects import ObjectConformance
from connectors.conformance.sql import SqlConformance
from connectors.conformance.write_harness import WriteHarness
from connectors.conformance.writes import WriteConformance

__all__ = [
    "MessageConformance",
    "MessageHarness",
    "ObjectConformance",
    "ObjectHarness",
    "SqlConformance",
    "SqlHarness",
    "WriteConformance",
    "WriteHarness",
]
