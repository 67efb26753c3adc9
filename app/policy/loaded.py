"""The loaded policy: what PolicySnapshot promises, answered from the index and from small caches that die with it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from app.approval.terms import Terms
from app.masking.masks import Hide
from app.policy.approval_rules import ApprovalRules
from app.policy.caller import Caller
from app.policy.casbin_model import Reference
from app.policy.catalog_check import catalog_findings
from app.policy.conditions import VOLATILE_NAMES
from app.policy.connections import ConnectionKind, actions_on
from app.policy.content import ContentView, Intake, TopicRules
from app.policy.content_data import ContentData, ContentEntry
from app.policy.content_view import arriving_view, content_view, entry_view
from app.policy.data_file import ConnectionData, TableData
from app.policy.decision import (
    Action,
    ColumnView,
    Context,
    Decision,
    Nothing,
    RowFilter,
    TableView,
)
from app.policy.describing import Described, described
from app.policy.findings import Finding
from app.policy.index import RuleIndex
from app.policy.labels import Masks
from app.policy.places import ADMIN_SURFACE
from app.policy.reach import may_reach
from app.policy.resources import LABEL_PREFIX, connection_of, label_resource, object_resource
from app.policy.row_filters import EVERY_ROW, conjunction
from app.policy.rules import Rules, conditional_names
from app.policy.subjects import ANYBODY
from app.policy.tables import CLOSED_KINDS, DERIVED_KINDS, Columns
from app.policy.unmasking import Unmasking
from app.policy.verdicts import Question
from connectors.contract import Catalog, Table

_QUESTIONS = 65_536
_REACHES = 8_192
_DESCRIPTIONS = 256

Subjects = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What the files hold, once every reference in them is known to be good."""

    version: str
    rules: Rules
    index: RuleIndex
    masks: Masks
    approvals: ApprovalRules
    data: Mapping[str, ConnectionData]
    content: Mapping[str, ContentData]
    connections: Mapping[str, ConnectionKind]
    warnings: tuple[Finding, ...]


class LoadedPolicy:
    """Immutable; implements app.policy.snapshot.PolicySnapshot."""

    def __init__(self, parts: Parts) -> None:
        self.version = parts.version
        self.warnings = parts.warnings
        self.volatile_names = conditional_names(parts.rules) & VOLATILE_NAMES
        self.rule_count = len(parts.rules.rules)
        self._parts = parts
        self._index = parts.index
        self._question = lru_cache(maxsize=_QUESTIONS)(self._compose)
        self._reach = lru_cache(maxsize=_REACHES)(self._compute_reach)
        self._described = lru_cache(maxsize=_DESCRIPTIONS)(self._compute_described)

    def identities(self, caller: Caller) -> frozenset[str]:
        return self._index.identities(caller.principal_subjects)

    def names_needed(self, caller: Caller, resource: str, action: Action) -> frozenset[str]:
        return self._question(caller.principal_subjects, caller.actor_subjects, resource, action).names

    def decide(self, caller: Caller, resource: str, action: Action, context: Context) -> Decision:
        asked = self._question(caller.principal_subjects, caller.actor_subjects, resource, action)
        return asked.decide(caller, context)

    def actions(self, caller: Caller, resource: str) -> frozenset[Action]:
        sides = (caller.principal_subjects, caller.actor_subjects)
        return frozenset(
            action for action in self._actions_at(resource) if self._question(*sides, resource, action).possible
        )

    def reachable(self, caller: Caller, connection: str) -> frozenset[Action]:
        return self._reach(caller.principal_subjects, caller.actor_subjects, connection)

    def limits(self, connection: str) -> tuple[int | None, int | None]:
        if connection in self._parts.content:
            return (None, self._parts.content[connection].max_bytes)
        data = self._data(connection)
        return (data.max_rows, data.max_bytes)

    def terms(self, asked: Sequence[tuple[str, Action]]) -> Terms:
        return self._parts.approvals.terms(asked)

    def subject_column(self, connection: str, table: Table) -> str | None:
        """The column that identifies a person in this table, if the data file names one."""
        entry = self._data(connection).of(table.key)
        return None if entry is None else entry.subject

    def check_catalog(self, connection: str, catalog: Catalog) -> tuple[Finding, ...]:
        """What the data file says that this database does not have, and what derived columns inherit."""
        return catalog_findings(self._data(connection), self._parts.masks, catalog)

    def reference(self) -> Reference:
        """Plain pycasbin over the same rules, for tests and explanations; far too slow for requests."""
        return Reference(self._parts.rules)

    def view(
        self,
        caller: Caller,
        connection: str,
        table: Table,
        catalog: Catalog,
        context: Context,
        unmask: Collection[str],
        *,
        granted: bool = False,
    ) -> TableView:
        data = self._data(connection)
        entry = data.of(table.key)
        wanted = Unmasking(lambda label: self._unmask(caller, label, context), unmask, granted=granted)
        if entry is None and table.kind in CLOSED_KINDS:
            return TableView(schema=table.schema, name=table.name, columns=(), refused_labels=wanted.refused)
        columns = Columns(data, self._parts.masks, catalog, wanted.comes_raw)
        visible: list[ColumnView] = []
        for column in table.columns:
            state = columns.state(table, column)
            if not isinstance(state.mask, Hide):
                visible.append(
                    ColumnView(
                        name=column.name,
                        type=column.type,
                        label=state.label,
                        mask=state.mask,
                        max_length=column.max_length,
                    )
                )
        return TableView(
            schema=table.schema,
            name=table.name,
            columns=tuple(visible),
            row_filter=self._row_filter(caller, data, entry, table, catalog),
            required=() if entry is None else entry.required,
            max_rows=None if entry is None else entry.max_rows,
            max_bytes=None if entry is None else entry.max_bytes,
            asks=wanted.asks,
            asked_labels=wanted.asked,
            refused_labels=wanted.refused,
        )

    def content_view(
        self,
        caller: Caller,
        connection: str,
        name: str,
        context: Context,
        unmask: Collection[str],
        *,
        granted: bool = False,
    ) -> ContentView:
        wanted = Unmasking(lambda label: self._unmask(caller, label, context), unmask, granted=granted)
        data = self._content(connection)
        shown = content_view(data, object_resource(connection, name), self._parts.masks, wanted.comes_raw)
        return replace(shown, asks=wanted.asks, asked_labels=wanted.asked, refused_labels=wanted.refused)

    def described(self, caller: Caller, connection: str) -> tuple[Described, ...]:
        return self._described(caller.principal_subjects, caller.actor_subjects, connection)

    def described_view(self, caller: Caller, connection: str, place: Described, context: Context) -> ContentView:
        wanted = Unmasking(lambda label: self._unmask(caller, label, context), (), granted=False)
        data = self._content(connection)
        return entry_view(data, _speaking(data, place), self._parts.masks, wanted.comes_raw)

    def described_rules(self, connection: str, place: Described) -> TopicRules:
        data = self._content(connection)
        entry = _speaking(data, place)
        return TopicRules(intake=Intake(max_bytes=data.max_bytes)) if entry is None else entry.rules

    def arriving_view(self, connection: str, name: str) -> ContentView:
        return arriving_view(self._content(connection), object_resource(connection, name), self._parts.masks)

    def intake(self, connection: str, name: str) -> Intake:
        return self.topic_rules(connection, name).intake

    def topic_rules(self, connection: str, name: str) -> TopicRules:
        data = self._content(connection)
        entry = data.entries.of(object_resource(connection, name))
        return TopicRules(intake=Intake(max_bytes=data.max_bytes)) if entry is None else entry.rules

    def _row_filter(
        self, caller: Caller, data: ConnectionData, entry: TableData | None, table: Table, catalog: Catalog
    ) -> RowFilter | None:
        if entry is not None and entry.rows:
            found = conjunction(
                [
                    self._side_filter(subjects, caller, entry, table, catalog)
                    for subjects in (caller.principal_subjects, caller.actor_subjects)
                ]
            )
            return None if found == EVERY_ROW else found
        if table.kind in DERIVED_KINDS and self._reads_filtered(caller, data, table, catalog):
            return Nothing()
        return None

    def _side_filter(
        self, subjects: Subjects, caller: Caller, entry: TableData, table: Table, catalog: Catalog
    ) -> RowFilter:
        """Every entry that names one of the subjects or their roles must pass; `*` speaks for those whom none names."""
        mine = self._index.identities(subjects) - {ANYBODY}
        named = [predicate for subject, predicate in entry.rows.items() if subject in mine]
        fallback = entry.rows.get(ANYBODY)
        applying = named or ([fallback] if fallback is not None else [])
        if not applying:
            return Nothing()
        return conjunction([each.filter_for(caller.claims, table, catalog.dialect) for each in applying])

    def _reads_filtered(self, caller: Caller, data: ConnectionData, view: Table, catalog: Catalog) -> bool:
        """A view sees rows that its tables' filters would hide, and the filter cannot be put inside it."""
        for key in {read.table for read in view.reads} - {view.key}:
            table, entry = catalog.tables.get(key), data.of(key)
            if table is not None and self._row_filter(caller, data, entry, table, catalog) is not None:
                return True
        return False

    def _data(self, connection: str) -> ConnectionData:
        return self._parts.data.get(connection) or _NO_DATA

    def _content(self, connection: str) -> ContentData:
        return self._parts.content.get(connection) or _NO_CONTENT

    def _unmask(self, caller: Caller, label: str, context: Context) -> Decision:
        return self.decide(caller, label_resource(label), Action.UNMASK, context)

    def _actions_at(self, resource: str) -> frozenset[Action]:
        if resource.startswith(LABEL_PREFIX):
            return frozenset({Action.UNMASK})
        return self._actions_on(connection_of(resource))

    def _actions_on(self, connection: str) -> frozenset[Action]:
        if connection == ADMIN_SURFACE:
            return actions_on(None)
        kind = self._parts.connections.get(connection)
        return frozenset() if kind is None else actions_on(kind)

    def _compose(self, principal: Subjects, actor: Subjects, resource: str, action: Action) -> Question:
        return Question(
            action,
            self._index.candidates(principal, resource, action),
            self._index.candidates(actor, resource, action),
        )

    def _compute_reach(self, principal: Subjects, actor: Subjects, connection: str) -> frozenset[Action]:
        return frozenset(
            action
            for action in self._actions_on(connection)
            if may_reach(
                self._index,
                lambda resource, action=action: self._question(principal, actor, resource, action).possible,  # type: ignore[misc]
                (principal, actor),
                connection,
                action,
            )
        )

    def _compute_described(self, principal: Subjects, actor: Subjects, connection: str) -> tuple[Described, ...]:
        return described(
            self._index,
            lambda resource, action: self._question(principal, actor, resource, action).possible,
            (principal, actor),
            connection,
            self._actions_on(connection),
            self._content(connection).entries.entries,
        )


def _speaking(data: ContentData, place: Described) -> ContentEntry | None:
    """A glob that is no entry's own lies in none: what has no entry is spoken for by the file's defaults."""
    return data.entries.entries.get(place.resource) if place.wide else data.entries.of(place.resource)


_NO_DATA = ConnectionData()
_NO_CONTENT = ContentData()
