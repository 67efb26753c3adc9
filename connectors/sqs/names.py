"""A topic is the name of a queue without the connection's prefix: never two names for one queue."""

import re
from dataclasses import dataclass

_TOPIC = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_MAX_NAME = 80
_FIFO = ".fifo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """`fifo`: all queues of the connection are FIFO queues, whose names end in ".fifo"; topics do not."""

    prefix: str
    fifo: bool

    def queue(self, topic: str) -> str | None:
        """None: no queue can have that name."""
        name = f"{self.prefix}{topic}{_FIFO if self.fifo else ''}"
        return name if _TOPIC.fullmatch(topic) and len(name) <= _MAX_NAME else None

    def topic(self, queue: str) -> str | None:
        """None: it is none of this connection's."""
        if not queue.startswith(self.prefix) or queue.endswith(_FIFO) != self.fifo:
            return None
        topic = queue.removeprefix(self.prefix).removesuffix(_FIFO)
        return topic if self.queue(topic) == queue else None
