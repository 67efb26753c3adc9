"""What the demo keeps between starts, and what it prints."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from app.demo.banner import TOKENS, banner
from app.demo.shop_database import ensure
from app.demo.state import DEFAULT_SEED, DemoStateError, _digest, prepare
from app.settings import SqliteConnection, findings, unacknowledged
from app.store.trail_key import ensure_key


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("built") / "shop.db"
    ensure(path, DEFAULT_SEED)
    return path


@pytest.fixture
def folder(tmp_path: Path, built: Path) -> Path:
    """A state that has its shop already, so that only one test waits for it."""
    found = tmp_path / "it's here"
    found.mkdir()
    shutil.copy(built, found)
    return found


def test_a_second_start_keeps_keys_data_and_edited_policies(tmp_path: Path) -> None:
    first = prepare(tmp_path / "s", port=8080)
    key = (tmp_path / "s/mask.key").read_bytes()
    policy = first.settings.policies / "policy.csv"
    policy.write_text(policy.read_text() + "\n# mine\n")
    second = prepare(tmp_path / "s", port=8081)
    assert (first.built, second.built) == (True, False)
    assert (tmp_path / "s/mask.key").read_bytes() == key
    assert policy.read_text().endswith("# mine\n")
    assert second.settings.server.public_url == "http://127.0.0.1:8081"


def test_newer_samples_replace_only_what_nobody_edited(folder: Path) -> None:
    state = prepare(folder, port=8080)
    # As an older release would have left it: its own samples, and the digest of just these.
    policy = state.settings.policies / "policy.csv"
    shipped = policy.read_text()
    policy.write_text("old")
    (folder / "policies.sha256").write_text(_digest(state.settings.policies))
    prepare(folder, port=8080)
    assert policy.read_text() == shipped


def test_nothing_in_the_state_is_for_others(folder: Path) -> None:
    state = prepare(folder, port=8080)
    assert folder.stat().st_mode & 0o077 == 0
    for name in ("shop.db", "mask.key", "audit"):
        assert (folder / name).stat().st_mode & 0o077 == 0
    ensure_key(folder / "audit.key")
    assert unacknowledged(findings(state.settings), state.settings) == ()


def test_paths_are_absolute_so_that_no_folder_change_moves_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    settings = prepare(Path(folder.name), port=8080).settings
    shop = settings.connections["shop"]
    assert isinstance(shop, SqliteConnection)
    assert shop.path == folder / "shop.db"
    assert settings.policies.is_absolute()


def test_an_address_of_ip_version_6_is_bracketed(folder: Path) -> None:
    assert prepare(folder, port=1, host="::1").settings.server.public_url == "http://[::1]:1"


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoStateError, match="--state"):
        prepare(tmp_path / "file" / "s", port=8080)


def test_the_printed_lines_are_shell_that_sends_what_they_say(folder: Path) -> None:
    """Stand-ins for curl and douane show the arguments that each pasted line passes."""
    state = prepare(folder, port=8080)
    bin_folder = folder.parent / "bin"
    bin_folder.mkdir()
    for name, prints in (("curl", '{"approval_id":"apr_1","handle":"h_1"}'), ("douane", "apr_2")):
        stand_in = bin_folder / name
        stand_in.write_text(f"#!/bin/sh\nprintf '%s\\n' '{prints}'\nprintf \"<%s>\" \"$@\" >&2\n")
        stand_in.chmod(0o755)
    text = banner(state, {name: f"token-{name}" for name in TOKENS}, command=str(bin_folder / "douane"))
    lines = text.partition("Paste into a shell:")[2].splitlines()[:-2]
    said = []
    for line in (line.removesuffix(" &") for line in lines if line and not line.startswith("#")):
        ran = subprocess.run(
            ["sh", "-c", line],
            env={"PATH": f"{bin_folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(ran.stderr)
    query = "<http://127.0.0.1:8080/v1/connections/shop/query>"
    assert [query in s for s in said] == [True] * 4 + [False] * 5 + [True, False] + [False] * 9
    assert "<Authorization: Bearer token-ana>" in said[0]
    assert '<{"sql": "SELECT id, name, email, birth_date FROM customers ORDER BY id LIMIT 3"}>' in said[0]
    assert "<Authorization: Bearer token-dee>" in said[1]
    assert '<{"sql": "DROP TABLE customers"}>' in said[2]
    assert '<{"sql": "DELETE FROM orders WHERE status = \'cancelled\' AND id <= 100", "purpose": ' in said[3]
    assert "<Authorization: Bearer token-ops-agent>" in said[3]
    state_dir = f"<--state><{folder}>"
    assert said[4].endswith(f"<approvals><show><apr_2><--as><max>{state_dir}")
    assert f"<approvals><approve><apr_2><--as><max>{state_dir}<--yes><--reason><ticket checked>" in said[5]
    assert "<http://127.0.0.1:8080/v1/approvals?limit=1>" in said[6]
    assert "<http://127.0.0.1:8080/v1/approvals/apr_1?wait_seconds=30>" in said[6]
    assert said[7] == said[8]
    assert "<http://127.0.0.1:8080/v1/approvals/apr_1/execute>" in said[7]
    assert "<{}>" in said[7]
    assert '"unmask": ["pii.email"]' in said[9]
    assert f"<approvals><show><apr_2><--as><dee>{state_dir}" in said[10]
    assert f"<approvals><approve><apr_2><--as><dee>{state_dir}" in said[10]
    base = "http://127.0.0.1:8080/v1/connections"
    assert f"<{base}/files/objects?prefix=customers/>" in said[11]
    assert f"<{base}/files/content/customers/2026.csv>" in said[12]
    assert f"<{base}/files/objects/archive/shop-2025.bin>" in said[13]
    assert f"<{base}/queue/messages>" in said[14]
    assert '<{"topic": "orders.created", "payload": {"order": 1, ' in said[14]
    assert '<{"topic": "partner.orders", "payload": {"order": 1, ' in said[15]
    assert f"<approvals><show><apr_2><--as><dee>{state_dir}" in said[16]
    assert f"<approvals><approve><apr_2><--as><dee>{state_dir}" in said[16]
    assert said[17] == said[7]
    assert "<Authorization: Bearer token-sam>" in said[18]
    assert f"<{base}/queue/messages/receive>" in said[19]
    assert f"<{base}/queue/messages/ack>" in said[19]
    assert '<{"topic": "support.inbox", "handles": ["h_1"]}>' in said[19]
