"""A small shop as the guard's tests see it: tables, an analyst's views, and the same as SQL for a real server."""

from pathlib import Path

from app.masking.masks import Constant, Generalise, Null, Partial, Pseudonym, Redact, Step
from app.policy.decision import ColumnView, Compare, Comparison, TableView
from app.sql.statement import JsonType, ParamTypes
from connectors.contract import Catalog, Column, Dialect, Index, Table, TableKey, TableKind

_TS = "timestamp with time zone"

_COLUMNS: dict[TableKey, dict[str, str]] = {
    ("public", "customers"): {
        "id": "integer",
        "name": "text",
        "email": "text",
        "ssn": "text",
        "region": "text",
        "created_at": _TS,
        "birth": "date",
        "balance": "numeric",
        "note": "character varying",
        "secret": "text",
        "version": "integer",
    },
    ("public", "orders"): {
        "id": "integer",
        "customer_id": "integer",
        "total": "numeric",
        "status": "text",
        "created_at": _TS,
    },
    ("public", "order_notes"): {"id": "integer", "note": "text"},
    ("public", "remarks"): {"id": "integer", "customer_id": "integer", "body": "text"},
    ("public", "employees"): {"id": "integer", "manager_id": "integer", "name": "text"},
    ("public", "products"): {"id": "integer", "attrs": "jsonb", "tags": "text[]"},
    ("public", "logins"): {"id": "bigint", "ssn": "character varying", "device": "uuid", "score": "double precision"},
    ("public", "awkward"): {
        "id": "integer",
        "date": "date",
        "count": "integer",
        "left": "integer",
        "text": "text",
        "name": "text",
        "version": "text",
        "user": "text",
        "length": "integer",
        "time": "text",
    },
    ("hr", "salaries"): {"id": "integer", "amount": "integer"},
}

DDL = """
CREATE SCHEMA hr;
CREATE TABLE customers (id int PRIMARY KEY, name text, email text, ssn text UNIQUE, region text,
    created_at timestamptz, birth date, balance numeric, note varchar(12), secret text, version int);
CREATE INDEX customers_email ON customers (email, id);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, total numeric, status text, created_at timestamptz);
CREATE TABLE order_notes (id int PRIMARY KEY, note text);
CREATE TABLE remarks (id int PRIMARY KEY, customer_id int, body text);
CREATE INDEX remarks_body ON remarks (body, id);
CREATE TABLE employees (id int PRIMARY KEY, manager_id int, name text);
CREATE TABLE products (id int PRIMARY KEY, attrs jsonb, tags text[]);
CREATE TABLE logins (id bigint PRIMARY KEY, ssn varchar(40), device uuid, score float8);
CREATE TABLE awkward (id int PRIMARY KEY, date date, count int, "left" int, text text, name text, version text,
    "user" text, length int, "time" text);
CREATE TABLE hr.salaries (id int PRIMARY KEY, amount int);
"""


def _indexes(key: TableKey) -> tuple[Index, ...]:
    own = Index(name=f"{key[1]}_pkey", columns=("id",), unique=True, primary=True)
    if key == ("public", "remarks"):
        return own, Index(name="remarks_body", columns=("body", "id"))
    if key != ("public", "customers"):
        return (own,)
    return (
        own,
        Index(name="customers_ssn_key", columns=("ssn",), unique=True),
        Index(name="customers_email", columns=("email", "id")),
    )


TABLES = {
    key: Table(
        schema=key[0],
        name=key[1],
        kind=TableKind.TABLE,
        columns=tuple(
            Column(name=name, type=kind, max_length={"note": 12}.get(name) if kind == "character varying" else None)
            for name, kind in columns.items()
        ),
        primary_key=("id",),
        indexes=_indexes(key),
    )
    for key, columns in _COLUMNS.items()
}

_MASKS = {
    ("customers", "email"): ("pii.email", Partial(email=True)),
    ("customers", "ssn"): ("pii.ssn", Pseudonym(domain="ssn")),
    ("customers", "birth"): ("pii.birth", Generalise(step=Step.YEAR)),
    ("customers", "balance"): ("fin.balance", Generalise(step=Step.BUCKET, size=100)),
    ("customers", "note"): ("pii.note", Partial(keep_last=2)),
    ("remarks", "body"): ("pii.free_text", Redact()),
    ("logins", "ssn"): ("pii.ssn", Pseudonym(domain="ssn")),
    ("logins", "device"): ("pii.device", Pseudonym(domain="device")),
    ("logins", "score"): ("risk.score", Null()),
    ("salaries", "amount"): ("hr.pay", Constant(value=0)),
}
_HIDDEN = {("customers", "secret"), ("customers", "version")}


def view_of(table: Table) -> TableView:
    columns = []
    for column in table.columns:
        if (table.name, column.name) in _HIDDEN:
            continue
        label, mask = _MASKS.get((table.name, column.name), (None, None))
        columns.append(
            ColumnView(name=column.name, type=column.type, label=label, mask=mask, max_length=column.max_length)
        )
    rows = Comparison(column="region", op=Compare.NE, value="hidden") if table.name == "customers" else None
    return TableView(schema=table.schema, name=table.name, columns=tuple(columns), row_filter=rows)


VIEWS = {key: view_of(table) for key, table in TABLES.items()}


_SAFE, _KNOWN = (
    frozenset(part.split())
    for part in (Path(__file__).parent / "functions_of_postgres_15.txt").read_text().split("\n\n")
)
CATALOG = Catalog(
    dialect=Dialect.POSTGRES,
    version="1",
    server_version=150004,
    tables=TABLES,
    safe_functions=_SAFE,
    known_functions=_KNOWN,
)


def types_of(params: dict[str, object]) -> ParamTypes:
    return {name: _type_of(value) for name, value in params.items()}


def _type_of(value: object) -> JsonType:
    match value:
        case None:
            return JsonType.NULL
        case bool():
            return JsonType.BOOL
        case int():
            return JsonType.INT4 if -(2**31) <= value < 2**31 else JsonType.INT8
        case float():
            return JsonType.NUMERIC
        case str():
            return JsonType.TEXT
        case list() if value and all(isinstance(item, int) for item in value):
            return JsonType.INT_ARRAY
        case list() if all(isinstance(item, str) for item in value):
            return JsonType.TEXT_ARRAY
        case _:
            return JsonType.JSON
