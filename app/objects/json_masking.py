"""The masks of a view over one parsed JSON document."""

from typing import Any

from app.objects.json_places import Place
from app.objects.json_text import Number


def masked(document: Any, root: Place) -> Any:
    """A new document; what comes raw is shared with the old one. A document that is gone is null."""
    kind = type(document)
    if root.whole:
        return document
    if kind is dict and root.opens_object:
        return _object(document, root)
    if kind is list and root.opens_list:
        return _list(document, root)
    if root.mask is None:
        return document
    root.met = True
    return root.mask(document.value if kind is Number else document)


def _object(members: dict[str, Any], place: Place) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    named = place.open().members.get
    other = place.other
    for name, value in members.items():
        below = named(name, other)
        if below is None:
            continue
        mask = below.mask
        kind = type(value)
        if kind is dict and below.opens_object:
            shown[name] = _object(value, below)
        elif kind is list and below.opens_list:
            shown[name] = _list(value, below)
        elif mask is None:
            shown[name] = value
        else:
            below.met = True
            if not below.gone:
                shown[name] = mask(value.value if kind is Number else value)
    return shown


def _list(items: list[Any], place: Place) -> list[Any]:
    below = place.open().items
    if below is None or below.whole:
        return items
    shown: list[Any] = []
    mask = below.mask
    for value in items:
        kind = type(value)
        if kind is dict and below.opens_object:
            shown.append(_object(value, below))
        elif kind is list and below.opens_list:
            shown.append(_list(value, below))
        elif mask is None:
            shown.append(value)
        else:
            below.met = True
            if not below.gone:
                shown.append(mask(value.value if kind is Number else value))
    return shown
