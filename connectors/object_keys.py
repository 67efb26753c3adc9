"""Which names that a store holds are keys: the normal form of the contract, asked of names that come from outside."""

import unicodedata

MAX_KEY_BYTES = 1_024


def is_key(name: str) -> bool:
    """Relative, no empty, "." or ".." segment, no control character, NFC, at most MAX_KEY_BYTES of UTF-8."""
    return _is_short_text(name) and all(map(_is_segment, name.split("/")))


def is_folded(name: str) -> bool:
    """A prefix of keys that ends with a "/"."""
    return name.endswith("/") and is_key(name[:-1])


def _is_short_text(name: str) -> bool:
    if name.isascii():
        return len(name) <= MAX_KEY_BYTES and name.isprintable()
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return False
    return len(name.encode()) <= MAX_KEY_BYTES and unicodedata.is_normalized("NFC", name)


def _is_segment(segment: str) -> bool:
    return segment not in ("", ".", "..")
