"""What objects and messages add to a gateway: their use cases, around the same policy, approvals and trail."""

import secrets
import time
from collections.abc import Callable

from app.approving import Desk, Intend, Waiting
from app.gateway.acking import Ack
from app.gateway.cursor import Cursors
from app.gateway.handles import Handles
from app.gateway.listing import Listing
from app.gateway.message_errands import MESSAGE_KINDS, PublishErrands
from app.gateway.message_plans import MessagePlanner
from app.gateway.message_sending import Sending
from app.gateway.message_topics import Topics
from app.gateway.object_errands import OBJECT_KINDS, ObjectErrands
from app.gateway.object_planning import ObjectPlanner
from app.gateway.object_reading import ObjectReads
from app.gateway.object_tags import ObjectTags
from app.gateway.object_writing import ObjectWrites
from app.gateway.objects import Objects
from app.gateway.pipeline import UseCase
from app.gateway.publishing import Publish
from app.gateway.receiving import Receive
from app.parts import Parts


def object_use_cases(parts: Parts, desk: Desk, cursors: Cursors, intend: Intend, public_url: str) -> dict[str, UseCase]:
    planner = ObjectPlanner(buckets=parts.buckets, now=time.time)
    tags = ObjectTags(parts.approval_keys.tags)
    reads = ObjectReads(renderer=parts.renderer, mask_keys=parts.mask_keys, tags=tags)
    writes = ObjectWrites(renderer=parts.renderer, mask_keys=parts.mask_keys, intend=intend, tags=tags)
    errands = ObjectErrands(
        planner=planner,
        reads=reads,
        writes=writes,
        random=secrets.token_bytes,
        max_held_bytes=parts.max_held_bytes,
    )
    desk.errands.update(dict.fromkeys(OBJECT_KINDS, errands))
    objects = Objects(
        policies=parts.policies,
        planner=planner,
        reads=reads,
        writes=writes,
        errands=errands,
        submitting=desk.submitting,
        keys=desk.keys,
    )
    listing = Listing(
        policies=parts.policies, planner=planner, tags=tags, cursors=cursors, public_url=public_url, now=time.time
    )
    return {
        "list_objects": listing.list_objects,
        "fetch_object": objects.fetch_object,
        "fetch_object_by_key": objects.fetch_object,
        "fetch_content": objects.fetch_content,
        "put_object": objects.put_object,
        "put_content": objects.put_object,
        "delete_object": objects.delete_object,
    }


def message_use_cases(
    parts: Parts, waiting: Waiting, desk: Desk, intend: Intend, report: Callable[[BaseException, str], None]
) -> dict[str, UseCase]:
    topics = Topics(brokers=parts.brokers, find=parts.detectors.find, mask_keys=parts.mask_keys, now=time.time)
    planner = MessagePlanner(topics=topics, random=secrets.token_bytes, now=time.time)
    sending = Sending(keys=desk.keys, intend=intend)
    errands = PublishErrands(topics=topics, planner=planner, sending=sending, random=secrets.token_bytes)
    desk.errands.update(dict.fromkeys(MESSAGE_KINDS, errands))
    publish = Publish(
        policies=parts.policies,
        topics=topics,
        planner=planner,
        sending=sending,
        errands=errands,
        submitting=desk.submitting,
    )
    handles = Handles(parts.approval_keys.handles)
    receive = Receive(
        policies=parts.policies,
        topics=topics,
        handles=handles,
        admission=waiting.admission,
        now=time.time,
        report=report,
        background=parts.background.start,
    )
    ack = Ack(policies=parts.policies, topics=topics, handles=handles, intend=intend, now=time.time)
    return {"publish_message": publish.run, "receive_messages": receive.run, "ack_messages": ack.run}
