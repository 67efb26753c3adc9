"""Kinds are found by entry point; what is broken breaks only itself."""

from importlib.metadata import EntryPoint

import pytest

from connectors.registry import GROUP, UnknownKind, factory, kinds


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


POINTS = (
    point("sqlite", "connectors.sqlite:connector"),
    point("postgres", "connectors.postgres:connector"),
    point("broken", "no_such_package_at_all:connector"),
    point("wrong", "connectors.sqlite:connector"),
)


def test_a_known_kind_gives_its_factory() -> None:
    assert factory("sqlite", POINTS).kind == "sqlite"
    assert factory("postgres", POINTS).kind == "postgres"


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownKind, match=r"'oracle'.*broken, postgres, sqlite, wrong"):
        factory("oracle", POINTS)


def test_a_broken_plugin_breaks_only_itself() -> None:
    with pytest.raises(UnknownKind, match=r"'broken' \(no_such_package_at_all:connector\) does not load"):
        factory("broken", POINTS)
    assert kinds(POINTS) == ("broken", "postgres", "sqlite", "wrong")
    assert factory("sqlite", POINTS).kind == "sqlite"


def test_an_object_that_is_no_factory_of_that_kind_is_refused() -> None:
    with pytest.raises(UnknownKind, match="is no factory"):
        factory("wrong", POINTS)


def test_two_plugins_of_one_kind_are_refused() -> None:
    with pytest.raises(UnknownKind, match="claimed by"):
        factory("sqlite", (*POINTS, point("sqlite", "other.package:connector")))
