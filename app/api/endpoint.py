"""How an operation is declared: once, for the document, the door's routing table and the scope check."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from app.api.incoming import BodyStream
from app.api.reading import QueryString

AGENTS_TAG = "agents"
APPROVERS_TAG = "approvers"
OPERATORS_TAG = "operators"
FILES_TAG = "files"
TAGS = {
    AGENTS_TAG: "What an agent needs: who it is, what it may see, its statements, objects, messages and approvals.",
    APPROVERS_TAG: "What people need who decide: what is held, the decision, taking it back, following along.",
    FILES_TAG: "Content of any size as bytes, for programs that move files.",
    OPERATORS_TAG: "What those need who run the gateway: what became of notifications.",
}
QUERY_SCOPE = "douane:query"
OBJECTS_SCOPE = "douane:objects"
MESSAGES_SCOPE = "douane:messages"
APPROVALS_SCOPE = "douane:approvals"
SCOPES = {
    QUERY_SCOPE: "Run and explain statements",
    OBJECTS_SCOPE: "List, fetch, put and delete objects",
    MESSAGES_SCOPE: "Publish, receive and acknowledge messages",
    APPROVALS_SCOPE: "Look at what is held for approvals, decide on them, revoke and follow them; with any scope you "
    "list, read, execute and cancel your own",
}
ANY_SCOPE = frozenset(SCOPES)
"""What shows connections and follows requests that wait is of use to everybody."""
JSON = "application/json"
ANY = "*/*"
EVENTS = "text/event-stream"
LIMIT = 100
MAX_LIMIT = 200


@dataclass(slots=True, kw_only=True)
class Arrived:
    """What the door read from the socket, not yet looked into. `stream`: of an endpoint that streams its body."""

    path_args: Mapping[str, str]
    query: bytes
    body: bytes
    headers: Mapping[bytes, bytes]
    stream: BodyStream | None = None


Parse = Callable[[Arrived], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`parse` raises Refused; it makes the command of the use case that has the operation's name."""

    name: str
    method: str
    path: str
    scopes: frozenset[str]
    parse: Parse
    reads_body: bool
    signature: Callable[..., Any]
    answers: Mapping[int, type[BaseModel] | None]
    """None: a stream."""
    summary: str
    description: str
    problems: tuple[int, ...]
    links: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """OpenAPI links by status: where the answer's identifiers go next."""
    tag: str = AGENTS_TAG
    media_type: str = JSON
    tail: bool = False
    """The last name of the path takes all that follows, slashes too, and comes as it was sent: percent-encoded."""
    streams_body: Callable[[Mapping[bytes, bytes]], bool] = lambda _headers: False
    """Of the request's headers: whether the body is read by the use case."""
    consumes: Mapping[str, Any] | None = None
    """Further media types of the request body, as OpenAPI has them."""
    produces: Mapping[str, Any] | None = None
    """Media types of a 200 that is no JSON, as OpenAPI has them."""
    waits: bool = False
    """It may wait for a human, so its client is watched, and the door counts it apart while it waits."""


def nothing(arrived: Arrived) -> None:
    """Parses a request that takes no parameters."""
    QueryString(arrived.query, frozenset())


def to_approval(expression: str) -> dict[str, Any]:
    """An OpenAPI link to get_approval; at once, since whoever follows links may have no patience. Constants are texts:
    the schema of OpenAPI 3.1 knows nothing else there, and Semantic Kernel validates by it."""
    return {"operationId": "get_approval", "parameters": {"approval_id": expression, "wait_seconds": "0"}}
