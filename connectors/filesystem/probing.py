"""What an operator should know about a folder before its files are served."""

import os
import stat

from connectors.contract import ConnectorError, Finding, Severity
from connectors.filesystem.incoming import new_file, opened_incoming
from connectors.filesystem.tree import opened_root


def probe_root(root: str) -> tuple[Finding, ...]:
    try:
        with opened_root(root) as top:
            seen = os.fstat(top)
            os.listdir(top)
            folds_case = _folds_case(top)
    except (ConnectorError, OSError):
        text = "the folder does not exist or cannot be read: check its path and rights"
        return (Finding(code="unreachable", severity=Severity.WARNING, text=text),)
    findings = [Finding(code="reachable", severity=Severity.OK, text="the folder can be read")]
    if seen.st_mode & stat.S_IWOTH:
        text = "every local account can change what is in the folder: chmod o-w it"
        findings.append(Finding(code="world_writable_root", severity=Severity.UNSAFE, text=text))
    if seen.st_mode & stat.S_IROTH:
        text = "every local account can read the folder past the gateway: chmod o-rx it"
        findings.append(Finding(code="world_readable_root", severity=Severity.WARNING, text=text))
    if folds_case is None:
        text = "nothing can be put or deleted here: the folder is read-only for this account"
        findings.append(Finding(code="read_only_root", severity=Severity.OK, text=text))
    elif folds_case:
        text = "the file system takes a.csv and A.CSV for one: a rule for one key is passed by by writing it otherwise"
        findings.append(Finding(code="case_insensitive_root", severity=Severity.UNSAFE, text=text))
    return tuple(findings)


def _folds_case(top: int) -> bool | None:
    """Whether a name in other letters is the same file; None: nothing can be written to find out."""
    try:
        with opened_incoming(top) as incoming:
            name, descriptor = new_file(incoming)
            try:
                return _is_there(name.upper(), incoming)
            finally:
                os.unlink(name, dir_fd=incoming)
                os.close(descriptor)
    except (ConnectorError, OSError):
        return None


def _is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
