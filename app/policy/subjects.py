"""Names of those who ask, as policy files may write them: the same alphabet that identity lets out of a token."""

import re
import unicodedata

ANYBODY = "*"
SUBJECT_FORM = "user:NAME, role:NAME, group:NAME, client:NAME or *"

_NAMED = re.compile(r"(?:user|role|group|client):[^\s*?\"\\](?:[^*?\"\\]*[^\s*?\"\\])?")


def is_named(text: str) -> bool:
    """Whether this is one subject by name. A spelling that no token can have is none: such a rule would never match."""
    if _NAMED.fullmatch(text) is None:
        return False
    return text.isprintable() and (text.isascii() or unicodedata.is_normalized("NFC", text))


def is_subject(text: str) -> bool:
    return text == ANYBODY or is_named(text)
