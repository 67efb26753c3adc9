"""Messages of others that are broken on purpose: each is read, whatever it says of itself, so that one of them keeps no
others back."""

from types import SimpleNamespace
from typing import Any

import pytest

from connectors.headers import decoded, joined
from connectors.kafka import forms as kafka
from connectors.sqs import wire as sqs


@pytest.mark.parametrize("packed", ["[" * 100_000, "{", "7", '{"a": 1}', '{"a": ["b"]}'])
def test_packed_headers_that_are_none_are_a_header_like_any_other(packed: str) -> None:
    assert joined({"x": "1"}, packed) == {"x": "1", "douane-headers": packed}


@pytest.mark.parametrize("text", ["%FF", "%C3", "%F0%9F", "a%80b"])
def test_a_key_that_nobody_encoded_is_a_key_as_it_is(text: str) -> None:
    assert decoded(text) == text


def _sqs(body: str, **attributes: str) -> Any:
    return {
        "MessageId": "m",
        "Body": body,
        "MessageAttributes": {
            name.replace("_", "-"): {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    }


@pytest.mark.parametrize("body", ["ünï", "é===", "=a", "a"])
def test_a_body_that_only_calls_itself_base64_is_text(body: str) -> None:
    assert sqs.incoming(_sqs(body, douane_encoding="base64"), "h").body == body.encode()


def test_a_foreign_key_is_read_from_sqs() -> None:
    assert sqs.incoming(_sqs("x", douane_message_id="m", douane_key="%FF"), "h").key == "%FF"


@pytest.mark.parametrize("timestamp", [2**62, 2**63 - 1, 253_402_300_800_000, -1, None])
def test_a_time_that_is_none_is_left_out(timestamp: int | None) -> None:
    record = SimpleNamespace(headers=[], topic="t", partition=0, offset=1, value=b"x", key=None, timestamp=timestamp)
    read = kafka.read(record, "h", 1)
    assert (read.published_at, read.body) == (None, b"x")
