"""ack_messages: what its receiver is done with does not come again."""

from collections.abc import Awaitable, Callable, Sequence

from app.gateway.answer import Answer, json_answer
from app.gateway.envelope import closing_members
from app.gateway.errors import AccessDenied
from app.gateway.handles import Handles, binding_of
from app.gateway.message_commands import AckMessages
from app.gateway.message_sending import though_cancelled
from app.gateway.message_topics import At, Topics, refusal_of_broker
from app.gateway.record import Record, rule_ids
from app.policy.caller import Caller
from app.policy.decision import Action, Allow, Deny
from app.policy.snapshot import PolicySnapshot
from app.ports import Policies
from connectors.contract import Acked, ConnectorError


class Ack:
    """`intend` makes an intent durable: nothing is taken out of a topic without one. `now` is wall-clock seconds."""

    def __init__(
        self,
        *,
        policies: Policies,
        topics: Topics,
        handles: Handles,
        intend: Callable[[Record], Awaitable[None]],
        now: Callable[[], float],
    ) -> None:
        self._policies = policies
        self._topics = topics
        self._handles = handles
        self._intend = intend
        self._now = now

    async def run(self, caller: Caller, command: AckMessages, record: Record) -> Answer:
        snapshot = self._policies.current
        at = self._topics.find(caller, command.connection, command.topic, Action.RECEIVE, snapshot, record)
        record.rules = self._require_ack(caller, at, snapshot)
        record.effect = "allow"
        binding, now = binding_of(caller, at.broker.name, at.topic), self._now()
        opened = {sealed: self._handles.open(binding, sealed, now) for sealed in command.handles}
        known = {sealed: handle for sealed, handle in opened.items() if handle is not None}
        if len(known) < len(opened):
            # Of somebody else, altered, or too old: the caller hears the same of each.
            record.reason = "handles_not_good"
            record.facts["handles_not_good"] = len(opened) - len(known)
        done = dict.fromkeys(opened, Acked.GONE)
        if known:
            await self._intend(record)
            acked = await though_cancelled(_acked(at, tuple(known.values())))
            done |= dict(zip(known, acked, strict=True))
        record.affected_rows = sum(result is Acked.DONE for result in done.values())
        return json_answer(
            200,
            {
                "status": "completed",
                "connection": at.broker.name,
                "topic": at.topic,
                "results": [{"handle": sealed, "result": done[sealed].value} for sealed in command.handles],
                "done_count": record.affected_rows,
                **closing_members(snapshot.version, None),
                "notice": _notice(len(done) - record.affected_rows),
            },
        )

    def _require_ack(self, caller: Caller, at: At, snapshot: PolicySnapshot) -> tuple[str, ...]:
        """A good handle says that policy let its holder receive. Conditions were weighed then (a purpose is not told
        again, an hour may be over), so that what counts now is whether any rule still lets the caller receive here."""
        match snapshot.decide(caller, at.resource, Action.RECEIVE, self._topics.context(at, None)):
            case Allow(rules=rules):
                return rule_ids(rules)
            case Deny(rules=rules, reason=reason) if Action.RECEIVE not in snapshot.actions(caller, at.resource):
                raise AccessDenied(reason, rules=rules)
        return ()


async def _acked(at: At, handles: Sequence[str]) -> tuple[Acked, ...]:
    try:
        return await at.broker.connector.ack(at.topic, handles, timeout_s=at.broker.timeout_s)
    except ConnectorError as error:
        raise refusal_of_broker(error) from error


def _notice(gone: int) -> str | None:
    if not gone:
        return None
    return "What is gone was acked too late, or its handle is not one of yours: that message comes, or came, again."
