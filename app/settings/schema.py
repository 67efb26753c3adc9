"""The JSON Schema of douane.yaml, for editors; shipped as docs/schemas/douane.schema.json."""

import orjson

from app.settings.model import Settings

SCHEMA_ID = "https://douane.example/schemas/douane.schema.json"


def schema_document() -> bytes:
    """Stable bytes: a test compares them with the shipped file."""
    schema = Settings.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}
    schema["title"] = "douane.yaml"
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
