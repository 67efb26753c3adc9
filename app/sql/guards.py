"""Which guard reads which dialect, and which dialects know shapes."""

from collections.abc import Mapping

from app.sql.postgres import guard as postgres
from app.sql.postgres.shape import shape
from app.sql.postgres.templates import template_of
from app.sql.sqlite import guard as sqlite
from app.sql.statement import ParamTypes, Rewritten, Shape, Shapes, SqlGuard, Statement, Template, Views
from connectors.contract import Catalog, Dialect


class PostgresShapes:
    def shape(self, text: str) -> Shape | None:
        return shape(text)

    def template(
        self, text: str, params: ParamTypes, statement: Statement, rewritten: Rewritten, views: Views, catalog: Catalog
    ) -> Template | None:
        return template_of(text, params, statement, rewritten, views, catalog)


GUARDS: Mapping[Dialect, SqlGuard] = {Dialect.POSTGRES: postgres, Dialect.SQLITE: sqlite}
SHAPES: Mapping[Dialect, Shapes] = {Dialect.POSTGRES: PostgresShapes()}
