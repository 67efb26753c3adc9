"""What an agent without a token learns: the RFC 9728 document and the WWW-Authenticate value that points at it."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

WELL_KNOWN = "/.well-known/oauth-protected-resource"
_NOT_QUOTABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


def metadata_url(resource: str) -> str:
    """RFC 9728 section 3.1: the well-known part goes between host and path of the resource identifier."""
    parts = urlsplit(resource)
    path = "" if parts.path == "/" else parts.path
    return urlunsplit((parts.scheme, parts.netloc, WELL_KNOWN + path, parts.query, ""))


def protected_resource(
    *,
    resource: str,
    authorization_servers: Sequence[str],
    scopes: Sequence[str],
    documentation: str | None = None,
    name: str = "Douane",
) -> dict[str, Any]:
    """`resource` is the identifier that tokens carry in `aud`."""
    document: dict[str, Any] = {
        "resource": resource,
        "resource_name": name,
        "authorization_servers": list(authorization_servers),
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
    }
    if documentation is not None:
        document["resource_documentation"] = documentation
    return document


def challenge(
    *, metadata_url: str, error: str | None = None, description: str | None = None, scope: Sequence[str] = ()
) -> str:
    """A WWW-Authenticate value. Without `error` for requests that brought no token (RFC 6750 section 3.1); any text is
    safe here: what a quoted string cannot hold becomes a question mark."""
    parameters = {
        "error": error,
        "error_description": description,
        "scope": " ".join(scope) or None,
        "resource_metadata": metadata_url,
    }
    given = (f'{name}="{_NOT_QUOTABLE.sub("?", value)}"' for name, value in parameters.items() if value is not None)
    return "Bearer " + ", ".join(given)
