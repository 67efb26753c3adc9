"""`douane classify`: looks at samples of one connection and proposes labels for its data file. Nothing is changed, and
no value leaves: only names, labels, confidences and counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from app.classifying.looking import ClassifyRefused, Look, Sampling
from app.classifying.objects import look_at_objects
from app.classifying.tables import look_at_tables
from app.connecting import Connections, build_connections
from app.detecting import build_detectors
from app.gateway.connections import Broker, Bucket, Connection
from app.policy.connections import ConnectionKind
from app.policy.content_file import ObjectsDocument
from app.policy.data_editing import EMPTY, edited
from app.policy.data_file import ConnectionData, DataDocument, data_of
from app.policy.data_files import read_data_files
from app.policy.documents import Document, read_document, validated
from app.policy.findings import Finding, Level
from app.policy.proposing import DEFAULT_CONFIDENCE, Proposal
from app.settings.model import Settings
from connectors.contract import ConnectorError

__all__ = ["Classified", "ClassifyRefused", "Sampling", "classify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """`before`: the data file, "" where there is none; `after`: with what is proposed. `notes`: what was not looked at,
    and why. `proposal` None: nothing of this connection can be looked at."""

    connection: str
    file: str
    before: str = ""
    after: str = ""
    proposal: Proposal | None = None
    notes: tuple[str, ...] = ()


def classify(
    settings: Settings, name: str, *, confidence: float = DEFAULT_CONFIDENCE, sampling: Sampling | None = None
) -> Classified:
    """Raises ClassifyRefused, and what build_connections raises."""
    if name not in settings.connections:
        known = ", ".join(sorted(settings.connections)) or "none is configured"
        raise ClassifyRefused(f"unknown connection {name!r}; use one of: {known}")
    alone = settings.model_copy(update={"connections": {name: settings.connections[name]}})
    return uvloop.run(_classify(alone, name, confidence, sampling or Sampling()))


async def _classify(settings: Settings, name: str, confidence: float, sampling: Sampling) -> Classified:
    configured = build_connections(settings)
    connection = configured.all()[name]
    file = f"data/{name}.yaml"
    if isinstance(connection, Broker):
        note = f"{name} has messages: a sample would take them from their receivers, so nothing is proposed"
        return Classified(connection=name, file=file, notes=(note,))
    before = _text(settings.policies / file)
    document = _document(file, before or EMPTY)
    await connection.connector.open()
    try:
        look = await _look(connection, document, settings, sampling)
    except ConnectorError as error:
        raise ClassifyRefused(
            f"{name} cannot be read ({error.failure.value}); `douane check` says what is wrong"
        ) from error
    finally:
        await connection.connector.close()
    proposal = Proposal(
        root="tables" if isinstance(connection, Connection) else "objects",
        sections=tuple(look.sections),
        confidence=confidence,
        unread=tuple(look.unread),
    )
    after = edited(before or EMPTY, document, proposal)
    notes = (*look.notes, *_faults(file, after, configured))
    return Classified(connection=name, file=file, before=before, after=after, proposal=proposal, notes=notes)


async def _look(connection: Connection | Bucket, document: Document, settings: Settings, sampling: Sampling) -> Look:
    find = build_detectors(settings.detectors).find
    if isinstance(connection, Connection):
        return await look_at_tables(connection, _tables(document), find, sampling)
    return await look_at_objects(connection, _objects(document), find, sampling)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ClassifyRefused(f"{path} cannot be read: put it right or move it away") from error


def _document(file: str, text: str) -> Document:
    findings: list[Finding] = []
    document = read_document(file, text.encode(), findings)
    _refuse(findings)
    assert document is not None
    return document


def _tables(document: Document) -> ConnectionData:
    findings: list[Finding] = []
    parsed = validated(DataDocument, document, findings)
    data = ConnectionData() if parsed is None else data_of(parsed, document, findings)
    _refuse(findings)
    return data


def _objects(document: Document) -> ObjectsDocument:
    findings: list[Finding] = []
    parsed = validated(ObjectsDocument, document, findings)
    _refuse(findings)
    assert parsed is not None
    return parsed


def _refuse(findings: list[Finding]) -> None:
    if findings:
        raise ClassifyRefused("\n".join(map(str, findings)))


def _faults(file: str, text: str, configured: Connections) -> list[str]:
    """What would keep the proposal from loading."""
    kinds: Mapping[str, ConnectionKind] = configured.kinds()
    findings: list[Finding] = []
    files: dict[str, Any] = {file: text.encode()}
    read_data_files(files, kinds, findings)
    return [f"as proposed it would not load: {one}" for one in findings if one.level is Level.ERROR]
