"""Which guard reads which dialect, and which dialects know shapes. A grammar takes tens of megabytes: each is loaded
when a connection speaks its dialect."""

from functools import cache

from app.sql.statement import ParamTypes, Rewritten, Shape, Shapes, SqlGuard, Statement, Template, Views
from connectors.contract import Catalog, Dialect


@cache
def guard_of(dialect: Dialect) -> SqlGuard:
    match dialect:
        case Dialect.POSTGRES:
            from app.sql.postgres import guard as postgres

            return postgres
        case Dialect.SQLITE:
            from app.sql.sqlite import guard as sqlite

            return sqlite


@cache
def shapes_of(dialect: Dialect) -> Shapes | None:
    match dialect:
        case Dialect.POSTGRES:
            return _postgres_shapes()
        case Dialect.SQLITE:
            return None


def _postgres_shapes() -> Shapes:
    from app.sql.postgres.shape import shape
    from app.sql.postgres.templates import template_of

    class PostgresShapes:
        def shape(self, text: str) -> Shape | None:
            return shape(text)

        def template(
            self,
            text: str,
            params: ParamTypes,
            statement: Statement,
            rewritten: Rewritten,
            views: Views,
            catalog: Catalog,
        ) -> Template | None:
            return template_of(text, params, statement, rewritten, views, catalog)

    return PostgresShapes()
