"""Running text as one caller gets it: what detectors find in it is replaced, the rest stays."""

from collections.abc import Callable, Mapping, Sequence

from app.masking.detectors.found import ENTITIES, Found
from app.masking.values import Redactor, TextMask

Find = Callable[[str], Sequence[Found]]
"""Entities of a text, sorted, none over another."""
_LABELS = frozenset(entity.label for entity in ENTITIES)


def redactor(find: Find, how: Mapping[str, TextMask | None], default: TextMask | None) -> Redactor:
    """`how`: by the label of what is found; a label that is missing comes as `default`. None: stays as it is.

    What its mask makes None comes as its label in brackets, `[pii.email]`, so that a reader sees what was there. Such a
    label is nothing to be replaced again, even where it stands for a password.
    """
    labels = _LABELS.union(how)

    def redacted(text: str) -> str:
        pieces: list[str] = []
        at = 0
        for one in find(text):
            written = text[one.start : one.end]
            mask = how.get(one.label, default)
            if mask is None or written.strip("[]") in labels:
                continue
            shown = mask(written)
            pieces += (text[at : one.start], f"[{one.label}]" if shown is None else shown)
            at = one.end
        return "".join((*pieces, text[at:])) if pieces else text

    return redacted


def labels_only(find: Find) -> Redactor:
    """Whatever is found comes as its label: for everybody, where no caller is known."""
    return redactor(find, {}, lambda _: None)
