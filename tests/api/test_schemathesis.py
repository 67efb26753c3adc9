"""Schemathesis, as anyone runs it from a shell, finds nothing on the running demo."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.running import Running, demo

FOLDER = Path(__file__).with_name("schemathesis")
PEERS = ("ana", "sam")
FOR_OTHERS = ("/decision", "/revoke", "/preview", "/events", "/deliveries", "/replay")
EXAMPLES_PER_OPERATION = 60
MAX_S = 100


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A demo of its own: what the fuzzer leaves behind is nobody else's."""
    with demo(tmp_path_factory.mktemp("fuzzed")) as running:
        yield running


def approvals_of_both(running: Running) -> list[str]:
    """Some wait for people, some are approved and can be executed."""
    asked = [running.query("ana", f"DELETE FROM orders WHERE id = {number}") for number in range(501, 521)]
    asked.append(running.query("sam", "SELECT email FROM customers WHERE id = 1", unmask=["pii.email"]))
    names = [answer.json()["approval_id"] for answer in asked]
    with running.client() as client:
        for name in names[:15]:
            path, yes = f"/v1/approvals/{name}/decision", {"decision": "approve"}
            assert client.post(path, json=yes, headers=running.auth("max")).status_code == 200
    return names


def exports(running: Running) -> None:
    """Something to fetch, to overwrite and to delete."""
    with running.client(headers=running.auth("ana")) as client:
        for number in range(1, 4):
            sheet = {"content": f"id\n{number}\n", "content_type": "text/csv"}
            assert client.put(f"/v1/connections/files/objects/exports/{number}.csv", json=sheet).status_code == 200


def raw_values(running: Running) -> list[str]:
    with closing(sqlite3.connect(running.state / "shop.db")) as db:
        found = db.execute(
            "SELECT email FROM customers UNION SELECT national_id FROM customers UNION SELECT email FROM employees "
            "UNION SELECT national_id FROM employees UNION SELECT card_number FROM payments "
            "UNION SELECT iban FROM payments"
        )
        return [value for (value,) in found if value is not None]


def run(running: Running, folder: Path, *options: str) -> dict[str, Any]:
    """Schemathesis's own report of one run."""
    authentications = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {running.token(name)}"}]}
        for name in PEERS
    ]
    for file in ("schemathesis.toml", "hooks.py"):
        shutil.copy(FOLDER / file, folder)
    (folder / "auth.json").write_text(json.dumps({"schemaVersion": "0.2.0", "auth": authentications}))
    (folder / "approvals.txt").write_text("\n".join(map(json.dumps, approvals_of_both(running))))
    exports(running)
    (folder / "raw.json").write_text(json.dumps(raw_values(running)))
    report, shown = folder / "report.json", folder / "shown.txt"
    with shown.open("wb") as out:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")), "run", f"{running.url}/openapi.json",
                "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--mode", "all",
                "--max-examples", str(EXAMPLES_PER_OPERATION), "--max-time", str(MAX_S), "--no-color",
                "--report", "json", "--report-json-path", str(report), *options,
            ],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    assert report.exists(), shown.read_text()[-4000:]
    found: dict[str, Any] = json.loads(report.read_text())
    assert found["exit_code"] == done.returncode
    return {**found, "shown": shown.read_text()}


def test_two_identities_find_no_failure_no_error_and_no_warning(fuzzed: Running, tmp_path: Path) -> None:
    found = run(fuzzed, tmp_path, "--seed", "20261123")
    wrong = {
        "failures": found["failures"],
        "errors": found["errors"],
        "warnings": {name: about for name, about in found["warnings"].items() if about},
    }
    assert wrong == {"failures": [], "errors": [], "warnings": {}}, found["shown"][-8000:]
    assert found["exit_code"] == 0, found["shown"][-8000:]
    assert found["operations"]["tested"] == found["operations"]["total"] >= 7
    assert {phase["status"] for phase in found["phases"].values()} == {"success"}, found["phases"]
    for operation, phases in found["valid_rates"].items():
        accepted = sum(phase["accepted"] for phase in phases.values())
        if operation.endswith("/execute"):
            continue  # the fuzzer may have cancelled all that was approved
        assert (accepted > 0) is not operation.endswith(FOR_OTHERS), f"{operation}: {accepted} succeeded"
    assert fuzzed.ready()
