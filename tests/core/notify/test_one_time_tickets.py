"""Tickets: only what was signed for this purpose is read."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

import orjson
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.links import MAX_TICKET_CHARS, Ticket, Tickets

KEY = bytes(range(32))
TICKET = Ticket(nonce="ab" * 16, approval_id="apr_" + "cd" * 16, target="ops", expires_at="2026-11-24T10:00:00.000000Z")
ISSUED = Tickets(KEY).issue(TICKET)


def test_a_ticket_comes_back_as_it_was_issued() -> None:
    assert Tickets(KEY).read(ISSUED) == TICKET
    assert len(ISSUED) < MAX_TICKET_CHARS


def test_another_key_and_another_purpose_open_nothing() -> None:
    payload = orjson.dumps(["a", "b", "c", "2099"])
    for key, purpose in ((bytes(32), b"douane/approval-link/1\0"), (KEY, b"douane/cursor\0"), (KEY, b"")):
        tag = hmac.new(key, purpose + payload, sha256).digest()
        assert Tickets(KEY).read(urlsafe_b64encode(tag + payload).rstrip(b"=").decode()) is None


@given(st.integers(0, len(ISSUED) - 2), st.sampled_from("ABCabc019-_"))
def test_no_character_can_be_changed(place: int, other: str) -> None:
    changed = ISSUED[:place] + other + ISSUED[place + 1 :]
    assert changed == ISSUED or Tickets(KEY).read(changed) is None


@given(st.text(max_size=600))
def test_garbage_is_nobodys_ticket(text: str) -> None:
    assert Tickets(KEY).read(text) is None
