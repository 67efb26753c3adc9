"""Log lines: JSON, events and counts; never a value, whoever logs."""

import errno
import io
import logging
import warnings
from collections.abc import Iterator

import orjson
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from app.telemetry.logs import EVENT_KEYS, configure, keep_allowed, reduce_exception, render

VALUES = st.none() | st.integers(-(2**53), 2**53) | st.text(max_size=400) | st.binary(max_size=20)


@pytest.fixture
def lines() -> Iterator[io.BytesIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.BytesIO()
    configure(stream=stream)
    yield stream
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def parsed(stream: io.BytesIO) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json(lines: io.BytesIO) -> None:
    structlog.get_logger().info("served", rows=12, operation="query_sql")
    (line,) = parsed(lines)
    assert line["event"] == "served"
    assert (line["rows"], line["operation"], line["level"]) == (12, "query_sql", "info")
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize("key", ["sql", "statement", "params", "token", "sub", "principal", "claims", "url", "body"])
def test_a_key_that_may_hold_a_value_is_dropped_and_named(lines: io.BytesIO, key: str) -> None:
    structlog.get_logger().info("served", **{key: "hunter2"})
    (line,) = parsed(lines)
    assert key not in line
    assert line["dropped"] == [key]
    assert b"hunter2" not in lines.getvalue()


def test_an_exception_shows_its_type_and_place_but_not_its_message(lines: io.BytesIO) -> None:
    try:
        int("hunter2")
    except ValueError:
        structlog.get_logger().exception("fault")
    structlog.get_logger().error("fault", exc_info=KeyError("hunter2"))
    first, second = parsed(lines)
    assert first["error_type"] == "builtins.ValueError"
    assert "test_logs_carry_no_values.py" in str(first["error_at"])
    assert second["error_type"] == "builtins.KeyError"
    assert b"hunter2" not in lines.getvalue()


@pytest.mark.filterwarnings("always")
def test_a_library_that_formats_values_into_its_message_shows_its_place_alone(lines: io.BytesIO) -> None:
    logging.getLogger("asyncpg.pool").warning("bad value hunter2")
    logging.getLogger("asyncpg.pool").error("bad value %s", "hunter2")
    warnings.warn("hunter2", UserWarning, stacklevel=1)
    found = parsed(lines)
    assert [line["event"] for line in found] == ["library_message"] * 3
    assert all("source" in line for line in found)
    assert b"hunter2" not in lines.getvalue()


def test_the_server_shows_its_constant_templates_without_arguments(lines: io.BytesIO) -> None:
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 4711)
    logging.getLogger("uvicorn.access").info("%s %s", "hunter2", "/v1")
    (line,) = parsed(lines)
    assert line["template"] == "Started server process [%d]"
    assert b"4711" not in lines.getvalue()


def test_an_object_is_never_asked_what_it_holds(lines: io.BytesIO) -> None:
    class Row:
        def __repr__(self) -> str:
            return "hunter2"

    structlog.get_logger().info("served", reason=Row(), problems=[Row(), "a.csv:3"])
    (line,) = parsed(lines)
    assert line["reason"] == "<test_an_object_is_never_asked_what_it_holds.<locals>.Row>"
    assert line["problems"] == ["a.csv:3"]


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=20), VALUES | st.lists(VALUES, max_size=5), max_size=8))
def test_whatever_is_logged_becomes_a_line_with_allowed_keys_alone(fields: dict[str, object]) -> None:
    event = keep_allowed(None, "info", reduce_exception(None, "info", {"event": "e", **fields}))
    assert set(event) <= EVENT_KEYS
    assert len(render(None, "info", event).splitlines()) == 1


class FullDisk(io.BytesIO):
    full = False

    def write(self, line: bytes) -> int:  # type: ignore[override]
        if self.full:
            raise OSError(errno.ENOSPC, "no space left")
        return super().write(line)


def test_a_log_without_room_loses_lines_and_counts_them_and_ends_nobody() -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = FullDisk()
    configure(stream=stream)
    try:
        log = structlog.get_logger()
        log.info("served", rows=1)
        stream.full = True
        log.info("served", rows=2)
        log.error("fault")
        stream.full = False
        log.info("served", rows=4)
    finally:
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
        root.handlers, root.level = handlers, level
    found = [orjson.loads(line) for line in stream.getvalue().splitlines() if line]
    assert [(line["event"], line.get("rows"), line.get("count")) for line in found] == [
        ("served", 1, None),
        ("log_lines_lost", None, 2),
        ("served", 4, None),
    ]
