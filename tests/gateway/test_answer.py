import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from app.gateway.answer import SPOOL_ABOVE_BYTES, Spool, json_answer, next_link


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_a_spool_gives_back_what_it_took_and_its_digest(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    with Spool() as spool:
        for chunk in chunks:
            spool.add(chunk)
        assert b"".join(spool.pieces()) == whole
        assert spool.digest() == hashlib.sha256(whole).hexdigest()
        assert spool.size == len(whole)


def test_a_spool_beyond_memory_keeps_order_and_digest() -> None:
    chunk = bytes(range(256)) * 4096
    count = SPOOL_ABOVE_BYTES // len(chunk) * 2 + 3
    with Spool() as spool:
        for _ in range(count):
            spool.add(chunk)
        spool.add(b"end")
        whole = b"".join(spool.pieces())
        assert whole == chunk * count + b"end"
        assert spool.digest() == hashlib.sha256(whole).hexdigest()


def test_the_digest_covers_the_whole_body_with_its_receipt() -> None:
    answer = json_answer(200, {"a": 1})
    digest = answer.seal({"log": "x", "index": 7})
    body = b"".join(answer.opening.pieces())
    assert json.loads(body) == {"a": 1, "receipt": {"log": "x", "index": 7}}
    assert digest == hashlib.sha256(body).hexdigest()


def test_the_next_link_carries_the_cursor_percent_encoded() -> None:
    assert next_link("http://h/p", "a=b&c", {"limit": "1"}) == {
        "link": '<http://h/p?limit=1&cursor=a%3Db%26c>; rel="next"'
    }
    assert next_link("http://h/p", None, {}) == {}
