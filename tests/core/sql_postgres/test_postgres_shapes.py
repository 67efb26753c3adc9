from typing import Any

import postgast
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sql.postgres import guard
from app.sql.postgres.lexer import tokens
from app.sql.postgres.shape import shape
from app.sql.postgres.templates import ShapeTemplate, template_of
from app.sql.postgres.tree import bare_parse
from app.sql.statement import SqlRefused
from tests.core.sql_postgres import world
from tests.core.sql_postgres.test_guard_postgres_cases import HONEST, PROBES

_FRAGMENTS = [
    "SELECT", " ", "\n", "\t", "a", "t.b", '"Q""x"', "'it''s'", "''", "E'a\\'b'", "e'\\\\'", "U&'\\0061'", "B'01'",
    "X'1F'",
    "N'x'", "$$a'b$$", "$t$x$$y$t$", "$1", "$12", "1", "007", "2147483647", "2147483648", "9223372036854775808", "1.5",
    ".5", "5.", "1e3", "1.5E-3", "0x1F", "1_000", "12abc", "1..2", "::", ":=", "(", ")", "[", "]", ",", ";", ":", ".",
    "+", "-", "--c\n", "-- 'q\n", "/* c */", "/* a /* b */ c */", "=", "<=", "->>", "@>", "?", "||", "*", "/", "é",
    "ü1",    "'é'", "a$b$c", "_x", "u&", "'a'\n'b'", "'a' 'b'", "E'a'\n'\\''", "IN (1, 2)", "LIMIT 10",
]  # fmt: skip
_TEXT = st.lists(st.sampled_from(_FRAGMENTS), max_size=12).map("".join)
_CONSTANTS = {"SCONST", "ICONST", "FCONST"}


def _scanned(text: str) -> list[tuple[str, str]] | None:
    try:
        found = postgast.scan(text).tokens
    except postgast.PgQueryError:
        return None
    data = text.encode()
    names = postgast.pg_query_pb2.Token
    return [(names.Name(token.token), data[token.start : token.end].decode()) for token in found]


@settings(max_examples=300, deadline=None)
@given(_TEXT)
def test_a_shape_lifts_out_exactly_constants_that_postgresql_sees(text: str) -> None:
    scanned = _scanned(text)
    found = shape(text)
    if scanned is None or found is None:
        return
    constants = [source for kind, source in scanned if kind in _CONSTANTS]
    rest = iter(constants)
    assert all(literal in rest for literal in found.literals)


@settings(max_examples=300, deadline=None)
@given(_TEXT, st.data())
def test_texts_of_one_shape_have_one_sequence_of_tokens(text: str, data: st.DataObject) -> None:
    found = shape(text)
    if found is None or not found.literals:
        return
    index = data.draw(st.integers(0, len(found.literals) - 1))
    literal = data.draw(_other(found.literals[index]))
    place = found.places[index]
    changed = text[:place] + literal + text[place + len(found.literals[index]) :]
    again = shape(changed)
    if again is None or again.key != found.key:
        return
    first, second = _scanned(text), _scanned(changed)
    assert first is not None or second is None
    if first is not None:
        assert second is not None
        assert [kind for kind, _ in first] == [kind for kind, _ in second]


@settings(max_examples=300, deadline=None)
@given(_TEXT)
def test_strings_comments_and_names_end_where_postgresql_ends_them(text: str) -> None:
    scanned = _scanned(text)
    if scanned is None:
        return
    fixed = {"IDENT", "SCONST", "UIDENT", "USCONST", "PARAM", "BCONST", "XCONST"}
    ours = [token.text for token in tokens(text)]
    theirs = iter(ours)
    assert all(any(source == own for own in theirs) for kind, source in scanned if kind in fixed)


def _other(literal: str) -> st.SearchStrategy[str]:
    if literal.startswith("'"):
        alphabet = st.sampled_from(["a", "'", "''", "\\", "\n", "é", "%", "--", "/*", "$1", ":x", ";", '"', "0"])
        return st.lists(alphabet, max_size=5).map(lambda parts: "'" + "".join(parts).replace("'", "''") + "'")
    if literal.isdigit():
        return st.integers(0, 2**70).map(str) | st.sampled_from(["0", "00", "2147483647"])
    return st.sampled_from(["0.0", ".25", "1e5", "123.", "9.75E2"])


def _statements() -> list[str]:
    return [case for case in HONEST + PROBES if isinstance(case, str)]


def _template(text: str) -> tuple[Any, ShapeTemplate | None]:
    statement = guard.inspect(text, {}, world.CATALOG)
    rewritten = guard.rewrite(statement, world.VIEWS.get, world.CATALOG)
    found = shape(text)
    return found, template_of(text, {}, statement, rewritten, world.VIEWS.get, world.CATALOG) if found else None


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(_statements()), st.data())
def test_a_template_renders_what_a_full_rewrite_would(text: str, data: st.DataObject) -> None:
    found, template = _template(text)
    if template is None:
        return
    pieces, position = [], 0
    free = {index for _, index in template.holes}
    for index, (literal, place) in enumerate(zip(found.literals, found.places, strict=True)):
        pieces += [text[position:place], data.draw(_other(literal)) if index in free else literal]
        position = place + len(literal)
    changed = "".join([*pieces, text[position:]])
    again = shape(changed)
    if again is None or again.key != found.key:
        return
    sql = template.render(again.literals)
    if sql is None:
        return
    try:
        full = guard.rewrite(guard.inspect(changed, {}, world.CATALOG), world.VIEWS.get, world.CATALOG)
    except SqlRefused as refused:
        raise AssertionError(f"the template let through what a full reading refuses: {refused.detail}") from refused
    assert _bare(str(sql)) == _bare(full.sql)


def _bare(sql: str) -> bytes:
    return bytes(bare_parse(sql).SerializeToString(deterministic=True))


def test_a_value_that_a_rule_looks_at_stays_in_the_key() -> None:
    for text, other in (
        ("SELECT id FROM orders ORDER BY id LIMIT 10", "10"),
        ("SELECT status, count(*) FROM orders GROUP BY 1", "1"),
        ("SELECT repeat(status, 3) FROM orders", "3"),
        ("SELECT now() - interval '1 day' FROM orders", "'1 day'"),
        ("SELECT id::numeric(10, 2) FROM orders", "10"),
    ):
        found, template = _template(text)
        assert template is not None
        literals = ["99" if literal == other else literal for literal in found.literals]
        assert template.render(literals) is None, text


def test_literals_of_a_filter_are_free() -> None:
    _, template = _template("SELECT id FROM orders WHERE status = 'paid' AND total > 1.5 AND id IN (1, 2)")
    assert template is not None
    assert template.fixed == ()
    assert "'it''s'" in str(template.render(["'it''s'", "2.5", "3", "4"]))


def test_a_text_with_doubtful_parts_has_no_shape() -> None:
    for text in (
        "SELECT 1 /* x */",
        "SELECT 1_000",
        "SELECT 'a'\n'b'",
        "SELECT 12abc",
        "SELECT '\ud800'",
        "SELECT '\0'",
    ):
        assert shape(text) is None, text


def test_the_corpus_has_templates() -> None:
    made = [_template(text)[1] for text in _statements()]
    assert sum(template is not None for template in made) > 0.8 * len(made)
