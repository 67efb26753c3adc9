"""Topics are plain names: no wildcard, nothing of the broker's own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages.topics import MAX_TOPIC_CHARACTERS, TopicRefused, parse_topic
from app.policy.resources import covers, topic_resource


@pytest.mark.parametrize(
    "raw", ["orders", "orders.created", "orders.eu-west_1.created", "billing.fifo", "0", "x" * MAX_TOPIC_CHARACTERS]
)
def test_a_plain_name_is_a_topic(raw: str) -> None:
    assert parse_topic(raw) == raw


@pytest.mark.parametrize(
    "raw",
    [*"*>#/.", "", "a.", ".a", "a..b", "a.*", "a.>", "a b", "a/b", "a\n", "a\x00", "é", "a:b", "a$b", "%61", "x" * 201],
)
def test_what_is_no_plain_name_is_refused(raw: str) -> None:
    with pytest.raises(TopicRefused) as refused:
        parse_topic(raw)
    assert refused.value.code == "form"


@pytest.mark.parametrize("raw", ["$SYS.x", "$JS.API", "_INBOX.a", "__consumer_offsets", "amq.direct", "AMQ.direct"])
def test_what_belongs_to_the_broker_is_refused(raw: str) -> None:
    with pytest.raises(TopicRefused) as refused:
        parse_topic(raw)
    assert refused.value.code == "reserved"


@given(st.text(alphabet="aZ0_-.*>#$/ \n", max_size=8))
def test_any_text_is_refused_or_is_a_topic_as_it_stands(raw: str) -> None:
    try:
        topic = parse_topic(raw)
    except TopicRefused:
        return
    assert topic == raw
    assert re.fullmatch(r"[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*", raw)


def test_a_star_covers_every_topic_that_begins_so_because_dots_are_plain_characters() -> None:
    assert covers("events/orders.*", topic_resource("events", "orders.created"))
    assert covers("events/orders.*", topic_resource("events", "orders.eu.created"))
    assert not covers("events/orders.*", topic_resource("events", "orders"))
    assert not covers("events/orders.*", topic_resource("events", "partner.orders.created"))
