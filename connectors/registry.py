"""Which connector a configured `kind` means: entry points of one group, so that a third party can add one."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from connectors.contract import ConnectorFactory, Family, MessageConnectorFactory, ObjectConnectorFactory

GROUP = "douane.connectors"

AnyFactory = ConnectorFactory | ObjectConnectorFactory | MessageConnectorFactory


class UnknownKind(LookupError):  # noqa: N818 - says what is unknown
    """No connector of that kind is installed, or the installed one does not load."""


def installed() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def kinds(points: Iterable[EntryPoint] | None = None) -> tuple[str, ...]:
    """Every kind that a configuration may name; nothing is imported."""
    return tuple(sorted({p.name for p in (installed() if points is None else points)}))


def factory(kind: str, points: Iterable[EntryPoint] | None = None) -> AnyFactory:
    """The factory of `kind`. Only the one asked for is imported: a broken plugin breaks nobody else."""
    candidates = tuple(installed() if points is None else points)
    found = [p for p in candidates if p.name == kind]
    if not found:
        raise UnknownKind(f"unknown connector kind {kind!r}; installed: {', '.join(kinds(candidates)) or 'none'}")
    targets = sorted({p.value for p in found})
    if len(targets) > 1:
        raise UnknownKind(f"connector kind {kind!r} is claimed by {', '.join(targets)}: uninstall all but one")
    try:
        loaded = found[0].load()
    except Exception as e:  # a plugin's import may fail in any way; the one who named the kind learns which
        raise UnknownKind(f"connector {kind!r} ({targets[0]}) does not load: {type(e).__name__}: {e}") from e
    if not callable(loaded) or getattr(loaded, "kind", None) != kind:
        raise UnknownKind(f"connector {kind!r} ({targets[0]}) is no factory with kind = {kind!r}")
    return loaded  # type: ignore[no-any-return]


def family_of(made: AnyFactory) -> Family:
    """A factory that says nothing makes SQL connectors."""
    return Family(getattr(made, "family", Family.SQL))
