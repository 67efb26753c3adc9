"""One suite for every store of approvals: the fake, SQLite and PostgreSQL."""

import asyncio
import dataclasses
import os
import sqlite3
import stat
from pathlib import Path

import pytest
from sqlalchemy import CheckConstraint, Connection, inspect
from sqlalchemy.exc import OperationalError
from stored_approvals import ANA, approval

from app.approval.approval import Approval, State
from app.approval.digest import digest_of
from app.ports import Approvals, StoreUnavailable
from app.store.approvals import ApprovalRejected, ApprovalStore
from app.store.database import open_engine
from app.store.schema import STATES, approval_changes, approvals, held_results, write_keys


class TestEveryStore:
    async def test_an_approval_comes_back_as_it_was_made(self, store: Approvals) -> None:
        made = approval(1, params=[2**70, 1.5, "\x00", {"nested": None}, True])
        await store.create(made)
        found = await store.get(made.approval_id)
        assert found == made
        assert found is not None
        assert digest_of(found.request) == found.digest

    async def test_an_unknown_approval_is_none(self, store: Approvals) -> None:
        assert await store.get("apr_unknown") is None
        assert await store.get("apr_\x00") is None
        assert await store.get("' OR 1=1 --") is None

    async def test_an_id_is_taken_once(self, store: Approvals) -> None:
        made = approval(1)
        await store.create(made)
        with pytest.raises(ApprovalRejected):
            await store.create(dataclasses.replace(made, principal="eve"))
        assert await store.get(made.approval_id) == made

    async def test_an_approval_ends_after_it_starts(self, store: Approvals) -> None:
        made = approval(1)
        with pytest.raises(ApprovalRejected):
            await store.create(dataclasses.replace(made, expires_at=made.created_at))

    async def test_pages_come_newest_first_and_join_without_gap_or_repetition(self, store: Approvals) -> None:
        made = [approval(n, minute=n // 3) for n in range(10)]
        for each in made:
            await store.create(each)
        seen: list[Approval] = []
        before = None
        while page := await store.page(owner=None, state=None, before=before, size=4):
            seen += page
            before = (page[-1].created_at, page[-1].approval_id)
        assert seen == list(reversed(made))

    async def test_a_page_holds_one_principal_of_one_issuer_and_one_state(self, store: Approvals) -> None:
        await store.create(approval(1))
        await store.create(approval(2, principal="eve"))
        await store.create(dataclasses.replace(approval(3), state=State.REJECTED))
        await store.create(dataclasses.replace(approval(4), issuer="https://other.example/"))
        found = await store.page(owner=(ANA.issuer, "ana"), state="pending", before=None, size=10)
        assert [each.approval_id for each in found] == [approval(1).approval_id]
        assert await store.page(owner=(ANA.issuer, "%"), state=None, before=None, size=10) == []

    async def test_many_at_once_are_all_kept(self, store: Approvals) -> None:
        await asyncio.gather(*(store.create(approval(n)) for n in range(40)))
        assert len(await store.page(owner=None, state=None, before=None, size=100)) == 40


async def test_several_workers_can_open_a_new_store_at_once(url: str) -> None:
    async def worker(number: int) -> None:
        async with ApprovalStore.open(url) as store:
            await store.create(approval(number))

    await asyncio.gather(*(worker(n) for n in range(8)))
    async with ApprovalStore.open(url) as store:
        assert len(await store.page(owner=None, state=None, before=None, size=100)) == 8


async def test_the_migrations_make_the_tables_that_the_code_knows(url: str) -> None:
    async with open_engine(url) as engine, engine.connect() as connection:
        for table in (approvals, approval_changes, held_results, write_keys):
            found = await connection.run_sync(lambda c, name=table.name: _shape(c, name))
            assert found == {
                "columns": {c.name: c.nullable for c in table.columns},
                "key": [c.name for c in table.primary_key.columns],
                "indexes": {i.name: [c.name for c in i.columns] for i in table.indexes},
                "checks": {c.name for c in table.constraints if isinstance(c, CheckConstraint)},
            }
    assert set(STATES) == set(State)


def _shape(connection: Connection, table: str) -> dict[str, object]:
    inspector = inspect(connection)
    return {
        "columns": {c["name"]: c["nullable"] for c in inspector.get_columns(table)},
        "key": inspector.get_pk_constraint(table)["constrained_columns"],
        "indexes": {i["name"]: i["column_names"] for i in inspector.get_indexes(table)},
        "checks": {c["name"] for c in inspector.get_check_constraints(table)},
    }


async def test_a_commit_on_sqlite_survives_power_loss_settings(tmp_path: Path) -> None:
    async with open_engine(f"sqlite:///{tmp_path}/douane.db") as engine, engine.connect() as connection:
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar() == 2


async def test_the_store_file_is_the_owners_alone(tmp_path: Path) -> None:
    async with ApprovalStore.open(f"sqlite:///{tmp_path}/douane.db"):
        assert stat.S_IMODE(os.stat(tmp_path / "douane.db").st_mode) == 0o600


async def test_a_store_that_is_gone_is_unavailable_and_says_nothing_of_the_driver(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        async with ApprovalStore.open("postgresql://ana:hunter2@127.0.0.1:1/douane"):
            pass
    assert "hunter2" not in str(refused.value)
    assert "asyncpg" not in str(refused.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        async with ApprovalStore.open(f"sqlite:///{tmp_path}/file/douane.db"):
            pass


async def test_a_broken_database_is_unavailable_not_a_crash(tmp_path: Path) -> None:
    async with ApprovalStore.open(f"sqlite:///{tmp_path}/douane.db") as store:
        with sqlite3.connect(tmp_path / "douane.db") as other:
            other.execute("ALTER TABLE approvals RENAME TO gone")
        other.close()
        with pytest.raises(StoreUnavailable) as refused:
            await store.get("apr_1")
        assert isinstance(refused.value.__cause__, OperationalError)
        assert "no such table" not in str(refused.value)


@pytest.mark.parametrize("wrong", ["mysql://localhost/x", "sqlite://", "sqlite:///:memory:", "not a url"])
async def test_a_url_of_another_kind_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"store\.url"):
        async with ApprovalStore.open(wrong):
            pass
