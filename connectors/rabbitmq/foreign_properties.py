"""Properties of messages as any sender may set them. The driver's decoder raises for a time beyond the year 9999 and
for text that is not UTF-8, and then the connection ends: such a message would come first again and keep all behind it
for good. Here the time is left out, and the text comes with replacement characters."""

from collections.abc import Callable
from typing import Any

from pamqp import decode

_Decoder = Callable[[bytes], tuple[int, Any]]
_TIME_BYTES = 8


def accept() -> None:
    """Once or more often; for every connection of this process."""
    decode.METHODS["timestamp"] = _or(decode.timestamp, lambda _: (_TIME_BYTES, None))
    decode.METHODS["shortstr"] = _or(decode.short_str, _short)
    decode.METHODS["table"] = _or(decode.field_table, _no_table)
    decode.TABLE_MAPPING[b"T"] = decode.METHODS["timestamp"]
    decode.TABLE_MAPPING[b"F"] = decode.METHODS["table"]


def _or(strict: _Decoder, lenient: _Decoder) -> _Decoder:
    def decoded(value: bytes) -> tuple[int, Any]:
        try:
            return strict(value)
        except (ValueError, OverflowError, OSError):
            return lenient(value)

    return decoded


def _short(value: bytes) -> tuple[int, str]:
    end = 1 + value[0]
    return end, value[1:end].decode("utf-8", "replace")


def _no_table(value: bytes) -> tuple[int, dict[str, Any]]:
    """Of one whose names are no text, nothing is told."""
    return 4 + int.from_bytes(value[:4], "big"), {}
