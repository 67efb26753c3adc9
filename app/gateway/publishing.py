"""publish_message: one message from its sender to the broker that has it, to a human, or to the reason why not."""

from hashlib import sha256
from typing import Any

from app.gateway.answer import Answer
from app.gateway.errors import InvalidRequest
from app.gateway.idempotency import IdempotencyKeys
from app.gateway.message_commands import PublishMessage
from app.gateway.message_errands import PublishErrands
from app.gateway.message_plans import MessagePlanner, effect_of
from app.gateway.message_sending import Sending
from app.gateway.message_topics import Topics
from app.gateway.record import Record
from app.gateway.submitting import Submitting
from app.messages.payload import Misfit
from app.policy.caller import Caller
from app.policy.decision import Action, AskFirst
from app.ports import Policies

OPERATION = "publish_message"


class Publish:
    def __init__(
        self,
        *,
        policies: Policies,
        topics: Topics,
        planner: MessagePlanner,
        sending: Sending,
        errands: PublishErrands,
        submitting: Submitting,
    ) -> None:
        self._policies = policies
        self._topics = topics
        self._planner = planner
        self._sending = sending
        self._errands = errands
        self._submitting = submitting
        self._idempotency = IdempotencyKeys()

    async def run(self, caller: Caller, command: PublishMessage, record: Record) -> Answer:
        if command.idempotency_key is None:
            return await self._run(caller, command, record, None)
        request = asked(command)
        with self._idempotency.use(caller, OPERATION, command.connection, command.idempotency_key, request):
            return await self._run(caller, command, record, request)

    async def _run(self, caller: Caller, command: PublishMessage, record: Record, request: Any) -> Answer:
        snapshot = self._policies.current
        at = self._topics.find(caller, command.connection, command.topic, Action.PUBLISH, snapshot, record)
        plan = await self._planner.plan(at, caller, snapshot, command.draft, command.purpose, record)
        record.effect, record.rules = effect_of(plan.decision), plan.rule_names
        key, wait_seconds = command.idempotency_key, command.wait_seconds
        # Last before anything happens: a key that was claimed is freed there, whatever comes.
        claimed = await self._submitting.claim(
            caller, OPERATION, command.connection, key, request, record, wait_seconds
        )
        if isinstance(claimed, Answer):
            return claimed
        if isinstance(plan.decision, AskFirst):
            errand = self._errands.errand(plan)
            return await self._submitting.ask(errand, caller, snapshot, record, claimed, wait_seconds)
        return await self._sending.allowed(plan, record, claimed)


def asked(command: PublishMessage) -> list[Any]:
    """Everything that must be the same when an idempotency key comes again."""
    draft = command.draft
    try:
        body = draft.body(id="", time="")
    except Misfit as misfit:
        raise InvalidRequest("The message is not well formed: its payload has no JSON or UTF-8 form.") from misfit
    return [
        command.topic, sha256(body).hexdigest(), draft.content_type, draft.payload.content_type,
        dict(draft.headers), draft.key, command.purpose,
    ]  # fmt: skip
