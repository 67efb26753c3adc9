"""The masks of one caller over what detectors find in running text."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.masking.masks import Mask
from app.masking.redaction import Find, redactor
from app.masking.values import Redactor, TextMask, text_masker
from app.policy.content import ContentView, FieldView


@dataclass(frozen=True, slots=True, kw_only=True)
class Covering:
    """`how`: label of what is found to its mask, `default` for labels that are missing; None: it stays."""

    how: Mapping[str, TextMask | None]
    default: TextMask | None

    def redactor(self, find: Find) -> Redactor:
        return redactor(find, self.how, self.default)

    def covers(self, label: str) -> bool:
        return self.how.get(label, self.default) is not None


def covering(view: ContentView, keys: Mapping[str, bytes]) -> Covering:
    return Covering(
        how={label: _mask(field, keys) for label, field in view.found.items()},
        default=_mask(view.default_found, keys),
    )


def _mask(field: FieldView, keys: Mapping[str, bytes]) -> TextMask | None:
    mask: Mask | None = field.mask
    # What was found must not be searched again: a mask that redacts shows its label alone.
    return None if mask is None else text_masker(mask, keys, _nothing_of)


def _nothing_of(_: str) -> str:
    return ""
