"""One immutable policy: every decision names its version."""

from collections.abc import Collection, Sequence
from typing import Protocol

from app.approval.terms import Terms
from app.policy.caller import Caller
from app.policy.content import ContentView, Intake, TopicRules
from app.policy.decision import Action, Context, Decision, TableView
from app.policy.describing import Described
from connectors.contract import Catalog, Table


class PolicySnapshot(Protocol):
    """What the gateway needs of a loaded policy; `app.policy.load` makes one."""

    version: str
    """Hex SHA-256 over all policy files (names and bytes)."""

    volatile_names: frozenset[str]
    """Context names used by any condition whose value is not a function of caller, statement text and policy
    ("hour", "weekday", "purpose", "session", "spent"): their values belong into the key of every cached plan."""

    def identities(self, caller: Caller) -> frozenset[str]:
        """The principal's subjects, every role they have by policy, and `*`: whom `approvers` may name."""

    def names_needed(self, caller: Caller, resource: str, action: Action) -> frozenset[str]:
        """Context names that the conditions of candidate rules read; `rows` here means: ask the planner first."""

    def decide(self, caller: Caller, resource: str, action: Action, context: Context) -> Decision:
        """The stricter of principal's and actor's decision; deny > approve > allow; no rule: deny."""

    def actions(self, caller: Caller, resource: str) -> frozenset[Action]:
        """Actions that may be possible (allow or approve under some condition) on exactly this resource."""

    def reachable(self, caller: Caller, connection: str) -> frozenset[Action]:
        """Actions that may be possible on anything below the connection; empty: the caller may not know of it."""

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
        """How the table comes to this caller, once `decide(… SELECT)` let it through. `granted`: labels of `unmask`
        that policy asks a human for come raw, as if that human had said yes; the view's `asked_labels` names them,
        and whoever plans with it must ask."""

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
        """How the object with the normalised key `name`, or a message of the topic `name`, comes to this caller, once
        `decide(… FETCH)` or `decide(… RECEIVE)` let it through. `granted`: as in `view`."""

    def described(self, caller: Caller, connection: str) -> tuple[Described, ...]:
        """The keys or topics that the caller may be told of, sorted by name; may take long the first time."""

    def described_view(self, caller: Caller, connection: str, place: Described, context: Context) -> ContentView:
        """How what is there comes to this caller, who unmasks nothing."""

    def described_rules(self, connection: str, place: Described) -> TopicRules:
        """What may be put or published there, whoever does it."""

    def arriving_view(self, connection: str, name: str) -> ContentView:
        """What the data file says of content that is put at this key, or published to this topic, with every mask in
        force: nobody unmasks anything that comes in. `found` holds every label that can be found; `raw` is true where
        the data file says raw, and nowhere else."""

    def intake(self, connection: str, name: str) -> Intake:
        """What may be put at this key, whoever puts it."""

    def topic_rules(self, connection: str, name: str) -> TopicRules:
        """What may be published to this topic, whoever publishes it."""

    def limits(self, connection: str) -> tuple[int | None, int | None]:
        """(max_rows, max_bytes) that data/<connection>.yaml sets for the whole connection; of one object or message
        `max_bytes` alone."""

    def terms(self, asked: Sequence[tuple[str, Action]]) -> Terms:
        """On which terms humans may approve. `asked`: every (resource, action) that policy wants a human for; labels to
        unmask are `("label:pii.email", Action.UNMASK)`."""
