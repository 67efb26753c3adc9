"""W3C trace context: a caller's valid `traceparent` is continued, anything else starts a new trace."""

import re
from dataclasses import dataclass
from random import Random, SystemRandom

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_MAX_CHARS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    trace_id: str
    """32 lower-case hex digits, never all zero."""
    parent_id: str | None
    """The caller's span; None: the trace starts here."""
    sampled: bool

    def header(self, span_id: str) -> str:
        """The `traceparent` to send on, version 00."""
        return f"00-{self.trace_id}-{span_id}-{'01' if self.sampled else '00'}"


def parse_traceparent(value: str | bytes | None) -> Trace | None:
    """None for what is absent or breaks the recommendation: upper case, zero ids, version ff, extra parts in 00."""
    if value is None or len(value) > _MAX_CHARS:
        return None
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    match = _TRACEPARENT.fullmatch(text)
    if match is None:
        return None
    version, trace_id, parent_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return Trace(trace_id=trace_id, parent_id=parent_id, sampled=bool(int(flags, 16) & 1))


def new_trace() -> Trace:
    return Trace(trace_id=_nonzero_hex(16), parent_id=None, sampled=False)


def new_span_id() -> str:
    return _nonzero_hex(8)


def trace_of(traceparent: str | bytes | None) -> Trace:
    """The caller's trace where the header is valid, else a new one."""
    return parse_traceparent(traceparent) or new_trace()


_random = Random(SystemRandom().getrandbits(256))  # noqa: S311 - trace ids are unique, not secret; a system call costs more


def _nonzero_hex(size: int) -> str:
    return f"{_random.getrandbits(8 * size) or 1:0{2 * size}x}"
