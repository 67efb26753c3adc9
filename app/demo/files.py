"""The demo's objects: the shop's customers, orders and tickets as files that people really pass around."""

import csv
import io
import json
import struct
import zlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from app.demo.data import Row, Shop, generate

FILES_VERSION = 1
"""Raise it with every change to what is written: an older folder is then written anew."""
STAMP = "files.version"
CUSTOMERS_IN_CSV = 1_000
ORDERS_IN_JSON = 300
TICKETS_IN_NDJSON = 500
_COLUMNS = ("id", "name", "email", "phone", "national_id", "birth_date", "street", "city", "postal_code", "country")
_HANDOVER = """\
Handover, support desk, 30 June

{name} ({email}) called twice about order {order}. Please call back on {phone} before noon; she will pay the rest
by transfer from {iban}. The card she gave first, {card}, was declined.

Nothing else is open. The printer works again.
"""


def ensure(root: Path, seed: int) -> bool:
    """Write the folder unless this version of it is there; True: it was written now. What was put into it stays."""
    stamp, wanted = root.with_name(STAMP), f"{FILES_VERSION}/{seed}"
    if root.is_dir() and stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return False
    for key, content in _objects(generate(seed)):
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(content)
        path.chmod(0o600)
    root.chmod(0o700)
    stamp.write_text(wanted, encoding="ascii")
    return True


def _objects(shop: Shop) -> Iterator[tuple[str, bytes]]:
    customers = [row[: len(_COLUMNS)] for row in shop.customers]
    yield "customers/2026.csv", _csv(customers[:CUSTOMERS_IN_CSV])
    yield "customers/2026.parquet", _parquet(customers)
    yield "orders/2026-06.json", _orders(shop)
    yield "tickets/2026-06.ndjson", _tickets(shop)
    yield "notes/handover.txt", _handover(shop)
    yield "brand/logo.png", _logo()
    yield "archive/shop-2025.bin", zlib.compress(repr(customers[:50]).encode())


def _csv(customers: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(customers)
    return text.getvalue().encode()


def _parquet(customers: list[Row]) -> bytes:
    # Once, at the first start: a gateway that serves has no need of it in its memory.
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {name: [row[n] for row in customers] for n, name in enumerate(_COLUMNS)}
    columns["birth_date"] = [None if text is None else date.fromisoformat(text) for text in columns["birth_date"]]
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def _orders(shop: Shop) -> bytes:
    people = {row[0]: row for row in shop.customers}
    orders = [
        {
            "order": row[0],
            "status": row[2],
            "total_cents": row[3],
            "currency": row[4],
            "placed_at": row[5],
            "customer": {"id": row[1], "name": people[row[1]][1], "email": people[row[1]][2]},
        }
        for row in shop.orders[-ORDERS_IN_JSON:]
    ]
    return json.dumps({"shop": "demo", "orders": orders}, ensure_ascii=False, indent=1).encode()


def _tickets(shop: Shop) -> bytes:
    people = {row[0]: row for row in shop.customers}
    lines = [
        json.dumps(
            {
                "ticket": row[0],
                "customer": {"name": people[row[1]][1], "email": people[row[1]][2]},
                "subject": row[2],
                "body": row[3],
                "priority": row[4],
                "status": row[5],
            },
            ensure_ascii=False,
        )
        for row in shop.tickets[-TICKETS_IN_NDJSON:]
    ]
    return ("\n".join(lines) + "\n").encode()


def _handover(shop: Shop) -> bytes:
    people = {row[0]: row for row in shop.customers}
    payments = {row[1]: row for row in shop.payments}
    order = next(row for row in reversed(shop.orders) if row[0] in payments and payments[row[0]][3])
    iban = next(row[4] for row in shop.payments if row[4])
    person = people[order[1]]
    text = _HANDOVER.format(
        name=person[1], email=person[2], phone=person[3], order=order[0], iban=iban, card=payments[order[0]][3]
    )
    return text.encode()


def _logo() -> bytes:
    """A square of one colour as PNG: a file that no mask has a meaning for."""
    size, colour = 32, b"\x1f\x6f\x8b"
    rows = b"".join(b"\0" + colour * size for _ in range(size))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
