"""Rows under headings, for terminals. Every cell is made visible and cut to a width."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from app.cli.plain import columns_of, cut, visible

GAP = "  "


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, widest: int = 48, indent: str = "") -> list[str]:
    """Lines without trailing blanks."""
    names = [cut(visible(name), widest) for name in headings]
    cells = [[cut(cell_text(value), widest) for value in row] for row in rows]
    widths = [max(map(columns_of, (name, *(row[n] for row in cells)))) for n, name in enumerate(names)]
    lines = [names, ["-" * width for width in widths], *cells]
    return [
        indent + GAP.join(_padded(text, width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def cell_text(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case "NULL":
            return '"NULL"'
        case str():
            return visible(value)
        case _:
            return visible(json.dumps(value, ensure_ascii=False))


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns_of(text))
