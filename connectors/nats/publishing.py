"""What the stream says of a message that was published to it.

Whoever may subscribe to a subject is sent the reply subject as well, and can answer before the stream does: only what
the stream alone would say counts. Source: NATS ADR-1 and nats-server's JSPubAckResponse.
"""

import json

from connectors.contract import Confirmed
from connectors.nats.management import ApiError


def answered(body: bytes, stream: str) -> Confirmed | ApiError | None:
    """None: it is no answer of the stream's."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match answer:
        case {"error": {"err_code": int(code)} | {"code": int(code)}}:
            return ApiError(code)
        case {"stream": told, "seq": int(number)} if told == stream and number > 0 and number is not True:
            return Confirmed(message_id=str(number), duplicate=answer.get("duplicate") is True)
        case _:
            return None
