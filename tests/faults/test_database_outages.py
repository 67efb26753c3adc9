"""The database behind a connection goes away, comes back, changes its password; the gateway and the others stay."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_site import ENDLESS, PG_PASSWORD, Gateway, InBackground, Issuer, Problem, Site, running_statements, until

from tests.servers import PostgresServer

ONE = "SELECT id, email FROM people WHERE id = 1"
DOWN = Problem(status=503, code="connection_unavailable")


@pytest.fixture
def site(tmp_path: Path, issuer: Issuer, pg: PostgresServer) -> Iterator[Site]:
    yield Site(folder=tmp_path, issuer=issuer, pg=pg)
    if pg._process is None:
        pg.start()


def works(gateway: Gateway, connection: str = "pg") -> bool:
    answer = gateway.query("ana", ONE, connection=connection)
    assert answer.status_code != 200 or answer.json()["rows"] == [[1, "***@mail.example"]]
    return answer.status_code == 200


def test_a_stopped_database_is_503_and_the_first_request_after_its_restart_works(
    site: Site, pg: PostgresServer
) -> None:
    with site.run() as gateway:
        assert works(gateway)
        for how in (signal.SIGINT, signal.SIGQUIT):
            in_flight = InBackground(lambda: gateway.query("ana", ENDLESS, connection="pg"))
            until(lambda: running_statements(pg), what="the statement runs")
            pg.stop(how)
            DOWN.assert_is(in_flight.answer())
            for _ in range(3):
                DOWN.assert_is(gateway.query("ana", ONE, connection="pg"))
            assert works(gateway, "lite")
            assert gateway.ready()
            pg.start()
            assert works(gateway)
        with gateway.client(headers=gateway.auth("ana")) as client:
            assert client.get("/v1/connections/pg").status_code == 200
        assert [entry["code"] for entry in gateway.logged() if entry.get("status") == 503] == [DOWN.code] * 8


def test_a_gateway_that_starts_without_its_database_serves_it_as_soon_as_it_is_up(
    site: Site, pg: PostgresServer
) -> None:
    pg.stop()
    with site.run() as gateway:
        DOWN.assert_is(gateway.query("ana", ONE, connection="pg"))
        with gateway.client(headers=gateway.auth("ana")) as client:
            DOWN.assert_is(client.get("/v1/connections/pg"))
            assert client.get("/v1/connections").status_code == 200
        assert works(gateway, "lite")
        pg.start()
        assert works(gateway)
        with gateway.client() as client:
            assert client.get("/readyz").json()["connections"] == {"ready": 2, "configured": 2}


def test_sessions_that_the_server_ended_cost_no_request(site: Site, pg: PostgresServer) -> None:
    with site.run() as gateway:
        for _ in range(3):
            assert works(gateway)
            pg.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")
            assert works(gateway)


def test_a_new_password_in_the_secret_file_is_used_without_a_restart(site: Site, pg: PostgresServer) -> None:
    assert site.pg is pg
    try:
        with site.run() as gateway:
            assert works(gateway)
            pg.psql("ALTER ROLE reader PASSWORD 'rotated-91c2'")
            pg.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")
            problem = DOWN.assert_is(gateway.query("ana", ONE, connection="pg"))
            assert "password" not in str(problem)
            site.secret("dsn", pg.dsn("reader", "rotated-91c2", "shop"))
            assert works(gateway)
            site.secret("dsn", "not a dsn at all")
            pg.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")
            assert gateway.query("ana", ONE, connection="pg").status_code == 503
            site.secret("dsn", pg.dsn("reader", "rotated-91c2", "shop"))
            assert works(gateway)
            output = gateway.output() + str(gateway.logged())
            assert "rotated-91c2" not in output
            assert PG_PASSWORD not in output
    finally:
        pg.psql(f"ALTER ROLE reader PASSWORD '{PG_PASSWORD}'")
