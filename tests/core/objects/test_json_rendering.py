import io
import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.masking.masks import Constant, Mask, Null, Redact
from app.masking.values import masker
from app.objects.formats import Wrapping
from app.objects.json_document import render_json
from app.objects.json_places import JsonPlaces
from app.objects.json_text import depth_of, exactly, keeps_numbers, written
from app.objects.plan import RenderLimits
from app.objects.refusal import ContentFault
from app.objects.sink import Sink
from app.policy.content import ContentView, FieldView
from tests.core.objects.renderings import EMAIL, GONE, KEYS, MASKS, NAME, NOTE, RAW, UNHURRIED, refusal, rendered, shown

VIEW = ContentView(
    paths={
        "$.id": RAW,
        "$.email": EMAIL,
        "$.customer.name": NAME,
        "$.customer.salary": GONE,
        "$.items[*].sku": RAW,
        "$.tags[*]": NAME,
        "$.meta": NOTE,
        "$.meta.country": RAW,
        "$.by_day.*.total": RAW,
    }
)
PATHS = (
    "$.a", "$.b", "$.a.b", "$.a.*", "$.a[*]", "$.a[*].b", "$.*", "$.*.b", "$[*]", "$[*].a", "$..b", "$.a..b",
    "$.c[*][*]", "$['odd name']",
)  # fmt: skip
VIEWS = st.builds(
    ContentView,
    paths=st.dictionaries(
        st.sampled_from(PATHS), st.sampled_from([RAW, EMAIL, NAME, NOTE, GONE, FieldView(mask=Constant(value=1))])
    ),
    default=st.sampled_from([RAW, NOTE, GONE, FieldView(mask=Constant(value="c"))]),
)
NUMBERS = st.from_regex(r"\A-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?\Z")
NAMES = st.sampled_from(["a", "b", "c", "odd name", "x@y.z"])


def _object(members: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in members) + "}"


DOCUMENTS = st.recursive(
    st.one_of(
        st.sampled_from(["null", "true", "false"]),
        NUMBERS,
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5).map(json.dumps),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]"),
        st.lists(st.tuples(NAMES, inner), max_size=4, unique_by=lambda member: member[0]).map(_object),
    ),
    max_leaves=14,
)
"""As text: numbers in every way that they may be written."""


def exact(content: bytes | str) -> Any:
    return json.loads(content, parse_float=Decimal, parse_int=Decimal)


def one_line(document: Any, view: ContentView = VIEW) -> Any:
    content = shown("ndjson", json.dumps(document).encode(), view)
    assert content.count(b"\n") == 1
    return json.loads(content)


@UNHURRIED
@given(NUMBERS)
@example("-0")
@example("1.0")
@example("1e5")
@example("18446744073709551616")
@example("0.1000000000000000055")
def test_a_raw_number_stays_as_it_was_written(number: str) -> None:
    for content in (number, f'{{"id":{number}}}', f'{{"other":1.10,"id":{number}}}'):
        shown_as = shown("ndjson", content.encode(), ContentView(paths={"$.id": RAW}, default=RAW)).decode()
        assert shown_as == content + "\n"


@UNHURRIED
@given(DOCUMENTS)
def test_both_parsers_give_masks_the_same_values(document: str) -> None:
    data = document.encode()
    if keeps_numbers(data):
        assert written(orjson.loads(data)) == written(exactly(data))


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, VIEWS)
def test_a_large_document_shows_what_a_small_one_shows(document: str, view: ContentView) -> None:
    outs = []
    for small_bytes in (1 << 20, -1):
        out = io.BytesIO()
        render_json(
            io.BytesIO(document.encode()),
            Sink(out, Wrapping.NONE, 1 << 20),
            JsonPlaces(view, KEYS, lambda text: text),
            RenderLimits(),
            small_bytes,
        )
        outs.append(out.getvalue())
    assert outs[0] == outs[1]


@pytest.mark.parametrize(
    "number", ["1e5", "-0", "0.1e1", "1E400", "0.0000001", "-0.0", "1.10", "12345678901234567890.50"]
)
def test_numbers_do_not_show_whether_something_hidden_made_a_document_large(number: str) -> None:
    outs = []
    for hidden in (1, 9 << 20):
        content = json.dumps({"id": "?", "hidden": "x" * hidden}).replace('"?"', number)
        outs.append(shown("json", content.encode(), ContentView(paths={"$.id": RAW})))
    assert outs[0] == outs[1]
    assert exact(outs[0]) == {"id": Decimal(number), "hidden": None}


@pytest.mark.parametrize("number", ["1e9999999999999999999", "-1e-9999999999999999999"])
def test_a_number_beyond_computing_in_a_large_document_is_refused(number: str) -> None:
    content = json.dumps({"id": "?", "hidden": "x" * (9 << 20)}).replace('"?"', number)
    assert refusal("json", content.encode(), VIEW).code is ContentFault.UNDECODABLE


@pytest.mark.parametrize("mask", [mask for mask in MASKS if not isinstance(mask, Redact)], ids=repr)
@UNHURRIED
@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    )
)
@example("ada@example.org")
@example("2026-11-28T10:00:00")
def test_masked_values_are_what_the_mask_says_of_them(mask: Mask, value: Any) -> None:
    expected = masker(mask, KEYS, lambda text: text)(value)
    assert one_line({"id": value}, ContentView(paths={"$.id": FieldView(mask=mask)})) == {"id": expected}


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS, DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_twins_that_differ_in_what_is_hidden_render_to_the_same_bytes(a: str, b: str, c: str, d: str) -> None:
    def document(hidden: str, more: str) -> bytes:
        customer = f'{{"salary":{more},"age":{hidden}}}'
        return f'{{"id":1,"unknown":{hidden},"meta":{{"x":{more},"country":"FR"}},"customer":{customer}}}'.encode()

    for kind in ("json", "ndjson"):
        assert rendered(kind, document(a, b), VIEW) == rendered(kind, document(c, d), VIEW)


def test_the_most_specific_path_counts() -> None:
    view = ContentView(paths={"$..email": NOTE, "$.a.*": NAME, "$.a.email": RAW}, default=RAW)
    document = {"a": {"email": "x@y", "z": "v"}, "b": {"email": "x@y"}, "c": [{"email": "x@y"}]}
    answer = one_line(document, view)
    assert answer["a"]["email"] == "x@y"
    assert len(answer["a"]["z"]) == 32
    assert answer["b"] == {"email": None}
    assert answer["c"] == [{"email": None}]


def test_containers_under_a_mask_are_null_but_for_what_is_named_in_them() -> None:
    assert one_line({"email": ["ada@example.org"], "meta": {"country": "FR", "city": "Paris"}}) == {
        "email": None, "meta": {"country": "FR"},
    }  # fmt: skip
    assert one_line({"meta": "text"}) == {"meta": None}


def test_names_of_members_that_no_path_leads_to_do_not_show() -> None:
    assert one_line({"unknown": {"ada@example.org": 1}, "customer": {"name": "Ada"}})["unknown"] is None
    assert one_line({"ada@example.org": {"email": "x"}, "email": "x@y.z"}, ContentView(paths={"$..email": EMAIL})) == {
        "email": "***@y.z"
    }


def test_names_that_a_wildcard_covers_show() -> None:
    assert one_line({"by_day": {"mon": {"total": 1, "net": 2}}}) == {"by_day": {"mon": {"total": 1, "net": None}}}


def test_a_list_whose_items_no_path_names_is_null() -> None:
    assert one_line({"unknown": [1, 2, 3], "items": [{"sku": "a", "price": 1}]}) == {
        "unknown": None, "items": [{"sku": "a", "price": None}],
    }  # fmt: skip


def test_a_denied_member_and_a_denied_item_are_not_there() -> None:
    assert one_line({"customer": {"salary": {"eur": 1}, "name": None}}) == {"customer": {"name": None}}
    assert one_line([1, [2], {"a": 3}], ContentView(paths={"$[*]": GONE})) == []
    assert one_line({"a": 1}, ContentView(default=GONE)) is None


def test_constants_that_are_equal_but_not_the_same_stay_apart() -> None:
    view = ContentView(paths={"$.a": FieldView(mask=Constant(value=True)), "$.b": FieldView(mask=Constant(value=1))})
    assert shown("ndjson", b'{"a":"x","b":"x"}', view) == b'{"a":true,"b":1}\n'


def test_every_member_of_one_name_is_masked() -> None:
    content = b'{"email":"first@a.org","email":"second@b.org"}'
    assert b"first" not in shown("json", content, VIEW)
    assert shown("json", content, VIEW) == b'{"email":"***@b.org"}\n'


def test_numbers_under_a_mask_do_not_depend_on_how_others_are_written() -> None:
    for number in ("12.5", "12.50", "125e-1"):
        view = ContentView(paths={"$.id": FieldView(mask=MASKS[8])})
        assert shown("ndjson", f'{{"id":{number}}}'.encode(), view) == b'{"id":10.0}\n'


@pytest.mark.parametrize("kind", ["json", "ndjson"])
@pytest.mark.parametrize(
    "content",
    [
        b"[" * 10_000,
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 300 + b"1.10" + b"]" * 300,
    ],
)
def test_content_that_is_too_deep_is_refused(kind: str, content: bytes) -> None:
    assert refusal(kind, content, VIEW).code is ContentFault.TOO_DEEP


def test_a_large_document_that_is_too_deep_is_refused() -> None:
    content = b" " * (9 << 20) + b"[" * 10_000 + b"]" * 10_000
    assert refusal("json", content, VIEW).code is ContentFault.TOO_DEEP


def test_brackets_in_strings_are_not_deep() -> None:
    assert depth_of(b'[{"a\\"[":"[[[[{"}]') == 2
    assert one_line({"id": "[" * 5_000}) == {"id": "[" * 5_000}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b'{"a":1}}', b"[1,]", b"NaN", b"[1.10,Infinity]", b"01", b'"\xff"', b'"\\ud800"',
        b'["\\ud800",1.10]', b"{'a':1}",
        "{}".encode("utf-16"), b"[1.10,-]",
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(content: bytes) -> None:
    assert refusal("json", content, VIEW).code is ContentFault.UNDECODABLE


def test_a_large_document_that_is_cut_or_broken_is_refused() -> None:
    start = b'{"id":"' + b"x" * (9 << 20) + b'"'
    assert refusal("json", start, VIEW).code is ContentFault.TRUNCATED
    assert refusal("json", start + b"}}", VIEW).code is ContentFault.UNDECODABLE
    assert refusal("json", start + b',"a":NaN}', VIEW).code is ContentFault.UNDECODABLE


@pytest.mark.parametrize(
    "content", [b'{"id":1}\n{"id":2}\n', b'\n[1]\r\n\r\n{"a":{"b":[]}}', b'{"id":1}\n' * (1 << 20)]
)
def test_documents_on_lines_are_told_to_be_ndjson(content: bytes) -> None:
    refused = refusal("json", content, VIEW)
    assert refused.code is ContentFault.UNDECODABLE
    assert "`format: ndjson`" in refused.detail


@pytest.mark.parametrize("content", [b'{\n"id":1\n}\n}', b'{"id":1}\nsecret', b'{"id":1}}', b"", b'{"id":1} {"id":2}'])
def test_other_content_that_is_no_json_is_not_told_to_be_ndjson(content: bytes) -> None:
    assert "ndjson" not in refusal("json", content, VIEW).detail
    assert "ndjson" not in refusal("ndjson", content + b"\n{", VIEW).detail


def test_a_broken_line_is_named_and_shows_nothing() -> None:
    content = b'{"id":1}\n\n' + b'{"id":2}\n' * 100_000 + b'{"id":"secret\n'
    refused = refusal("ndjson", content, VIEW)
    assert (refused.code, refused.place) == (ContentFault.UNDECODABLE, "line 100003")
    assert "secret" not in refused.detail


def test_blank_lines_and_carriage_returns_are_no_documents() -> None:
    result, content = rendered("ndjson", b'\xef\xbb\xbf{"id":1}\r\n\r\n \t\n{"id":2}', VIEW)
    assert (result.rows, content) == (2, b'{"id":1}\n{"id":2}\n')


def test_a_line_beyond_its_bound_is_refused() -> None:
    content = b'{"id":1}\n{"id":"' + b"x" * 2_000_000 + b'"}'
    refused = refusal("ndjson", content, VIEW, RenderLimits(max_record_bytes=10_000))
    assert (refused.code, refused.place) == (ContentFault.TOO_LARGE, "line 2")


def test_labels_are_those_that_were_met() -> None:
    result, _ = rendered("ndjson", b'{"email":"x"}\n{"customer":{"salary":1}}', VIEW)
    assert result.labels_masked == ("pii.email", "secret.salary")


def test_free_text_in_a_member_is_redacted() -> None:
    view = ContentView(paths={"$.text": FieldView(mask=Redact())}, default_found=FieldView(mask=Null()))
    assert one_line({"text": "write to ada@example.org"}, view) == {"text": "write to [pii.email]"}


def test_places_that_content_never_reaches_are_never_compiled() -> None:
    paths = {f"$..{name}.*.*.*.*.*": RAW for name in "abcdefgh"}
    assert one_line({"a": {"b": {"c": 1}}}, ContentView(paths=paths, default=RAW)) == {"a": {"b": {"c": 1}}}
    bits = [[name for at, name in enumerate("abcdefgh") if number >> at & 1] for number in range(1 << 8)]
    content = "\n".join(json.dumps(_nested([*first, *second])) for first in bits for second in bits)
    assert refusal("ndjson", content.encode(), ContentView(paths=paths, default=RAW)).code is ContentFault.TOO_EXPENSIVE


def _nested(names: list[str]) -> Any:
    document: Any = [1]
    for name in reversed(names):
        document = {name: document}
    return document
