"""Signed tree heads in the C2SP forms: tlog-checkpoint bodies inside signed notes, Ed25519 only.

The key's name is the log's origin. Parsing is strict: what another implementation could read differently is refused.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.audit.merkle import HASH_BYTES

MAX_NOTE_BYTES = 65_536
MAX_SIGNATURES = 32
_ED25519 = b"\x01"
_DASH = "— "
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_KEY_ID = re.compile(r"[0-9a-f]{8}")


class BadCheckpoint(ValueError):  # noqa: N818 - a refusal of a note
    """Not a checkpoint, not of this log, or not signed by this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class Vkey:
    """A public key that verifies notes: `name+id+key`, as Go's sumdb/note spells it."""

    name: str
    key: bytes

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.key)}"


def vkey_of(origin: str, key: Ed25519PrivateKey) -> Vkey:
    return Vkey(valid_origin(origin), key.public_key().public_bytes_raw())


def valid_origin(origin: str) -> str:
    """An origin doubles as a key name: no spaces, no plus, no control characters."""
    if not origin or "+" in origin or not origin.isprintable() or any(c.isspace() for c in origin):
        raise BadCheckpoint("an origin is like douane.example/log: no spaces, no plus sign")
    return origin


def parse_vkey(text: str) -> Vkey:
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = _unbase64(encoded)
    if not _KEY_ID.fullmatch(key_id) or raw[:1] != _ED25519 or len(raw) != 33:
        raise BadCheckpoint("a verifier key reads name+8 hex digits+base64 of an Ed25519 key")
    vkey = Vkey(valid_origin(name), raw[1:])
    if vkey.key_id.hex() != key_id:
        raise BadCheckpoint("the verifier key's id is not that of its name and key")
    return vkey


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> bytes:
    vkey = vkey_of(checkpoint.origin, key)
    body = checkpoint.body()
    signature = vkey.key_id + key.sign(body.encode())
    return f"{body}\n{_DASH}{vkey.name} {_base64(signature)}\n".encode()


def parse_signed(note: bytes, vkey: Vkey) -> Checkpoint:
    """The checkpoint of a note that `vkey` signed. Signatures of other keys (witnesses) are passed over.
    Raises BadCheckpoint."""
    text, signatures = _split_note(note)
    checkpoint = _parse_body(text)
    if checkpoint.origin != vkey.name:
        raise BadCheckpoint("the checkpoint is of another log")
    mine = [s for name, s in signatures if name == vkey.name and s[:4] == vkey.key_id]
    if not mine:
        raise BadCheckpoint("the checkpoint is not signed by this key")
    public = Ed25519PublicKey.from_public_bytes(vkey.key)
    for signature in mine:
        try:
            public.verify(signature[4:], text.encode())
        except InvalidSignature:
            raise BadCheckpoint("the checkpoint's signature is wrong") from None
    return checkpoint


def _split_note(note: bytes) -> tuple[str, Sequence[tuple[str, bytes]]]:
    if len(note) > MAX_NOTE_BYTES:
        raise BadCheckpoint("the note is too large")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise BadCheckpoint("a note is UTF-8") from None
    if any(c < " " and c != "\n" for c in whole):
        raise BadCheckpoint("a note has no control characters")
    body, blank, tail = whole.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise BadCheckpoint("a note ends with signature lines after an empty line")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise BadCheckpoint("the note has too many signatures")
    return body + "\n", tuple(_signature(line) for line in lines)


def _signature(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH):
        raise BadCheckpoint("a signature line starts with an em dash and a space")
    raw = _unbase64(encoded)
    if len(raw) < 5:
        raise BadCheckpoint("a signature has a key id and a value")
    return valid_origin(name), raw


def _parse_body(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise BadCheckpoint("a checkpoint has an origin, a size and a root hash")
    if len(lines) > 3:
        raise BadCheckpoint("this log writes no extension lines")
    origin, size, root = lines
    if not _SIZE.fullmatch(size):
        raise BadCheckpoint("a tree size is a plain decimal number")
    raw = _unbase64(root)
    if len(raw) != HASH_BYTES:
        raise BadCheckpoint("a root hash has 32 bytes")
    return Checkpoint(origin=origin, size=int(size), root=raw)


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def _unbase64(text: str) -> bytes:
    try:
        raw = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise BadCheckpoint("not base64") from None
    if _base64(raw) != text:  # padding bits that differ would give one note two spellings
        raise BadCheckpoint("not canonical base64")
    return raw
