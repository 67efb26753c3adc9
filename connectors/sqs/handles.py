"""A handle is a receipt handle, the queue that it is of, and when its time is over.

SQS says yes to an old receipt handle whether or not it deletes the message by it. Only in its time is a yes one: after
it the handle is GONE, unasked, and the message comes again. Clocks of two gateways may differ by the margin.
"""

import re

_HANDLE = re.compile(r"([0-9]{1,16}):([A-Za-z0-9_.-]{1,85}):([!-~]{1,1024})", re.ASCII)
_MARGIN_S = 0.1


def handle(queue: str, receipt: str, until_s: float) -> str:
    """`until_s`: since 1970."""
    return f"{int((until_s - _MARGIN_S) * 1000)}:{queue}:{receipt}"


def receipt_of(handle: str, queue: str, now_s: float) -> str | None:
    """None: it is too old, or of another queue, or no handle."""
    found = _HANDLE.fullmatch(handle)
    if found is None or found[2] != queue or now_s * 1000 >= int(found[1]):
        return None
    return found[3]
