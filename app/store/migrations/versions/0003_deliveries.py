"""Deliveries of notifications with their attempts, how far the feed was read, and links that were used."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEXES = (("state", "due_at", "target"), ("created_at", "delivery_id"), ("target", "created_at", "delivery_id"))


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.Text, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("approval_id", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("notice", sa.Text, nullable=False),
        sa.Column("nonce", sa.Text, nullable=False),
        sa.Column("link_expires_at", sa.Text, nullable=False),
        sa.Column("due_at", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("lease", sa.Text),
        sa.UniqueConstraint("target", "seq", name=op.f("uq_deliveries_target_seq")),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'dead')", name=op.f("ck_deliveries_state")),
    )
    for columns in _INDEXES:
        op.create_index(op.f("ix_deliveries_" + "_".join(columns)), "deliveries", list(columns))
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("duration_ms", sa.Integer),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.delivery_id"], name=op.f("fk_delivery_attempts")),
    )
    op.create_table(
        "feed_positions",
        sa.Column("reader", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "used_links",
        sa.Column("nonce", sa.Text, primary_key=True),
        sa.Column("approval_id", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("used_at", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
    )
    op.create_index(op.f("ix_used_links_expires_at"), "used_links", ["expires_at"])


def downgrade() -> None:
    for table in ("used_links", "feed_positions", "delivery_attempts", "deliveries"):
        op.drop_table(table)
