"""Structured logs: one JSON object per line on stderr. A key that is not on the allowlist never gets out.

Code logs events, `log.info("served", rows=12)`. What a library logs is reduced to its constant message template or, for
libraries that may format values into it, to the place that logged.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import PurePath
from types import TracebackType
from typing import Any, BinaryIO, cast

import orjson
import structlog

EVENT_KEYS = frozenset({
    "event", "level", "timestamp", "logger",
    "trace_id", "operation", "outcome", "code", "status", "duration_ms", "rows", "bytes", "client",
    "connection", "kind", "issuer", "kid", "policy_version", "catalog_version", "file", "line", "problems", "findings",
    "log", "index", "entries", "attempt", "retry_after_s", "reason", "workers", "worker", "pid", "host", "port",
    "version", "signal", "count", "keys", "rules", "state_dir", "config", "finding", "severity", "expires_at",
    "max_age_s", "error_type", "error_at", "causes", "template", "source", "dropped", "target",
})  # fmt: skip
"""Names of things and counts. Absent on purpose: sql, statement, params, token, sub, principal, claims, url, body."""

MAX_TEXT_CHARS = 300
_TEMPLATES_ARE_CONSTANT = ("uvicorn", "asyncio")
_FRAMES = 4

Event = MutableMapping[str, Any]


def configure(*, level: str = "info", stream: BinaryIO | None = None) -> None:
    """Once per process, before the first event. Standard-library logging goes the same way."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    out = stream if stream is not None else sys.stderr.buffer
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            reduce_exception,
            keep_allowed,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(file=cast(BinaryIO, _Persistent(out))),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    # Libraries tell at INFO what they do; the operator needs what goes wrong, and the server's start and end.
    root.setLevel(max(threshold, logging.WARNING))
    logging.getLogger("uvicorn").setLevel(threshold)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], name != "uvicorn.access"
    logging.captureWarnings(capture=True)


class _Persistent:
    """A disk without room for the log must not end what wanted to log: lines are lost, and counted when there is room
    again. Requests are on the audit trail, which fails closed; this is the operator's view beside it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lost = 0

    def write(self, line: Any) -> int:
        try:
            if self._lost:
                self._stream.write(b'\n{"event":"log_lines_lost","level":"warning","count":%d}\n' % self._lost)
                self._stream.flush()
                self._lost = 0
            return self._stream.write(line)
        except OSError:
            self._lost += 1
            return 0

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._lost += 1


def reduce_exception(_logger: Any, _method: str, event: Event) -> Event:
    """An exception's type and where it came from; its message may quote data, so it stays here."""
    info = event.pop("exc_info", None)
    event.pop("stack_info", None)
    error: BaseException | None = None
    if isinstance(info, BaseException):
        error = info
    elif isinstance(info, tuple):
        error = info[1]
    elif info:
        error = sys.exc_info()[1]
    if error is not None:
        event["error_type"] = f"{type(error).__module__}.{type(error).__qualname__}"
        event["error_at"] = _places(error.__traceback__)
    return event


def _places(trace: TracebackType | None) -> list[str]:
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{_short(code.co_filename)}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames[-_FRAMES:]


def _short(filename: str) -> str:
    return "/".join(PurePath(filename).parts[-3:])


def keep_allowed(_logger: Any, _method: str, event: Event) -> Event:
    """Drops keys that are not on the list, and says which; bounds every value that stays."""
    dropped = [key for key in event if key not in EVENT_KEYS]
    for key in dropped:
        del event[key]
    for key, value in event.items():
        event[key] = _bounded(value)
    if dropped:
        event["dropped"] = sorted(key[:40] for key in dropped)[:20]
    return event


def _bounded(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return value[:MAX_TEXT_CHARS]
        case list() | tuple():
            return [_bounded(item) for item in value[:20] if isinstance(item, str | int | float | bool)]
        case _:
            return f"<{type(value).__qualname__}>"


def render(_logger: Any, _method: str, event: Mapping[str, Any]) -> bytes:
    return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS)


class _ToStructlog(logging.Handler):
    """Arguments of a library's message are values: only the template is written, and only where it is a constant."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.name.split(".")[0] in _TEMPLATES_ARE_CONSTANT and isinstance(record.msg, str):
            fields["template"] = record.msg
        else:
            fields["source"] = f"{_short(record.pathname)}:{record.lineno}"
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        method = "warning" if record.levelno == logging.WARNING else "error" if record.levelno > 30 else "info"
        getattr(structlog.get_logger(), method)("library_message", **fields)
