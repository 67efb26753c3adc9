"""`douane check`: statements that must never pass, tried against the guard of each configured connection."""

from collections.abc import Mapping

from app.gateway.connections import Connection
from app.policy.decision import Action
from app.sql.statement import SqlRefused
from connectors.contract import Dialect, Finding, Severity

_COMMON = (
    "SELECT 1; SELECT 2",
    "PRAGMA table_info(t)",
    "ATTACH 'x' AS y",
    "EXPLAIN SELECT 1",
    "BEGIN",
    "SELECT * FROM",
)
_BYPASSES: Mapping[Dialect, tuple[str, ...]] = {
    Dialect.POSTGRES: (
        *_COMMON,
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_sleep(1)",
        "SELECT current_setting('config_file')",
        "SELECT set_config('a.b', 'c', false)",
        "SELECT * FROM pg_catalog.pg_authid",
        "SELECT * FROM information_schema.tables",
        "SELECT query_to_xml('select 1', true, true, '')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT 'pg_authid'::regclass",
        "COPY (SELECT 1) TO '/tmp/x'",
        "SELECT 1 INTO t",
        "DO $$ BEGIN END $$",
        "SET ROLE postgres",
        "SELECT f.pg_read_file FROM unnest(ARRAY['/etc/hostname']) f",
    ),
    Dialect.SQLITE: (
        *_COMMON,
        "SELECT load_extension('x')",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM pragma_table_info('t')",
        "SELECT sqlite_version()",
        "SELECT fts3_tokenizer('x')",
        "SELECT douane_pseudonym(x'00', 'a')",
        "SELECT douane_redact('a')",
        "VACUUM INTO 'x'",
        "SELECT readfile('/etc/passwd')",
    ),
}


def bypass_findings(connections: Mapping[str, Connection]) -> list[Finding]:
    """One finding per connection, and one more for every statement that got through."""
    found: list[Finding] = []
    for name, connection in connections.items():
        catalog = connection.connector.catalog()
        if catalog is None:
            continue
        corpus = _BYPASSES[connection.connector.dialect]
        passed = [text for text in corpus if _passes(connection, text)]
        found += [
            Finding(code="bypass", severity=Severity.UNSAFE, text=f"{name}: the guard lets through: {text}")
            for text in passed
        ]
        if not passed:
            text = f"{name}: {len(corpus)} statements that must not pass were refused"
            found.append(Finding(code="bypass", severity=Severity.OK, text=text))
    return found


def _passes(connection: Connection, text: str) -> bool:
    """Whether the guard would let policy decide on it as a read."""
    catalog = connection.connector.catalog()
    assert catalog is not None
    try:
        return connection.guard.inspect(text, {}, catalog).action is Action.SELECT
    except SqlRefused:
        return False
