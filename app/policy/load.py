"""Policy files in, one immutable policy out, or every reason why not. Bytes are arguments; nothing is read here."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256

from app.policy.approval_check import approval_warnings, check_approvals, named_approvers
from app.policy.approval_rules import ApprovalRules, approval_rules_of
from app.policy.approvals_file import APPROVALS_FILE, ApprovalsDocument
from app.policy.casbin_model import MODEL_FILE, Reference, check_model, check_roles
from app.policy.connections import ConnectionKind
from app.policy.content_data import is_schema_file
from app.policy.data_file import ConnectionData
from app.policy.data_files import DATA_FILE, check_found, read_data_files
from app.policy.detected import DETECTED_LABELS
from app.policy.documents import read_document, validated
from app.policy.findings import Finding, Level, PolicyBroken
from app.policy.index import RuleIndex
from app.policy.labels import MASKS_FILE, Masks, MasksDocument, masks_of
from app.policy.loaded import LoadedPolicy, Parts
from app.policy.people import KnownPeople
from app.policy.places import ADMIN_SURFACE
from app.policy.rules import RULES_FILE, check_labels, check_links, read_rules, subjects_of
from app.policy.subjects import ANYBODY

MAX_RULES_BYTES = 64 * 1024 * 1024

_NAMED = (MODEL_FILE, RULES_FILE, MASKS_FILE, APPROVALS_FILE)
_OTHERS = re.compile(r"budgets\.yaml|README\.md|tests/.+")
_EXPECTED = (
    "model.conf, policy.csv, masks.yaml, data/CONNECTION.yaml, schemas/NAME.json, approvals.yaml, budgets.yaml, tests/"
)


def version_of(files: Mapping[str, bytes]) -> str:
    """Hex SHA-256 over names and bytes, each with its length in front so that nothing can move between them."""
    digest = sha256()
    for name, data in sorted(files.items()):
        spelled = name.encode()
        digest.update(len(spelled).to_bytes(8, "big") + spelled + len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def load(files: Mapping[str, bytes], connections: Mapping[str, ConnectionKind]) -> LoadedPolicy:
    """`files` by path below the policy folder, with "/" between. Raises PolicyBroken with every error found."""
    findings: list[Finding] = []
    _check_names(files, connections, findings)
    masks_document = read_document(MASKS_FILE, files.get(MASKS_FILE, b""), findings)
    parsed = None if masks_document is None else validated(MasksDocument, masks_document, findings)
    masks = Masks({}) if parsed is None else masks_of(parsed)
    data = read_data_files(files, connections, findings)
    approvals = _read_approvals(files, connections, findings)
    rules_data = files.get(RULES_FILE, b"")
    if len(rules_data) > MAX_RULES_BYTES:
        findings.append(_whole(RULES_FILE, "file too large", f"at most {MAX_RULES_BYTES} bytes"))
        rules_data = b""
    rules = read_rules(rules_data, connections, findings)
    # What other files declare is known only when they could be read; a second finding would mislead.
    if not any(finding.level is Level.ERROR for finding in findings):
        labels = frozenset((*masks.entries, *data.labels, *DETECTED_LABELS))
        check_links(rules, data.subjects | named_approvers(approvals), findings)
        check_labels(rules, labels, findings)
        check_found(data, labels, findings)
        check_approvals(approvals, subjects_of(rules) | data.subjects, labels, findings)
        check_roles(rules.links, RULES_FILE, findings)
    errors = tuple(finding for finding in findings if finding.level is Level.ERROR)
    if errors:
        raise PolicyBroken(tuple(sorted(errors, key=lambda found: (found.file, found.line, found.column))))
    reference = Reference(rules, files[MODEL_FILE].decode("utf-8-sig"))
    roles = reference.roles_of(dict.fromkeys(link.member for link in rules.links))
    for each in data.tables.values():
        findings.extend(_rows_without_clients(each, roles))
    index = RuleIndex(rules.rules, roles)
    findings.extend(approval_warnings(approvals, rules, KnownPeople(rules, roles, index)))
    return LoadedPolicy(
        Parts(
            version=version_of(files),
            rules=rules,
            index=index,
            masks=masks,
            approvals=approvals,
            data=data.tables,
            content=data.content,
            connections=dict(connections),
            warnings=tuple(findings),
        )
    )


def _check_names(
    files: Mapping[str, bytes], connections: Mapping[str, ConnectionKind], findings: list[Finding]
) -> None:
    findings.extend(
        _whole(name, "the file is missing", f"{name} in the policy folder")
        for name in (MODEL_FILE, RULES_FILE)
        if name not in files
    )
    if MODEL_FILE in files:
        check_model(files[MODEL_FILE], findings)
    for name in files:
        data_file = DATA_FILE.fullmatch(name)
        if data_file is not None:
            if data_file[1] not in connections:
                known = ", ".join(sorted(connections)) or "none is configured"
                findings.append(_whole(name, f"unknown connection {data_file[1]!r}", f"one of: {known}"))
        elif name not in _NAMED and not is_schema_file(name) and not _OTHERS.fullmatch(name):
            findings.append(_whole(name, "unknown file", _EXPECTED))
    if ADMIN_SURFACE in connections:
        findings.append(_whole(RULES_FILE, f"a connection is called {ADMIN_SURFACE!r}", "any other name"))


def _read_approvals(
    files: Mapping[str, bytes], connections: Mapping[str, ConnectionKind], findings: list[Finding]
) -> ApprovalRules:
    if APPROVALS_FILE not in files:
        return ApprovalRules()
    document = read_document(APPROVALS_FILE, files[APPROVALS_FILE], findings)
    parsed = None if document is None else validated(ApprovalsDocument, document, findings)
    if document is None or parsed is None:
        return ApprovalRules()
    return approval_rules_of(parsed, document, connections, findings)


def _rows_without_clients(data: ConnectionData, roles: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    """Row filters hold for the acting client too; one that no client can pass is most likely not meant."""
    clients = {name for member, held in roles.items() if member.startswith("client:") for name in held}
    for name, table in data.tables.items():
        if data.document is None or not table.rows or ANYBODY in table.rows:
            continue
        if not any(subject in clients or subject.startswith("client:") for subject in table.rows):
            what = f"the row filters of {name} name no client that policy.csv knows: through any client no row is seen"
            found = data.document.finding(
                ("tables", name, "rows"), what, '"*": true, or an entry for a client or its role'
            )
            yield replace(found, level=Level.WARNING)


def _whole(file: str, what: str, expected: str) -> Finding:
    return Finding(file=file, line=0, column=0, what=what, expected=expected)
