"""The `douane` command: exit codes, and a sentence instead of a trace for what an operator can get wrong."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from app.cli import cli
from app.identity.demo_issuer import DemoProfile
from app.secrets.mask_keys import parse_master_key

CONFIG = """\
server: {prot: 1}
issuers: [{issuer: "https://idp.example/", audience: a}]
audit: {dir: audit, key: {file: audit.key}, origin: o}
"""


@pytest.fixture(autouse=True)
def untouched_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def run(*args: object) -> Result:
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_configuration_that_is_not_there_is_a_sentence(command: str, tmp_path: Path) -> None:
    result = run(command, "--config", tmp_path / "none.yaml")
    assert result.exit_code == 2
    assert "none.yaml: cannot be read: No such file or directory" in result.output


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_wrong_configuration_names_file_line_and_field(command: str, tmp_path: Path) -> None:
    (tmp_path / "douane.yaml").write_text(CONFIG)
    result = run(command, "--config", tmp_path / "douane.yaml")
    assert result.exit_code == 2
    assert f"{tmp_path}/douane.yaml:1: server.prot: unknown key; did you mean port?" in result.output


def test_a_token_before_any_demo_says_what_to_start(tmp_path: Path) -> None:
    result = run("token", "ana", "--state", tmp_path / "none")
    assert result.exit_code == 2
    assert "start `douane demo` first" in result.output


def test_a_token_is_printed_alone_on_its_line(tmp_path: Path) -> None:
    DemoProfile(issuer="http://127.0.0.1:1/issuer", audience="http://127.0.0.1:1").save(tmp_path)
    for args in (("ana",), ("sales-agent", "--for", "ana")):
        result = run("token", *args, "--state", tmp_path)
        assert result.exit_code == 0
        assert result.output.count(".") == 2
        assert result.output.count("\n") == 1
    unknown = run("token", "eve", "--state", tmp_path)
    assert unknown.exit_code == 2
    assert "ana, sam, dee" in unknown.output


def test_the_demo_refuses_an_address_that_others_can_reach(tmp_path: Path) -> None:
    result = run("demo", "--host", "0.0.0.0", "--state", tmp_path / "s")
    assert result.exit_code == 2
    assert "loopback only" in result.output


def test_made_keys_are_private_usable_and_kept(tmp_path: Path) -> None:
    assert run("keys", tmp_path / "k").exit_code == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "k").iterdir()}
    assert set(before) == {"audit.key", "mask.key"}
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in (tmp_path / "k").iterdir())
    assert len(parse_master_key(before["mask.key"].decode())) == 32
    assert run("keys", tmp_path / "k").exit_code == 0
    assert {p.name: p.read_bytes() for p in (tmp_path / "k").iterdir()} == before


def test_there_is_nothing_to_verify_where_no_log_is(tmp_path: Path) -> None:
    result = run("audit", "verify", tmp_path)
    assert result.exit_code == 2
    assert "holds no audit log" in result.output


def test_the_document_is_json_and_the_one_for_agents_is_smaller() -> None:
    full, agents = (json.loads(run("openapi", *args).output) for args in ((), ("--agents",)))
    assert full["openapi"] == agents["openapi"] == "3.1.0"
    assert set(agents["paths"]) <= set(full["paths"])
