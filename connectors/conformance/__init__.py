"""What every connector of a family must do, as suites that a third party can import and run against its own."""

from connectors.conformance.harness import SqlHarness
from connectors.conformance.sql import SqlConformance
from connectors.conformance.write_harness import WriteHarness
from connectors.conformance.writes import WriteConformance

__all__ = ["SqlConformance", "SqlHarness", "WriteConformance", "WriteHarness"]
