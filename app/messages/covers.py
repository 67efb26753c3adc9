"""The masks of one caller over values of a message, and over what detectors find in running text of it."""

from collections.abc import Callable
from typing import Any

from app.masking.masks import Mask, Pseudonym, Redact
from app.masking.redaction import redactor
from app.masking.values import TextMask, ValueMask, masker, text_masker
from app.messages.sighting import Find, Sighting
from app.policy.content import ContentView, FieldView


class Covers:
    """`key`: of a pseudonym's domain, asked for when it is needed; what it raises comes out of every method. Otherwise
    total: what a mask cannot say of a value, it does not say."""

    __slots__ = ("_key", "_of_text", "_of_value", "_redact", "_view")

    def __init__(self, view: ContentView, key: Callable[[str], bytes], find: Find) -> None:
        self._view = view
        self._key = key
        self._of_value: dict[Mask, ValueMask] = {}
        self._of_text: dict[Mask, TextMask] = {}
        how = {label: self._lazily(shown.mask) for label, shown in view.found.items()}
        self._redact = redactor(find, how, self._lazily(view.default_found.mask))

    def value(self, mask: Mask, value: Any) -> Any:
        """Any JSON value: of an object or array the mask says nothing but null, or its constant."""
        known = self._of_value.get(mask)
        if known is None:
            known = self._of_value[mask] = masker(mask, self._keys(mask), self._redact)
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

    def _keys(self, mask: Mask) -> dict[str, bytes]:
        return {mask.domain: self._key(mask.domain)} if isinstance(mask, Pseudonym) else {}

    def _lazily(self, mask: Mask | None) -> TextMask | None:
        return None if mask is None else lambda text: self._within(mask)(text)

    def _within(self, mask: Mask) -> TextMask:
        """Over a part of a text, which is an entity already."""
        if isinstance(mask, Redact):
            return _nothing
        known = self._of_text.get(mask)
        if known is None:
            known = self._of_text[mask] = text_masker(mask, self._keys(mask), _never)
        return known


def _never(_: str) -> str:
    """Redact is no mask that gets here; were it one, nothing would show."""
    return ""


def _nothing(_: str) -> None:
    return None
