"""`douane classify` on databases: what it proposes, what passes --check, and that no value is in its output."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from classified import Site, site

from app.demo import shop_database
from app.demo.state import DEFAULT_SEED, shipped_policies
from tests.servers import postgres_server

CHINOOK = Path(__file__).parents[4] / "shared" / "data" / "chinook" / "Chinook_Sqlite.sqlite"
PEOPLE = [
    (1, "Ada Lovelace", "ada@example.com", "+44 20 7946 0018", "called ada@example.com about it"),
    (2, "Grace Hopper", "grace@example.com", "+1 202-555-0186", "wants her money back"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    shop_database.ensure(path, DEFAULT_SEED)
    return path


def sample_policy() -> str:
    return (shipped_policies() / "data" / "shop.yaml").read_text(encoding="utf-8")


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def people(folder: Path, data: str = "") -> Site:
    run_sql(
        folder / "it.db", 'CREATE TABLE "odd `name" (id INTEGER, "full ""name" TEXT, mail TEXT, tel TEXT, note TEXT)'
    )
    with closing(sqlite3.connect(folder / "it.db")) as connection:
        connection.executemany('INSERT INTO "odd `name" VALUES (?, ?, ?, ?, ?)', PEOPLE)
        connection.commit()
    return site(folder, f"{{kind: sqlite, path: {folder / 'it.db'}}}", data)


def test_the_shop_without_a_data_file_gets_labels_for_its_people(shop: Path, tmp_path: Path) -> None:
    made = site(tmp_path, f"{{kind: sqlite, path: {shop}}}")
    result = made.run()
    assert result.exit_code == 0
    tables = yaml.safe_load(result.stdout)["tables"]
    assert tables["main.customers"]["columns"] == {
        "email": "pii.email",
        "phone": "pii.phone",
        "national_id": "pii.national_id",
        "birth_date": "pii.birth_date",
        "street": "pii.address",
        "postal_code": "pii.address",
    }
    assert tables["main.payments"]["columns"] == {"card_number": "pci.card_number", "iban": "pci.iban"}
    assert not made.data_file.exists()


def test_the_sample_policy_of_the_shop_needs_nothing(shop: Path, tmp_path: Path) -> None:
    made = site(tmp_path, f"{{kind: sqlite, path: {shop}}}", sample_policy())
    result = made.run("--check")
    assert (result.exit_code, result.stdout) == (0, "")
    assert made.run("--diff").stdout == ""


def test_a_new_column_with_addresses_fails_the_check_until_it_has_a_label(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "shop.db"
    copy.write_bytes(shop.read_bytes())
    run_sql(
        copy,
        "ALTER TABLE orders ADD COLUMN who TEXT",
        "UPDATE orders SET who = (SELECT email FROM customers c WHERE c.id = customer_id)",
    )
    made = site(tmp_path, f"{{kind: sqlite, path: {copy}}}", sample_policy())
    before = made.data_file.read_bytes()
    failed = made.run("--check")
    assert failed.exit_code == 1
    assert failed.stdout == (
        "main.orders who: pii.email, 0.98: 200 of 200 values are such; data/it.yaml leaves it unlabelled\n"
    )
    diff = made.run("--diff").stdout
    assert [line for line in diff.splitlines() if line[:1] in "+-"][2:] == [
        "+      who: pii.email  # 0.98: 200 of 200 values are such"
    ]
    assert made.data_file.read_bytes() == before
    made.data_file.write_text(made.run().stdout)
    assert made.run("--check").exit_code == 0


def test_a_column_that_comes_raw_fails_the_check_unless_people_reviewed_it(tmp_path: Path) -> None:
    columns = "{id: allow, mail: allow, 'full \"name': mask, tel: pii.phone, note: mask}"
    made = people(tmp_path, f"tables: {{main.odd `name: {{columns: {columns}}}}}\n")
    failed = made.run("--check")
    assert (failed.exit_code, failed.stdout.count("\n")) == (1, 1)
    assert failed.stdout.startswith("main.odd `name mail: pii.email, ")
    assert failed.stdout.endswith("data/it.yaml has it come raw\n")
    assert made.run("--check", "--reviewed", "main.odd `name mail").exit_code == 0


def test_no_value_of_a_table_is_in_any_output(tmp_path: Path) -> None:
    made = people(tmp_path)
    for args in ((), ("--diff",), ("--json",), ("--check",), ("--confidence", "0.1")):
        result = made.run(*args)
        assert "pii.email" in result.output
        for _, *values in PEOPLE:
            for value in values:
                assert str(value) not in result.output
        assert "ada@" not in result.output


def test_confidence_decides_what_is_a_label_and_what_a_comment(tmp_path: Path) -> None:
    run_sql(tmp_path / "it.db", "CREATE TABLE t (email TEXT)", "INSERT INTO t VALUES ('nobody')")
    made = site(tmp_path, f"{{kind: sqlite, path: {tmp_path / 'it.db'}}}")
    assert yaml.safe_load(made.run().stdout) == {"default": "mask"}
    assert "#     email: pii.email  # only 0.35: its name, email, but no value of 1 looks like it" in made.run().stdout
    sure = yaml.safe_load(made.run("--confidence", "0.3").stdout)
    assert sure["tables"] == {"main.t": {"columns": {"email": "pii.email"}}}


def test_a_value_above_all_bounds_leaves_its_column_to_its_name(tmp_path: Path) -> None:
    made = people(tmp_path)
    run_sql(tmp_path / "it.db", "UPDATE `odd ``name` SET note = hex(zeroblob(1000000)) WHERE id = 1")
    fields = made.fields()
    assert fields["main.odd `name", "note"]["sampled"] == 0
    assert fields["main.odd `name", "mail"]["sampled"] == 2
    assert "main.odd `name note: holds values above 1,048,576 bytes, judged by name" in made.run().stderr


def test_a_view_counts_once_the_data_file_names_it(tmp_path: Path) -> None:
    made = people(tmp_path)
    run_sql(tmp_path / "it.db", "CREATE VIEW everybody AS SELECT mail AS contact FROM `odd ``name`")
    assert ("main.everybody", "contact") not in made.fields()
    assert "1 views, partitions and other relations were left out" in made.run().stderr
    made.data_file.write_text(
        "tables: {main.everybody: {columns: {contact: allow}}, main.odd `name: {columns: {mail: allow}}}"
    )
    seen = made.fields()["main.everybody", "contact"]
    assert (seen["standing"], seen["label"]) == ("proposed", "pii.email")
    made.data_file.write_text(
        "tables: {main.everybody: {columns: {contact: allow}}, main.odd `name: {columns: {mail: pii.email}}}"
    )
    assert made.fields()["main.everybody", "contact"]["standing"] == "labelled"


def test_a_data_file_that_is_broken_is_a_sentence(tmp_path: Path) -> None:
    made = people(tmp_path, "tables: [1]\n")
    result = made.run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "data/it.yaml:1:" in result.stderr


def test_two_outputs_at_once_are_refused(tmp_path: Path) -> None:
    result = people(tmp_path).run("--diff", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--diff and --json are two outputs: give one of them" in result.stderr


def test_a_database_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    made = site(tmp_path, f"{{kind: sqlite, path: {tmp_path / 'none.db'}}}")
    result = made.run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "it cannot be read (unavailable); `douane check` says what is wrong" in result.stderr


def test_a_connection_that_nobody_configured_is_a_sentence(tmp_path: Path) -> None:
    made = people(tmp_path)
    (tmp_path / "douane.yaml").write_text((tmp_path / "douane.yaml").read_text().replace("  it:", "  other:"))
    result = made.run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "unknown connection 'it'; use one of: other" in result.stderr


def test_chinook_gets_labels_for_customers_and_employees(tmp_path: Path) -> None:
    if not CHINOOK.exists():
        pytest.skip("Chinook is not at ../shared/data")
    made = site(tmp_path, f"{{kind: sqlite, path: {CHINOOK}}}")
    tables = yaml.safe_load(made.run().stdout)["tables"]
    assert tables.keys() == {"main.Customer", "main.Employee", "main.Invoice"}
    assert tables["main.Customer"]["columns"]["Email"] == "pii.email"
    assert tables["main.Employee"]["columns"]["BirthDate"] == "pii.birth_date"


ODD_SCHEMA = """
CREATE SCHEMA "odd ""schema";
GRANT USAGE ON SCHEMA "odd ""schema" TO reader;
CREATE TABLE "odd ""schema".people (id int, "the ""mail" text, mails text[], doc jsonb, photo bytea);
INSERT INTO "odd ""schema".people
SELECT n, 'ada' || n || '@example.com', ARRAY['g' || n || '@example.com'],
       jsonb_build_object('contact', 'j' || n || '@example.com'), 'x' FROM generate_series(1, 300) n;
GRANT SELECT ON "odd ""schema".people TO reader;
CREATE VIEW public.broken AS SELECT (1 / (id - id))::text AS word FROM "odd ""schema".people;
GRANT SELECT ON public.broken TO reader;
"""


def test_postgres_is_sampled_as_its_role_may_read(tmp_path: Path) -> None:
    with postgres_server() as server:
        server.create_role("reader")
        server.psql(ODD_SCHEMA)
        (tmp_path / "dsn").write_text(server.dsn("reader"))
        (tmp_path / "dsn").chmod(0o600)
        made = site(tmp_path, "{kind: postgres, dsn: {file: dsn}}")
        fields = made.fields()
        assert {field: (one["label"], one["sampled"]) for (_, field), one in fields.items()} == {
            "id": (None, 200),
            'the "mail': ("pii.email", 200),
            "mails": ("pii.email", 200),
            "doc": ("pii.email", 200),
            "photo": (None, 0),
        }
        result = made.run("--check")
        assert result.exit_code == 1
        assert "@example.com" not in result.output
        taken = made.run().stdout.replace("# id: allow", "id: allow")
        made.data_file.write_text(taken + "  public.broken: {columns: {word: allow}}\n")
        unread = made.run("--check")
        assert (unread.exit_code, unread.stdout) == (1, "public.broken: could not be looked at\n")
        assert "public.broken: cannot be read (statement), judged by names alone" in unread.stderr
        assert made.run("--check", "--reviewed", "public.broken").exit_code == 0
