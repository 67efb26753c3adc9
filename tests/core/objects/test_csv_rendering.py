import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.masking.masks import Mask, Null, Redact
from app.masking.values import text_masker
from app.objects.plan import RenderLimits
from app.objects.refusal import ContentFault
from app.policy.content import ContentView, FieldView
from tests.core.objects.renderings import (
    EMAIL,
    GONE,
    KEYS,
    MASKS,
    NAME,
    NOTE,
    RAW,
    UNHURRIED,
    refusal,
    rendered,
    shown,
)  # fmt: skip

VIEW = ContentView(columns={"id": RAW, "E-Mail": EMAIL, "name": NAME, "note": NOTE, "salary": GONE})

CELL = st.text(
    alphabet=st.one_of(
        st.sampled_from("\",\r\n;\t '@.-ab0Ÿ😀"), st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    ),
    max_size=12,
)


def written(rows: list[list[str]], **how: object) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, **how).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue().encode()


def read(content: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=delimiter))


@UNHURRIED
@given(
    st.lists(st.tuples(CELL, CELL), max_size=6),
    # With a line feed alone as its end of a line, the writer quotes no carriage return.
    st.sampled_from([(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\n")]),
)
@example([("", "")], (csv.QUOTE_MINIMAL, "\r\n"))
def test_raw_cells_read_back_as_they_were(rows: list[tuple[str, str]], how: tuple[int, str]) -> None:
    content = written([["id", "other"], *map(list, rows)], quoting=how[0], lineterminator=how[1])
    assert read(shown("csv", content, ContentView(columns={"id": RAW, "other": RAW}))) == [
        ["id", "other"],
        *map(list, rows),
    ]


@UNHURRIED
@given(st.lists(CELL, max_size=6))
@example(["\ufeff"])
@example(["\ufeff\ufeffa", "\ufeff"])
def test_cells_of_an_only_column_read_back_as_they_were(cells: list[str]) -> None:
    content = written([["id"], *([cell] for cell in cells)])
    assert read(shown("csv", content, ContentView(columns={"id": RAW}))) == [["id"], *([cell] for cell in cells)]


@pytest.mark.parametrize("mask", [mask for mask in MASKS if not isinstance(mask, Redact)], ids=repr)
@UNHURRIED
@given(st.lists(st.tuples(CELL, CELL), max_size=6))
def test_masked_cells_are_what_the_mask_says_of_text(mask: Mask, rows: list[tuple[str, str]]) -> None:
    content = written([["id", "masked"], *map(list, rows)])
    view = ContentView(columns={"id": RAW, "masked": FieldView(mask=mask)})
    each = text_masker(mask, KEYS, lambda text: text)
    expected = [[raw, each(cell) or ""] for raw, cell in rows]
    assert read(shown("csv", content, view))[1:] == expected


@UNHURRIED
@given(st.lists(st.tuples(CELL, CELL, CELL, CELL, CELL), min_size=1, max_size=4), st.data())
def test_twins_that_differ_in_what_is_hidden_render_to_the_same_bytes(
    rows: list[tuple[str, ...]], data: st.DataObject
) -> None:
    def table(rows: list[tuple[str, ...]]) -> bytes:
        return written([["id", "note", "salary", "unknown", "e-mail"], *map(list, rows)])

    twin = [
        (
            row[0],
            data.draw(CELL),
            data.draw(CELL),
            data.draw(CELL),
            f"{data.draw(st.sampled_from(['', 'someone']))}@{row[4].replace('@', '')}",
        )
        for row in rows
    ]
    rows = [(*row[:4], "@" + row[4].replace("@", "")) for row in rows]
    assert rendered("csv", table(rows), VIEW) == rendered("csv", table(twin), VIEW)


def test_columns_are_found_whatever_the_case_and_width_of_their_names() -> None:
    assert (
        shown("csv", "ID, ｅ-mail \n1,ada@example.org\n".encode(), VIEW) == "ID, ｅ-mail \n1,***@example.org\n".encode()
    )


def test_two_columns_of_one_name_are_masked_alike() -> None:
    assert shown("csv", b"note,id,note\na,1,b\n", VIEW) == b"note,id,note\n,1,\n"


def test_a_denied_column_is_not_there() -> None:
    result, content = rendered("csv", b"id,salary\n1,90000\n", VIEW)
    assert content == b"id\n1\n"
    assert result.rows == 1


HEADLESS = {
    "a wrong delimiter": b"id;e-mail\n1;ada@example.org\n",
    "a title above": b"Report of May,,\nid,e-mail,n\n1,ada@example.org,x\n",
    "a comment above": b"# exported,by me\nid,e-mail\n1,ada@example.org\n",
    "no header": b"1,ada@example.org\n2,bob@example.org\n",
    "other quotes": b"'id','e-mail'\n'1','ada@example.org'\n",
}


@pytest.mark.parametrize("content", HEADLESS.values(), ids=HEADLESS)
@pytest.mark.parametrize("default", [RAW, NOTE, FieldView(mask=Redact())], ids=["allow", "mask", "scan"])
@pytest.mark.parametrize("columns", [{"id": RAW, "E-Mail": EMAIL}, {"E-Mail": GONE}], ids=["masked", "denied"])
def test_a_first_line_without_any_known_name_is_refused_where_a_column_is_masked_by_name(
    content: bytes, default: FieldView, columns: dict[str, FieldView]
) -> None:
    refused = refusal("csv", content, ContentView(columns=columns, default=default))
    assert (refused.code, refused.place) == (ContentFault.UNDECODABLE, "line 1")
    assert "`header`" in refused.detail


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("first", [b"sep=,", b"sep=;", b'"sep=;"', b"SEP=\t", b"\xef\xbb\xbfsep=,"])
def test_a_line_that_says_the_delimiter_is_no_header(first: bytes, delimiter: str) -> None:
    for view in (
        ContentView(columns={"id": RAW, "note": NOTE}, default=RAW, delimiter=delimiter),
        ContentView(columns={"id": RAW}, delimiter=delimiter),
        ContentView(columns={"sep=;": RAW, "note": NOTE}, default=RAW, delimiter=delimiter),
    ):
        assert "sep=" in refusal("csv", first + b"\nid,note\n1,x\n", view).detail


def test_one_known_name_makes_the_first_line_a_header() -> None:
    view = ContentView(columns={"id": RAW, "note": NOTE}, default=RAW)
    assert shown("csv", b"a, ID \n1,2\n", view) == b"a, ID \n1,2\n"
    assert shown("csv", b"Note,b\n1,2\n", view) == b"Note,b\n,2\n"


def test_a_first_line_in_which_no_name_is_known_does_not_show_where_what_is_not_known_is_masked() -> None:
    content = b"ada@example.org,4111111111111111\nbob@example.org,1\n"
    assert shown("csv", content, ContentView(columns={"id": RAW})) == b"column_1,column_2\n,\n"


def test_a_first_line_shows_where_nothing_is_masked() -> None:
    view = ContentView(columns={"note": RAW}, default=RAW)
    assert shown("csv", b"a,b\n1,2\n", view) == b"a,b\n1,2\n"
    assert shown("csv", b"sep=,\n1,2\n", view) == b"sep=,\n1,2\n"


def test_content_on_its_way_in_needs_no_header_where_no_column_has_what_is_to_be_masked() -> None:
    rest = FieldView(label="pii.note", mask=Redact(keep_others=True))
    view = ContentView(columns={"note": rest}, default=rest, found={"pii.email": NOTE})
    assert shown("csv", b"a,b\n1,ada@example.org\n", view) == b"a,b\n1,[pii.email]\n"


def test_a_declared_header_names_the_columns_of_a_file_without_one() -> None:
    view = ContentView(columns={"id": RAW, "note": NOTE, "salary": GONE}, header=("id", "note", "salary"))
    assert rendered("csv", b"1,x,9\n2,y,9\n", view)[1] == b"1,\n2,\n"


def test_an_empty_file_stays_empty() -> None:
    for content in (b"", b"\xef\xbb\xbf", b"\n\r\n"):
        result, out = rendered("csv", content, VIEW)
        assert (result.rows, out) == (0, b"")


def test_text_that_looks_like_a_null_or_a_number_stays_text() -> None:
    content = b"id,other\nNULL,1.10\n,0007\nNaN,true\n"
    assert shown("csv", content, ContentView(columns={"id": RAW, "other": RAW})) == content


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_of_encodings_are_taken_away(encoding: str) -> None:
    text = "id,note\né😀,x\n" * 1 + "é😀,y\n" * 40_000
    assert shown("csv", text.encode(encoding), VIEW) == ("id,note\n" + "é😀,\n" * 40_001).encode()


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf_16_that_is_cut_within_a_character_is_refused(mark: bytes) -> None:
    assert refusal(
        "csv", mark + "id\n".encode("utf-16-le" if mark == b"\xff\xfe" else "utf-16-be") + b"a", VIEW
    ).code is (ContentFault.UNDECODABLE)


@pytest.mark.parametrize(
    "content",
    [
        b'id,note\n1,a"b\n',
        b'id,note\n1,"a"b\n',
        b'id,note\n1,"a" \n',
        b'id,note\n1, "a"\n',
        b'id,note\n1,"a\n',
        b'id,note\n"1,"a"\n2,"b"\n',
        b"id,note\n1,\0\n",
        b"id,note\n1,\xff\n",
        "id,note\n1,x\n".encode("utf-32"),
        "id,note\n1,x\n".encode("utf-16-le"),
    ],
)
def test_content_with_more_than_one_reading_is_refused(content: bytes) -> None:
    refused = refusal("csv", content, VIEW)
    assert refused.code is ContentFault.UNDECODABLE


def test_a_quote_that_is_never_closed_does_not_move_cells_into_a_raw_column() -> None:
    content = b'id,note\n1,secret\n"2,secret\n3,"secret"\n'
    assert refusal("csv", content, VIEW).place in ("line 2", "line 3")


def test_a_ragged_row_is_named_by_its_number_and_shows_nothing() -> None:
    rows = b"".join(b"%d,secret\n" % n for n in range(60_000))
    refused = refusal("csv", b"id,note\n" + rows + b"7,secret,more\n", VIEW)
    assert (refused.code, refused.place) == (ContentFault.RAGGED, "row 60001")
    assert "secret" not in refused.detail


def test_a_record_beyond_its_bound_is_refused() -> None:
    limits = RenderLimits(max_record_bytes=1_000)
    content = b'id,note\n1,"' + b"x\n" * 1_000_000
    assert refusal("csv", content, VIEW, limits).code is ContentFault.TOO_LARGE


def test_too_many_columns_are_refused() -> None:
    assert refusal("csv", b",".join([b"a"] * 11), VIEW, RenderLimits(max_columns=10)).code is ContentFault.TOO_LARGE


def test_other_delimiters_and_tabs_are_kept() -> None:
    semicolons = ContentView(columns={"id": RAW, "note": NOTE}, delimiter=";")
    assert shown("csv", b'id;note\n"1;2";x\n', semicolons) == b'id;note\n"1;2";\n'
    assert shown("tsv", b"id\tnote\n1,2\tx\n", VIEW) == b"id\tnote\n1,2\t\n"


def test_lines_that_end_with_a_carriage_return_alone_are_rows() -> None:
    assert shown("csv", b"id,note\r1,x\r2,y", VIEW) == b"id,note\n1,\n2,\n"


def test_blank_lines_are_no_rows_where_there_are_several_columns() -> None:
    assert rendered("csv", b"\n\nid,note\n\n1,x\n\n\n2,y\n\n", VIEW)[0].rows == 2


def test_labels_are_those_of_masked_columns_that_are_there() -> None:
    result, _ = rendered("csv", b"id,name,e-mail\n1,Ada,ada@example.org\n", VIEW)
    assert result.labels_masked == ("pii.email", "pii.name")


def test_free_text_in_a_cell_is_redacted() -> None:
    view = ContentView(columns={"id": RAW, "text": FieldView(mask=Redact())}, default_found=FieldView(mask=Null()))
    assert shown("csv", b'id,text\n1,"write to ada@example.org, please"\n', view) == (
        b'id,text\n1,"write to [pii.email], please"\n'
    )


@UNHURRIED
@given(st.integers(min_value=1, max_value=40), st.integers(min_value=0, max_value=3))
def test_where_blocks_are_cut_does_not_show(size: int, seed: int) -> None:
    rows = [[str(n), f'a\n"{n}", b\r\n' * (n % (seed + 2))] for n in range(12)]
    content = written([["id", "other"], *rows])

    class Slow(io.BytesIO):
        def read(self, _: int | None = -1, /) -> bytes:
            return super().read(size)

    from app.objects.render import render
    from tests.core.objects.renderings import plan

    out = io.BytesIO()
    render(plan("csv", ContentView(columns={"id": RAW, "other": RAW})), Slow(content), out)
    assert read(out.getvalue()) == [["id", "other"], *rows]
