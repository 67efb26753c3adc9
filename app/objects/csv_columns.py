"""What becomes of each column of a CSV, and under which name it comes."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.masking.masks import Constant, Hide, Null, Redact
from app.objects.column_names import ColumnViews
from app.objects.refusal import ContentFault, ContentRefused
from app.policy.content import ContentView, FieldView


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownColumn:
    """`at`: its place among the columns of the content. `fixed`: every cell is the same, whatever stands in it."""

    at: int
    name: str
    view: FieldView

    @property
    def fixed(self) -> bool:
        return isinstance(self.view.mask, Null | Constant)


def shown_columns(names: Sequence[str], view: ContentView, max_columns: int) -> list[ShownColumn]:
    """Columns that are denied are left out. `names`: of the header, or declared in its place.

    The first line of a file that has no header is data. When no name in it is known, and what is not known is masked,
    nothing says that it is a header: columns then come as column_1, column_2 and so on. Raises ContentRefused.
    """
    if len(names) > max_columns:
        raise ContentRefused(
            ContentFault.TOO_LARGE, f"More than {max_columns:,} columns are not rendered. Split the table.", "line 1"
        )
    views = ColumnViews(view.columns)
    known = [views.of(name) for name in names]
    default = view.column_default
    hides = default.mask is not None and not (isinstance(default.mask, Redact) and default.mask.keep_others)
    is_header = view.header is not None or not hides or any(one is not None for one in known)
    return [
        ShownColumn(at=at, name=name if is_header else f"column_{at + 1}", view=one or default)
        for at, (name, one) in enumerate(zip(names, known, strict=True))
        if not isinstance((one or default).mask, Hide)
    ]
