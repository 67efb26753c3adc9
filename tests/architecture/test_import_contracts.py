"""Every import contract catches a violation: one is put into a copy of the packages, and the contract has to break."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")

FLOORS = "Floors of app"
VIOLATIONS = [
    ("app/masking/masks.py", "import app.sql.statement", FLOORS),
    ("app/approval/approval.py", "import app.policy.decision", FLOORS),
    ("app/gateway/errors.py", "import app.store.trail_key", FLOORS),
    ("app/store/trail_key.py", "import app.gateway.errors", FLOORS),
    ("app/ports.py", "import app.gateway.errors", FLOORS),
    ("app/secrets/reference.py", "import app.settings.model", FLOORS),
    ("app/api/problems.py", "import app.main", FLOORS),
    ("app/gateway/errors.py", "import app.settings", FLOORS),
    ("app/nowhere.py", "'''A module that no floor knows.'''", FLOORS),
    ("connectors/registry.py", "import app.ports", "Connectors know only their contract"),
    ("connectors/sqlite/connector.py", "import app.masking.masks", "Connectors know only their contract"),
    ("connectors/sqlite/connector.py", "import connectors.postgres", "Each connector is independent"),
    ("app/gateway/errors.py", "import connectors.sqlite", "app sees the connector contract alone"),
    ("app/identity/names.py", "import connectors.registry", "app sees the connector contract alone"),
    ("app/api/problems.py", "import app.identity.names", "Doors never import adapters"),
    ("app/api/problems.py", "import app.telemetry.logs", "Doors never import adapters"),
    ("app/api/problems.py", "import app.recognisers.presidio", "Doors never import adapters"),
    ("app/recognisers/presidio.py", "import app.gateway.errors", FLOORS),
    ("app/console/links.py", "import app.store.deliveries", "Doors never import adapters"),
    ("app/jobs/deliveries.py", "import app.notify.smtp", "Doors never import adapters"),
    ("app/notify/words.py", "import app.gateway.record", FLOORS),
    ("app/notify/words.py", "import connectors.registry", "app sees the connector contract alone"),
    ("app/policy/decision.py", "import time", "The core does no IO"),
    ("app/sql/statement.py", "import random", "The core does no IO"),
    ("app/audit/merkle.py", "import pathlib", "The core does no IO"),
    ("app/masking/masks.py", "import os", "The core does no IO"),
    ("app/approval/approval.py", "import logging", "The core does no IO"),
    ("app/masking/masks.py", "import sqlalchemy", "The core does no IO"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("floors")
    for package in ("app", "connectors"):
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def lint(copy: Path) -> str:
    ran = subprocess.run(
        [LINT],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr


def broken(report: str) -> set[str]:
    return {line.removesuffix(" BROKEN") for line in report.splitlines() if line.endswith(" BROKEN")}


def test_the_floors_hold_as_they_are(copy: Path) -> None:
    report = lint(copy)
    assert "0 broken" in report, report[-3_000:]


@pytest.mark.parametrize(("module", "line", "contract"), VIOLATIONS, ids=[f"{m}: {i}" for m, i, _ in VIOLATIONS])
def test_a_violation_is_caught(copy: Path, module: str, line: str, contract: str) -> None:
    path = copy / module
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        assert any(name.startswith(contract) for name in broken(lint(copy)))
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
