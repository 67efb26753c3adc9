"""The tables of the store, as the newest migration leaves them."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, MetaData, Table, Text

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
    Column("version", Integer, nullable=False, server_default="0"),
    Column("history", Text, nullable=False, server_default="[]"),
    Column("usable_until", Text),
    Column("uses", Integer, nullable=False, server_default="0"),
    Column("rows_used", BigInteger, nullable=False, server_default="0"),
    Column("started_at", Text),
    # Follows from the rest: when the sweep has to tell further approvers
    Column("escalates_at", Text),
    CheckConstraint("state IN ({})".format(", ".join(f"'{state}'" for state in STATES)), name="state"),
    CheckConstraint("length(digest) = 64", name="digest"),
    CheckConstraint("created_at < expires_at", name="lifetime"),
    CheckConstraint("version >= 0 AND uses >= 0 AND rows_used >= 0", name="counts"),
    CheckConstraint("(state = 'executing') = (started_at IS NOT NULL)", name="started"),
    CheckConstraint("state NOT IN ('approved', 'executing') OR usable_until IS NOT NULL", name="usable"),
    CheckConstraint("state <> 'pending' OR usable_until IS NULL", name="undecided"),
    CheckConstraint("state = 'pending' OR escalates_at IS NULL", name="escalates"),
    Index(None, "created_at", "approval_id"),
    Index(None, "principal", "created_at", "approval_id"),
    Index(None, "state", "created_at", "approval_id"),
    # What the sweep looks for every few seconds: among few, however many are over
    Index(None, "state", "expires_at"),
    Index(None, "state", "usable_until"),
    Index(None, "escalates_at", "approval_id"),
)

# Every step of every approval, in the order in which they became durable; see app.store.feed
approval_changes = Table(
    "approval_changes",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("approval_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    # A number that was once given out is never given out again
    sqlite_autoincrement=True,
)

held_results = Table(
    "held_results",
    metadata,
    Column("approval_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("chunks", Integer, nullable=False),
    Column("held_id", LargeBinary, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("expires_at", Text, nullable=False),
    CheckConstraint("number >= 0 AND number < chunks", name="number"),
    CheckConstraint("length(nonce) = 12", name="nonce"),
    Index(None, "expires_at"),
)

write_keys = Table(
    "write_keys",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("request_sha256", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("nonce", LargeBinary),
    Column("answer", LargeBinary),
    CheckConstraint("(nonce IS NULL) = (answer IS NULL)", name="answer"),
    Index(None, "expires_at"),
)
