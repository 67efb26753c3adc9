"""Which declared operation a path and a method mean, and what the path gives to the names in it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from app.api.endpoint import Endpoint
from app.gateway.errors import MethodNotAllowed, NotFound, Refused
from app.gateway.pipeline import Operation, UseCase

SHORTEST_TAIL = 4
"""Parts of the path before a tail: v1/connections/NAME/objects."""

_Template = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    endpoint: Endpoint
    operation: Operation


Match = tuple[Wired | None, dict[str, str], Refused | None]


class Routes:
    def __init__(self, endpoints: Iterable[Endpoint], use_cases: Mapping[str, UseCase]) -> None:
        by_path: dict[_Template, dict[str, Wired]] = {}
        tails: dict[_Template, dict[str, Wired]] = {}
        for endpoint in endpoints:
            operation = Operation(name=endpoint.name, scopes=endpoint.scopes, use_case=use_cases[endpoint.name])
            methods = (tails if endpoint.tail else by_path).setdefault(tuple(endpoint.path.split("/")[1:]), {})
            methods[endpoint.method] = Wired(endpoint=endpoint, operation=operation)
        self._routes: dict[int, list[tuple[_Template, dict[str, Wired]]]] = {}
        for template, methods in by_path.items():
            self._routes.setdefault(len(template), []).append((template, methods))
        self._tails = tuple(tails.items())

    def match(self, method: str, path: str, raw: bytes) -> Match:
        """`path` is decoded, `raw` as it was sent."""
        parts = path.split("/")[1:]
        for template, methods in self._routes.get(len(parts), ()):
            path_args = _bound(template, parts)
            if path_args is not None:
                return _method_of(methods, method, path_args)
        if len(parts) > SHORTEST_TAIL:
            # As it was sent: a name that was decoded here already could not be told from one that is decoded twice.
            sent = raw.decode("latin-1").split("/")[1:]
            for template, methods in self._tails:
                fixed = len(template) - 1
                head = parts[:fixed]
                if [unquote(part) for part in sent[:fixed]] != head:
                    # A slash within a name before the tail: decoded and as it was sent, the path has other parts.
                    continue
                path_args = _bound(template, [*head, "/".join(sent[fixed:])])
                if path_args is not None:
                    return _method_of(methods, method, path_args)
        return None, {}, nowhere()


def nowhere() -> NotFound:
    return NotFound("There is nothing at this path: /openapi.json lists every operation.")


def _bound(template: _Template, parts: list[str]) -> dict[str, str] | None:
    """What the parts of a path give to the names of a template; None: another path. A name never binds nothing."""
    path_args: dict[str, str] = {}
    for wanted, given in zip(template, parts, strict=True):
        if wanted[0] == "{":
            if not given:
                return None
            path_args[wanted[1:-1]] = given
        elif wanted != given:
            return None
    return path_args


def _method_of(methods: Mapping[str, Wired], method: str, path_args: dict[str, str]) -> Match:
    wired = methods.get(method)
    if wired is not None:
        return wired, path_args, None
    allow = sorted(methods)
    detail = f"This path takes {' or '.join(allow)}: repeat the request with that method."
    return None, {}, MethodNotAllowed(detail, allow=allow)
