"""A policy that is wrong anywhere does not activate, and says where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import ANYTHING_GOES, CONNECTIONS, UNHURRIED, policy_files

from app.policy.casbin_model import MODEL
from app.policy.findings import Finding, PolicyBroken
from app.policy.load import load

PII = "masks: {pii.email: null}\n"


def broken(files: dict[str, bytes]) -> tuple[Finding, ...]:
    with pytest.raises(PolicyBroken) as refused:
        load(files, CONNECTIONS)
    assert all(finding.expected and finding.what for finding in refused.value.findings)
    return refused.value.findings


def load_or_findings(files: dict[str, bytes]) -> object:
    try:
        return load(files, CONNECTIONS)
    except PolicyBroken as refused:
        return refused.findings


@pytest.mark.parametrize(
    ("line", "column", "what"),
    [
        ("x, role:a, shop/public.t, select, allow,", 1, "kind of line"),
        ("p, role:a, shop/public.t, select, allow, rows > 1, 2", 52, "7 fields"),
        ("p, role:a, shop/public.t, select", 27, "4 fields"),
        ("p, analyst, shop/public.t, select, allow,", 4, "subject"),
        ("p, role:, shop/public.t, select, allow,", 4, "subject"),
        ("p, user:A\u030angstrom, shop/public.t, select, allow,", 4, "subject"),
        ("p, user:a\u202eb, shop/public.t, select, deny,", 4, "subject"),
        ("p, role:a*, shop/public.t, select, allow,", 4, "subject"),
        ("p, role:a, nope/public.t, select, allow,", 12, "unknown connection"),
        ("p, role:a, shop, select, allow,", 12, "malformed resource"),
        ("p, role:a, *, select, allow,", 12, "malformed resource"),
        ("p, role:a, sh*/public.t, select, allow,", 12, "malformed resource"),
        ("p, role:a, shop/orders, select, allow,", 12, "no table"),
        ("p, role:a, shop/public/orders, select, deny,", 12, "no table"),
        ("p, role:a, shop/***, select, allow,", 12, "stars"),
        ("p, role:a, shop/*a*b*c*d*e*f*, select, allow,", 12, "stars"),
        ("p, role:a, shop/public.t, unmask, allow,", 12, "labels"),
        ("p, role:a, label:pii.email, select, allow,", 12, "label"),
        ("p, role:a, label:, unmask, allow,", 12, "malformed label"),
        ("p, role:a, label:pii.shoe_size, unmask, allow,", 1, "unknown label"),
        ("p, role:a, label:hr.*, unmask, allow,", 1, "unknown label"),
        ("p, role:a, shop/public.t, SELECT, allow,", 27, "action"),
        ("p, role:a, shop/public.t, read-all, allow,", 27, "action"),
        ("p, role:a, shop/public.t, select, permit,", 35, "effect"),
        ("p, role:a, shop/public.t, select, approve, rows >", 50, "condition"),
        ('p, role:a, shop/public.t, select, approve, "x in [1, 2"', 55, "condition"),
        ('p, role:a, shop/public.t, select, approve, "rows > 1', 1, "quoting"),
        ("g, user:ana", 4, "2 fields"),
        ("g, ana, role:a", 4, "member"),
        ("g, *, role:a", 4, "member"),
        ("g, user:ana, group:x", 14, "no role"),
        ("g, user:ana, role:nobody-wrote", 1, "unknown role"),
        ("p, role:a, " + "x" * 5000 + ", select, allow,", 1, "too long"),
    ],
)
def test_a_bad_line_of_policy_csv_is_found(line: str, column: int, what: str) -> None:
    found = broken(policy_files("# comment\n\np, role:a, shop/public.t, select, allow,\n" + line + "\n", masks=PII))
    assert [(f.file, f.line, f.column) for f in found] == [("policy.csv", 4, column)]
    assert what in found[0].what


def test_every_bad_line_is_named_at_once() -> None:
    found = broken(policy_files("p, a\ng, b\nzzz\n"))
    assert [f.line for f in found] == [1, 2, 3]


def test_roles_in_a_circle_or_in_an_endless_row_are_refused() -> None:
    assert "circle" in broken(policy_files("g, role:a, role:b\ng, role:b, role:a\n"))[0].what
    assert "circle" in broken(policy_files("g, role:a, role:a\n"))[0].what
    chain = "".join(f"g, role:r{n}, role:r{n + 1}\n" for n in range(9)) + "p, role:r9, **, *, allow,\n"
    assert load(policy_files("g, user:u, role:r1\n" + chain), CONNECTIONS)
    assert "too many" in broken(policy_files("g, user:u, role:r0\n" + chain))[0].what


@pytest.mark.parametrize(
    ("masks", "line", "column", "what"),
    [
        ("masks: {pii.email: {kind: blur}}", 1, 9, "unknown kind"),
        ("masks:\n  pii.email: {kind: partial, keep: 4}", 2, 30, "unknown key 'keep'"),
        ("masks:\n  pii.email: {kind: partial, keep_last: many}", 2, 30, "valid integer"),
        ("masks:\n  pii.email: {kind: partial, keep_last: -1}", 2, 30, "greater"),
        ("masks:\n  pii.email: {kind: generalise, step: bucket}", 2, 3, "size"),
        ("masks:\n  pii.email: {kind: generalise, step: year, size: 3}", 2, 3, "size"),
        ("masks:\n  pii.email: hide", 2, 3, ""),
        ("masks:\n  pii.email: {kind: constant}", 2, 3, "required"),
        ("masks:\n  'pii email': null", 2, 3, "malformed label"),
        ("masks:\n  pii.*x: null", 2, 3, "malformed label"),
        ("mask:\n  pii.email: null", 1, 1, "unknown key 'mask'"),
        ("- a", 1, 1, ""),
        ("masks:\n  pii.email: null\n  pii.email: deny", 3, 3, "twice"),
        ("masks:\n  pii.email: &a null\n  pii.phone: *a", 2, 14, "anchor"),
        ("masks: !!python/object:os.system {}", 1, 8, "tag"),
        ("masks: {}\n---\nmasks: {}", 2, 1, "second"),
        ("masks: {pii.email: null", 2, 1, "YAML"),
        ("masks:\n\t- a", 2, 1, "YAML"),
        ("masks: " + "[" * 40, 1, 19, "deeply"),
        ("masks: {? [a] : b}", 1, 11, "key"),
        ("masks:\n  \x07: a", 1, 1, "YAML"),
    ],
)
def test_a_bad_masks_file_is_found(masks: str, line: int, column: int, what: str) -> None:
    found = broken(policy_files(ANYTHING_GOES, masks=masks))
    assert (found[0].file, found[0].line, found[0].column) == ("masks.yaml", line, column), str(found[0])
    assert what in found[0].what


@pytest.mark.parametrize(
    ("data", "line", "column", "what"),
    [
        ("tables:\n  public.t:\n    columns:\n      email: email", 4, 7, "no label"),
        ("tables:\n  public.t:\n    colums: {}", 3, 5, "unknown key"),
        ("tables:\n  public.t: {default: raw}", 2, 14, "unknown word"),
        ("default: hide", 1, 1, "unknown word"),
        ("tables:\n  t: {}", 2, 3, "no table"),
        ("tables:\n  public.t: {max_rows: 0}", 2, 14, "greater than 0"),
        ("tables:\n  public.t: {max_rows: '10'}", 2, 14, "valid integer"),
        ("max_bytes: yes", 1, 1, "valid integer"),
        ("tables:\n  public.t:\n    rows: {analyst: x = 1}", 3, 12, "unknown subject"),
        ("tables:\n  public.t:\n    rows:\n      '*': x = y", 4, 7, "row filter"),
        ("tables:\n  public.t:\n    rows:\n      '*': o.x = 1", 4, 7, "row filter"),
        ("tables:\n  public.t:\n    rows:\n      '*': x = 1 or", 4, 7, "row filter"),
        ("tables:\n  public.t:\n    rows:\n      '*': x like 'a%'", 4, 7, "row filter"),
        ("tables:\n  public.t:\n    columns: [a]", 3, 5, "dictionary"),
        ("tables:\n  public.t:\n    required: [1]", 3, 16, "string"),
    ],
)
def test_a_bad_data_file_is_found(data: str, line: int, column: int, what: str) -> None:
    found = broken(policy_files(ANYTHING_GOES, data=data))
    assert (found[0].file, found[0].line, found[0].column) == ("data/shop.yaml", line, column), str(found[0])
    assert what in found[0].what


@pytest.mark.parametrize(
    ("changed", "file", "line"),
    [
        (MODEL.replace("g(r.sub, p.sub)", "true"), "model.conf", 14),
        (MODEL.replace("sub, obj, act, ctx", "sub, obj, act"), "model.conf", 2),
        (MODEL.replace("g = _, _", "g = _, _, _"), "model.conf", 8),
        (MODEL + "\nm2 = true\n", "model.conf", 17),
        (MODEL + "m = true\n", "model.conf", 16),
        ("", "model.conf", 1),
        ("nonsense", "model.conf", 1),
    ],
)
def test_another_model_than_the_compiled_one_is_refused(changed: str, file: str, line: int) -> None:
    found = broken({**policy_files(ANYTHING_GOES), "model.conf": changed.encode()})
    assert (found[0].file, found[0].line) == (file, line)


def test_the_model_may_be_spaced_and_commented_freely() -> None:
    spaced = "# ours\n" + MODEL.replace(" = ", "   =  ").replace("\\\n", "")
    assert load({**policy_files(ANYTHING_GOES), "model.conf": spaced.encode()}, CONNECTIONS)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("data/nope.yaml", "unknown connection"),
        ("data/shop.yml", "unknown file"),
        ("policy.csv.bak", "unknown file"),
        ("data/deep/shop.yaml", "unknown file"),
    ],
)
def test_a_file_that_means_nothing_is_refused(name: str, what: str) -> None:
    found = broken({**policy_files(ANYTHING_GOES), name: b""})
    assert found[0].file == name
    assert what in found[0].what


def test_a_missing_file_is_named() -> None:
    assert {f.file for f in broken({})} == {"model.conf", "policy.csv"}


def test_text_that_is_not_utf8_is_refused_with_its_line() -> None:
    found = broken({**policy_files(), "policy.csv": b"# a\n\xff\n", "masks.yaml": b"\xff", "model.conf": b"\xff"})
    assert {(f.file, f.line) for f in found} == {("policy.csv", 2), ("masks.yaml", 1), ("model.conf", 1)}


def test_a_row_filter_for_an_unknown_role_is_read_but_a_link_to_one_is_not() -> None:
    data = "tables: {public.t: {rows: {role:only-here: 'a = 1'}}}"
    assert load(policy_files("g, user:u, role:only-here\n", data=data), CONNECTIONS)


def test_row_filters_that_no_client_can_pass_load_with_a_warning() -> None:
    def warnings(rows: str, rules: str = "") -> list[tuple[int, int]]:
        data = "tables:\n  public.t:\n    rows: " + rows
        return [(w.line, w.column) for w in load(policy_files(rules, data=data), CONNECTIONS).warnings]

    assert warnings("{role:a: true}") == [(3, 5)]
    assert warnings("{role:a: true, '*': false}") == []
    assert warnings("{role:a: true, client:x: true}") == []
    assert warnings("{role:a: true}", "g, client:x, role:b\ng, role:b, role:a\n") == []


def test_a_condition_on_an_unknown_name_loads_with_a_warning() -> None:
    loaded = load(policy_files("p, *, shop/public.t, select, deny, colour = 'red'\n"), CONNECTIONS)
    assert [(w.line, "colour" in w.what) for w in loaded.warnings] == [(1, True)]


@UNHURRIED
@given(st.sampled_from(["policy.csv", "masks.yaml", "data/shop.yaml", "model.conf"]), st.binary(max_size=80))
def test_any_bytes_make_a_policy_or_findings(name: str, content: bytes) -> None:
    files = {**policy_files(ANYTHING_GOES), name: content}
    assert load_or_findings(files)


@UNHURRIED
@given(st.text(alphabet="ab:{}[]-,'\"\n #&*!|>?%@0.~", max_size=40))
def test_any_yaml_makes_a_policy_or_findings(content: str) -> None:
    files = policy_files(ANYTHING_GOES, masks="masks:\n " + content, data="tables:\n public.t:\n  " + content)
    assert load_or_findings(files)
