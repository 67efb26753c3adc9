"""Parameters are typed as the SQL literal of the same JSON value would be, and always bound."""

import json
from collections.abc import Mapping
from typing import Any

from app.gateway.errors import FieldError, StatementInvalid
from app.ports import MaskKeys
from app.sql.statement import Bind, JsonType, KeyBind, ParamBind, Refusal, ValueBind

_INT4 = 2**31
_INT8 = 2**63
_BLOCK_BYTES = 64
_ITEM_ARRAYS = {
    JsonType.INT4: JsonType.INT_ARRAY,
    JsonType.INT8: JsonType.INT_ARRAY,
    JsonType.NUMERIC: JsonType.NUMERIC_ARRAY,
    JsonType.BOOL: JsonType.BOOL_ARRAY,
    JsonType.TEXT: JsonType.TEXT_ARRAY,
}
_UNIFORM: Mapping[type, JsonType] = {
    str: JsonType.TEXT_ARRAY,
    bool: JsonType.BOOL_ARRAY,
    float: JsonType.NUMERIC_ARRAY,
    dict: JsonType.JSON,
    list: JsonType.JSON,
}
"""Long lists are of one class as a rule, and of most classes the class says everything."""


def json_type(value: Any) -> JsonType:
    match value:
        case None:
            return JsonType.NULL
        case bool():
            return JsonType.BOOL
        case int():
            if -_INT4 <= value < _INT4:
                return JsonType.INT4
            return JsonType.INT8 if -_INT8 <= value < _INT8 else JsonType.NUMERIC
        case float():
            return JsonType.NUMERIC
        case str():
            return JsonType.TEXT
        case list():
            return _array_type(value)
        case _:
            return JsonType.JSON


def _array_type(items: list[Any]) -> JsonType:
    alike = _UNIFORM.get(next(iter(classes))) if len(classes := set(map(type, items))) == 1 else None
    if alike is not None:
        return alike
    kinds = {_ITEM_ARRAYS.get(json_type(item), JsonType.JSON) for item in items if item is not None}
    if not kinds:
        return JsonType.TEXT_ARRAY
    if kinds == {JsonType.INT_ARRAY, JsonType.NUMERIC_ARRAY}:
        return JsonType.NUMERIC_ARRAY
    return kinds.pop() if len(kinds) == 1 else JsonType.JSON


def param_types(params: Mapping[str, Any]) -> dict[str, JsonType]:
    return {name: json_type(value) for name, value in params.items()}


class Binder:
    """Turns a plan's binds into arguments. Key material is padded once per domain (HMAC, RFC 2104)."""

    def __init__(self, keys: MaskKeys) -> None:
        self._keys = keys
        self._parts: dict[tuple[str, str], bytes] = {}

    def args(self, binds: tuple[Bind, ...], params: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple([self._value(bind, params) for bind in binds])

    def _value(self, bind: Bind, params: Mapping[str, Any]) -> Any:
        match bind:
            case ParamBind(name=name, type=kind):
                value = params[name]
                # Not orjson: it refuses the integers beyond 64 bits that JSON and PostgreSQL's jsonb have.
                return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if kind is JsonType.JSON else value
            case KeyBind(domain=domain, part=part):
                return self._key_part(domain, part)
            case ValueBind(value=value):
                return value

    def _key_part(self, domain: str, part: str) -> bytes:
        known = self._parts.get((domain, part))
        if known is None:
            key = self._keys.key(domain)
            pads = {"inner": 0x36, "outer": 0x5C}
            known = key if part == "key" else bytes(b ^ pads[part] for b in key.ljust(_BLOCK_BYTES, b"\0"))
            self._parts[domain, part] = known
        return known


def parameter_misfit(binds: tuple[Bind, ...], index: int | None) -> StatementInvalid:
    """The engine does not take a value for the type it inferred; says which, never the value."""
    name = None
    if index is not None and index < len(binds) and isinstance(bind := binds[index], ParamBind):
        name = bind.name
    where = "A parameter" if name is None else f"Parameter {name!r}"
    return StatementInvalid(
        f"{where} does not fit the type that the statement gives it: send a matching JSON type, or add a cast "
        "such as :name::date.",
        code=Refusal.PARAMETERS.value,
        errors=()
        if name is None
        else (
            FieldError(pointer="/params/" + name.replace("~", "~0").replace("/", "~1"), detail="does not fit its use"),
        ),
    )
