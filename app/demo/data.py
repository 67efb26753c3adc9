"""The shop's rows from a seed: the same seed gives the same rows, on every machine, without a download."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from app.demo.identifiers import card_number, digits, fill, iban, national_id
from app.demo.words import CATEGORIES, COUNTRIES, DEPARTMENTS, MATERIALS, TICKETS, Country

CUSTOMERS = 5_000
ORDERS = 40_000
EMPLOYEES = 120
TICKET_COUNT = 6_000
OPENED = datetime(2023, 1, 2, 8)  # noqa: DTZ001 - the shop's clock has no zone: rows must not depend on the machine's
TODAY = datetime(2026, 6, 30, 18)  # noqa: DTZ001
DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com", "post.example.org")
STATUSES = ("delivered",) * 14 + ("shipped",) * 2 + ("paid",) * 2 + ("pending", "cancelled", "returned")
METHODS = ("card",) * 6 + ("transfer",) * 3 + ("invoice",)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """Rows per table, in insertion order; the columns are those of `app.demo.shop_database`."""

    customers: list[Row]
    products: list[Row]
    orders: list[Row]
    order_items: list[Row]
    payments: list[Row]
    tickets: list[Row]
    employees: list[Row]


def generate(seed: int) -> Shop:
    """Each table draws from its own stream, so a change to one leaves the others alone."""
    countries, customers = _customers(Random(f"{seed}/customers"))
    products = _products(Random(f"{seed}/products"))
    orders, items = _orders(Random(f"{seed}/orders"), customers, countries, products)
    return Shop(
        customers=customers,
        products=products,
        orders=orders,
        order_items=items,
        payments=list(_payments(Random(f"{seed}/payments"), orders, countries)),
        tickets=list(_tickets(Random(f"{seed}/tickets"), customers, countries, orders)),
        employees=_employees(Random(f"{seed}/employees")),
    )


def _stamp(moment: datetime) -> str:
    """Nothing happens after the shop's today."""
    return str(min(moment, TODAY))


def _address(first: str, last: str, n: int, random: Random) -> str:
    local = f"{first}.{last}".lower().replace(" ", "")
    for umlaut, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("é", "e"), ("è", "e"), ("ë", "e")):
        local = local.replace(umlaut, plain)
    return f"{local}{n}@{random.choice(DOMAINS)}"


def _customers(random: Random) -> tuple[list[Country], list[Row]]:
    countries = random.choices(COUNTRIES, weights=[c.weight for c in COUNTRIES], k=CUSTOMERS)
    span_s = int((TODAY - OPENED).total_seconds() * 0.9)
    rows: list[Row] = []
    for n, country in enumerate(countries, start=1):
        first, last = random.choice(country.first), random.choice(country.last)
        rows.append(
            (
                n,
                f"{first} {last}",
                _address(first, last, n, random),
                fill(random.choice(country.phones), random),
                national_id(n),
                (date(1940, 1, 1) + timedelta(days=random.randrange(24_400))).isoformat(),
                f"{random.choice(country.streets)} {random.randrange(1, 180)}",
                random.choice(country.cities),
                fill(country.postal, random),
                country.code,
                country.region,
                _stamp(OPENED + timedelta(seconds=random.randrange(span_s))),
            )
        )
    return countries, rows


def _products(random: Random) -> list[Row]:
    rows: list[Row] = []
    for category, nouns in CATEGORIES.items():
        for noun in nouns:
            for material in random.sample(MATERIALS, 7):
                n = len(rows) + 1
                price_cents = random.randrange(9, 260) * 100 - random.choice((1, 5, 50))
                cost_cents = price_cents * random.randrange(38, 72) // 100
                sku = f"{category[:3].upper()}-{n:04d}"
                rows.append((n, sku, f"{material} {noun}", category, price_cents, cost_cents))
    return rows


def _orders(
    random: Random, customers: list[Row], countries: list[Country], products: list[Row]
) -> tuple[list[Row], list[Row]]:
    """A few customers order much and most little, as in a real shop."""
    prices = [row[4] for row in products]
    created = [datetime.fromisoformat(row[11]) for row in customers]
    draws = []
    for _ in range(ORDERS):
        customer = int(CUSTOMERS * random.random() ** 1.8)
        age_s = int((TODAY - created[customer]).total_seconds())
        draws.append((created[customer] + timedelta(seconds=int(age_s * random.random())), customer))
    draws.sort()
    orders: list[Row] = []
    items: list[Row] = []
    sizes = random.choices((1, 1, 1, 2, 2, 3, 5), k=ORDERS)
    statuses = random.choices(STATUSES, k=ORDERS)
    for n, (placed, customer) in enumerate(draws, start=1):
        total_cents = 0
        chosen = random.choices(range(len(products)), k=sizes[n - 1])
        quantities = random.choices((1, 1, 1, 1, 2, 3), k=len(chosen))
        for line, (product, quantity) in enumerate(zip(chosen, quantities, strict=True), start=1):
            total_cents += quantity * prices[product]
            items.append((n, line, product + 1, quantity, prices[product]))
        status = statuses[n - 1]
        shipped = None
        if status in {"delivered", "shipped", "returned"}:
            shipped = _stamp(placed + timedelta(hours=random.randrange(6, 120)))
        orders.append((n, customer + 1, status, total_cents, countries[customer].currency, _stamp(placed), shipped))
    return orders, items


def _payments(random: Random, orders: list[Row], countries: list[Country]) -> Iterator[Row]:
    n = 0
    for order_id, customer_id, status, total_cents, _currency, placed_at, _shipped in orders:
        if status in {"pending", "cancelled"}:
            continue
        n += 1
        method = random.choice(METHODS)
        account = iban(countries[customer_id - 1].code, random) if method == "transfer" else None
        if method == "transfer" and account is None:
            method = "card"
        card = card_number(random) if method == "card" else None
        paid = datetime.fromisoformat(placed_at) + timedelta(minutes=random.randrange(1, 2_000))
        outcome = "refunded" if status == "returned" else "captured"
        yield (n, order_id, method, card, account, total_cents, outcome, _stamp(paid))


def _tickets(random: Random, customers: list[Row], countries: list[Country], orders: list[Row]) -> Iterator[Row]:
    """Free text as people write it: names, addresses, card numbers and accounts in the middle of a sentence."""
    chosen = sorted(random.sample(range(len(orders)), TICKET_COUNT))
    for n, index in enumerate(chosen, start=1):
        order = orders[index]
        customer = customers[order[1] - 1]
        opened = datetime.fromisoformat(order[5]) + timedelta(hours=random.randrange(2, 700))
        closed = opened + timedelta(hours=random.randrange(1, 240)) if random.random() < 0.8 else None
        facts = {
            "name": customer[1],
            "email": customer[2],
            "phone": customer[3],
            "national": customer[4],
            "birth": customer[5],
            "street": customer[6],
            "city": customer[7],
            "postal": customer[8],
            "order": order[0],
            "card": card_number(random),
            "other": random.choice(customers)[1],
            "account": iban(countries[order[1] - 1].code, random) or f"account {digits(random, 10)}",
        }
        subject, body = random.choice(TICKETS)
        yield (
            n,
            customer[0],
            subject.format(**facts),
            body.format(**facts),
            random.choice(("low", "normal", "normal", "normal", "high", "urgent")),
            "closed" if closed else random.choice(("open", "waiting")),
            _stamp(opened),
            _stamp(closed) if closed else None,
        )


def _employees(random: Random) -> list[Row]:
    """One head, a lead per department, everybody else below a lead."""
    departments = list(DEPARTMENTS)
    rows: list[Row] = []
    for n in range(1, EMPLOYEES + 1):
        country = random.choice(COUNTRIES)
        first, last = random.choice(country.first), random.choice(country.last)
        department = departments[(n - 2) % len(departments)] if n > 1 else "Operations"
        lead = 2 <= n <= len(departments) + 1
        title = (
            "Managing Director"
            if n == 1
            else f"Head of {department}"
            if lead
            else random.choice(DEPARTMENTS[department])
        )
        manager = None if n == 1 else 1 if lead else departments.index(department) + 2
        salary_cents = (random.randrange(34, 78) + (60 if n == 1 else 25 if lead else 0)) * 100_000
        hired = (OPENED + timedelta(days=random.randrange(0 if lead or n == 1 else 30, 1_200))).date().isoformat()
        email = f"{_address(first, last, n, random).split('@')[0]}@shop.example.com"
        rows.append(
            (
                n,
                f"{first} {last}",
                email,
                title,
                department,
                manager,
                salary_cents,
                national_id(100_000 + n),
                hired,
            )
        )
    return rows
