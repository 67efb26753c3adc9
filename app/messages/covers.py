"""The masks of one caller over values of a message, and over what detectors find in running text of it."""

from collections.abc import Mapping
from typing import Any

from app.masking.masks import Mask, Pseudonym, Redact
from app.masking.redaction import redactor
from app.masking.values import TextMask, ValueMask, masker, text_masker
from app.messages.sighting import Find, Sighting
from app.policy.content import ContentView, FieldView


def domains_of(view: ContentView) -> frozenset[str]:
    """Of the pseudonyms that a view may need: `Covers` wants a key for each."""
    fields = (*view.paths.values(), view.default, view.text, *view.found.values(), view.default_found)
    return frozenset(field.mask.domain for field in fields if isinstance(field.mask, Pseudonym))


class Covers:
    """`keys`: pseudonym domain to its key. Total: what a mask cannot say of a value, it does not say."""

    __slots__ = ("_keys", "_of_text", "_of_value", "_redact", "_view")

    def __init__(self, view: ContentView, keys: Mapping[str, bytes], find: Find) -> None:
        self._view = view
        self._keys = keys
        self._of_value: dict[Mask, ValueMask] = {}
        self._of_text: dict[Mask, TextMask] = {}
        how = {label: None if shown.mask is None else self._within(shown.mask) for label, shown in view.found.items()}
        default = view.default_found.mask
        self._redact = redactor(find, how, None if default is None else self._within(default))

    def value(self, mask: Mask, value: Any) -> Any:
        """Any JSON value: of an object or array the mask says nothing but null, or its constant."""
        known = self._of_value.get(mask)
        if known is None:
            known = self._of_value[mask] = masker(mask, self._keys, self._redact)
        return known(value)

    def found(self, label: str) -> FieldView:
        return self._view.found.get(label, self._view.default_found)

    def shows(self, sighting: Sighting) -> bool:
        """Whether what was seen comes raw: every reading of it must."""
        return all(self.found(label).mask is None for label in sighting.labels)

    def text(self, sighting: Sighting, text: str) -> str:
        """In the place of what was seen, also where it would come raw: then only its label stays."""
        mask = next((mask for label in sighting.labels if (mask := self.found(label).mask) is not None), None)
        said = None if mask is None else self._within(mask)(text)
        return f"[{sighting.labels[0]}]" if said is None else said

    def _within(self, mask: Mask) -> TextMask:
        """Over a part of a text, which is an entity already."""
        if isinstance(mask, Redact):
            return _nothing
        known = self._of_text.get(mask)
        if known is None:
            known = self._of_text[mask] = text_masker(mask, self._keys, _never)
        return known


def _never(_: str) -> str:
    """Redact is no mask that gets here; were it one, nothing would show."""
    return ""


def _nothing(_: str) -> None:
    return None
