"""Which view a column has, by its name: names are compared in NFKC, without blanks at the ends and without what nobody
sees (a second byte order mark, say), whatever their case."""

import unicodedata
from collections.abc import Mapping

from app.masking.masks import Null
from app.policy.content import FieldView


def folded(name: str) -> str:
    seen = unicodedata.normalize("NFKC", name)
    if not seen.isascii():
        seen = "".join(one for one in seen if unicodedata.category(one) != "Cf")
    return unicodedata.normalize("NFKC", seen.strip().casefold()).strip()


class ColumnViews:
    """`columns`: by name as the data file writes it, nested ones by dotted path."""

    def __init__(self, columns: Mapping[str, FieldView]) -> None:
        self._named: dict[str, FieldView] = {}
        for name, view in columns.items():
            known = self._named.get(folded(name))
            # Two names that are one here: only what both let through comes raw.
            self._named[folded(name)] = view if known in (None, view) else FieldView(label=view.label, mask=Null())

    def of(self, name: str) -> FieldView | None:
        return self._named.get(folded(name))

    def goes_on(self, name: str) -> bool:
        """Whether something within this column is named."""
        start = folded(name)
        return any(path.startswith((start + ".", start + "[]")) for path in self._named)
