"""Escapes of JSON and its kin, as they stand in strings within strings, envelopes and lines of a log.

A text is read with its escapes decoded, because the letter of `\\n` would make one word with what follows it.
"""

import re

FILLER = "\xad"
"""Stands for the rest of an escape; folding takes it out."""

# The lookbehind makes a run of backslashes be read once. However many there are, they are one escape: of strings within
# strings within strings.
_ESCAPE = re.compile(
    r"(?<!\\)\\++(?:u[dD][89abAB][0-9a-fA-F]{2}\\++u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|"
    r"[nrtbf\"'/])"
)
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": "\n"}


def decoded(text: str) -> str:
    """`text` with its escapes decoded, each as long as before: the character first, then fillers."""
    return _ESCAPE.sub(_decoded, text) if "\\" in text else text


def _decoded(escape: re.Match[str]) -> str:
    written = escape[0]
    return _character(written.lstrip("\\")) + FILLER * (len(written) - 1)


def _character(named: str) -> str:
    match named[0], len(named):
        case "u", 5:
            return chr(int(named[1:], 16))
        case "u", _:
            return chr(0x10000 + ((int(named[1:5], 16) & 0x3FF) << 10) + (int(named[-4:], 16) & 0x3FF))
        case "x", _:
            return chr(int(named[1:], 16))
    return _PLAIN.get(named, named)


def end_of_escape(text: str, start: int) -> int:
    """Behind the escape that begins at `start`; behind the one character there if none does."""
    escape = _ESCAPE.match(text, start)
    return escape.end() if escape else start + 1
