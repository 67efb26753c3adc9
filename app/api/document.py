"""The OpenAPI document: made from the declared routes, then put into the form that every importer of agents takes."""

from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.endpoint import AGENTS_TAG, SCOPES, TAGS
from app.api.wire import Problem

_DESCRIPTION = (
    "Customs control for the data that leaves through AI agents. Every request is decided by policy, every answer is "
    "masked as policy says and stands on a tamper-evident log."
)


def full_document(app: FastAPI, *, version: str, public_url: str, openid_url: str | None) -> dict[str, Any]:
    """OpenAPI 3.1.0 of everything `app` declares. `openid_url`: discovery document for the second security scheme."""
    document = get_openapi(
        title="Douane",
        version=version,
        openapi_version="3.1.0",
        description=_DESCRIPTION,
        routes=app.routes,
        servers=[{"url": public_url}],
        contact={"name": "The Douane authors", "url": "https://douane.dev"},
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        tags=[{"name": name, "description": description} for name, description in TAGS.items()],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    components["schemas"] = dict(sorted(schemas.items()))
    components["securitySchemes"] = _security_schemes(openid_url)
    for item in document["paths"].values():
        for operation in item.values():
            operation["security"] = [{name: []} for name in components["securitySchemes"]]
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _plain(parameter["schema"])
                if parameter["in"] == "path":
                    # Swagger UI fills in this one, and not the examples of the schema.
                    parameter["example"] = parameter["schema"]["examples"][0]
            if "requestBody" in operation:
                operation["requestBody"]["required"] = True
    whole: dict[str, Any] = _whole_numbers(document)
    return whole


def _whole_numbers(node: Any) -> Any:
    """Bounds of integers as integers: some importers refuse `"maximum": 200.0`."""
    match node:
        case dict():
            return {name: _whole_numbers(item) for name, item in node.items()}
        case list():
            return [_whole_numbers(item) for item in node]
        case float() if node.is_integer():
            return int(node)
        case _:
            return node


def agents_document(document: dict[str, Any]) -> dict[str, Any]:
    """Only what agents need: one bad operation would keep a loader from all of them."""
    slim = deepcopy(document)
    slim["info"]["title"] = "Douane for agents"
    slim["paths"] = {
        path: {method: operation for method, operation in item.items() if AGENTS_TAG in operation.get("tags", ())}
        for path, item in slim["paths"].items()
    }
    slim["paths"] = {path: item for path, item in slim["paths"].items() if item}
    slim["components"]["schemas"] = _reachable(slim["paths"], slim["components"]["schemas"])
    return slim


def _security_schemes(openid_url: str | None) -> dict[str, Any]:
    schemes: dict[str, Any] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An OIDC access token (RFC 9068). Scopes: "
            + "; ".join(f"{scope}: {meaning}" for scope, meaning in SCOPES.items()),
        }
    }
    if openid_url is not None:
        schemes["openid"] = {"type": "openIdConnect", "openIdConnectUrl": openid_url}
    return schemes


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema with one plain type: a union with one member is that member."""
    for union in ("anyOf", "allOf", "oneOf"):
        members = schema.get(union)
        if members is not None and len(members) == 1:
            rest = {name: value for name, value in schema.items() if name != union}
            return _plain({**members[0], **rest})
    return {name: value for name, value in schema.items() if name != "title"}


def _reachable(root: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    found: set[str] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                name = reference.rsplit("/", 1)[-1]
                if name not in found:
                    found.add(name)
                    waiting.append(schemas[name])
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return {name: schema for name, schema in schemas.items() if name in found}
