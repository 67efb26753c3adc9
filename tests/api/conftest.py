from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Running, demo


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo, started once for all tests that only ask it."""
    state: Path = tmp_path_factory.mktemp("demo")
    with demo(state) as running:
        yield running
