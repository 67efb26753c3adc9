"""What an operator should know about a SQLite file before it is served."""

import os
import sqlite3
import stat

from connectors.contract import Finding, Severity
from connectors.sqlite.session import Session


def probe_file(path: str) -> tuple[Finding, ...]:
    try:
        seen = os.stat(path)
    except OSError:
        return (
            Finding(
                code="unreachable", severity=Severity.WARNING, text="the database file does not exist or cannot be seen"
            ),
        )
    findings = [_reachable(path)]
    if stat.S_IMODE(seen.st_mode) & stat.S_IWOTH:
        findings.append(
            Finding(
                code="world_writable_file",
                severity=Severity.UNSAFE,
                text="every local account can change the database file: chmod o-w it",
            )
        )
    if stat.S_IMODE(seen.st_mode) & stat.S_IROTH:
        findings.append(
            Finding(
                code="world_readable_file",
                severity=Severity.WARNING,
                text="every local account can read the database file past the gateway: chmod o-r it",
            )
        )
    return tuple(findings)


def _reachable(path: str) -> Finding:
    try:
        session = Session(path)
    except sqlite3.Error:
        return Finding(
            code="unreachable", severity=Severity.WARNING, text="the file is no SQLite database or cannot be opened"
        )
    session.close()
    return Finding(code="reachable", severity=Severity.OK, text="the database file opens read-only")
