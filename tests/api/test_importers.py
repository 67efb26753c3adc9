"""Agent frameworks make tools of our document, and a tool brings masked rows. Each is skipped where it is absent.

They are no dependencies: together they are larger than everything else here. To run these tests, install beside us
fastmcp, google-adk, semantic-kernel, langchain-community (any of them).
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.running import Running

NAMES = {
    "get_identity", "list_connections", "describe_connection", "query_sql", "explain_sql", "list_approvals",
    "get_approval", "execute_approval", "cancel_approval", "list_objects", "fetch_object", "fetch_object_by_key",
    "put_object", "delete_object", "publish_message", "receive_messages", "ack_messages",
}  # fmt: skip
ASKED = {
    "sql": "SELECT id, email FROM customers WHERE region = :r ORDER BY id LIMIT 2",
    "params": {"r": "north"},
}
MESSAGE = {
    "topic": "orders.created",
    "payload": {"order": 301, "status": "paid", "total_cents": 199, "currency": "EUR"},
}
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
# What other people's libraries say about themselves is not ours to fail on.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def document(shop: Running) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(f"{shop.url}/openapi/agents.json").json()
    return found


def assert_masked(answer: dict[str, Any]) -> None:
    assert answer["status"] == "completed"
    assert len(answer["rows"]) == 2
    assert all(email.startswith("***@") for _, email in answer["rows"])


def assert_file_masked(answer: dict[str, Any]) -> None:
    assert (answer["status"], answer["masked"]) == ("completed", True)
    assert ADDRESS.search(answer["content"].replace("***@", "")) is None


def test_fastmcp_serves_the_operations_as_tools(shop: Running, document: dict[str, Any]) -> None:
    fastmcp = pytest.importorskip("fastmcp")
    httpx = pytest.importorskip("httpx")

    async def session() -> None:
        async with httpx.AsyncClient(base_url=shop.url, headers=shop.auth("ana")) as http:
            server = fastmcp.FastMCP.from_openapi(openapi_spec=document, client=http, name="douane")
            async with fastmcp.Client(server) as client:
                assert {tool.name for tool in await client.list_tools()} == NAMES
                found = await client.call_tool("query_sql", {"connection": "shop", **ASKED})
                assert_masked(found.structured_content)
                asked = await client.call_tool(
                    "query_sql", {"connection": "shop", "sql": "DELETE FROM orders WHERE id = 301"}
                )
                approval = {"approval_id": asked.structured_content["approval_id"]}
                assert (await client.call_tool("get_approval", approval)).structured_content["state"] == "pending"
                for tool, key in (
                    ("fetch_object", "customers/2026.csv"),
                    ("fetch_object_by_key", "notes/handover.txt"),
                ):
                    file = await client.call_tool(tool, {"connection": "files", "key": key})
                    assert_file_masked(file.structured_content)
                sheet = {"content": "id\n1\n", "content_type": "text/csv"}
                put = {"connection": "files", "key": "exports/tool.csv", **sheet}
                assert (await client.call_tool("put_object", put)).structured_content["status"] == "completed"
                sent = await client.call_tool("publish_message", {"connection": "queue", **MESSAGE})
                assert sent.structured_content["message_id"]
                with pytest.raises(fastmcp.exceptions.ToolError, match="access_denied"):
                    await client.call_tool("query_sql", {"connection": "shop", "sql": "DROP TABLE customers"})

    asyncio.run(session())


def test_google_adk_makes_rest_tools(shop: Running, document: dict[str, Any]) -> None:
    toolset = pytest.importorskip("google.adk.tools.openapi_tool.openapi_spec_parser.openapi_toolset")
    credentials = pytest.importorskip("google.adk.auth.auth_credential")
    schemes = pytest.importorskip("fastapi.openapi.models")
    found = toolset.OpenAPIToolset(
        spec_dict=document,
        auth_scheme=schemes.HTTPBearer(bearerFormat="JWT"),
        auth_credential=credentials.AuthCredential(
            auth_type=credentials.AuthCredentialTypes.HTTP,
            http=credentials.HttpAuth(
                scheme="bearer", credentials=credentials.HttpCredentials(token=shop.token("ana"))
            ),
        ),
        allow_private_network_access=True,
    )

    async def session() -> None:
        tools = {tool.name: tool for tool in await found.get_tools()}
        assert set(tools) == NAMES
        assert_masked(await tools["query_sql"].run_async(args={"connection": "shop", **ASKED}, tool_context=None))
        file = {"connection": "files", "key": "customers/2026.csv"}
        assert_file_masked(await tools["fetch_object"].run_async(args=file, tool_context=None))
        sent = await tools["publish_message"].run_async(args={"connection": "queue", **MESSAGE}, tool_context=None)
        assert sent["status"] == "completed"
        listed = await tools["list_approvals"].run_async(args={"state": "pending", "limit": 1}, tool_context=None)
        assert len(listed["approvals"]) <= 1

    asyncio.run(session())


@pytest.mark.parametrize("by_field", [True, False])
def test_semantic_kernel_adds_a_plugin(shop: Running, document: dict[str, Any], tmp_path: Path, by_field: bool) -> None:
    kernel_module = pytest.importorskip("semantic_kernel")
    plugin_module = pytest.importorskip("semantic_kernel.connectors.openapi_plugin")
    saved = tmp_path / "agents.json"
    saved.write_text(json.dumps(document))

    async def sign_in(*_: Any, **__: Any) -> dict[str, str]:
        return shop.auth("ana")

    async def session() -> None:
        kernel = kernel_module.Kernel()
        plugin = kernel.add_plugin_from_openapi(
            plugin_name="douane",
            openapi_document_path=str(saved),
            execution_settings=plugin_module.OpenAPIFunctionExecutionParameters(
                auth_callback=sign_in,
                enable_dynamic_payload=by_field,
                server_url_validation_allowed_base_urls=[shop.url],
            ),
        )
        assert set(plugin.functions) == NAMES
        arguments = ASKED if by_field else {"payload": json.dumps(ASKED)}
        answer = await kernel.invoke(plugin_name="douane", function_name="query_sql", connection="shop", **arguments)
        assert_masked(json.loads(str(answer)))
        file = await kernel.invoke(
            plugin_name="douane", function_name="fetch_object_by_key", connection="files", key="customers/2026.csv"
        )
        assert_file_masked(json.loads(str(file)))

    asyncio.run(session())


def test_langchain_reads_every_operation(document: dict[str, Any]) -> None:
    specs = pytest.importorskip("langchain_community.utilities.openapi")
    models = pytest.importorskip("langchain_community.tools.openapi.utils.api_models")
    spec = specs.OpenAPISpec.from_spec_dict(document)
    operations = [
        models.APIOperation.from_openapi_spec(spec, path, method)
        for path in spec.paths
        for method in spec.get_methods_for_path(path)
    ]
    assert {operation.operation_id for operation in operations} == NAMES
    (query,) = [operation for operation in operations if operation.operation_id == "query_sql"]
    assert {"sql", "params"} <= {field.name for field in query.request_body.properties}
