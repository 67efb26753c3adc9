"""What gzip (RFC 1952, 2.3) and zstd (RFC 8878, 3.1.2) carry beside the content, which nobody sees who decompresses it.

A file's name has its place there; anything else that is free to hold data is refused where content is looked through.
"""

from app.objects.refusal import ContentFault, ContentRefused

SKIPPABLE_BYTES = 4
"""Of a frame's beginning, which tell whether it is skipped."""
_MAGIC = b"\x1f\x8b"
_FIXED_BYTES = 10
_FLAGS_AT = 3
_EXTRA, _NAME, _COMMENT = 4, 8, 16
_MOST_NAME_BYTES = 255
_BLOCK_SIZE = b"\x06\0BC\x02\0"
"""What bgzip writes into every member: one field of two bytes, how long the member is."""


def gzip_name(start: bytes) -> str | None:
    """The name in a member's header, "" where it has none or there is no member; None: more of it is needed. Raises
    ContentRefused."""
    if not start.startswith(_MAGIC[: len(start)]):
        return ""
    if len(start) < _FIXED_BYTES:
        return None
    flags = start[_FLAGS_AT]
    at = _FIXED_BYTES
    if flags & _COMMENT:
        raise _refused("a comment")
    if flags & _EXTRA:
        at += len(_BLOCK_SIZE) + 2
        if len(start) < at:
            return None
        if not start.startswith(_BLOCK_SIZE, _FIXED_BYTES):
            raise _refused("extra fields")
    if not flags & _NAME:
        return ""
    end = start.find(b"\0", at, at + _MOST_NAME_BYTES + 1)
    if end >= 0:
        return _text(start[at:end])
    if len(start) > at + _MOST_NAME_BYTES:
        raise _refused("a name that is longer than those of files")
    return None


def refuse_skippable(start: bytes) -> None:
    """`start`: of a frame, SKIPPABLE_BYTES or all there is. Raises ContentRefused."""
    if start[1:SKIPPABLE_BYTES] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50:
        raise _refused("frames that are skipped")


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


def _refused(what: str) -> ContentRefused:
    return ContentRefused(
        ContentFault.UNDECODABLE,
        f"The compressed content carries {what} beside it, which cannot be looked through. Compress it without.",
    )
