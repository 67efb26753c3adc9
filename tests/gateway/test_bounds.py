"""What hostile clients can make the gateway hold, and how long they can make others wait."""

import asyncio

import pytest

from app.gateway import turns
from app.gateway.errors import Overloaded
from app.gateway.lru import Lru
from app.gateway.mentions import Mentions
from app.gateway.turns import Turns
from connectors.contract import Catalog, Dialect, Index, Table, TableKind


def test_a_cache_is_bounded_by_count_and_by_weight() -> None:
    cache: Lru[int, str] = Lru(3, 100)
    for key in range(5):
        cache.put(key, "x", 10)
    assert [key for key in range(5) if cache.get(key)] == [2, 3, 4]
    cache.put(5, "x", 85)
    assert [key for key in range(6) if cache.get(key)] == [4, 5]
    cache.put(5, "x", 1)
    assert cache.weight == 11
    cache.put(6, "x", 1_000)
    assert cache.get(6) is None
    assert cache.weight == 0


def table(schema: str, name: str, *indexes: str) -> Table:
    found = tuple(Index(name=index, columns=()) for index in indexes)
    return Table(schema=schema, name=name, kind=TableKind.TABLE, columns=(), indexes=found)


TABLES = (
    table("public", "orders", "orders_by_day"),
    table("sales", "orders"),
    table("public", "Order Lines"),
    table("public", 'odd"name$1'),
    table("public", "stra\u00dfe"),
    table("public", "!!"),
    table("public", "employees"),
)
MENTIONS = Mentions(
    Catalog(dialect=Dialect.POSTGRES, version="v", server_version=150004, tables={each.key: each for each in TABLES})
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("SELECT 1", set()),
        ("select * from ORDERS o", {"orders"}),
        ("select*from public.orders,employees", {"orders", "employees"}),
        ('SELECT * FROM "Order Lines"', {"Order Lines"}),
        ("SELECT * FROM [Order Lines]", {"Order Lines"}),
        ('SELECT * FROM "odd""name$1"', {'odd"name$1'}),
        ("SELECT * FROM STRASSE", {"stra\u00dfe"}),
        ("DROP INDEX orders_by_day", {"orders"}),
    ],
)
def test_every_table_that_a_text_names_is_found_however_it_is_written(text: str, names: set[str]) -> None:
    assert names | {"!!"} <= {name for _, name in MENTIONS.within(text)}
    assert "employees" in names or ("public", "employees") not in MENTIONS.within(text)


def test_a_name_in_two_schemas_is_found_in_both() -> None:
    assert {("public", "orders"), ("sales", "orders")} <= set(MENTIONS.within("SELECT * FROM orders"))


async def test_one_users_statements_wait_for_each_other_and_not_for_anybody_elses() -> None:
    fair, log, gate = Turns(), [], asyncio.Event()

    async def work(user: str, name: str) -> None:
        async with fair.of(user):
            log.append(name)
            await gate.wait()

    tasks = [asyncio.create_task(work(*each)) for each in (("eve", "e1"), ("eve", "e2"), ("eve", "e3"), ("ana", "a1"))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert log == ["e1", "a1"]
    tasks[1].cancel()
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert log == ["e1", "a1", "e3"]
    assert len(fair) == 0


async def test_a_line_has_an_end() -> None:
    fair = Turns(max_waiting=1)
    async with fair.of("eve"):
        with pytest.raises(Overloaded):
            async with fair.of("eve"):
                pass
        async with fair.of("ana"):
            pass
    assert len(fair) == 0


async def test_a_long_turn_is_followed_by_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "REST_ABOVE_S", 0.0)
    fair, loop = Turns(), asyncio.get_running_loop()
    async with fair.of("eve"):
        began = loop.time()
        await asyncio.sleep(0.05)
        took = loop.time() - began
    assert len(fair) == 1
    async with fair.of("eve"):
        assert loop.time() - began >= took * 2 * 0.99
    while len(fair):
        await asyncio.sleep(0.01)
