"""A store of an earlier version, with rows in it, becomes one of today; rows nobody can read harm no other."""

import json
from pathlib import Path

import alembic.command
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from stored_approvals import approval, approved, at

import app.store.database as database
from app.approval.approval import Happening, State
from app.approval.terms import Terms
from app.ports import StoreUnavailable
from app.store.approvals import ApprovalStore

STATES = ("pending", "approved", "executing", "executed", "rejected")
INSERT = text(
    "INSERT INTO approvals (approval_id, state, created_at, expires_at, issuer, principal, actor, connection, action,"
    " resources, reasons, request, digest) VALUES (:approval_id, :state, :created_at, :expires_at, 'https://idp/',"
    " 'ana', 'bot', 'shop', 'delete', '[\"shop/public/orders\"]', '[\"policy.csv:7\"]', :request, :digest)"
)


def upgrade(connection: Connection, to: str, *, down: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    (alembic.command.downgrade if down else alembic.command.upgrade)(config, to)


async def store_of_0001(url: str) -> None:
    engine = database._engine(url)
    async with engine.execution_options(writes=True).begin() as connection:
        await connection.run_sync(upgrade, "0001")
        for number, state in enumerate(STATES):
            await connection.execute(
                INSERT,
                {
                    "approval_id": f"apr_{number}", "state": state, "created_at": at(number), "expires_at": at(59),
                    "request": json.dumps({"statement": "DELETE FROM orders", "actor_chain": []}), "digest": "0" * 64,
                },
            )  # fmt: skip
    await engine.dispose()


async def test_what_was_asked_without_terms_is_over_and_all_else_is_kept(url: str) -> None:
    await store_of_0001(url)
    async with ApprovalStore.open(url) as store:
        found = await store.page(owner=None, state=None, before=None, size=10)
        assert [each.approval_id for each in reversed(found)] == [f"apr_{n}" for n in range(5)]
        assert [each.state.value for each in reversed(found)] == ["expired"] * 3 + ["executed", "rejected"]
        for each in found:
            assert each.request["statement"] == "DELETE FROM orders"
            assert each.terms == Terms()
            assert each.history[0].happening is Happening.REQUESTED
            assert (each.history[0].at, each.history[0].by) == (each.created_at, "ana")
            assert len(each.history) == each.version + 1
        assert found[-1].history[-1].happening is Happening.EXPIRED
        assert await store.overdue("9999", started_before="9999", size=10) == []
        made = approval(7)
        await store.create(made)
        assert await store.replace(made, approved(made))


async def test_a_store_that_is_empty_goes_up_down_and_up_again(url: str) -> None:
    engine = database._engine(url)
    async with engine.execution_options(writes=True).begin() as connection:
        await connection.run_sync(upgrade, "0002")
        await connection.run_sync(lambda c: upgrade(c, "0001", down=True))
        await connection.run_sync(upgrade, "head")
    await engine.dispose()
    async with ApprovalStore.open(url) as store:
        await store.create(approval(1))
        assert await store.get(approval(1).approval_id) == approval(1)


def test_the_newest_revision_is_the_one_that_alembic_would_go_to() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    assert database._newest_revision() == ScriptDirectory.from_config(config).get_current_head()


async def test_a_store_of_a_later_version_is_left_alone(url: str) -> None:
    async with ApprovalStore.open(url) as store, store.engine.execution_options(writes=True).begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match="another version"):
        async with ApprovalStore.open(url):
            pass


DAMAGE = {
    "request": "not json",
    "resources": "7",
    "history": '[{"happening": "vanished"}]',
    "reasons": "[" * 100_000,
}


@pytest.mark.parametrize("column", DAMAGE)
async def test_a_row_that_cannot_be_read_neither_hides_nor_fails_the_others(opened: ApprovalStore, column: str) -> None:
    made = [approval(n, minute=n, expires_minute=30) for n in range(9)]
    for each in made:
        await opened.create(each)
    bad = {each.approval_id for each in (made[0], made[4], made[5], made[8])}
    async with opened.engine.execution_options(writes=True).begin() as connection:
        for approval_id in bad:
            await connection.execute(
                text(f"UPDATE approvals SET {column} = :damage WHERE approval_id = :id"),
                {"damage": DAMAGE[column], "id": approval_id},
            )
    good = [each for each in made if each.approval_id not in bad]
    assert await opened.page(owner=None, state=None, before=None, size=3) == good[:1:-1]
    assert await opened.page(owner=None, state="pending", before=None, size=10) == good[::-1]
    assert await opened.overdue(at(40), started_before="", size=2) == good[:2]
    assert await opened.get(made[0].approval_id) is None
    assert len(await opened.versions([each.approval_id for each in made])) == 9


@pytest.mark.parametrize("step", ["not json", "{}", "[]", '{"happening": "vanished"}'])
async def test_a_step_that_cannot_be_read_does_not_stop_the_feed(opened: ApprovalStore, step: str) -> None:
    for number in range(6):
        await opened.create(approval(number))
    async with opened.engine.execution_options(writes=True).begin() as connection:
        await connection.execute(text("UPDATE approval_changes SET step = :step WHERE seq <= 3"), {"step": step})
    assert [change.seq for change in await opened.changes(0, 2)] == [4, 5]
    assert [change.seq for change in await opened.changes(5, 2)] == [6]
    assert await opened.last_change() == 6


@pytest.mark.parametrize(
    "contradiction",
    [
        "state = 'executing'",
        "state = 'approved'",
        "started_at = 'x'",
        "usable_until = 'x'",
        "uses = -1",
        "rows_used = -1",
        "version = -1",
        "state = 'rejected', escalates_at = 'x'",
        "state = 'unheard of'",
    ],
)
async def test_the_database_itself_refuses_what_contradicts_itself(opened: ApprovalStore, contradiction: str) -> None:
    made = approval(1)
    await opened.create(made)
    with pytest.raises(Exception, match="ck_approvals_"):
        async with opened.engine.execution_options(writes=True).begin() as connection:
            await connection.execute(text(f"UPDATE approvals SET {contradiction}"))
    found = await opened.get(made.approval_id)
    assert found is not None
    assert found.state is State.PENDING
