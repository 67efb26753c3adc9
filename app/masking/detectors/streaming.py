"""Text that comes in pieces: what lies across a border is found as if the text were whole, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from app.masking.detectors.found import Found

LONGEST_ENTITY = 1 << 16
"""Characters of the longest thing that is found wherever borders lie: a token whose parts make sense together alone."""
LEAD = 256
"""How much of the text before a piece is read again with it: the words that stand before an entity."""
PIECE = 256 * 1024

_KEY_GOES_ON = "-----BEGIN PRIVATE KEY-----\n"
_END_OF_KEY = "-----"

Find = Callable[[str], Sequence[Found]]


def lead_of(read: str, found: Sequence[Found]) -> str:
    """What is read again with the text that follows. `read`: all that was searched, the last of it; `found`: in it.
    A private key that has not ended goes on, however long it is."""
    open_key = any(one.entity == "private_key" and one.end == len(read) for one in found)
    return _KEY_GOES_ON if open_key and not read.endswith(_END_OF_KEY) else read[-LEAD:]


def pieces(
    find: Find, chunks: Iterable[str], *, longest: int = LONGEST_ENTITY, piece: int = PIECE
) -> Iterator[tuple[str, list[Found]]]:
    """The text again, in pieces that cut no entity but a private key, each with what is found in it; offsets are within
    the piece.

    An entity of up to `longest` characters is found wherever the chunks' borders lie. At most about
    `longest + piece` characters and the largest chunk are held.
    """
    lead, held = "", ""
    for chunk in chunks:
        held += chunk
        while len(held) >= longest + piece:
            # The tail may hold the beginning of an entity whose end has not come yet.
            searched = held[: longest + piece]
            found = _found(find, lead, searched)
            cut = _uncut(found, piece)
            yield held[:cut], [one for one in found if one.end <= cut]
            lead = lead_of(searched, found) if cut == len(searched) else (lead + held[:cut])[-LEAD:]
            held = held[cut:]
    if held:
        yield held, _found(find, lead, held)


def _uncut(found: Sequence[Found], cut: int) -> int:
    """`cut`, or the end of the entity that lies across it."""
    return next((one.end for one in found if one.start < cut < one.end), cut)


def _found(find: Find, lead: str, text: str) -> list[Found]:
    """What begins in `text`, or is a key that goes on in it; the lead is read for its words alone."""
    before = len(lead)
    return [
        Found(one.entity, one.label, max(one.start - before, 0), one.end - before, one.score)
        for one in find(lead + text)
        if one.start >= before or (lead == _KEY_GOES_ON and one.end > before)
    ]
