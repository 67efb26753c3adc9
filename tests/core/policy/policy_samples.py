"""Small policies and callers for the tests of app.policy."""

from hypothesis import HealthCheck, settings

from app.policy.caller import Caller
from app.policy.casbin_model import MODEL
from app.policy.connections import ConnectionKind
from app.policy.load import load
from app.policy.loaded import LoadedPolicy
from connectors.contract import Catalog, Column, Dialect, SourceColumn, Table, TableKind

CONNECTIONS = {"shop": ConnectionKind.SQL, "lake": ConnectionKind.OBJECTS, "events": ConnectionKind.MESSAGES}
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be busy: how long an example takes says nothing here."""

ANYTHING_GOES = "p, client:app, **, *, allow,\n"


def policy_files(rules: str = "", masks: str = "", data: str = "", **more: str) -> dict[str, bytes]:
    files = {"model.conf": MODEL, "policy.csv": rules, **more}
    if masks:
        files["masks.yaml"] = masks
    if data:
        files["data/shop.yaml"] = data
    return {name: text.encode() for name, text in files.items()}


def policy(rules: str = "", masks: str = "", data: str = "") -> LoadedPolicy:
    """With an actor, `client:app`, that may do anything."""
    return load(policy_files(ANYTHING_GOES + rules, masks, data), CONNECTIONS)


def caller(*subjects: str, actors: tuple[str, ...] = ("client:app",), **claims: object) -> Caller:
    return Caller(
        issuer="https://idp.example/",
        principal="somebody",
        actor="app",
        actor_chain=(),
        client="app",
        principal_subjects=frozenset(subjects),
        actor_subjects=frozenset(actors),
        scopes=frozenset(),
        claims=claims,
        token_id="t",
        expires_at=0,
        policy_key=repr((subjects, actors, claims)),
    )


def table(name: str, *columns: str | Column, kind: TableKind = TableKind.TABLE, reads: tuple[str, ...] = ()) -> Table:
    """`reads` as "table.column" within the same schema."""
    return Table(
        schema="public",
        name=name,
        kind=kind,
        columns=tuple(c if isinstance(c, Column) else Column(name=c, type="text") for c in columns),
        reads=tuple(SourceColumn(table=("public", r.split(".")[0]), column=r.split(".")[1]) for r in reads),
    )


def catalog(*tables: Table, dialect: Dialect = Dialect.POSTGRES) -> Catalog:
    return Catalog(dialect=dialect, version="1", server_version=150004, tables={t.key: t for t in tables})
