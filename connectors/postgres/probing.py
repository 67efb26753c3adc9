"""What the configured role could do if the guard were not there."""

from connectors.contract import ConnectorError, Finding, Severity
from connectors.postgres.faults import translated
from connectors.postgres.pool import Pool

_TIMEOUT_S = 15.0

_QUERY = """
SELECT r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication,
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP'),
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
  EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'),
  EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
      AND pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')),
  EXISTS (SELECT FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
      AND pg_catalog.has_schema_privilege(n.oid, 'CREATE')),
  pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
  COALESCE(pg_catalog.pg_has_role('pg_read_server_files', 'USAGE'), false)
    OR COALESCE(pg_catalog.pg_has_role('pg_write_server_files', 'USAGE'), false)
    OR COALESCE(pg_catalog.pg_has_role('pg_execute_server_program', 'USAGE'), false),
  pg_catalog.current_setting('server_encoding') = 'UTF8',
  pg_catalog.current_setting('default_transaction_read_only') = 'on'
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = SESSION_USER
"""

_FINDINGS = (
    ("superuser_role", Severity.UNSAFE, "the role is a superuser: connect as a role that may only read"),
    ("bypassrls_role", Severity.UNSAFE, "the role bypasses row security: ALTER ROLE … NOBYPASSRLS"),
    ("createrole_role", Severity.UNSAFE, "the role may create roles: ALTER ROLE … NOCREATEROLE"),
    ("createdb_role", Severity.WARNING, "the role may create databases: ALTER ROLE … NOCREATEDB"),
    ("replication_role", Severity.UNSAFE, "the role may replicate the whole cluster: ALTER ROLE … NOREPLICATION"),
    ("temp_role", Severity.UNSAFE, "the role may create temporary tables: REVOKE TEMPORARY ON DATABASE … FROM PUBLIC"),
    ("create_schema_role", Severity.WARNING, "the role may create schemas: REVOKE CREATE ON DATABASE …"),
    ("table_owner_role", Severity.UNSAFE, "the role owns tables or views: give them to another role"),
    ("write_privileges", Severity.WARNING, "the role may change tables: grant SELECT alone"),
    ("create_privileges", Severity.WARNING, "the role may create objects in a schema: REVOKE CREATE ON SCHEMA …"),
    ("reads_password_hashes", Severity.UNSAFE, "the role may read pg_authid: revoke that"),
    ("server_files_role", Severity.UNSAFE, "the role may reach files or programs of the server: revoke those roles"),
)


async def probe_role(pool: Pool) -> tuple[Finding, ...]:
    try:
        session = await pool.take(scan_order=False, timeout_s=_TIMEOUT_S)
    except ConnectorError:
        return (_unreachable(),)
    try:
        rows = await session.rows(_QUERY, (), _TIMEOUT_S)
    except Exception as e:
        raise translated(e) from e
    finally:
        pool.release(session)
    if not rows:
        return (_unreachable(),)
    *powers, utf8, read_only = rows[0]
    findings = [Finding(code="reachable", severity=Severity.OK, text="the server answers")]
    findings += [
        Finding(code=code, severity=severity, text=text)
        for (code, severity, text), has in zip(_FINDINGS, powers, strict=True)
        if has
    ]
    if not utf8:
        findings.append(
            Finding(
                code="server_encoding",
                severity=Severity.WARNING,
                text="the database is not UTF8: some text will not convert",
            )
        )
    if not read_only:
        findings.append(
            Finding(
                code="read_only_ignored",
                severity=Severity.UNSAFE,
                text="the session is not read-only although it asked to be: a proxy in between drops session settings",
            )
        )
    return tuple(findings)


def _unreachable() -> Finding:
    return Finding(
        code="unreachable",
        severity=Severity.WARNING,
        text="no session: check address, credentials and that the server runs",
    )
