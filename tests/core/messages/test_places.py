"""Which of several paths names a field."""

from typing import Any

import pytest

from app.messages.places import Paths, Place
from app.policy.content import FieldView

PATHS = {
    path: FieldView(label=path)
    for path in (
        "$.customer", "$.customer.email", "$.items[*].sku", "$.meta.*", "$.meta.open", "$..email", "$['odd name']",
        "$.grid[*][*]", "$..deep.x",
    )
}  # fmt: skip


def at(*way: str | int) -> Place:
    place = Paths(PATHS).root
    for step in way:
        place = place.item() if isinstance(step, int) else place.member(step)
    return place


@pytest.mark.parametrize(
    ("way", "label"),
    [
        (("customer",), "$.customer"),
        (("customer", "email"), "$.customer.email"),
        (("email",), "$..email"),
        (("a", "b", 0, "email"), "$..email"),
        (("items", 3, "sku"), "$.items[*].sku"),
        (("items", "sku"), None),
        (("meta", "x"), "$.meta.*"),
        (("meta", 0), "$.meta.*"),
        (("meta", "open"), "$.meta.open"),
        (("meta", "x", "y"), None),
        (("odd name",), "$['odd name']"),
        (("grid", 0, 1), "$.grid[*][*]"),
        (("a", "deep", "x"), "$..deep.x"),
        (("deep", "deep", "x"), "$..deep.x"),
        (("x",), None),
        ((), None),
    ],
)
def test_the_most_specific_path_names_a_field(way: tuple[Any, ...], label: str | None) -> None:
    view = at(*way).view
    assert (None if view is None else view.label) == label


def test_a_place_knows_whether_a_path_goes_on() -> None:
    paths = Paths({"$.a.b": FieldView()})
    assert paths.root.further
    assert paths.root.member("a").further
    assert not paths.root.member("a").member("b").further
    assert not paths.root.member("x").further
    assert not paths.root.item().further


def test_names_that_no_path_has_are_all_alike() -> None:
    paths = Paths(PATHS)
    assert paths.root.member("one") is paths.root.member("two")
