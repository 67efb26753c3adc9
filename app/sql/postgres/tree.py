"""The checked parse tree as a value: bytes, the governed references in it, and a form without source positions.

Trees are compared as protobuf messages of a schema from which every source position is cut out, so that the parse
of a rendered statement can be held against the tree it was rendered from, at C speed.
"""

from dataclasses import dataclass
from typing import Any

import postgast
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from postgast import pg_query_pb2 as pb

from app.policy.decision import Action
from app.sql.postgres.scope import Query, Scope, Use, Written
from app.sql.statement import ParamBind, Refusal, SqlRefused
from connectors.contract import TableKey

_POSITIONS = frozenset(
    {
        "location",
        "rexpr_list_start",
        "rexpr_list_end",
        "list_start",
        "list_end",
        "stmt_location",
        "stmt_len",
        "name_location",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A governed table where it stands in the tree. `path` ends at the node's own field ("range_var")."""

    table: TableKey
    action: Action
    alias: str
    columns: tuple[str, ...]
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PgTree:
    """What `inspect` hands to `rewrite`. Plain data: it may cross a process border."""

    data: bytes
    """The normalised ParseResult, without source positions."""
    query: Query | None
    references: tuple[Reference, ...]
    suspects: tuple[Use, ...]
    wheres: tuple[tuple[Scope, tuple[str | int, ...]], ...]
    """Every WHERE clause: the scope it is read in, and the path of its node."""
    binds: tuple[ParamBind, ...]
    grows: bool
    """It calls a function whose values may be larger than any stored one."""
    groups: bool = False
    """It has GROUP BY, DISTINCT or a set operation."""
    written: Written | None = None
    """INSERT, UPDATE and DELETE: what the reader found of them; `query` is then what RETURNING gives."""
    defined: Any = None
    """DDL: what it does to which tables (app.sql.postgres.ddl.Defined)."""
    referenced: tuple[tuple[TableKey, tuple[str, ...]], ...] = ()
    """Tables and columns that foreign keys of DDL point to."""
    free_constants: frozenset[int] = frozenset()
    """Offsets in the caller's text of constants whose value no rule looks at."""


def _without_positions() -> Any:
    schema = descriptor_pb2.FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(schema)
    for message in schema.message_type:
        kept = [
            field
            for field in message.field
            if field.name not in _POSITIONS or field.type != descriptor_pb2.FieldDescriptorProto.TYPE_INT32
        ]
        del message.field[:]
        message.field.extend(kept)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(schema)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("pg_query.ParseResult"))


_Bare = _without_positions()


def parsed(text: str) -> Any:
    """The ParseResult of a text; raises SqlRefused. The parser's sentence quotes nothing but that text."""
    try:
        return postgast.parse(text)
    except postgast.PgQueryError as error:
        position = len(text.encode()[: error.cursorpos - 1].decode(errors="ignore")) if error.cursorpos > 0 else None
        hint = " Placeholders are $1 or :name, not ?." if "?" in text else ""
        raise SqlRefused(Refusal.SYNTAX, f"{_sentence(error.message)}{hint}", position=position) from None
    except DecodeError:
        raise too_deep() from None


def too_deep() -> SqlRefused:
    return SqlRefused(
        Refusal.TOO_COMPLEX,
        "The statement is nested too deeply: at most about 50 chained operators, 60 chained set operations and 20 "
        "sub-queries inside each other. Use IN lists, CTEs or VALUES.",
    )


def bare(data: bytes) -> Any:
    """The tree without positions."""
    try:
        tree = _Bare.FromString(data)
    except DecodeError:
        raise too_deep() from None
    tree.DiscardUnknownFields()
    return tree


def stored(data: bytes) -> Any:
    """A tree that was without positions when it was stored."""
    return _Bare.FromString(data)


def bare_parse(text: str) -> Any:
    return bare(parsed(text).SerializeToString())


def rendered(tree: Any) -> str:
    """The tree as SQL; the caller holds its parse against the tree."""
    try:
        return str(postgast.deparse(tree))
    except postgast.PgQueryError:
        raise disagreement() from None


def check_rendering(sql: str, tree: Any) -> None:
    """Raises unless the SQL parses to exactly this tree."""
    # Bytes of one schema in one process: equal exactly when the trees are, and twice as fast to compare.
    again = bare_parse(sql)
    if again.SerializeToString(deterministic=True) == tree.SerializeToString(deterministic=True):
        return
    if _thoroughly_bare(again) != _thoroughly_bare(tree):
        raise disagreement()


def _thoroughly_bare(tree: Any) -> bytes:
    """protobuf forgets positions down to 64 levels in one go; deeper trees are stripped piece by piece."""
    copy = type(tree)()
    copy.CopyFrom(tree)
    _strip(copy, 0)
    return bytes(copy.SerializeToString(deterministic=True))


def _strip(message: Any, level: int) -> None:
    if level % 32 == 0:
        message.DiscardUnknownFields()
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for part in value if descriptor.is_repeated else (value,):
                _strip(part, level + 1)


def disagreement() -> SqlRefused:
    return SqlRefused(
        Refusal.DISAGREEMENT,
        "The statement was read in two ways that do not agree. Write it more plainly: name columns and tables "
        "without quoting tricks, and leave unusual syntax out.",
    )


def at(tree: Any, path: tuple[str | int, ...]) -> Any:
    """The message at a path."""
    for step in path:
        tree = tree[step] if isinstance(step, int) else getattr(tree, step)
    return tree


def _sentence(message: str) -> str:
    return f"The statement is not valid SQL: {message}."
