"""The approvals table."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATES = "'pending', 'approved', 'executing', 'executed', 'failed', 'rejected', 'expired', 'cancelled', 'revoked'"


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("approval_id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("connection", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("resources", sa.Text, nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.CheckConstraint(f"state IN ({_STATES})", name=op.f("ck_approvals_state")),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_approvals_digest")),
        sa.CheckConstraint("created_at < expires_at", name=op.f("ck_approvals_lifetime")),
    )
    for columns in (
        ("created_at", "approval_id"),
        ("principal", "created_at", "approval_id"),
        ("state", "created_at", "approval_id"),
    ):
        op.create_index(op.f("ix_approvals_" + "_".join(columns)), "approvals", list(columns))


def downgrade() -> None:
    op.drop_table("approvals")
