"""The filesystem connector passes the suite of object connectors."""

from pathlib import Path

import pytest

from connectors.conformance.objects import ObjectConformance
from connectors.contract import ConnectorConfig
from connectors.filesystem import connector
from connectors.filesystem.tree import INCOMING


class FilesystemHarness:
    factory = connector
    keeps_content_types = False
    sorts_by_bytes = True

    def __init__(self, root: Path) -> None:
        self.root = root

    def config(self, pool_max: int = 4) -> ConnectorConfig:
        return ConnectorConfig(name="files", options={"root": str(self.root)}, pool_max=pool_max)

    def config_of_nothing(self) -> ConnectorConfig:
        return ConnectorConfig(name="files", options={"root": str(self.root / "absent")})

    async def unfinished(self) -> int:
        incoming = self.root / INCOMING
        return len(list(incoming.iterdir())) if incoming.exists() else 0


class TestFilesystem(ObjectConformance):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesystemHarness:
        root = tmp_path / "root of ü"
        root.mkdir()
        return FilesystemHarness(root)
