"""What a store's failure, or content that cannot be read, means to the caller; never the store's own text."""

from app.gateway.errors import (
    AccessDenied,
    ConnectionUnavailable,
    ContentNotMaskable,
    ContentUnreadable,
    ObjectChanged,
    ObjectNotFound,
    OutcomeUnknown,
    Refused,
    ResultTooLarge,
    StorageFull,
)
from app.objects.refusal import ContentFault, ContentRefused
from connectors.contract import ConnectorError, Failure


def not_found() -> ObjectNotFound:
    return ObjectNotFound("There is no such object for you: list_objects names those you can fetch.")


def refusal_of_store(error: ConnectorError) -> Refused:
    match error.failure:
        case Failure.NOT_FOUND:
            return not_found()
        case Failure.CHANGED:
            return ObjectChanged(
                "The object is not the one that was meant (its ETag differs, it exists already, or it changed "
                "meanwhile), and nothing was written: fetch it again, then repeat with its present ETag."
            )
        case Failure.REFUSED_BY_WALL:
            return AccessDenied(
                "The store itself refuses this for the gateway: choose another key, or ask an administrator.",
                code="store_refused",
            )
        case Failure.OUT_OF_RESOURCES | Failure.VALUE_TOO_LARGE:
            return StorageFull("The store has no room for this object right now: put less, or retry later.")
        case Failure.OUTCOME_UNKNOWN:
            return OutcomeUnknown(
                "The connection to the store was lost while it was changing: it may have happened. Nothing does it "
                "again by itself; look at the object before you send the request once more."
            )
        case Failure.UNAVAILABLE | Failure.TIMEOUT | Failure.STATEMENT:
            return ConnectionUnavailable(
                "The store behind this connection cannot be reached right now: retry later.",
                retry_after_s=error.retry_after_s or 5,
            )


def refusal_of_content(error: ContentRefused) -> Refused:
    code = error.code.value
    match error.code:
        case ContentFault.UNKNOWN_TYPE:
            return not_maskable()
        case ContentFault.BOMB | ContentFault.TOO_LARGE | ContentFault.TOO_EXPENSIVE:
            return ResultTooLarge(error.detail, code=code)
        case _:
            return ContentUnreadable(error.detail, code=code)


def not_maskable() -> ContentNotMaskable:
    return ContentNotMaskable(
        "Content of this type cannot be masked, so it is not released: CSV, TSV, JSON, NDJSON, Parquet, Arrow and text "
        "can; for others an administrator may say `content: raw`."
    )
