"""Topics, as every broker can hold them: words with dots between, no wildcard, nothing of the broker's own."""

import re
from typing import NewType

MAX_TOPIC_CHARACTERS = 200

Topic = NewType("Topic", str)

_TOPIC = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_OF_THE_BROKER = re.compile(r"amq\.", re.IGNORECASE)


class TopicRefused(Exception):  # noqa: N818 - names what happened to the topic
    """`code` is "form" or "reserved"; `detail` is a sentence for the caller and says the next step."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def parse_topic(raw: str) -> Topic:
    """Raises TopicRefused. A name that begins with "_" or "$" (NATS inboxes, Kafka's offsets, `$SYS`) or with "amq."
    (RabbitMQ) is a broker's own."""
    if raw[:1] in ("_", "$") or _OF_THE_BROKER.match(raw):
        raise TopicRefused("reserved", "Topics with this beginning are the broker's own. Choose another topic.")
    if len(raw) > MAX_TOPIC_CHARACTERS or not _TOPIC.fullmatch(raw):
        raise TopicRefused(
            "form",
            "A topic is made of letters, digits, _ and -, with single dots between its words, such as orders.created; "
            f"no wildcard, at most {MAX_TOPIC_CHARACTERS} characters.",
        )
    return Topic(raw)
