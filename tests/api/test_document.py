"""The OpenAPI document as importers of agents read it: each rule here broke a real importer when it did not hold."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from app.main import openapi_document
from tests.running import Running

ROOT = Path(__file__).resolve().parents[2]
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

Document = dict[str, Any]


@pytest.fixture(scope="module")
def full(shop: Running) -> Document:
    with shop.client() as client:
        answer = client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found: Document = answer.json()
    return found


@pytest.fixture(scope="module")
def agents(shop: Running) -> Document:
    with shop.client() as client:
        found: Document = client.get("/openapi/agents.json").json()
    return found


@pytest.fixture(params=["full", "agents"])
def document(request: pytest.FixtureRequest) -> Document:
    found: Document = request.getfixturevalue(request.param)
    return found


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def parameters(document: Document) -> Iterator[tuple[str, Document]]:
    for _, _, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            yield operation["operationId"], parameter


def resolved(document: Document, schema: Document) -> Document:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Document = document["components"]["schemas"][reference.removeprefix("#/components/schemas/")]
    return found


def bodies(document: Document) -> Iterator[tuple[Document, Document]]:
    """Those that are content of files have no form of their own."""
    for _, _, operation in operations(document):
        if "requestBody" in operation and operation["tags"] != ["files"]:
            yield operation, operation["requestBody"]


def references(node: Any) -> Iterator[str]:
    match node:
        case Mapping():
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for item in node.values():
                yield from references(item)
        case list():
            for item in node:
                yield from references(item)


def test_the_version_is_3_1_0_and_every_reader_knows_whose_document_it_is(document: Document) -> None:
    assert document["openapi"] == "3.1.0"
    info = document["info"]
    assert info["title"]
    assert info["version"]
    assert info["description"]
    assert info["license"]["identifier"] == "Apache-2.0"
    assert info["contact"]["url"].startswith("https://")


def test_the_server_is_the_configured_public_url_whatever_host_asks(shop: Running, document: Document) -> None:
    assert [server["url"] for server in document["servers"]] == [shop.url]
    parts = urlsplit(document["servers"][0]["url"])
    assert parts.scheme in {"http", "https"}
    assert parts.netloc
    with shop.client() as client:
        asked = client.get("/openapi.json", headers={"host": f"localhost:{parts.port}", "x-forwarded-host": "evil"})
    assert asked.json()["servers"] == [{"url": shop.url}]


def test_operation_ids_are_tool_names_for_every_client(document: Document) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for name in names:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), name
        assert len(name) <= 48


def test_path_items_hold_methods_only(document: Document) -> None:
    for path, item in document["paths"].items():
        assert item
        assert set(item) <= METHODS, path


def test_parameters_are_inline_with_one_plain_type(document: Document) -> None:
    for operation_id, parameter in parameters(document):
        where = f"{operation_id} {parameter.get('name')}"
        assert set(parameter) <= {"name", "in", "required", "schema", "description", "example"}, where
        schema = parameter["schema"]
        assert isinstance(schema["type"], str), where
        assert schema["type"] in {"string", "integer"}, where
        assert not {"anyOf", "oneOf", "allOf", "$ref", "nullable", "items"} & set(schema), where
        assert "null" not in json.dumps(schema), where
        assert parameter["description"], where


def test_no_header_is_required_and_path_parameters_always_are(document: Document) -> None:
    for operation_id, parameter in parameters(document):
        if parameter["in"] == "path":
            assert parameter["required"] is True, operation_id
        if parameter["in"] in {"header", "cookie"}:
            assert not parameter.get("required"), operation_id
    for path, _, operation in operations(document):
        declared = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path))


def test_a_body_is_one_plain_object_whose_names_no_parameter_has(document: Document) -> None:
    for operation, body in bodies(document):
        assert body["required"] is True
        assert next(iter(body["content"])) == "application/json"
        schema = resolved(document, body["content"]["application/json"]["schema"])
        assert schema["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf"} & set(schema)
        taken = {p["name"] for p in operation.get("parameters", ()) if p["in"] in {"path", "query"}}
        assert not taken & set(schema["properties"]), operation["operationId"]
        for name, field in schema["properties"].items():
            assert field["description"], (operation["operationId"], name)


def test_free_form_params_and_nullables_are_unions_with_null(document: Document) -> None:
    for _, body in bodies(document):
        schema = resolved(document, body["content"]["application/json"]["schema"])
        for name, field in schema["properties"].items():
            if name in schema.get("required", ()):
                assert isinstance(field["type"], str), name
                continue
            assert [set(member) & {"type"} for member in field["anyOf"]] == [{"type"}] * 2, name
            assert field["anyOf"][1] == {"type": "null"}, name
        if "params" in schema["properties"]:
            assert schema["properties"]["params"]["anyOf"][0]["type"] == "object"
            assert schema["properties"]["params"]["anyOf"][0]["additionalProperties"] is True


def test_null_and_omitted_mean_the_same(shop: Running) -> None:
    nothing = dict.fromkeys(("params", "max_rows", "unmask", "purpose", "cursor", "idempotency_key"))
    omitted, null = shop.query("ana", "SELECT 1 AS one").json(), shop.query("ana", "SELECT 1 AS one", **nothing).json()
    assert omitted.pop("receipt")["index"] < null.pop("receipt")["index"]
    assert omitted == null


def test_no_reference_is_dangling_or_leads_back_to_itself(document: Document) -> None:
    schemas = document["components"]["schemas"]
    edges = {
        name: {found.removeprefix("#/components/schemas/") for found in references(schema)}
        for name, schema in schemas.items()
    }
    used = {found.removeprefix("#/components/schemas/") for found in references(document["paths"])}
    assert used <= set(schemas)

    def walk(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"{' → '.join(above)} → {name}"
        for below in edges[name]:
            walk(below, (*above, name))

    for name in schemas:
        walk(name, ())


def test_no_schema_is_unused(document: Document) -> None:
    used = {found.removeprefix("#/components/schemas/") for found in references(document)}
    assert used == set(document["components"]["schemas"])


def test_agent_operations_answer_json_objects_and_never_nothing(agents: Document) -> None:
    for _, _, operation in operations(agents):
        good = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
        assert good
        assert "204" not in good
        for answer in good.values():
            schema = resolved(agents, answer["content"]["application/json"]["schema"])
            assert schema["type"] == "object"
            assert schema["properties"]


def test_bearer_comes_before_openid_connect(shop: Running, document: Document) -> None:
    schemes = document["components"]["securitySchemes"]
    assert [scheme["type"] for scheme in schemes.values()] == ["http", "openIdConnect"]
    first, second = schemes.values()
    assert first["scheme"] == "bearer"
    url = second["openIdConnectUrl"]
    assert urlsplit(url).netloc
    with shop.client() as client:
        assert client.get(url).json()["issuer"]
    for _, _, operation in operations(document):
        assert operation["security"] == [{name: []} for name in schemes]


def test_every_operation_says_what_it_is_for_with_an_example_to_copy(document: Document) -> None:
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    for _, _, operation in operations(document):
        assert 0 < len(operation["summary"]) <= 1024
        assert 0 < len(operation["description"]) <= 1024
        assert "Example" in operation["description"]
        assert operation["tags"]
        assert all(tags[tag] for tag in operation["tags"])


def approval(shop: Running, *, approved: bool = False) -> str:
    name = str(shop.query("ana", "DELETE FROM orders WHERE id = 9").json()["approval_id"])
    if approved:
        with shop.client() as client:
            yes = client.post(f"/v1/approvals/{name}/decision", json={"decision": "approve"}, headers=shop.auth("max"))
        assert yes.status_code == 200, yes.text
    return name


def test_the_examples_of_the_descriptions_work_as_they_stand(shop: Running, full: Document) -> None:
    with shop.client() as client:
        made = client.put(
            f"{EXPORTS}/draft.csv", json={"content": "a\n", "content_type": "text/csv"}, headers=shop.auth("ana")
        )
        assert made.status_code == 200
        for path, method, operation in operations(full):
            name = operation["operationId"]
            who = {"operators": "ada", "approvers": "max"}.get(operation["tags"][0], "ana")
            example = operation["description"].partition("Example")[2]
            if name in {"stream_approvals", "preview_approval", "replay_delivery"}:
                continue  # one never ends, nothing is held for a write, and nobody was told: their own tests have them
            asked = approval(shop, approved=name in {"execute_approval", "revoke_approval"})
            if (sent := re.match(r": ([A-Z]+) (/\S+)$", example)) is not None:
                assert sent[1] == method.upper()
                body = {"content": b"id\n1\n"} if method == "put" else {}
                answer = client.request(sent[1], re.sub(r"apr_\w+", asked, sent[2]), headers=shop.auth(who), **body)
            else:
                connection = "queue" if "/messages" in path else "files" if "/objects/" in path else "shop"
                url = path.replace("{connection}", connection).replace("{approval_id}", asked)
                body = json.loads(example.partition(": ")[2])
                url = url.replace("{key}", "exports/example.csv")
                answer = client.request(method, url, json=body, headers=shop.auth(who))
            assert answer.status_code == (202 if name == "delete_object" else 200), (name, answer.text)


EXPORTS = "/v1/connections/files/objects/exports"
READS_OBJECT, CHANGES_OBJECT = {"412", "413"}, {"409", "412"}
PUTS = CHANGES_OBJECT | {"408", "413", "415", "507"}
FURTHER = {
    "query_sql": {"409"},
    "execute_approval": {"412", "507"},
    "publish_message": {"409"},
    "fetch_object": READS_OBJECT,
    "fetch_object_by_key": READS_OBJECT,
    "fetch_content": READS_OBJECT | {"416"},
    "put_object": PUTS,
    "put_content": PUTS,
    "delete_object": CHANGES_OBJECT,
}


def test_errors_are_declared_as_problems_with_the_headers_that_come_along(document: Document) -> None:
    for path, method, operation in operations(document):
        declared = operation["responses"]
        expected = {"400", "401", "403", "404", "406", "422", "500", "503"} | FURTHER.get(
            operation["operationId"], set()
        )
        if method == "post":
            expected |= {"408", "413", "415"}
        if re.search(r"/(execute|cancel|decision|revoke|preview)$", path):
            expected.add("409")
        assert {status for status in declared if status[0] in "45"} == expected, operation["operationId"]
        for status in expected:
            assert declared[status]["content"] == PROBLEM
            assert declared[status]["description"]
        assert "WWW-Authenticate" in declared["401"]["headers"]
        assert "Retry-After" in declared["503"]["headers"]
        if "202" in declared:
            assert set(declared["202"]["headers"]) == {"Location", "Retry-After"}


def test_content_is_declared_as_bytes_of_any_type_and_only_for_programs(full: Document, agents: Document) -> None:
    files = full["paths"]["/v1/connections/{connection}/content/{key}"]
    anything = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    assert files["put"]["requestBody"] == {"required": True, "content": anything}
    assert files["get"]["responses"]["200"]["content"] == {"*/*": {}}
    assert set(files["get"]["responses"]["200"]["headers"]) == {"X-Receipt"}
    assert not any("/content/" in path for path in agents["paths"])


def test_declared_headers_come_and_the_body_repeats_them(shop: Running, full: Document) -> None:
    answer = shop.query("ana", "DELETE FROM orders WHERE id = 10")
    declared = full["paths"]["/v1/connections/{connection}/query"]["post"]["responses"]["202"]["headers"]
    assert answer.status_code == 202
    assert set(declared) <= {name.title() for name in answer.headers}
    assert answer.headers["location"] == answer.json()["approval_url"]
    assert answer.headers["retry-after"] == str(answer.json()["retry_after_seconds"])


def test_deciding_is_for_people_and_not_in_the_document_for_agents(full: Document, agents: Document) -> None:
    names = {operation["operationId"] for _, _, operation in operations(agents)}
    assert {"list_approvals", "get_approval", "execute_approval", "cancel_approval"} <= names
    theirs = {o["operationId"] for _, _, o in operations(full) if o["tags"] == ["approvers"]}
    assert theirs == {"decide_approval", "revoke_approval", "preview_approval", "stream_approvals"}
    assert not theirs & names


def test_links_lead_to_operations_with_parameters_that_are_texts(document: Document) -> None:
    """Anything else is no OpenAPI 3.1, and validators say so."""
    names = {operation["operationId"] for _, _, operation in operations(document)}
    links = [
        link
        for _, _, operation in operations(document)
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(links) > 5
    for link in links:
        assert link["operationId"] in names
        assert all(isinstance(value, str) for value in link["parameters"].values()), link


def test_the_stream_is_declared_as_what_it_is(full: Document) -> None:
    answer = full["paths"]["/v1/approvals/events"]["get"]["responses"]["200"]
    assert set(answer["content"]) == {"text/event-stream"}


def test_the_document_for_agents_is_a_part_of_the_full_one(full: Document, agents: Document) -> None:
    assert agents["info"]["title"] != full["info"]["title"]
    for path, method, operation in operations(agents):
        assert operation == full["paths"][path][method]
        assert "agents" in operation["tags"]
    tagged = {o["operationId"] for _, _, o in operations(full) if "agents" in o["tags"]}
    assert {o["operationId"] for _, _, o in operations(agents)} == tagged
    for name, schema in agents["components"]["schemas"].items():
        assert schema == full["components"]["schemas"][name]


def test_openapi_yaml_in_the_repository_is_what_the_code_makes() -> None:
    committed = (ROOT / "openapi.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(committed) == openapi_document(agents=False), "run scripts/openapi and commit openapi.yaml"


def test_openapi_yaml_is_what_the_running_gateway_serves(shop: Running, full: Document) -> None:
    committed = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    there = json.dumps(committed).replace(committed["servers"][0]["url"], shop.url)
    assert json.loads(there) == full
