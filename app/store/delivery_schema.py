"""The tables of notifications, as the newest migration leaves them."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from app.store.schema import metadata

DELIVERY_STATES = ("pending", "delivered", "dead")

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Text, primary_key=True),
    Column("target", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("approval_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("notice", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("link_expires_at", Text, nullable=False),
    Column("due_at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("lease", Text),
    UniqueConstraint("target", "seq", name="uq_deliveries_target_seq"),
    CheckConstraint("state IN ({})".format(", ".join(f"'{state}'" for state in DELIVERY_STATES)), name="state"),
    Index(None, "state", "due_at", "target"),
    Index(None, "created_at", "delivery_id"),
    Index(None, "target", "created_at", "delivery_id"),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", Text, ForeignKey("deliveries.delivery_id", name="fk_delivery_attempts"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("duration_ms", Integer),
)

feed_positions = Table(
    "feed_positions",
    metadata,
    Column("reader", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

used_links = Table(
    "used_links",
    metadata,
    Column("nonce", Text, primary_key=True),
    Column("approval_id", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("used_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Index(None, "expires_at"),
)
