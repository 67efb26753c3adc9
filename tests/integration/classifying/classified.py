"""`douane classify` as an administrator runs it: on a configuration file of its own, in a temporary folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner, Result

from app.cli import cli

CONFIG = """\
server: {{public_url: "http://127.0.0.1:8080"}}
issuers:
  - {{issuer: "https://idp.example/", audience: "https://douane.example/api", clients: [agent]}}
connections:
  it: {connection}
audit: {{dir: audit, key: {{file: audit.key}}, origin: "douane.example/log"}}
masking: {{key: {{file: mask.key}}}}
policies: policies
"""


@dataclass(frozen=True)
class Site:
    """`folder` holds douane.yaml, which has one connection, `it`; its data file is `data_file`."""

    folder: Path

    @property
    def data_file(self) -> Path:
        return self.folder / "policies" / "data" / "it.yaml"

    def run(self, *args: str) -> Result:
        given = ["classify", "it", "--config", str(self.folder / "douane.yaml"), *args]
        # The log would go to the runner's stream, which is closed afterwards: for every later test of this process.
        with patch("app.telemetry.logs.configure"):
            result = CliRunner().invoke(cli, given)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def fields(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By table or glob, and name."""
        result = self.run("--json")
        assert result.exit_code == 0
        return {(one["in"], one["field"]): one for one in json.loads(result.stdout)["fields"]}


def site(folder: Path, connection: str, data: str = "") -> Site:
    """`connection`: as the configuration has it. `data`: the data file, "": there is none."""
    made = Site(folder)
    made.data_file.parent.mkdir(parents=True)
    (folder / "douane.yaml").write_text(CONFIG.format(connection=connection))
    for key in ("audit.key", "mask.key"):
        (folder / key).write_text("unused")
    if data:
        made.data_file.write_text(data)
    return made
