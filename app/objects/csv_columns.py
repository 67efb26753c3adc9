"""What becomes of each column of a CSV, and under which name it comes."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.masking.masks import Constant, Hide, Null, Redact
from app.objects.column_names import ColumnViews, folded
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

    The first line of a file that has no header is data. When no name in it is known, nothing says that it is a header.
    Where a column is masked by its name, what has that name may then stand under another, and the content is refused;
    where only what is not known is masked, columns come as column_1, column_2 and so on. Raises ContentRefused.
    """
    if len(names) > max_columns:
        raise ContentRefused(
            ContentFault.TOO_LARGE, f"More than {max_columns:,} columns are not rendered. Split the table.", "line 1"
        )
    views = ColumnViews(view.columns)
    known = [views.of(name) for name in names]
    default = view.column_default
    is_header = view.header is not None or any(one is not None for one in known)
    named = any(map(_hides, view.columns.values()))
    if view.header is None and (named or _hides(default)) and _says_delimiter(names):
        raise _no_header("says a delimiter (`sep=`) and is no header", "Store the content without that line.")
    if named and not is_header:
        raise _no_header(
            "has none of the column names that the data file knows for this object",
            "In the data file, say its `delimiter` or `header`, name one of its columns, or give the object an entry "
            "of its own.",
        )
    return [
        ShownColumn(at=at, name=name if is_header or not _hides(default) else f"column_{at + 1}", view=one or default)
        for at, (name, one) in enumerate(zip(names, known, strict=True))
        if not isinstance((one or default).mask, Hide)
    ]


def _hides(view: FieldView) -> bool:
    return view.mask is not None and not (isinstance(view.mask, Redact) and view.mask.keep_others)


def _says_delimiter(cells: Sequence[str]) -> bool:
    """A line for Excel, which takes it for no part of the table."""
    return folded(cells[0]).startswith("sep=") and not any(cells[1:])


def _no_header(found: str, remedy: str) -> ContentRefused:
    return ContentRefused(
        ContentFault.UNDECODABLE,
        f"The first line {found}, so nothing says which columns are to be masked. {remedy}",
        "line 1",
    )
