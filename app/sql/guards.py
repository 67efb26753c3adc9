"""Which guard reads which dialect."""

from collections.abc import Mapping

from app.sql.postgres import guard as postgres
from app.sql.sqlite import guard as sqlite
from app.sql.statement import SqlGuard
from connectors.contract import Dialect

GUARDS: Mapping[Dialect, SqlGuard] = {Dialect.POSTGRES: postgres, Dialect.SQLITE: sqlite}
