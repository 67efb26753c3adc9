"""The generated shop as an SQLite file, built beside its place and moved there whole."""

import os
import sqlite3
from contextlib import closing
from dataclasses import fields
from pathlib import Path

from app.demo.data import Shop, generate

SCHEMA_VERSION = 2
"""Raise it with every change to schema or data: an older file in a state folder is then built anew."""

JOURNALS = ("-wal", "-shm", "-journal")
"""What the gateway's writes leave beside the file; of an older file they would spoil the new one."""

# An order can be deleted: its lines go with it, its payment stays on the books.
TABLES = """
CREATE TABLE customers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, phone TEXT, national_id TEXT NOT NULL,
    birth_date DATE, street TEXT, city TEXT, postal_code TEXT, country TEXT NOT NULL, region TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY, sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, category TEXT NOT NULL,
    price_cents INTEGER NOT NULL, cost_cents INTEGER NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id), status TEXT NOT NULL,
    total_cents INTEGER NOT NULL, currency TEXT NOT NULL, placed_at TIMESTAMP NOT NULL, shipped_at TIMESTAMP
);
CREATE TABLE order_items (
    order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE, line INTEGER NOT NULL,
    product_id INTEGER NOT NULL REFERENCES products (id), quantity INTEGER NOT NULL, unit_price_cents INTEGER NOT NULL,
    PRIMARY KEY (order_id, line)
);
CREATE TABLE payments (
    id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders (id) ON DELETE SET NULL, method TEXT NOT NULL,
    card_number TEXT, iban TEXT, amount_cents INTEGER NOT NULL, status TEXT NOT NULL, paid_at TIMESTAMP
);
CREATE TABLE tickets (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id), subject TEXT NOT NULL,
    body TEXT NOT NULL, priority TEXT NOT NULL, status TEXT NOT NULL, opened_at TIMESTAMP NOT NULL, closed_at TIMESTAMP
);
CREATE TABLE employees (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, title TEXT NOT NULL, department TEXT NOT NULL,
    manager_id INTEGER REFERENCES employees (id), salary_cents INTEGER NOT NULL, national_id TEXT NOT NULL,
    hired_at DATE NOT NULL
);
"""
INDEXES = """
CREATE UNIQUE INDEX customers_email ON customers (email);
CREATE UNIQUE INDEX customers_national_id ON customers (national_id);
CREATE INDEX customers_region ON customers (region, country);
CREATE INDEX products_category ON products (category);
CREATE INDEX orders_customer ON orders (customer_id, placed_at);
CREATE INDEX orders_placed ON orders (placed_at);
CREATE INDEX order_items_product ON order_items (product_id);
CREATE INDEX payments_order ON payments (order_id);
CREATE INDEX payments_card ON payments (card_number);
CREATE INDEX tickets_customer ON tickets (customer_id);
CREATE INDEX tickets_status ON tickets (status, priority);
CREATE UNIQUE INDEX employees_email ON employees (email);
CREATE UNIQUE INDEX employees_national_id ON employees (national_id);
CREATE INDEX employees_manager ON employees (manager_id);
"""


def ensure(path: Path, seed: int) -> bool:
    """Build the file unless one of this version and seed is there; True: it was built now."""
    if path.is_file() and _stamp_of(path) == (SCHEMA_VERSION, seed):
        return False
    building = path.with_suffix(f".building-{os.getpid()}")
    building.unlink(missing_ok=True)
    _build(building, generate(seed), seed)
    for suffix in JOURNALS:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    building.replace(path)
    return True


def _stamp_of(path: Path) -> tuple[int, int]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return (db.execute("PRAGMA user_version").fetchone()[0], db.execute("PRAGMA application_id").fetchone()[0])
    except sqlite3.Error:
        return (0, 0)


def _build(path: Path, shop: Shop, seed: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        # A crash leaves a file under another name that the next start removes: no journal is needed.
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.executescript(TABLES)
        db.execute("BEGIN")
        for table in fields(shop):
            rows = getattr(shop, table.name)
            marks = ",".join("?" * len(rows[0]))
            db.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)  # noqa: S608 - names are ours
        db.execute("COMMIT")
        db.executescript(INDEXES)
        db.execute("ANALYZE")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute(f"PRAGMA application_id = {seed}")
    path.chmod(0o600)
