from base64 import b64decode, b64encode
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from app.audit.checkpoint import BadCheckpoint, Checkpoint, Vkey, parse_signed, parse_vkey, sign, vkey_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
ORIGIN = "douane.example/log/0"
VKEY = vkey_of(ORIGIN, KEY)
HEAD = Checkpoint(origin=ORIGIN, size=20_852_163, root=bytes(range(32)))
NOTE = sign(HEAD, KEY)


def test_a_signed_checkpoint_reads_back() -> None:
    assert parse_signed(NOTE, VKEY) == HEAD
    assert NOTE.decode().splitlines()[:4] == [ORIGIN, "20852163", b64encode(HEAD.root).decode(), ""]
    assert NOTE.decode().splitlines()[4].startswith(f"— {ORIGIN} ")


def test_a_verifier_key_of_another_implementation_reads_and_verifies() -> None:
    # The example key and note of Go's sumdb/note
    vkey = parse_vkey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    raw = b64decode("x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=")
    assert raw[:4] == vkey.key_id
    Ed25519PublicKey.from_public_bytes(vkey.key).verify(raw[4:], text.encode())
    assert str(vkey) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_verifier_key_reads_back() -> None:
    assert parse_vkey(f"{VKEY}\n") == VKEY


@pytest.mark.parametrize(
    "wrong",
    ["", "name", "name+00000000+AAAA", str(VKEY)[:-4], str(VKEY).replace("+", "+0", 1), str(VKEY) + "A", f"x{VKEY}"],
)
def test_a_verifier_key_that_is_not_whole_is_refused(wrong: str) -> None:
    with pytest.raises(BadCheckpoint):
        parse_vkey(wrong)


def test_no_bit_of_a_signed_checkpoint_can_change() -> None:
    for at in range(len(NOTE) * 8):
        changed = bytearray(NOTE)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(BadCheckpoint):
            parse_signed(bytes(changed), VKEY)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_crash_the_parser(data: bytes) -> None:
    for note in (data, data + b"\n\n" + NOTE.split(b"\n\n")[1], NOTE + data[:0]):
        with suppress(BadCheckpoint):
            assert parse_signed(note, VKEY) == HEAD


def test_a_checkpoint_of_another_key_or_log_is_refused() -> None:
    with pytest.raises(BadCheckpoint, match="not signed by this key"):
        parse_signed(sign(HEAD, OTHER_KEY), VKEY)
    with pytest.raises(BadCheckpoint, match="another log"):
        parse_signed(sign(Checkpoint(origin="other", size=1, root=bytes(32)), KEY), VKEY)


def test_witness_signatures_are_passed_over_and_a_wrong_one_of_ours_is_not() -> None:
    witness = Vkey("witness.example/w", OTHER_KEY.public_key().public_bytes_raw())
    line = "— witness.example/w " + b64encode(witness.key_id + bytes(72)).decode() + "\n"
    assert parse_signed(NOTE + line.encode(), VKEY) == HEAD
    forged = f"— {ORIGIN} " + b64encode(VKEY.key_id + bytes(64)).decode() + "\n"
    with pytest.raises(BadCheckpoint, match="signature is wrong"):
        parse_signed(NOTE + forged.encode(), VKEY)


@pytest.mark.parametrize(
    "body",
    [
        f"{ORIGIN}\n01\n{b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n-1\n{b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n١\n{b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n1\n{b64encode(bytes(31)).decode()}\n",
        f"{ORIGIN}\n1\n",
        f"{ORIGIN}\n1\n{b64encode(bytes(32)).decode()}\nextension\n",
    ],
)
def test_a_body_that_is_not_exactly_three_lines_is_refused_even_when_signed(body: str) -> None:
    signature = b64encode(VKEY.key_id + KEY.sign(body.encode())).decode()
    with pytest.raises(BadCheckpoint):
        parse_signed(f"{body}\n— {ORIGIN} {signature}\n".encode(), VKEY)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb", "a\u00a0b", "a\x00b"])
def test_an_origin_that_breaks_a_note_is_refused(origin: str) -> None:
    with pytest.raises(BadCheckpoint):
        vkey_of(origin, KEY)


def test_too_large_a_note_is_refused() -> None:
    with pytest.raises(BadCheckpoint, match="too large"):
        parse_signed(b"x" * 70_000, VKEY)
