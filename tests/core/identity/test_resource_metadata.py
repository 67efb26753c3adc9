"""The RFC 9728 document and the challenge that points at it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.identity.metadata import challenge, metadata_url, protected_resource

URL = "https://douane.example/.well-known/oauth-protected-resource/api"


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("https://douane.example/api", URL),
        ("https://douane.example/", "https://douane.example/.well-known/oauth-protected-resource"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/.well-known/oauth-protected-resource"),
    ],
)
def test_the_document_lies_between_host_and_path_of_the_resource(resource: str, expected: str) -> None:
    assert metadata_url(resource) == expected


def test_the_document_names_resource_issuers_and_scopes() -> None:
    document = protected_resource(
        resource="https://douane.example/api",
        authorization_servers=["https://idp.example/"],
        scopes=["douane:query"],
        documentation="https://douane.example/docs",
    )
    assert document == {
        "resource": "https://douane.example/api",
        "resource_name": "Douane",
        "authorization_servers": ["https://idp.example/"],
        "scopes_supported": ["douane:query"],
        "bearer_methods_supported": ["header"],
        "resource_documentation": "https://douane.example/docs",
    }


def test_a_request_without_token_is_told_no_error() -> None:
    assert challenge(metadata_url=URL) == f'Bearer resource_metadata="{URL}"'


def test_a_refused_token_is_told_why() -> None:
    value = challenge(metadata_url=URL, error="invalid_token", description="expired", scope=["a", "b"])
    assert value == f'Bearer error="invalid_token", error_description="expired", scope="a b", resource_metadata="{URL}"'


@given(st.text())
def test_no_text_breaks_out_of_its_quotes(text: str) -> None:
    value = challenge(metadata_url=URL, error="invalid_token", description=text)
    assert re.fullmatch(r'Bearer (\w+="[\x20\x21\x23-\x5b\x5d-\x7e]*", )+resource_metadata="[^"]*"', value)
