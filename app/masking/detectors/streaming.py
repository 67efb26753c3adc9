"""Text that comes in pieces: what lies across a border is found as if the text were whole, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from app.masking.detectors.found import Found

LONGEST_ENTITY = 20_000
"""Characters of the longest thing that detectors find, a private key with its armour, and some to spare."""
LEAD = 256
"""How much of the text before a piece is read again with it: the words that stand before an entity."""
PIECE = 256 * 1024

Find = Callable[[str], Sequence[Found]]


def pieces(
    find: Find, chunks: Iterable[str], *, longest: int = LONGEST_ENTITY, piece: int = PIECE
) -> Iterator[tuple[str, list[Found]]]:
    """The text again, in pieces that cut no entity, each with what is found in it; offsets are within the piece.

    An entity of up to `longest` characters is found wherever the chunks' borders lie. At most about
    `longest + piece` characters and the largest chunk are held.
    """
    lead, held = "", ""
    for chunk in chunks:
        held += chunk
        while len(held) >= longest + piece:
            # The tail may hold the beginning of an entity whose end has not come yet.
            found = _found(find, lead, held[: longest + piece])
            cut = _uncut(found, piece)
            yield held[:cut], [one for one in found if one.end <= cut]
            lead, held = (lead + held[:cut])[-LEAD:], held[cut:]
    if held:
        yield held, _found(find, lead, held)


def _uncut(found: Sequence[Found], cut: int) -> int:
    """`cut`, or the end of the entity that lies across it."""
    return next((one.end for one in found if one.start < cut < one.end), cut)


def _found(find: Find, lead: str, text: str) -> list[Found]:
    """What begins in `text`; the lead is read for its words alone."""
    before = len(lead)
    return [
        Found(one.entity, one.label, one.start - before, one.end - before, one.score)
        for one in find(lead + text)
        if one.start >= before
    ]
