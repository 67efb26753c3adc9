from policy_samples import caller, catalog, policy, table

from app.policy.findings import Level
from connectors.contract import Column, TableKind

DATA = """\
tables:
  public.people:
    subject: person
    required: [id, when]
    columns:
      id: allow
      email: pii.email
      Email: pii.email
    rows:
      "*": area = 1 or id = 2
  public.ghosts: {}
  public.v:
    columns: {total: allow, email: pii.email}
"""
PEOPLE = table("people", "id", "email", Column(name="mail", type="text", generated_from=("email",)))
VIEW = table("v", "total", "email", kind=TableKind.VIEW, reads=("people.id", "people.email"))


def test_names_that_the_database_lacks_are_errors_at_their_place() -> None:
    found = policy("", "", DATA).check_catalog("shop", catalog(PEOPLE, VIEW))
    errors = [(f.line, f.column, f.what) for f in found if f.level is Level.ERROR]
    assert errors == [
        (8, 7, "public.people has no column 'Email'"),
        (4, 20, "public.people has no column 'when'"),
        (10, 7, "public.people has no column 'area'"),
        (3, 5, "public.people has no column 'person'"),
        (11, 3, "the database has no table 'public.ghosts'"),
    ]
    assert {f.file for f in found} == {"data/shop.yaml"}


def test_what_inherits_a_mask_is_a_warning() -> None:
    found = policy("", "", DATA).check_catalog("shop", catalog(PEOPLE, VIEW))
    warnings = [(f.line, f.what) for f in found if f.level is Level.WARNING]
    assert len(warnings) == 3
    assert warnings[0][0] == 5
    assert "mail of public.people is made of masked columns" in warnings[0][1]
    assert warnings[1][0] == 13
    assert "total of public.v" in warnings[1][1]
    assert "would show more" in warnings[1][1]
    assert "row filters" in warnings[2][1]


def test_a_connection_without_a_data_file_has_nothing_to_check() -> None:
    assert policy().check_catalog("shop", catalog(PEOPLE)) == ()


def test_a_table_with_a_dot_in_its_name_is_written_with_its_escape() -> None:
    odd = table("a.b", "x")
    loaded = policy("", "", "tables: {public.a%2Eb: {columns: {x: allow}}}")
    assert loaded.check_catalog("shop", catalog(odd)) == ()
    assert loaded.view(caller("role:a"), "shop", odd, catalog(odd), {}, ()).columns[0].mask is None
