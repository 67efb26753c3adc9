"""The memory connector passes the suite of message connectors."""

import pytest

from connectors.conformance import MessageConformance
from connectors.conformance.message_harness import Abilities
from connectors.contract import ConnectorConfig
from connectors.memory import connector

_TOPICS = tuple(f"orders.t{n}" for n in range(10))


class MemoryHarness:
    factory = connector
    can = Abilities(brief_s=0.3, counts=True, orders=True, outlives=False, stops=False, keeps=False)
    unknown_topic = "orders.unknown"

    def __init__(self) -> None:
        self._unused = iter(_TOPICS)

    def config(self) -> ConnectorConfig:
        return ConnectorConfig(name="queue", options={"topics": list(_TOPICS)})

    def config_of_nothing(self) -> ConnectorConfig:
        pytest.skip("memory is never away")

    async def make_topic(self) -> str:
        return next(self._unused)

    async def has_topic(self, topic: str) -> bool:
        return topic in _TOPICS

    async def stop(self) -> None:
        raise AssertionError("memory does not stop")

    async def start(self) -> None:
        raise AssertionError("memory does not stop")


class TestMemory(MessageConformance):
    @pytest.fixture
    def harness(self) -> MemoryHarness:
        return MemoryHarness()
