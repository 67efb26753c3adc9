"""What a column is for one caller: raw, masked or absent; and how derived columns inherit what they are made of."""

from collections.abc import Callable
from dataclasses import dataclass

from app.masking.masks import Constant, Hide, Mask, Null
from app.policy.data_file import ConnectionData
from app.policy.labels import Masks
from connectors.contract import Catalog, Column, Table, TableKey, TableKind

CLOSED_KINDS = frozenset(
    {TableKind.VIEW, TableKind.MATERIALIZED_VIEW, TableKind.FOREIGN, TableKind.PARTITION, TableKind.VIRTUAL}
)
"""Kinds that do not exist for anybody until the data file names the object."""
DERIVED_KINDS = frozenset({TableKind.VIEW, TableKind.MATERIALIZED_VIEW})
_MAX_HOPS = 8


@dataclass(frozen=True, slots=True)
class State:
    """`mask` None: raw."""

    label: str | None
    mask: Mask | None

    @property
    def raw(self) -> bool:
        return self.mask is None

    @property
    def tells_nothing(self) -> bool:
        return isinstance(self.mask, Null | Constant | Hide)


NOTHING_KNOWN = State(None, Null())
ABSENT = State(None, Hide())

Unmasked = Callable[[str], bool]
"""Whether a label comes raw to the caller."""


class Columns:
    """The states of the columns of one connection for one caller; nobody's (`unmasked` always no) for lint."""

    def __init__(self, data: ConnectionData, masks: Masks, catalog: Catalog, unmasked: Unmasked) -> None:
        self._data = data
        self._masks = masks
        self._catalog = catalog
        self._unmasked = unmasked
        self._known: dict[tuple[TableKey, str], State] = {}
        self._of_reads: dict[TableKey, list[tuple[str, State]]] = {}

    def state(self, table: Table, column: Column) -> State:
        return self._state(table, column, _MAX_HOPS)

    def written(self, table: Table, column: Column) -> State | None:
        """What the data file says of this very column; None: nothing."""
        entry = self._data.of(table.key)
        word = None if entry is None else entry.columns.get(column.name)
        return None if word is None else self._of_word(word)

    def _of_word(self, word: str) -> State:
        match word:
            case "allow":
                return State(None, None)
            case "mask":
                return NOTHING_KNOWN
            case "deny":
                return ABSENT
            case label:
                return State(label, None if self._unmasked(label) else self._masks.of(label))

    def _state(self, table: Table, column: Column, hops: int) -> State:
        at = (table.key, column.name)
        known = self._known.get(at)
        if known is None:
            known = self._known[at] = self._derived(table, column, hops)
        return known

    def _derived(self, table: Table, column: Column, hops: int) -> State:
        entry = self._data.of(table.key)
        if (entry is None and table.kind in CLOSED_KINDS) or hops == 0:
            return ABSENT
        own = self.written(table, column)
        default = self._of_word(self._data.default if entry is None else entry.default)
        if table.kind in DERIVED_KINDS:
            return self._of_view(table, column, own, default, hops - 1)
        if column.generated_from:
            sources = [self._named(table, name, hops - 1) for name in column.generated_from]
            return _of_generated(own, default, sources)
        return default if own is None else own

    def _named(self, table: Table, name: str, hops: int) -> State:
        column = table.column(name)
        return NOTHING_KNOWN if column is None else self._state(table, column, hops)

    def _of_view(self, view: Table, column: Column, own: State | None, default: State, hops: int) -> State:
        reads = self._of_reads.get(view.key)
        if reads is None:
            reads = [(read.column, self._read(read.table, read.column, view.key, hops)) for read in view.reads]
            self._of_reads[view.key] = reads
        namesakes = [state for name, state in reads if name == column.name]
        every_raw = all(state.raw for _, state in reads)
        if own is None:
            inherited = _common(namesakes)
            if inherited is not None and inherited.label is not None:
                return inherited
            return default if every_raw else _stricter(default)
        if own.tells_nothing or every_raw:
            return own
        same_label = own.label is not None and any(state.label == own.label for _, state in reads)
        if same_label or (own.label is None and namesakes and all(state.raw for state in namesakes)):
            return own
        return State(own.label, Null())

    def _read(self, key: TableKey, name: str, view: TableKey, hops: int) -> State:
        table = self._catalog.tables.get(key)
        return NOTHING_KNOWN if table is None or key == view else self._named(table, name, hops)


def _of_generated(own: State | None, default: State, sources: list[State]) -> State:
    """A function of raw columns shows nothing new; a function of a masked one shows nothing at all, unless it is
    labelled as the very thing that it is made of."""
    hidden = [state for state in sources if not state.raw]
    common = _common(sources)
    if own is None:
        label = None if common is None else common.label
        if isinstance(default.mask, Hide):
            return default
        return State(label, Null() if hidden else None)
    if own.tells_nothing or not hidden:
        return own
    if own.label is not None and all(state.label == own.label for state in hidden):
        return own
    return State(own.label, Null())


def _common(states: list[State]) -> State | None:
    """The one state that all share."""
    return states[0] if states and all(state == states[0] for state in states) else None


def _stricter(default: State) -> State:
    return default if default.tells_nothing else NOTHING_KNOWN
