"""The generated shop: repeatable, whole, plausible, and nobody's."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.demo import shop_database
from app.demo.data import Shop, generate
from app.demo.identifiers import card_number, iban, luhn_digit, national_id

SEED = 7
COLUMNS = {
    "customers": "id name email phone national_id birth_date street city postal_code country region created_at",
    "products": "id sku name category price_cents cost_cents",
    "orders": "id customer_id status total_cents currency placed_at shipped_at",
    "order_items": "order_id line product_id quantity unit_price_cents",
    "payments": "id order_id method card_number iban amount_cents status paid_at",
    "tickets": "id customer_id subject body priority status opened_at closed_at",
    "employees": "id name email title department manager_id salary_cents national_id hired_at",
}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return generate(SEED)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("shop") / "shop.db"
    assert shop_database.ensure(found, SEED)
    return found


def test_the_same_seed_gives_the_same_rows(shop: Shop) -> None:
    assert generate(SEED) == shop


def test_another_seed_gives_other_rows(shop: Shop) -> None:
    other = generate(SEED + 1)
    assert other.customers != shop.customers
    assert len(other.customers) == len(shop.customers)


def test_the_tables_have_the_promised_sizes(shop: Shop) -> None:
    assert (len(shop.customers), len(shop.orders), len(shop.employees)) == (5_000, 40_000, 120)
    assert 150 <= len(shop.products) <= 250
    assert len(shop.payments) > 30_000
    assert len(shop.order_items) > 60_000


def test_the_file_has_exactly_the_promised_columns(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        found = {
            name: " ".join(row[1] for row in db.execute(f"PRAGMA table_info({name})"))
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        }
    assert found == COLUMNS


def test_every_reference_holds(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_totals_are_the_sums_of_their_lines(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        wrong = db.execute(
            "SELECT count(*) FROM orders o WHERE total_cents <> "
            "(SELECT sum(quantity * unit_price_cents) FROM order_items i WHERE i.order_id = o.id)"
        ).fetchone()
    assert wrong == (0,)


def test_mails_go_to_reserved_domains_alone(shop: Shop) -> None:
    addresses = [row[2] for row in (*shop.customers, *shop.employees)]
    assert len(set(addresses)) == len(addresses)
    assert all(re.fullmatch(r"[a-z0-9.-]+@([a-z]+\.)?example\.(com|org|net)", a) for a in addresses)


def test_national_ids_were_never_issued_and_are_unique(shop: Shop) -> None:
    ids = [row[4] for row in shop.customers] + [row[7] for row in shop.employees]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"9\d\d-[0-4]\d-\d{4}", i) for i in ids)


def test_cards_pass_luhn_below_test_prefixes(shop: Shop) -> None:
    cards = [row[3] for row in shop.payments if row[3]]
    assert len(cards) > 10_000
    assert all(luhn_digit(c[:-1]) == c[-1] and len(c) == 16 for c in cards)
    assert {c[:8] for c in cards} == {"40000000", "41111100", "55555500", "22230000"}


def test_ibans_have_right_check_digits(shop: Shop) -> None:
    ibans = [row[4] for row in shop.payments if row[4]]
    assert len(ibans) > 3_000
    lengths = {"DE": 22, "FR": 27, "GB": 22, "NL": 18}
    for found in ibans:
        assert len(found) == lengths[found[:2]]
        assert int("".join(str(int(c, 36)) for c in found[4:] + found[:4])) % 97 == 1


def test_phones_lie_in_ranges_kept_for_fiction(shop: Shop) -> None:
    fiction = re.compile(
        r"\+1 \d{3}-555-01\d\d|\+44 (20 7946|161 496) 0\d{3}|\+44 7700 900\d{3}|\+49 (30 23125|69 90009|40 66969) \d{3}"
        r"|\+33 (1 99 00|2 61 91|6 39 98) \d\d \d\d|\+31 20 794 0\d{3}|\+61 ([23] 5550 \d{4}|491 570 \d{3})"
    )
    assert all(fiction.fullmatch(row[3]) for row in shop.customers)


def test_free_text_holds_what_a_detector_has_to_find(shop: Shop) -> None:
    text = "\n".join(row[3] for row in shop.tickets)
    customers = {row[0]: row for row in shop.customers}
    assert sum(customers[row[1]][2] in row[3] for row in shop.tickets) > 1_000
    assert len(re.findall(r"\b\d{16}\b", text)) > 300
    assert "{" not in text


def test_regions_are_those_that_demo_policies_filter_by(shop: Shop) -> None:
    assert {row[10] for row in shop.customers} == {"north", "south", "east", "west"}


def test_a_built_file_is_kept_and_a_damaged_or_other_one_replaced(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_bytes(b"not a database, but long enough to look at" * 10)
    assert shop_database.ensure(path, SEED)
    before = path.stat().st_mtime_ns
    assert not shop_database.ensure(path, SEED)
    assert path.stat().st_mtime_ns == before
    assert path.stat().st_mode & 0o077 == 0
    assert [p.name for p in tmp_path.iterdir()] == ["shop.db"]


@given(st.integers(min_value=0, max_value=2**32))
def test_made_numbers_always_pass_their_checks(seed: int) -> None:
    card = card_number(Random(seed))
    assert luhn_digit(card[:-1]) == card[-1]
    for country in ("DE", "FR", "GB", "NL"):
        found = iban(country, Random(seed))
        assert found is not None
        assert int("".join(str(int(c, 36)) for c in found[4:] + found[:4])) % 97 == 1
    assert iban("US", Random(seed)) is None


def test_national_ids_do_not_repeat() -> None:
    assert len({national_id(n) for n in range(200_000)}) == 200_000
