"""Told to stop, the gateway finishes what it started, signs its log and leaves with 0."""

import signal
from pathlib import Path

import pytest
from fault_site import (
    ENDLESS,
    Got,
    InBackground,
    Issuer,
    Load,
    Problem,
    Site,
    assert_all_signed,
    entries,
    running_statements,
    until,
)

from tests.servers import PostgresServer

SLOW = "SELECT count(*) FROM people a, people b, people c WHERE c.id <= 8 AND a.n + b.n + c.n = 1"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_complete_and_the_last_checkpoint_covers_them(
    tmp_path: Path, issuer: Issuer, pg: PostgresServer, how: signal.Signals
) -> None:
    site = Site(folder=tmp_path, issuer=issuer, pg=pg)
    statements = [("pg", "SELECT id, email FROM people WHERE id < {n}"), ("lite", "SELECT email FROM people LIMIT 5")]
    with site.run() as gateway, Load(gateway, 6, statements) as load:
        load.wait_for(50)
        slow = [InBackground(lambda: gateway.query("ana", SLOW, connection="pg")) for _ in range(2)]
        until(lambda: running_statements(pg) >= 2, what="the slow statements run")
        assert gateway.stop(how) == 0
        load.stop()
        finished = [one.answer() for one in slow]
    assert [answer.status_code for answer in finished] == [200, 200]
    log = entries(site.audit)
    for answer in (*load.answers, *(Got(status=one.status_code, body=one.content) for one in finished)):
        assert answer.status == 200
        answer.on_record(log)
    assert_all_signed(site.audit)
    assert "Traceback" not in gateway.output()


def test_what_takes_longer_than_the_drain_is_told_so_on_record(
    tmp_path: Path, issuer: Issuer, pg: PostgresServer
) -> None:
    site = Site(folder=tmp_path, issuer=issuer, pg=pg, options={"limits": {"drain_timeout_s": 1.0}})
    with site.run() as gateway:
        endless = [
            InBackground(lambda: gateway.query("ana", ENDLESS, connection="pg")),
            InBackground(lambda: gateway.query("ana", ENDLESS, connection="lite")),
        ]
        until(lambda: running_statements(pg), what="the statement runs")
        assert gateway.stop() == 0
        log = entries(site.audit)
        for one in endless:
            told = one.answer()
            Problem(status=503, code="shutting_down").assert_is(told)
            assert Got(status=503, body=told.content).on_record(log)["outcome"] == "failed"
    until(lambda: running_statements(pg) == 0, what="the statement ends on the server")
    assert_all_signed(site.audit)
