"""The generic walk over a parse tree: every message and field is on an allowlist, or the statement is refused."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NoReturn

from app.sql.postgres import nodes
from app.sql.postgres.nodes import NODE, NODES, SCALAR, Rule, Rules
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import Catalog


class Walk:
    """Knows where it is (`path`) and what may stand there; subclasses take over the nodes that mean something."""

    METHODS: ClassVar[dict[str, Callable[[Any, Any, Any], None]]] = {}
    """Node name to the method that reads it instead of `fields`: (self, message, the Node that holds it)."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._path: list[str | int] = []
        self._more: dict[str, Rules] = {}

    def node(self, node: Any) -> None:
        which = node.WhichOneof("node")
        if which is None:
            return
        path = self._path
        path.append(which)
        method = self.METHODS.get(which)
        if method is not None:
            method(self, getattr(node, which), node)
        else:
            rules = nodes.EXPRESSIONS.get(which)
            if rules is None:
                rules = self._newer(which)
            self.fields(getattr(node, which), rules)
        path.pop()

    def fields(self, message: Any, rules: Rules) -> None:
        path = self._path
        for descriptor, value in message.ListFields():
            name = descriptor.name
            rule: Rule = rules.get(name)
            if rule is SCALAR or name in nodes.LOCATIONS:
                continue
            if rule is None:
                self._refuse_node(name, message)
            path.append(name)
            if rule is NODE:
                self.node(value)
            elif rule is NODES:
                self.nodes(value)
            elif type(rule) is str:
                getattr(self, "_" + rule)(value, message)
            elif type(rule) is dict:
                self.fields(value, rule)
            elif value not in rule:
                self._refuse_node(path[-2] if len(path) > 1 and isinstance(path[-2], str) else name, message)
            path.pop()

    def nodes(self, values: Iterable[Any]) -> None:
        path = self._path
        path.append(0)
        for index, value in enumerate(values):
            path[-1] = index
            self.node(value)
        path.pop()

    def _newer(self, which: str) -> Rules:
        if which in self._more:
            return self._more[which]
        known = nodes.NEWER.get(which)
        if known is None or self.catalog.server_version < known[0]:
            raise SqlRefused(Refusal.CONSTRUCT, nodes.refusal_of(which))
        return known[1]

    def _refuse_node(self, name: str, message: Any) -> NoReturn:
        location = getattr(message, "location", None)
        raise SqlRefused(
            Refusal.CONSTRUCT, nodes.refusal_of(name), position=location if isinstance(location, int) else None
        )
