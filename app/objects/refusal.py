"""Why content cannot be rendered under masks, in words that repeat nothing of the content."""

from enum import StrEnum


class ContentFault(StrEnum):
    UNKNOWN_TYPE = "content_unknown_type"
    UNDECODABLE = "content_undecodable"
    RAGGED = "content_ragged"
    TRUNCATED = "content_truncated"
    TOO_DEEP = "content_too_deep"
    BOMB = "content_bomb"
    TOO_LARGE = "content_too_large"
    TOO_EXPENSIVE = "content_too_expensive"
    """The process that rendered it ran out of memory or time, or ended."""


class ContentRefused(Exception):  # noqa: N818 - names what happened to the content
    """`detail` is a sentence for the caller: where, what, and the next step; it never holds a value of the content.

    `place`: "line 12", "row 3"; None when no single place is to blame.
    """

    def __init__(self, code: ContentFault, detail: str, place: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.place = place
