"""Escapes of JSON and its kin, of URLs and of HTML, as they stand in strings within strings, envelopes, lines of a log.

A text is read with its escapes decoded, because the letter of `\\n` would make one word with what follows it.
"""

import re
import sys

FILLER = "\xad"
"""Stands for the rest of an escape; folding takes it out."""

# A run of backslashes is read once, and is one escape however long: of strings within strings within strings.
_ESCAPE = re.compile(
    r"[\\%&](?:"
    r"(?<=\\)(?<!\\\\)\\*+(?:u[dD][89abAB][0-9a-fA-F]{2}\\++u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|"
    r"[nrtbf\"'/])|"
    r"(?<=%)[0-9a-fA-F]{2}|"
    r"(?<=&)(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|quot|apos|amp|lt|gt|nbsp|commat|plus|colon|equals);)"
)
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": "\n"}
_ENTITIES = {
    "quot": '"', "apos": "'", "amp": "&", "lt": "<", "gt": ">", "nbsp": " ", "commat": "@", "plus": "+", "colon": ":",
    "equals": "=",
}  # fmt: skip
_LETTER = "\xb5"


def decoded(text: str) -> str:
    """`text` with its escapes decoded, each as long as before: the character first, then fillers."""
    return _ESCAPE.sub(_decoded, text) if "\\" in text or "%" in text or "&" in text else text


def _decoded(escape: re.Match[str]) -> str:
    written = escape[0]
    match written[0]:
        case "%":
            character = _of_byte(int(written[1:], 16))
        case "&":
            character = _of_entity(written[1:-1])
        case _:
            character = _behind_backslashes(written.lstrip("\\"))
    return character + FILLER * (len(written) - 1)


def _behind_backslashes(named: str) -> str:
    match named[0], len(named):
        case "u", 5:
            return chr(int(named[1:], 16))
        case "u", _:
            return chr(0x10000 + ((int(named[1:5], 16) & 0x3FF) << 10) + (int(named[-4:], 16) & 0x3FF))
        case "x", _:
            return chr(int(named[1:], 16))
    return _PLAIN.get(named, named)


def _of_byte(code: int) -> str:
    """What a byte of UTF-8 is: beyond ASCII, the first of a character is some letter."""
    if code < 0x80:
        return chr(code)
    return _LETTER if code >= 0xC0 else FILLER


def _of_entity(named: str) -> str:
    if named[0] != "#":
        return _ENTITIES[named]
    code = int(named[2:], 16) if named[1] in "xX" else int(named[1:])
    return chr(code) if code <= sys.maxunicode else " "


def end_of_escape(text: str, start: int) -> int:
    """Behind the escape that begins at `start`; behind the one character there if none does."""
    escape = _ESCAPE.match(text, start)
    return escape.end() if escape else start + 1
