"""The shipped JSON Schema is that of the code."""

import json
from pathlib import Path

from app.settings.schema import schema_document

SHIPPED = Path(__file__).parents[3] / "docs/schemas/douane.schema.json"


def test_the_shipped_schema_is_up_to_date() -> None:
    assert SHIPPED.read_bytes() == schema_document(), "write app.settings.schema.schema_document() to docs/schemas"


def test_the_schema_takes_no_unknown_key() -> None:
    schema = json.loads(schema_document())
    sections = [schema, *(d for d in schema["$defs"].values() if "properties" in d)]
    assert all(section["additionalProperties"] is False for section in sections)
