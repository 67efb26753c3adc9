from typing import Any

import pytest

from app.gateway.parameters import Binder, json_type, parameter_misfit
from app.sql.statement import JsonType, KeyBind, ParamBind, ValueBind


class OneKey:
    def key(self, domain: str) -> bytes:
        return domain.encode().ljust(32, b"k")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, JsonType.NULL),
        (True, JsonType.BOOL),
        (2**31 - 1, JsonType.INT4),
        (2**31, JsonType.INT8),
        (-(2**31), JsonType.INT4),
        (2**63 - 1, JsonType.INT8),
        (2**63, JsonType.NUMERIC),
        (1.5, JsonType.NUMERIC),
        ("1", JsonType.TEXT),
        ([], JsonType.TEXT_ARRAY),
        ([1, 2**40, None], JsonType.INT_ARRAY),
        ([1, 2.5], JsonType.NUMERIC_ARRAY),
        (["a", None], JsonType.TEXT_ARRAY),
        ([True], JsonType.BOOL_ARRAY),
        ([1, "a"], JsonType.JSON),
        ([{"a": 1}], JsonType.JSON),
        ({"a": 1}, JsonType.JSON),
    ],
)
def test_a_parameter_is_typed_as_the_literal_of_its_json_value(value: Any, kind: JsonType) -> None:
    assert json_type(value) is kind


def test_binds_become_arguments_in_order() -> None:
    binds = (
        ValueBind(value="north"),
        ParamBind(name="n", type=JsonType.INT4),
        ParamBind(name="j", type=JsonType.JSON),
        KeyBind(domain="d", part="key"),
    )
    assert Binder(OneKey()).args(binds, {"n": 3, "j": {"a": [1]}}) == ("north", 3, '{"a":[1]}', OneKey().key("d"))


def test_padded_keys_are_the_two_blocks_of_hmac() -> None:
    inner, outer = Binder(OneKey()).args((KeyBind(domain="d", part="inner"), KeyBind(domain="d", part="outer")), {})
    assert len(inner) == len(outer) == 64
    assert bytes(b ^ 0x36 for b in inner) == bytes(b ^ 0x5C for b in outer) == OneKey().key("d").ljust(64, b"\0")


def test_a_misfit_names_the_parameter_and_never_its_value() -> None:
    refused = parameter_misfit((ParamBind(name="since", type=JsonType.TEXT),), 0)
    assert "since" in refused.detail
    assert refused.errors[0].pointer == "/params/since"
