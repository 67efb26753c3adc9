"""What runs of DDL: exactly the caller's statement, rendered from the tree.

Refused is what would carry governed data out from under its rules, or test rows and columns that the caller may not
see: copies, indexes over hidden columns, dropping what is hidden.
"""

from collections.abc import Callable, Iterator
from typing import Any

from app.sql.sqlite.binds import Binds
from app.sql.sqlite.columns import resolve, unknown_column
from app.sql.sqlite.lexis import Kind, Token, fold, literal, quoted, tokens_of
from app.sql.sqlite.nodes import Call, Column, Definition, Expr, Nested, Parenthesis, Query, Relation
from app.sql.sqlite.relations import Bound, bind, parts
from app.sql.sqlite.rendering import Rendering
from app.sql.sqlite.statements import Statements
from app.sql.sqlite.templates import Shown
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import Catalog, TableKey, TableKind


def defined(tree: Definition, bound: Bound, text: str, view: Callable[[Relation], Shown], catalog: Catalog) -> str:
    """What runs. `view`: what the caller sees of the table that the definition acts on. Raises SqlRefused."""
    for rule in RULES:
        rule(tree, bound, view)
    sql = _rendered(tree, bound, text)
    again = _read_again(sql)
    if _rendered(again, bind(again, catalog), sql) != sql:
        raise SqlRefused(Refusal.DISAGREEMENT, "This definition reads differently once rendered: simplify it.")
    return sql


_PLAIN = frozenset({"COLLATE", "BINARY", "NOCASE", "RTRIM", "ASC", "DESC", "NULLS", "FIRST", "LAST"})
"""What may stand beside a column that an index takes as it is. `->` fails at a value that is no JSON."""

ViewOf = Callable[[Relation], Shown]
Rule = Callable[[Definition, Bound, ViewOf], None]


def _no_copy(tree: Definition, bound: Bound, view: ViewOf) -> None:
    if tree.query is not None and bound.tables:
        what = "view" if tree.kind == "VIEW" else "table"
        raise SqlRefused(
            Refusal.CONSTRUCT,
            f"A {what} made from a query would copy rows that no policy covers: "
            "create the table with its columns, then INSERT INTO it.",
        )


def _index_of_what_is_seen(tree: Definition, bound: Bound, view: ViewOf) -> None:
    if tree.owner is None:
        return
    shown = view(tree.owner)
    if shown.table.kind is not TableKind.TABLE:
        raise SqlRefused(Refusal.CONSTRUCT, "An index needs a table.", position=tree.owner.position)
    computed = tree.where is not None
    waiting: list[Any] = [*tree.terms, *([tree.where] if tree.where is not None else [])]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Nested | Query | Relation):
            raise SqlRefused(Refusal.CONSTRUCT, "An index takes no queries.")
        computed = computed or isinstance(node, Call)
        if isinstance(node, Expr):
            computed = computed or any(isinstance(item, Token) and item.word not in _PLAIN for item in node.items)
        if isinstance(node, Column):
            _raw(shown, node.name, node.position)
        waiting.extend(parts(node))
    if shown.row_filter is not None and (tree.unique or computed):
        raise SqlRefused(
            Refusal.CONSTRUCT,
            "You see a part of this table's rows: an index on it takes plain columns and is not unique.",
            position=tree.owner.position,
        )


def _index_names_no_strings(tree: Definition, bound: Bound, view: ViewOf) -> None:
    # SQLite takes a string in the list of an index for the name of a column.
    waiting: list[Any] = list(tree.terms)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Expr | Parenthesis):
            for token in getattr(node, "items", ()):
                if isinstance(token, Token) and token.kind is Kind.STRING:
                    raise SqlRefused(
                        Refusal.CONSTRUCT, "A string is no column: write it without quotes.", position=token.start
                    )
            waiting.extend(parts(node))


def _refers_to_what_is_seen(tree: Definition, bound: Bound, view: ViewOf) -> None:
    """A foreign key tells which values its parent holds."""
    for relation, names in _references(tree.body):
        if fold(relation.name) == fold(tree.target.name):
            continue
        parent = view(relation)
        if parent.row_filter is not None:
            raise SqlRefused(
                Refusal.CONSTRUCT,
                f"You see a part of the rows of {relation.name[:80]}: no new foreign key can refer to them.",
                position=relation.position,
            )
        for name in names or parent.table.primary_key:
            _raw(parent, name, relation.position)


def _references(body: tuple[Token, ...]) -> Iterator[tuple[Relation, tuple[str, ...]]]:
    for at, token in enumerate(body[:-1]):
        if token.word != "REFERENCES":
            continue
        name = body[at + 1]
        names: list[str] = []
        if at + 2 < len(body) and body[at + 2].word == "(":
            for part in body[at + 3 :]:
                if part.word == ")":
                    break
                if part.word != ",":
                    names.append(part.text)
        yield Relation(None, name.text, None, name.start), tuple(names)


def _drops_what_is_seen(tree: Definition, bound: Bound, view: ViewOf) -> None:
    if tree.verb == "CREATE" or tree.kind not in ("TABLE", "DROP"):
        return
    shown = view(tree.target)
    if shown.row_filter is not None:
        raise SqlRefused(
            Refusal.CONSTRUCT,
            "You see a part of this table's rows: delete those instead.",
            position=tree.target.position,
        )
    if tree.altered is not None:
        _raw(shown, tree.altered, tree.target.position)


RULES: tuple[Rule, ...] = (
    _no_copy,
    _index_of_what_is_seen,
    _index_names_no_strings,
    _refers_to_what_is_seen,
    _drops_what_is_seen,
)


def _raw(shown: Shown, name: str, position: int) -> None:
    column = shown.columns.get(fold(name))
    if column is None:
        raise unknown_column(name, position)
    if column.mask is not None:
        raise SqlRefused(
            Refusal.NOT_WRITABLE, f"The column {name[:80]} comes masked: no DDL can use it.", position=position
        )


def _rendered(tree: Definition, bound: Bound, text: str) -> str:
    name = f"{quoted('main')}.{quoted(tree.target.name)}"
    guard = "" if not tree.guarded else "IF NOT EXISTS " if tree.verb == "CREATE" else "IF EXISTS "
    match tree.verb, tree.kind:
        case "DROP", kind:
            return f"DROP {kind} {guard}{name}"
        case "ALTER", "ADD":
            return f"ALTER TABLE {name} ADD COLUMN {_tokens(tree.body)}"
        case "ALTER", _:
            return f"ALTER TABLE {name} DROP COLUMN {quoted(tree.altered or '')}"
        case _, "INDEX":
            return _index(tree, bound, text, f"{guard}{name}")
        case _, kind:
            columns = f" ({', '.join(map(quoted, tree.columns))})" if tree.columns else ""
            body = f"AS {_query(tree.query, bound, text)}" if tree.query is not None else _tokens(tree.body)
            return f"CREATE {kind} {guard}{name}{columns} {body}"


def _index(tree: Definition, bound: Bound, text: str, name: str) -> str:
    assert tree.owner is not None
    rendering = Rendering(text, {}, bound, set(), Binds(), _no_table)
    terms = ", ".join(rendering.expression(term) for term in tree.terms)
    where = f" WHERE {rendering.expression(tree.where)}" if tree.where is not None else ""
    unique = "UNIQUE " if tree.unique else ""
    return f"CREATE {unique}INDEX {name} ON {quoted(tree.owner.name)} ({terms}){where}"


def _query(query: Query, bound: Bound, text: str) -> str:
    resolved = resolve(query, text, bound, {})
    return Rendering(text, {}, bound, resolved.booleans, Binds(), _no_table).query(query, top=True)


def _no_table(relation: Relation, key: TableKey) -> str:
    raise SqlRefused(Refusal.CONSTRUCT, "A definition reads no tables.", position=relation.position)


def _tokens(tokens: tuple[Token, ...]) -> str:
    return " ".join(map(_token, tokens))


def _token(token: Token) -> str:
    match token.kind:
        case Kind.QUOTED:
            return quoted(token.text)
        case Kind.STRING:
            return literal(token.text)
        case Kind.BLOB:
            return f"x'{token.text}'"
        case _:
            return token.text


def _read_again(sql: str) -> Definition:
    reader = Statements(tokens_of(sql, limited=False), {})
    tree = reader.statement()
    if not isinstance(tree, Definition) or reader.peek().kind is not Kind.END:
        raise SqlRefused(Refusal.DISAGREEMENT, "This definition reads differently once rendered: simplify it.")
    return tree
