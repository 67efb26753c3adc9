"""Deleting messages and showing them again, ten at a time. Every call blocks: make it on a thread."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from connectors.sqs.client import Client
from connectors.sqs.faults import no_handle, unavailable

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient
    from types_boto3_sqs.type_defs import DeleteMessageBatchResultTypeDef

_MOST_AT_ONCE = 10


def delete(client: Client, queue: str, receipts: Sequence[str]) -> frozenset[str]:
    """Those that SQS says are deleted. Raises ConnectorError(UNAVAILABLE) when it failed at one that it knows: all may
    be deleted again."""
    deleted: set[str] = set()
    for batch in _batches(receipts):

        def ask(sqs: "SQSClient", url: str, batch: Sequence[str] = batch) -> "DeleteMessageBatchResultTypeDef":
            return sqs.delete_message_batch(
                QueueUrl=url, Entries=[{"Id": str(n), "ReceiptHandle": receipt} for n, receipt in enumerate(batch)]
            )

        answer = client.on_queue(queue, ask)
        deleted.update(batch[int(done["Id"])] for done in answer.get("Successful", []))
        if not all(no_handle(failed["Code"]) for failed in answer.get("Failed", [])):
            raise unavailable()
    return frozenset(deleted)


def show(client: Client, queue: str, receipts: Sequence[str]) -> None:
    """Others may have them at once."""
    for batch in _batches(receipts):

        def ask(sqs: "SQSClient", url: str, batch: Sequence[str] = batch) -> None:
            sqs.change_message_visibility_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(n), "ReceiptHandle": receipt, "VisibilityTimeout": 0} for n, receipt in enumerate(batch)
                ],
            )

        client.on_queue(queue, ask)


def _batches(receipts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(receipts), _MOST_AT_ONCE):
        yield receipts[start : start + _MOST_AT_ONCE]
