"""boto3's clients of services of AWS and of what speaks like them, all on one copy of what they know of a service."""

import gzip
import json
import os
import threading
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.loaders import JSONFileLoader, Loader
from botocore.session import Session


class _WithoutManual(JSONFileLoader):
    """The model of a service holds its manual between the lines, which nobody reads here."""

    def load_file(self, file_path: str) -> Any:
        for name, opened in ((f"{file_path}.json", open), (f"{file_path}.json.gz", gzip.open)):
            if os.path.isfile(name):
                with opened(name, "rb") as file:
                    return json.load(file, object_hook=_without_manual)
        return None


_MODELS = Loader(file_loader=_WithoutManual())
"""Each session would read its own: 12 MB a client instead of 3."""
_BUILDING = threading.Lock()


def client_of(
    service: str, secrets: Mapping[str, str], *, region: str | None, endpoint_url: str | None, config: Config
) -> Any:
    """Thread-safe. `secrets`: `access_key`, `secret_key`, `session_token`; without any, what boto3 finds on the
    machine. Raises what boto3 raises."""
    session = Session()
    session.register_component("data_loader", _MODELS)
    with _BUILDING:
        return boto3.session.Session(
            aws_access_key_id=secrets.get("access_key"),
            aws_secret_access_key=secrets.get("secret_key"),
            aws_session_token=secrets.get("session_token"),
            region_name=region,
            botocore_session=session,
        ).client(service, endpoint_url=endpoint_url, config=config)  # type: ignore[call-overload]


def _without_manual(part: dict[str, Any]) -> dict[str, Any]:
    if isinstance(part.get("documentation"), str):
        part["documentation"] = ""
    return part
