"""A data file of objects or of messages that is wrong anywhere does not activate, and says where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import ANYTHING_GOES, CONNECTIONS, UNHURRIED, policy_files

from app.policy.findings import Finding, PolicyBroken
from app.policy.load import load


def files_with(name: str, data: str, **more: str) -> dict[str, bytes]:
    return policy_files(ANYTHING_GOES) | {name: data.encode()} | {key: text.encode() for key, text in more.items()}


def broken(files: dict[str, bytes]) -> tuple[Finding, ...]:
    with pytest.raises(PolicyBroken) as refused:
        load(files, CONNECTIONS)
    assert all(finding.expected and finding.what for finding in refused.value.findings)
    return refused.value.findings


LAKE, EVENTS = "data/lake.yaml", "data/events.yaml"


@pytest.mark.parametrize(
    ("data", "line", "column", "what"),
    [
        ("tables:\n  public.t: {}", 1, 1, "unknown key 'tables'"),
        ("topics: {}", 1, 1, "unknown key 'topics'"),
        ("default: raw", 1, 1, "unknown word"),
        ("max_rows: 3", 1, 1, "unknown key 'max_rows'"),
        ("max_bytes: 0", 1, 1, "greater than 0"),
        ("objects:\n  /a: {}", 2, 3, "no object"),
        ("objects:\n  a//b: {}", 2, 3, "no object"),
        ("objects:\n  a/../b: {}", 2, 3, "no object"),
        ("objects:\n  a%2e: {}", 2, 3, "no object"),
        ('objects:\n  "a\\\\b": {}', 2, 3, "no object"),
        ('objects:\n  "a\\nb": {}', 2, 3, "no object"),
        ("objects:\n  e\u0301: {}", 2, 3, "no object"),
        ("objects:\n  a***: {}", 2, 3, "stars"),
        ('objects:\n  "": {}', 2, 3, "malformed resource"),
        ("objects:\n  a/*: {}\n  '**.csv': {}", 3, 3, "neither is the narrower"),
        ("objects:\n  a: {colums: {}}", 2, 7, "unknown key 'colums'"),
        ("objects:\n  a: {columns: {id: id}}", 2, 17, "no label"),
        ("objects:\n  a: {paths: {email: allow}}", 2, 15, "begins with $"),
        ("objects:\n  a: {paths: {'$.a[0]': allow}}", 2, 15, "unexpected '[' at character 4"),
        ("objects:\n  a: {paths: {$.a.*: allow, $.*.b: deny}}", 2, 29, "neither is the more specific"),
        ("objects:\n  a: {format: xlsx}", 2, 7, "unknown word"),
        ("objects:\n  a: {content: clear}", 2, 7, "unknown word"),
        ("objects:\n  a: {content: raw, default: allow}", 2, 21, "no effect"),
        ("objects:\n  a: {content: raw, columns: {id: allow}}", 2, 21, "no effect"),
        ("objects:\n  a: {format: json, columns: {id: allow}}", 2, 21, "no effect"),
        ("objects:\n  a: {format: csv, paths: {$.id: allow}}", 2, 20, "no effect"),
        ("objects:\n  a: {format: text, default: allow}", 2, 21, "no effect"),
        ("objects:\n  a: {format: parquet, header: [id]}", 2, 24, "no effect"),
        ("objects:\n  a: {format: tsv, delimiter: ;}", 2, 20, "no effect"),
        ("objects:\n  a: {header: [id, id]}", 2, 7, "two columns"),
        ("objects:\n  a: {header: []}", 2, 7, "at least 1"),
        ("objects:\n  a: {delimiter: ab}", 2, 7, "no delimiter"),
        ("objects:\n  a: {delimiter: '\"'}", 2, 7, "no delimiter"),
        ("objects:\n  a: {found: {pii email: deny}}", 2, 15, "malformed label"),
        ("objects:\n  a: {found: {pi.email: allow}}", 2, 15, "unknown label 'pi.email'"),
        ("objects:\n  a: {found: {pii.email: hide}}", 2, 15, "unknown word"),
        ("objects:\n  a: {put: {types: [CSV]}}", 2, 21, "no content type"),
        ("objects:\n  a: {put: {types: ['text/csv; charset=utf-8']}}", 2, 21, "no content type"),
        ("objects:\n  a: {put: {size: 1}}", 2, 13, "unknown key 'size'"),
        ("objects:\n  a: {schema: {}}", 2, 7, "unknown key 'schema'"),
        ("objects: [a]", 1, 1, "dictionary"),
    ],
)
def test_a_bad_data_file_of_objects_is_found(data: str, line: int, column: int, what: str) -> None:
    found = broken(files_with(LAKE, data))
    assert (found[0].file, found[0].line, found[0].column) == (LAKE, line, column), str(found[0])
    assert what in found[0].what


@pytest.mark.parametrize(
    ("data", "line", "column", "what"),
    [
        ("objects: {}", 1, 1, "unknown key 'objects'"),
        ("topics:\n  a/b: {}", 2, 3, "no topic"),
        ("topics:\n  orders.>: {}", 2, 3, "no topic"),
        ("topics:\n  orders.#: {}", 2, 3, "no topic"),
        ("topics:\n  orders.*: {}\n  '*.created': {}", 3, 3, "neither is the narrower"),
        ("topics:\n  a: {columns: {}}", 2, 7, "unknown key 'columns'"),
        ("topics:\n  a: {content: raw, default: deny}", 2, 21, "no effect"),
        ("topics:\n  a: {schema: string}", 2, 7, "dictionary"),
        ("topics:\n  a: {schema: {type: thing}}", 2, 7, "no JSON Schema"),
        ("topics:\n  a:\n    schema:\n      $ref: https://example.com/a.json", 3, 5, "a reference"),
        ("topics:\n  a: {schema: {file: schemas/none.json}}", 2, 16, "no file"),
        ("topics:\n  a: {schema: {file: policy.csv}}", 2, 16, "no file"),
        ("topics:\n  a: {schema: {file: ../order.json}}", 2, 16, "no file"),
        ("topics:\n  a: {headers: [Trace-Id]}", 2, 17, "no header name"),
        ("topics:\n  a: {headers: ['a b']}", 2, 17, "no header name"),
        ("topics:\n  a: {max_header_bytes: 0}", 2, 7, "greater than 0"),
        ("topics:\n  a: {cloud_events: yes}", 2, 7, "valid boolean"),
    ],
)
def test_a_bad_data_file_of_messages_is_found(data: str, line: int, column: int, what: str) -> None:
    found = broken(files_with(EVENTS, data))
    assert (found[0].file, found[0].line, found[0].column) == (EVENTS, line, column), str(found[0])
    assert what in found[0].what


def test_objects_and_topics_have_no_place_among_tables() -> None:
    assert "unknown key 'objects'" in broken(files_with("data/shop.yaml", "objects: {}"))[0].what


def test_a_schema_file_that_is_no_json_is_named_by_its_own_place() -> None:
    data = "topics: {a: {schema: {file: schemas/a.json}}}"
    (found,) = broken(files_with(EVENTS, data, **{"schemas/a.json": '{\n "type" 1}'}))
    assert (found.file, found.line, found.column) == ("schemas/a.json", 2, 9)


def test_a_schema_file_that_is_no_schema_is_named_where_it_is_used() -> None:
    data = "topics:\n  a: {schema: {file: schemas/a.json}}"
    (found,) = broken(files_with(EVENTS, data, **{"schemas/a.json": '{"type": "thing"}'}))
    assert (found.file, found.line, found.column) == (EVENTS, 2, 7)
    assert found.what.startswith("schemas/a.json: ")


def test_a_schema_file_that_no_topic_has_loads_with_a_warning() -> None:
    loaded = load(files_with(EVENTS, "", **{"schemas/a.json": "{}"}), CONNECTIONS)
    assert [(warning.file, warning.line) for warning in loaded.warnings] == [("schemas/a.json", 0)]


@pytest.mark.parametrize("name", ["schemas/a.yaml", "schemas/deep/a.json", "schemas/.json", "schemas.json"])
def test_what_is_no_schema_file_is_refused(name: str) -> None:
    (found,) = broken(files_with(EVENTS, "", **{name: "{}"}))
    assert (found.file, found.what) == (name, "unknown file")


def test_paths_that_say_the_same_may_meet() -> None:
    assert load(files_with(LAKE, "objects: {a: {paths: {$.a.*: pii.x, $.*.b: pii.x}}}"), CONNECTIONS)


def test_too_many_paths_that_stand_for_many_are_refused() -> None:
    paths = "".join(f"      $.a{number}.*: allow\n" for number in range(101))
    assert "too many paths" in broken(files_with(LAKE, "objects:\n  a:\n    paths:\n" + paths))[0].what


@pytest.mark.parametrize(
    ("resource", "what"),
    [
        ("lake//a", "no object"),
        ("lake/a/", "no object"),
        ("lake/a/../b", "no object"),
        ("lake/a%2Fb", "no object"),
        ("events/orders/created", "no topic"),
        ("events/orders.>", "no topic"),
    ],
)
def test_a_rule_for_a_key_or_topic_that_cannot_be_is_refused(resource: str, what: str) -> None:
    (found,) = broken(policy_files(f"p, role:a, {resource}, *, deny,\n"))
    assert (found.line, found.column, what in found.what) == (1, 12, True)


@pytest.mark.parametrize(
    "resource",
    ["lake/**", "lake/a%2Ab", "lake/50%25", "lake/.hidden/*", "lake/a b", "events/**", "events/x-*"],
)
def test_a_rule_for_a_key_or_topic_that_can_be_is_read(resource: str) -> None:
    assert load(policy_files(f"p, role:a, {resource}, *, deny,\n"), CONNECTIONS)


@UNHURRIED
@given(st.sampled_from([LAKE, EVENTS]), st.text(alphabet="ab:{}[]-,'\" \n$*./%", max_size=40))
def test_any_yaml_makes_a_policy_or_findings(name: str, content: str) -> None:
    family = "objects" if name == LAKE else "topics"
    for data in (content, f"{family}:\n  {content}", f"{family}:\n  a:\n    paths:\n     {content}"):
        try:
            assert load(files_with(name, data), CONNECTIONS)
        except PolicyBroken as refused:
            told = refused.findings
            assert all(finding.file == name and finding.line for finding in told)
