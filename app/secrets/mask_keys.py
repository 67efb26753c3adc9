"""Keys of pseudonym domains, derived from one master key: HKDF-SHA-256, one info string per domain."""

import base64
import binascii
import re
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from app.secrets.reference import SecretMissing, create_private_file

KEY_BYTES = 32
_INFO = b"douane mask key v1\x00"
_HEX = re.compile(r"[0-9a-fA-F]{64}")


class MaskKeyring:
    """Fills `ports.MaskKeys`. Read once: a pseudonym stays the same for as long as the process lives."""

    __slots__ = ("_keys", "_master")

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise ValueError(f"the master key has {len(master)} bytes; it needs {KEY_BYTES}")
        self._master = master
        self._keys: dict[str, bytes] = {}

    def key(self, domain: str) -> bytes:
        """32 bytes. Domains are the labels of the policy, so there are few of them."""
        known = self._keys.get(domain)
        if known is None:
            known = HKDFExpand(SHA256(), KEY_BYTES, _INFO + domain.encode()).derive(self._master)
            self._keys[domain] = known
        return known

    def __repr__(self) -> str:
        return "MaskKeyring(…)"


class NoMaskKeys:
    """Fills `ports.MaskKeys` where no master key is configured: whatever needs a key is refused."""

    def key(self, domain: str) -> bytes:
        raise SecretMissing(f"a pseudonym of domain {domain} needs masking.key in the configuration")


def parse_master_key(text: str) -> bytes:
    """64 hex digits, or base64 (either alphabet) of 32 bytes. Raises SecretMissing, which quotes nothing."""
    text = text.strip()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        raw = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise SecretMissing("the key is neither 64 hex digits nor base64 of 32 bytes: `openssl rand -hex 32` makes one")
    return raw


def ensure_key_file(path: Path) -> Path:
    """A master key of 32 random bytes in a file that only its owner can read; an existing file stays."""
    create_private_file(path, secrets.token_hex(KEY_BYTES) + "\n")
    return path
