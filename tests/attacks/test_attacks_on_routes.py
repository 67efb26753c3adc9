"""Paths that mean one thing decoded and another as they were sent."""

from urllib.parse import unquote

import pytest

from app.api.object_operations import OBJECT_ENDPOINTS
from app.api.routing import Routes
from app.gateway.pipeline import UseCase


async def _never(*_: object) -> object:
    raise AssertionError


_USE_CASE: UseCase = _never  # type: ignore[assignment]
ROUTES = Routes(OBJECT_ENDPOINTS, {each.name: _USE_CASE for each in OBJECT_ENDPOINTS})


def match(raw: str) -> tuple[str, dict[str, str]] | None:
    wired, path_args, _ = ROUTES.match("GET", unquote(raw), raw.encode())
    return None if wired is None else (wired.endpoint.name, path_args)


@pytest.mark.parametrize(
    "raw",
    [
        "/v1/connections%2Ffiles%2Fcontent/x/y/brand/logo.png",
        "/v1%2Fconnections/files/content/x/brand/logo.png",
        "/v1/connections/files%2Fcontent/x/brand/logo.png",
        "/v1/connections/files/objects%2Fbrand/logo.png/x",
        "/v1%2Fconnections%2Ffiles%2Fobjects%2Fa/b/c/d/e/f",
    ],
)
def test_a_slash_that_is_encoded_before_the_key_moves_nothing_into_the_key(raw: str) -> None:
    assert match(raw) is None


@pytest.mark.parametrize(
    ("raw", "connection", "key"),
    [
        ("/v1/connections/files/content/brand/logo.png", "files", "brand/logo.png"),
        ("/v1/connections/fi%6Ces/content/brand%2Flogo.png", "files", "brand%2Flogo.png"),
        ("/v1/c%6Fnnections/f%C3%BCr/content/a%252Fb", "für", "a%252Fb"),
    ],
)
def test_the_key_comes_as_it_was_sent(raw: str, connection: str, key: str) -> None:
    assert match(raw) == ("fetch_content", {"connection": connection, "key": key})
