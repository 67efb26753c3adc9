"""JSON Schemas of the YAML policy files, for editors; made from the very models that read the files."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.policy.approvals_file import ApprovalsDocument
from app.policy.content_file import ObjectsDocument, TopicsDocument
from app.policy.data_file import DataDocument
from app.policy.labels import MasksDocument

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODELS: Mapping[str, tuple[type[BaseModel], str]] = {
    "approvals.schema.json": (ApprovalsDocument, "Douane policy: approvals.yaml"),
    "data-messages.schema.json": (TopicsDocument, "Douane policy: data/<connection>.yaml of a connection with topics"),
    "data-objects.schema.json": (ObjectsDocument, "Douane policy: data/<connection>.yaml of a connection with objects"),
    "data.schema.json": (DataDocument, "Douane policy: data/<connection>.yaml of a connection with tables"),
    "masks.schema.json": (MasksDocument, "Douane policy: masks.yaml"),
}


def schemas() -> dict[str, str]:
    """File name to text, ready to be written below docs/schemas."""
    return {name: _text(model, title) for name, (model, title) in _MODELS.items()}


def _text(model: type[BaseModel], title: str) -> str:
    schema: dict[str, Any] = {"$schema": _DIALECT, **model.model_json_schema(), "title": title}
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
