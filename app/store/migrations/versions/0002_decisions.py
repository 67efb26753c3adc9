"""Decisions and uses of approvals, the feed of their steps, held results, and the keys of writes."""

import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CHECKS = {
    "counts": "version >= 0 AND uses >= 0 AND rows_used >= 0",
    "started": "(state = 'executing') = (started_at IS NOT NULL)",
    "usable": "state NOT IN ('approved', 'executing') OR usable_until IS NOT NULL",
    "undecided": "state <> 'pending' OR usable_until IS NULL",
    "escalates": "state = 'pending' OR escalates_at IS NULL",
}
_INDEXES = (("state", "expires_at"), ("state", "usable_until"), ("escalates_at", "approval_id"))


def upgrade() -> None:
    with op.batch_alter_table("approvals") as approvals:
        approvals.add_column(sa.Column("version", sa.Integer, nullable=False, server_default="0"))
        approvals.add_column(sa.Column("history", sa.Text, nullable=False, server_default="[]"))
        approvals.add_column(sa.Column("usable_until", sa.Text))
        approvals.add_column(sa.Column("uses", sa.Integer, nullable=False, server_default="0"))
        approvals.add_column(sa.Column("rows_used", sa.BigInteger, nullable=False, server_default="0"))
        approvals.add_column(sa.Column("started_at", sa.Text))
        approvals.add_column(sa.Column("escalates_at", sa.Text))
    _end_what_was_asked_without_terms()
    with op.batch_alter_table("approvals") as approvals:
        for name, condition in _CHECKS.items():
            approvals.create_check_constraint(op.f(f"ck_approvals_{name}"), sa.text(condition))
    for columns in _INDEXES:
        op.create_index(op.f("ix_approvals_" + "_".join(columns)), "approvals", list(columns))
    op.create_table(
        "approval_changes",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("approval_id", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "held_results",
        sa.Column("approval_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("held_id", sa.LargeBinary, nullable=False),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
        sa.CheckConstraint("number >= 0 AND number < chunks", name=op.f("ck_held_results_number")),
        sa.CheckConstraint("length(nonce) = 12", name=op.f("ck_held_results_nonce")),
    )
    op.create_index(op.f("ix_held_results_expires_at"), "held_results", ["expires_at"])
    op.create_table(
        "write_keys",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("request_sha256", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
        sa.Column("nonce", sa.LargeBinary),
        sa.Column("answer", sa.LargeBinary),
        sa.CheckConstraint("(nonce IS NULL) = (answer IS NULL)", name=op.f("ck_write_keys_answer")),
    )
    op.create_index(op.f("ix_write_keys_expires_at"), "write_keys", ["expires_at"])


def _end_what_was_asked_without_terms() -> None:
    """Requests of then bind neither terms nor outcome: nobody can tell what a yes would mean, so they end here."""
    approvals = sa.table(
        "approvals",
        sa.column("approval_id", sa.Text),
        sa.column("state", sa.Text),
        sa.column("created_at", sa.Text),
        sa.column("principal", sa.Text),
        sa.column("history", sa.Text),
        sa.column("version", sa.Integer),
    )
    connection = op.get_bind()
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    open_states = ("pending", "approved", "executing")
    for row in connection.execute(sa.select(approvals)).all():
        requested = {"happening": "requested", "at": row.created_at, "state": "pending", "by": row.principal}
        ended = {"happening": "expired", "at": at, "state": "expired", "detail": {"because": "asked without terms"}}
        is_open = row.state in open_states
        steps = [requested, ended] if is_open else [requested]
        connection.execute(
            sa.update(approvals)
            .where(approvals.c.approval_id == row.approval_id)
            .values(
                state="expired" if is_open else row.state,
                history=json.dumps([{"by": "", "client": "", "reason": None, "detail": {}, **step} for step in steps]),
                version=1 if is_open else 0,
            )
        )


def downgrade() -> None:
    for table in ("write_keys", "held_results", "approval_changes"):
        op.drop_table(table)
    for columns in _INDEXES:
        op.drop_index(op.f("ix_approvals_" + "_".join(columns)), "approvals")
    with op.batch_alter_table("approvals") as approvals:
        for name in _CHECKS:
            approvals.drop_constraint(op.f(f"ck_approvals_{name}"), type_="check")
    with op.batch_alter_table("approvals") as approvals:
        for column in ("escalates_at", "started_at", "rows_used", "uses", "usable_until", "history", "version"):
            approvals.drop_column(column)
