"""What somebody with the store but not the gateway's trust writes into it makes nothing run."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "faults"))

from approval_site import Actor, ApprovalSite, running, tamper
from fault_site import running_issuer


def test_an_approval_without_its_history_runs_nothing_and_a_damaged_one_hides_no_other(tmp_path: Path) -> None:
    with running_issuer() as issuer:
        site = ApprovalSite(folder=tmp_path / "site", issuer=issuer)
        with running(site) as (gateway,):
            ana, max_ = Actor(gateway=gateway, name="ana"), Actor(gateway=gateway, name="max")
            sound = ana.asked("DELETE FROM people WHERE id = 13", "lite")
            for damage in ("history = '[]'", "request = json_set(request, '$.actor_chain', null)"):
                approval = ana.asked("DELETE FROM people WHERE id = 12", "lite")
                assert max_.decide(approval).status_code == 200
                tamper(site, f"UPDATE approvals SET {damage} WHERE approval_id = '{approval}'")
                assert ana.execute(approval).status_code == 404
                listed = max_.ask("GET", "/v1/approvals")
                assert [each["approval_id"] for each in listed.json()["approvals"]] == [sound]
            with closing(sqlite3.connect(site.folder / "lite.db")) as database:
                assert database.execute("SELECT count(*) FROM people WHERE id = 12").fetchone() == (1,)
