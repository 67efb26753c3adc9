import json
from pathlib import Path

import pytest

from app.policy.schemas import schemas

FOLDER = Path(__file__).parents[3] / "docs" / "schemas"


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_shipped_schema_is_the_one_that_the_models_make(name: str) -> None:
    shipped = (FOLDER / name).read_text(encoding="utf-8")
    assert shipped == schemas()[name], "run: python scripts/policy_schemas.py"
    assert json.loads(shipped)["additionalProperties"] is False
