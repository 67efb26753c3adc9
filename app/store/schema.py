"""The tables of the store, as the newest migration leaves them."""

from sqlalchemy import CheckConstraint, Column, Index, MetaData, Table, Text

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "ck": "ck_%(table_name)s_%(constraint_name)s"}
)

STATES = ("pending", "approved", "executing", "executed", "failed", "rejected", "expired", "cancelled", "revoked")

approvals = Table(
    "approvals",
    metadata,
    Column("approval_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("action", Text, nullable=False),
    # JSON as text: numbers keep every digit, which the databases' own types do not promise
    Column("resources", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("digest", Text, nullable=False),
    CheckConstraint("state IN ({})".format(", ".join(f"'{state}'" for state in STATES)), name="state"),
    CheckConstraint("length(digest) = 64", name="digest"),
    CheckConstraint("created_at < expires_at", name="lifetime"),
    Index(None, "created_at", "approval_id"),
    Index(None, "principal", "created_at", "approval_id"),
    Index(None, "state", "created_at", "approval_id"),
)
