"""The use cases of messages, put together from what they share."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from app.gateway.acking import Ack
from app.gateway.admission import Admission
from app.gateway.connections import Broker
from app.gateway.endings import Background
from app.gateway.errand import Errands
from app.gateway.handles import Handles
from app.gateway.idempotency import StoredKeys
from app.gateway.message_errands import MESSAGE_KINDS, PublishErrands
from app.gateway.message_plans import MessagePlanner
from app.gateway.message_sending import Sending
from app.gateway.message_topics import Topics
from app.gateway.pipeline import UseCase
from app.gateway.publishing import Publish
from app.gateway.receiving import Receive
from app.gateway.record import Record
from app.gateway.submitting import Submitting
from app.messages.sighting import Find
from app.ports import MaskKeys, Policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """`use_cases` by operation; `errands` by kind of outcome, for those who execute approvals."""

    use_cases: Mapping[str, UseCase]
    errands: Mapping[str, Errands]


def messages(
    *,
    brokers: Mapping[str, Broker],
    policies: Policies,
    find: Find,
    mask_keys: MaskKeys,
    handle_key: bytes,
    keys: StoredKeys,
    submitting: Submitting,
    admission: Admission,
    intend: Callable[[Record], Awaitable[None]],
    now: Callable[[], float],
    random: Callable[[int], bytes],
    report: Callable[[BaseException, str], None],
    background: Background,
) -> Messages:
    """`handle_key`: 32 bytes, of handles alone. `report` is told of faults of our own."""
    topics = Topics(brokers=brokers, find=find, mask_keys=mask_keys, now=now)
    planner = MessagePlanner(topics=topics, random=random, now=now)
    sending = Sending(keys=keys, intend=intend)
    errands = PublishErrands(topics=topics, planner=planner, sending=sending, random=random)
    handles = Handles(handle_key)
    publish = Publish(
        policies=policies, topics=topics, planner=planner, sending=sending, errands=errands, submitting=submitting
    )
    receive = Receive(
        policies=policies,
        topics=topics,
        handles=handles,
        admission=admission,
        now=now,
        report=report,
        background=background,
    )
    ack = Ack(policies=policies, topics=topics, handles=handles, intend=intend, now=now)
    return Messages(
        use_cases={"publish_message": publish.run, "receive_messages": receive.run, "ack_messages": ack.run},
        errands=dict.fromkeys(MESSAGE_KINDS, errands),
    )
